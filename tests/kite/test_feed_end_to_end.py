"""`manage.py feed --source kite` from the simulator's websocket into the log, with a token from the login page."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from accounts.models import BrokerSession
from alphapanda.core.envelope import EventType, FeedGap, decode
from alphapanda.eventlog import bootstrap
from alphapanda.eventlog.client import LogReader
from alphapanda.eventlog.models import OutboxEvent
from alphapanda.eventlog.topics import MARKET_TICKS, OPERATOR_ACTIONS
from alphapanda.kite_simulator.faults import Fault, Kind
from alphapanda.kite_simulator.sessions import Account
from alphapanda.management.commands import feed as command
from marketdata.domain.ticks import Clock, Item, Tick, source_id, unpack
from marketdata.services.calendar import calendars_load_shipped
from marketdata.services.instruments import load_shipped
from tests.accounts.way import LANDING, browser_of, log_in
from tests.builders import at
from tests.kite.hearing import until, wait_subscribed
from tests.kite.server import Served, a_simulator, serving
from tests.kite.test_feed import a_tick, go_wrong
from tests.marketdata.test_instruments import NOW
from tests.rows import a_broker_account

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def served(settings: Any) -> Iterator[Served]:
    ticks = [a_tick(second) for second in range(1, 600)]
    with serving(a_simulator(ticks, account=Account(redirect_url=LANDING))) as found:
        settings.KITE_API_URL = found.url
        settings.KITE_LOGIN_URL = f"{found.url}/connect/login"
        settings.KITE_WS_URL = found.url.replace("http://", "ws://")
        yield found


@pytest.fixture
def house(settings: Any) -> None:
    settings.TOPIC_PREFIX = f"test{uuid4().hex[:8]}"
    settings.TICK_PARTITIONS = 1
    settings.FEED_INSTRUMENTS = ["NSE:INFY"]
    settings.FEED_CLOCK = "ticks"
    bootstrap.ensure_topics()
    calendars_load_shipped()
    load_shipped(now=NOW)
    a_broker_account()


@contextmanager
def feeding(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The command in a thread."""
    stop, ended = threading.Event(), []
    monkeypatch.setattr(command, "stop_flag", lambda: stop)

    def run() -> None:
        try:
            call_command("feed", source="kite")
            ended.append("well")
        finally:
            connections.close_all()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(20)
    assert ended == ["well"]


def logged() -> list[tuple[int, Item]]:
    """The items of the log with their numbers."""
    found: list[tuple[int, Item]] = []
    with LogReader("test") as reader:
        low, high = reader.watermarks(MARKET_TICKS, 0)
        reader.assign(MARKET_TICKS, {0: low})
        seen = low
        while seen < high:
            for record in reader.poll(messages_max=1_000, timeout_s=2):
                batch = unpack(record.value)
                assert batch.source == source_id("kite")
                found += [(batch.seq(n), item) for n, item in enumerate(batch.items())]
                seen = record.offset + 1
    return found


def seconds() -> list[int]:
    return [(item.at_ms - at()) // 1_000 for _, item in logged() if isinstance(item, Tick)]


def gaps() -> list[FeedGap]:
    rows = OutboxEvent.objects.filter(type=EventType.FEED_GAP).order_by("id")
    assert {row.topic for row in rows} <= {OPERATOR_ACTIONS}
    return [decode(bytes(row.body))[1] for row in rows]


def test_from_the_login_page_to_the_log_over_cuts_new_tokens_and_restarts(
    served: Served, house: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    alice = browser_of("alice")
    with feeding(monkeypatch):  # nobody has logged in yet: it waits
        log_in(alice)
        tokens = [served.simulator.sessions.current.access_token]
        wait_subscribed(served, 1)
        for _ in range(65):
            served.advance(1_000)
        until(lambda: seconds()[-1:] == [65], "65 ticks")

        go_wrong(served, Fault(kind=Kind.CUT))
        until(lambda: len(gaps()) == 2, "the end of the gap")
        wait_subscribed(served, 1)
        served.advance(1_000)
        until(lambda: seconds()[-1] == 66, "ticks after the cut")

        served.call(served.simulator.sessions.end)  # as Kite may at any time
        until(BrokerSession.objects.filter(ended_by=BrokerSession.End.REFUSED).exists, "the refusal")
        log_in(alice)
        tokens.append(served.simulator.sessions.current.access_token)
        wait_subscribed(served, 1)
        served.advance(1_000)
        until(lambda: seconds()[-1] == 67, "ticks with the new token")

    with feeding(monkeypatch):
        wait_subscribed(served, 1)
        served.advance(1_000)
        until(lambda: seconds()[-1] == 68, "ticks after a restart")

    assert not [token for token in tokens if token in caplog.text]
    numbers = [number for number, _ in logged()]
    assert numbers == sorted(set(numbers))
    assert seconds() == list(range(1, 69))
    clocks = [item.at_ms for _, item in logged() if isinstance(item, Clock)]
    assert clocks[:2] == [at(), at() + 60_000]
    assert [gap.until_ms > gap.from_ms for gap in gaps()] == [False, True, False, True, True]
    assert gaps()[-1].reason == "the feed was not running"
    assert {(gap.source, gap.connection, gap.instruments) for gap in gaps()} == {("kite", 0, 1)}


def test_what_cannot_be_streamed_is_told(house: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "stop_flag", threading.Event)
    settings.FEED_INSTRUMENTS = ["NSE:INFY", "NSE:NOBODY"]
    with pytest.raises(CommandError, match="NSE:NOBODY is not in the instrument list"):
        call_command("feed", source="kite")
    settings.FEED_INSTRUMENTS = []
    with pytest.raises(CommandError, match="expected full"):
        call_command("feed", source="kite", mode="ltp")
