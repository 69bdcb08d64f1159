"""Bars of the tick stream over a real database: of instruments in use, once, whatever died and however packed."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.utils import timezone

from alphapanda.core.envelope import BarClosed, decode
from alphapanda.core.vocabulary import DeploymentStatus
from alphapanda.eventlog import doorbell
from alphapanda.eventlog.models import OutboxEvent
from alphapanda.eventlog.records import Record
from alphapanda.push import readmodel
from alphapanda.push.connection import client
from marketdata import selectors
from marketdata.domain.bars import MINUTE_MS
from marketdata.domain.series import INTERVALS
from marketdata.domain.ticks import Item, pack
from marketdata.models import Bar
from marketdata.stream import PUSH_EVERY_S, REFRESH_EVERY_S, StreamCore
from tests.builders import NSE, a_clock, a_tick, at
from tests.people import client_of
from tests.rows import a_deployment, an_instrument

pytestmark = pytest.mark.django_db
LOG = UUID(int=1)
TOPIC = "market.ticks"
INFY = 408065
UNUSED = 5


@pytest.fixture(autouse=True)
def silence(monkeypatch):
    monkeypatch.setattr(doorbell, "ring_shard", lambda *_a, **_k: True)
    monkeypatch.setattr(doorbell, "ring", lambda *_a, **_k: True)
    monkeypatch.setattr(doorbell, "queue_depth", lambda _queue: 0)


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def a_core(seconds: Seconds | None = None) -> StreamCore:
    core = StreamCore(
        topic=TOPIC,
        shards=1,
        hours=lambda: (NSE, NSE),
        incarnation=LOG,
        clock=timezone.now,
        monotonic=seconds or Seconds(),
    )
    core.load({0: (0, 10_000)})
    return core


def a_session(minutes: int = 40) -> list[Item]:
    """From 09:20 on: a clock a minute, three ticks in each of two instruments, then the end of the session."""
    items: list[Item] = []
    for minute in range(minutes):
        now = at("09:20") + minute * MINUTE_MS
        items.append(a_clock()._replace(at_ms=now))
        for n in range(3):
            for token in (INFY, UNUSED):
                price = 100 + (minute * 7 + n * 3) % 11
                items.append(
                    a_tick(price, at_ms=now + n * 17_000 + 5, token=token, volume=minute * 30 + n * 10 + 10)
                )
    return [*items, a_clock("15:30")]


def records(items: list[Item], batch: int) -> list[Record]:
    starts = range(0, len(items), batch)
    return [
        Record(
            TOPIC, 0, offset, b"0", pack(items[start : start + batch], source=8, first_seq=1 + start), 0, {}
        )
        for offset, start in enumerate(starts)
    ]


def kept() -> list[tuple[object, ...]]:
    columns = [field.attname for field in Bar._meta.fields if field.name not in ("id", "stored_at")]
    return sorted(Bar.objects.values_list(*columns))


def told() -> list[BarClosed]:
    rows = OutboxEvent.objects.filter(topic="market.bars").order_by("id")
    return [decode(bytes(row.body))[1] for row in rows]


def streamed(batch: int, *, dies_every: int = 0) -> tuple[list[object], list[BarClosed]]:
    """Rows and events of a session; with `dies_every` every so many messages the process dies, with what it
    had not stored, and another goes on."""
    Bar.objects.all().delete()
    core = a_core()
    waiting = records(a_session(), batch)
    while waiting[core.offsets[0] :]:
        for number, record in enumerate(waiting[core.offsets[0] :], 1):
            core.take([record])
            if number % 2 == 0:
                core.store()
            if dies_every and number % dies_every == 0:
                core = a_core()
                break
    core.store()
    return kept(), told()


def test_bars_of_instruments_in_use_are_stored_and_told_in_every_interval():
    a_deployment()
    rows, events = streamed(50)

    assert {row.instrument for row in Bar.objects.select_related("instrument")} == {an_instrument()}
    assert set(Bar.objects.values_list("minutes", flat=True)) == set(INTERVALS)
    assert Bar.objects.filter(minutes=1).count() == 40
    (day,) = Bar.objects.filter(minutes=1440)
    minutes = Bar.objects.filter(minutes=1).order_by("starts_ms")
    assert (day.volume, day.ticks, day.open_e4) == (1_200, 120, minutes[0].open_e4)
    assert (day.high_e4, day.low_e4) == (max(m.high_e4 for m in minutes), min(m.low_e4 for m in minutes))
    assert len(events) == len(rows)
    assert {event.instrument for event in events} == {"NSE:INFY"}
    assert OutboxEvent.objects.filter(topic="market.bars", key=str(INFY), broker="shared").count() == len(
        rows
    )


@pytest.mark.parametrize(("batch", "dies_every"), [(7, 0), (500, 0), (7, 3), (20, 5), (3, 7)])
def test_no_packing_and_no_death_changes_a_bar(batch, dies_every):
    a_deployment()
    expected_rows, expected_events = streamed(50)
    OutboxEvent.objects.all().delete()
    a_fresh_cursor()

    rows, events = streamed(batch, dies_every=dies_every)

    assert rows == expected_rows
    assert sorted(events, key=str) == sorted(expected_events, key=str)


def a_fresh_cursor() -> None:
    from alphapanda.eventlog.models import LogCursor

    LogCursor.objects.all().delete()


def test_an_instrument_that_comes_into_use_has_whole_bars_only():
    seconds, waiting = Seconds(), records(a_session(), 10)
    core = a_core(seconds)
    core.take(waiting[:10])  # into the fifteenth minute, of which ticks are missing for INFY
    a_deployment()
    seconds.now = REFRESH_EVERY_S
    core.housekeeping()
    core.take(waiting[10:])
    core.store()
    late = {minutes: [row for row in kept() if row[1] == minutes] for minutes in INTERVALS}

    Bar.objects.all().delete()
    OutboxEvent.objects.all().delete()
    a_fresh_cursor()
    every = streamed(50)[0]
    whole = {minutes: [row for row in every if row[1] == minutes] for minutes in INTERVALS}

    for minutes in (1, 3, 5, 15):
        assert 0 < len(late[minutes]) < len(whole[minutes])
        assert late[minutes] == whole[minutes][-len(late[minutes]) :]
    assert late[1440] == [], "a day that was not seen from its beginning is no day"


def test_a_deployment_that_stops_ends_its_bars_and_loses_none_before():
    deployment = a_deployment()
    seconds, waiting = Seconds(), records(a_session(), 10)
    core = a_core(seconds)
    core.take(waiting[:10])
    deployment.status = DeploymentStatus.STOPPED
    deployment.save()
    seconds.now = REFRESH_EVERY_S
    core.housekeeping()
    before = Bar.objects.count()
    core.take(waiting[10:])
    core.store()

    assert before == Bar.objects.count() > 0
    assert core.states[0].series == {}


def test_history_is_read_by_time_and_length():
    a_deployment()
    streamed(50)
    found = selectors.bars_of(an_instrument(), 5, at("09:20"), at("09:35"))

    assert [bar.starts_ms for bar in found] == [at("09:20"), at("09:25"), at("09:30")]
    assert (found[0].instrument, found[0].token, found[0].minutes) == ("NSE:INFY", INFY, 5)
    assert selectors.bars_of(an_instrument(), 5, at("09:21"), at("09:25")) == []


def test_viewers_read_bars_over_rest():
    a_deployment()
    streamed(50)
    client = client_of("bob")
    wanted = {"instrument": "NSE:INFY", "minutes": 15, "from_ms": at("09:30"), "to_ms": at("09:45")}
    (bar,) = client.get("/api/v1/bars/", wanted).json()["results"]

    assert bar["starts_at"] == "2019-07-09T09:30:00.000+05:30"
    assert (bar["instrument"], bar["minutes"], bar["ticks"], bar["volume"]) == ("NSE:INFY", 15, 45, 450)
    assert bar["open"] == "104.00"
    assert client.get("/api/v1/bars/", {"instrument": "NSE:INFY"}).status_code == 400
    assert client.get("/api/v1/bars/", wanted | {"minutes": 7}).status_code == 400
    assert client.get("/api/v1/bars/", wanted | {"from_ms": "soon"}).status_code == 400
    assert client.get("/api/v1/bars/", wanted | {"instrument": "NSE:NOBODY"}).json()["results"] == []


def test_bars_in_the_making_are_written_for_who_looks_at_a_chart_and_end_as_those_that_are_stored():
    a_deployment()
    client().flushdb()
    seconds = Seconds()
    core = a_core(seconds)
    stood: dict[tuple[int, int], list[int]] = {}
    for number, record in enumerate(records(a_session(), 1)):
        seconds.now += PUSH_EVERY_S
        core.take([record])
        if number == 10:
            assert readmodel.chart_look([INFY])[INFY][2] == [], "nobody had looked"
        elif number > 10:
            _, _, bars = readmodel.chart_look([INFY])[INFY]
            stood |= {(minutes, starts_ms): rest for minutes, starts_ms, *rest in bars}
    core.store()

    columns = ("minutes", "starts_ms", "open_e4", "high_e4", "low_e4", "close_e4", "volume")
    stored = {tuple(row[:2]): list(row[2:]) for row in Bar.objects.values_list(*columns)}
    assert len(stood) > 40
    assert {key: stored[key] for key in stood} == stood
    client().flushdb()
