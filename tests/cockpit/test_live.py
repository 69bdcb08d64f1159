"""From the tick stream and the relay to the screens: what each writes is what the others read."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.db import connection, transaction

from alphapanda import live, projections
from alphapanda.core.vocabulary import Side
from alphapanda.dashboard import screen
from alphapanda.eventlog import bootstrap, outbox
from alphapanda.eventlog.records import Record
from alphapanda.eventlog.relay import Relay
from alphapanda.push import readmodel
from execution.models import ExternalOrder
from marketdata.domain.ticks import pack
from marketdata.models import TickFaultCount
from marketdata.stream import StreamCore
from tests.builders import NSE, a_clock, a_tick, at
from tests.cockpit import world

NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)
TOKEN = world.NAMES["INFY"][0]


def a_stream(seconds: Callable[[], float]) -> StreamCore:
    stream = StreamCore(
        topic="market.ticks",
        shards=1,
        hours=lambda: (NSE, NSE),
        incarnation=UUID(int=1),
        clock=lambda: NOW,
        monotonic=seconds,
        lag=lambda: 3,
        feed={"source": "recorded", "speed": 60.0},
    )
    stream.load({0: (0, 0)})
    return stream


def a_record(offset: int, value: bytes) -> Record:
    return Record("market.ticks", 0, offset, None, value, 0, {})


@pytest.mark.django_db
def test_what_the_stream_says_is_what_the_screens_show() -> None:
    world.desk(count=1)
    projections.rebuild()
    seconds = [0.0]
    stream = a_stream(lambda: seconds[0])
    ticks = [a_clock(), a_tick("1530.5", token=TOKEN), a_tick(-1, token=TOKEN)]

    seconds[0] = 2.0
    stream.take([a_record(0, pack(ticks, source=9, first_seq=1))])

    rows = screen.rows(readmodel.overview())
    strip, tiles = rows["strip"]["paper"], rows["tiles"]["paper"]
    assert (strip["session"], strip["speed"], strip["at_ms"]) == ("recorded", "×60", at())  # noqa: RUF001
    assert strip["received_at_ms"] == NOW.timestamp() * 1000
    assert (tiles["ticks_per_s"], tiles["lag"]) == (1.5, 3)
    assert rows["marks"][str(TOKEN)]["price_e4"] == 15_305_000
    assert TickFaultCount.objects.get().count == 1

    seconds[0] = 5.0
    stream.housekeeping()
    idle = readmodel.revision()
    assert readmodel.stream()["ticks_per_s"] == 0.0
    seconds[0] = 6.0
    stream.housekeeping()
    assert readmodel.revision() == idle


@pytest.mark.django_db(transaction=True)
def test_the_relay_brings_events_to_the_read_model() -> None:
    bootstrap.ensure_topics()
    own = world.desk(count=1)
    projections.rebuild()
    events = world.trade(own.deployments[0], 10, Side.BUY, 100, 15_000_000)
    with transaction.atomic():
        outbox.publish([envelope for envelope, _ in events])

    relay = Relay(listeners=[projections.project])
    relay.publish_batch()
    relay.close()

    assert len(readmodel.recent("fills")) == 1


@pytest.mark.django_db(transaction=True)
def test_screens_are_built_and_refreshed_beside_the_relay() -> None:
    stop = threading.Event()
    with live.screens(stop):
        deadline = time.monotonic() + 10
        while not readmodel.is_built() and time.monotonic() < deadline:
            stop.wait(0.02)
        built = readmodel.is_built()

    assert built
    assert stop.is_set()


@pytest.mark.django_db
def test_a_refresh_without_redis_is_waited_out(settings: pytest.FixtureRequest) -> None:
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    live.refresh()
    assert connection.is_usable()


@pytest.mark.django_db
def test_between_refreshes_what_waits_is_told_once_and_only_while_somebody_looks() -> None:
    projections.rebuild()

    def heeded() -> int:
        before = readmodel.revision()
        projections.heed()
        return readmodel.revision() - before

    assert heeded() == 0
    readmodel.watch()
    heeded()  # what the process told last may be of another desk
    assert heeded() == 0
    ExternalOrder.objects.create(broker_order_id="7", instrument="NSE:TCS", snapshot={}, seen_at=NOW)
    assert [heeded(), heeded()] == [1, 0]
    assert screen.rows(readmodel.overview())["news"]["paper"]["waits"] == [[], [], ["7"]]
