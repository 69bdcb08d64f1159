"""Parts of the Kite feed that need no socket: numbers, partitions, time, connections, what passes and what does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.db import DatabaseError
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.envelope import FeedGap
from alphapanda.eventlog.topics import MARKET_TICKS
from marketdata.domain.kite_frames import HEARTBEAT, KITES, Figures, Mode, decode, frame, packet, split
from marketdata.domain.ticks import HAS_DEPTH, Clock, Rows, Tick, pack
from marketdata.feeds.kite import CONNECTIONS_MAX, TOKENS_MAX, spread
from marketdata.services import kite_feed
from marketdata.services.feed import Heard, RowPublisher, heard, live_first_seq
from marketdata.services.kite_feed import CACHED_MS, CLOCK_AFTER_MS, EventClock, KiteFeed
from tests.marketdata.test_feed import RECEIVED_MS, Log, Wall

MINUTE_MS = 60_000
A, B, C = 257, 513, 769
LEVELS = ((1_000_000, 5),) * 5


def full(token: int, at_ms: int = RECEIVED_MS) -> Tick:
    stamp = at_ms - at_ms % 1_000
    return Tick(token, stamp, stamp, RECEIVED_MS, 1_000_000, 1, 2, 0, 0, 0, 0, HAS_DEPTH, LEVELS, LEVELS)


def told(*ticks: Tick, mode: Mode = Mode.FULL) -> bytes:
    return frame([packet(tick, mode, Figures()) for tick in ticks])


def rows_of(*ticks: Tick) -> Rows:
    return decode(split(told(*ticks)), received_ms=RECEIVED_MS).rows


# ---- rows to partitions ----


def publisher(log: Log, *, partitions: int = 2, first_seq: int = 10, batch_items: int = 500) -> RowPublisher:
    return RowPublisher(
        log, source=3, first_seq=first_seq, partitions=partitions, wall=Wall(), batch_items=batch_items
    )


def test_rows_go_to_the_partitions_of_their_tokens_with_rising_numbers() -> None:
    log = Log()
    made = publisher(log)
    made.route({A: 1, B: 0})
    assert made.rows(rows_of(full(A), full(B), full(C), full(A))) == 3
    made.clock(5)
    assert made.rows(rows_of(full(A))) == 1
    assert log.items(0) == [(10, full(B)), (13, Clock(5, RECEIVED_MS))]
    assert log.items(1) == [(11, full(A)), (12, full(A)), (13, Clock(5, RECEIVED_MS)), (14, full(A))]


def test_rows_beyond_a_message_go_into_the_next() -> None:
    log = Log()
    made = publisher(log, batch_items=2)
    made.route({A: 0})
    quote = decode(split(told(full(A), mode=Mode.QUOTE)), received_ms=RECEIVED_MS).rows.records
    mixed = rows_of(*[full(A, RECEIVED_MS + n * 1_000) for n in range(5)])
    both = Rows(np.concatenate([quote, mixed.records]), mixed.depths)
    assert made.rows(both) == 6
    assert [tick.at_ms for _, tick in log.items(0)] == both.records["at_ms"].tolist()
    assert [bool(tick.bids) for _, tick in log.items(0)] == [False, *[True] * 5]
    assert len(log.partitions[0]) == 3


def test_nothing_is_routed_before_it_is_said_where() -> None:
    log = Log()
    assert publisher(log).rows(rows_of(full(A))) == 0
    assert log.partitions == {}


def test_numbers_rise_over_restarts_and_over_a_clock_that_was_set_back() -> None:
    assert live_first_seq(Heard(0, 0), now_ms=5_000) == 5_000_000
    assert live_first_seq(Heard(7_000_000, 4_000), now_ms=5_000) == 7_000_001


def test_what_the_log_holds_of_a_source_is_found_among_others() -> None:
    log = Log()
    assert heard(log, source=3, partitions=[0, 1]) == Heard(0, 0)
    made = publisher(log)
    made.route({A: 1, B: 0})
    made.rows(rows_of(full(A), full(B), full(A)))
    log.produce(MARKET_TICKS, pack([full(C)], source=4, first_seq=900), key=b"1", partition=1)
    assert heard(log, source=3, partitions=[0, 1]) == Heard(12, RECEIVED_MS)


# ---- time ----


class Passing(Wall):
    """A wall clock that a test sets."""

    def __init__(self, now_ms: int = 0) -> None:
        super().__init__()
        self.ms = now_ms

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1_000


def test_minutes_are_told_once_and_none_is_left_out() -> None:
    clock = EventClock(Passing(), by_ticks=False)
    start = 1_000 * MINUTE_MS
    assert clock.minutes(start + 5) == [start]
    assert clock.minutes(start + 59_999) == []
    assert clock.minutes(start + 3 * MINUTE_MS) == [start + n * MINUTE_MS for n in (1, 2, 3)]
    assert clock.minutes(start) == []
    assert clock.minutes(start + 3_000 * MINUTE_MS) == [start + 3_000 * MINUTE_MS]


def test_the_time_of_ticks_goes_on_between_them_and_never_back() -> None:
    wall = Passing(50_000)
    clock = EventClock(wall, by_ticks=True)
    assert clock.now_ms() == 0
    clock.see(7_000_000)
    wall.ms += 1_500
    assert clock.now_ms() == 7_001_500
    clock.see(6_000_000)
    assert clock.now_ms() == 7_001_500
    clock.see(9_000_000)
    assert clock.now_ms() == 9_000_000


# ---- connections ----

TOKENS = st.sets(st.integers(1, 400), max_size=300)


@given(TOKENS, TOKENS)
def test_what_is_wanted_is_on_one_connection_and_stays_there(before: set[int], after: set[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("marketdata.feeds.kite.TOKENS_MAX", 50)
        was, _ = spread(sorted(before), [])
        now, left = spread(sorted(after), was)
    placed = [token for line in now for token in line]
    assert 1 <= len(now) <= CONNECTIONS_MAX
    assert max(map(len, now)) <= 50
    assert sorted(placed) == sorted(after)[:150]
    assert left == sorted(after)[150:]
    assert all(old & set(placed) <= new for old, new in zip(was, now, strict=False))


def test_a_connection_is_opened_when_the_others_are_full() -> None:
    assert spread([], []) == ([set()], [])
    assert [len(line) for line in spread(range(1, TOKENS_MAX + 1), [])[0]] == [TOKENS_MAX]
    assert [len(line) for line in spread(range(1, TOKENS_MAX + 2), [])[0]] == [TOKENS_MAX, 1]


# ---- what passes ----


def hearing(
    act: Callable[[KiteFeed], Any], *, mode: Mode = Mode.FULL, wall: Wall | None = None, **more: Any
) -> tuple[Log, KiteFeed]:
    """A feed without sockets that hears what `act` tells it."""
    log = Log()

    async def nothing(*_: Any) -> None: ...

    async def run() -> KiteFeed:
        made = publisher(log, partitions=1, first_seq=1)
        made.route({A: 0, B: 0})
        callables = dict.fromkeys(("access", "wanted", "tell", "died"), nothing)
        feed = KiteFeed(made, url="", wall=wall or Wall(), scales=KITES, mode=mode, **callables | more)
        act(feed)
        feed.flush()
        return feed

    return log, asyncio.run(run())


def ticks_of(log: Log) -> list[Tick]:
    return [item for _, item in log.items() if isinstance(item, Tick)]


def test_old_ticks_pass_unless_they_came_with_the_subscription() -> None:
    old, new = full(A, RECEIVED_MS - CACHED_MS - 1_000), full(A)

    def act(feed: KiteFeed) -> None:
        feed.subscribed([A])
        feed.frame(0, told(old, full(B, RECEIVED_MS - CACHED_MS - 1_000)))
        feed.frame(0, told(old, new))

    log, feed = hearing(act)
    assert [tick.token for tick in ticks_of(log)] == [B, A, A]
    assert feed.figures.cached == 1


def test_a_first_tick_of_now_passes() -> None:
    log, feed = hearing(lambda feed: (feed.subscribed([A]), feed.frame(0, told(full(A)))))
    assert ticks_of(log) == [full(A)]
    assert feed.figures.cached == 0


def test_before_the_first_full_packet_quotes_are_of_the_mode_before() -> None:
    def act(feed: KiteFeed) -> None:
        feed.subscribed([A])
        for _ in range(2):
            feed.frame(0, told(full(A), mode=Mode.QUOTE))
        feed.frame(0, told(full(A)))

    log, feed = hearing(act)
    assert ticks_of(log) == [full(A)]
    assert feed.figures.cached == 2


def test_a_frame_that_is_none_costs_itself_alone() -> None:
    def act(feed: KiteFeed) -> None:
        for raw in (told(full(A)), b"\x00\x09garbage", HEARTBEAT, told(full(B)), frame([bytes(9)])):
            feed.frame(0, raw)

    log, feed = hearing(act)
    assert ticks_of(log) == [full(A), full(B)]
    assert (feed.figures.malformed, feed.figures.lengths, feed.figures.frames) == (1, {9: 1}, 4)


def test_texts_go_where_they_belong() -> None:
    updates: list[Any] = []

    def act(feed: KiteFeed) -> None:
        feed.text(0, {"type": "order", "data": {"order_id": "1"}})
        feed.text(0, {"type": "order", "data": "nothing"})
        feed.text(0, {"type": "error", "data": "no"})
        feed.text(0, {"type": "message", "data": "closed tomorrow"})
        feed.text(0, {})

    _, feed = hearing(act, updates=updates.append)
    assert updates == [{"order_id": "1"}]
    assert feed.figures.texts == 5


def test_the_clock_waits_for_the_last_ticks_of_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kite_feed, "CLOCK_LOOK_S", 0)
    wall = Passing(1_000 * MINUTE_MS + 30_000)
    log = Log()

    async def nothing(*_: Any) -> Any: ...

    async def run() -> None:
        made = publisher(log, partitions=1)
        callables = dict.fromkeys(("access", "wanted", "tell", "died"), nothing)
        feed = KiteFeed(made, url="", wall=wall, scales=KITES, **callables)
        task = asyncio.create_task(feed._timing_out())
        await asyncio.sleep(0.01)
        wall.ms = 1_001 * MINUTE_MS + CLOCK_AFTER_MS - 1
        await asyncio.sleep(0.01)
        assert [item.at_ms for _, item in log.items()] == [1_000 * MINUTE_MS]
        wall.ms += 1
        await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(run())
    assert [item.at_ms for _, item in log.items()] == [1_000 * MINUTE_MS, 1_001 * MINUTE_MS]


def test_the_time_in_which_no_feed_ran_is_a_gap() -> None:
    gaps: list[FeedGap] = []

    async def tell(gap: FeedGap) -> None:
        gaps.append(gap)

    async def nothing(*_: Any) -> Any: ...

    async def run() -> None:
        callables = dict.fromkeys(("access", "wanted", "died"), nothing)
        feed = KiteFeed(
            publisher(Log()), url="", wall=Wall(), scales=KITES, tell=tell, heard_ms=7_000, **callables
        )
        feed._connections = [feed._make(0)]
        feed._connections[0].tokens = {A, B}
        task = asyncio.create_task(feed._telling())
        feed.frame(0, HEARTBEAT)
        await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(run())
    assert gaps == [FeedGap("kite", 0, 2, 7_000, RECEIVED_MS, "the feed was not running")]


def test_by_the_time_of_ticks_each_minute_comes_before_its_first_tick() -> None:
    start = RECEIVED_MS - RECEIVED_MS % MINUTE_MS
    times = [start + 50_000, start + 59_000, start + 61_000, start + 190_000]
    log, _ = hearing(lambda feed: feed.frame(0, told(*(full(A, at_ms) for at_ms in times))), by_ticks=True)
    told_ms = [item.at_ms for _, item in log.items()]
    minutes = [start + n * MINUTE_MS for n in range(4)]
    assert told_ms == [minutes[0], *times[:2], minutes[1], times[2], *minutes[2:], times[3]]


def test_a_gap_is_told_when_the_database_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kite_feed, "AGAIN_S", 0)
    gaps: list[FeedGap] = []
    failures = iter([True, True, False, False])

    async def tell(gap: FeedGap) -> None:
        if next(failures):
            raise DatabaseError
        gaps.append(gap)

    async def nothing(*_: Any) -> Any: ...

    async def run() -> None:
        callables = dict.fromkeys(("access", "wanted", "died"), nothing)
        feed = KiteFeed(publisher(Log()), url="", wall=Wall(), scales=KITES, tell=tell, **callables)
        feed._connections = [feed._make(0)]
        task = asyncio.create_task(feed._telling())
        feed.lost(0, "cut")
        feed.lost(0, "cut again")
        feed.frame(0, HEARTBEAT)
        await asyncio.sleep(0.05)
        task.cancel()

    asyncio.run(run())
    assert [(gap.reason, gap.until_ms) for gap in gaps] == [("cut", 0), ("cut", RECEIVED_MS)]
