"""What Kite's connections tell, published to market.ticks: live ticks alone, clock items, and gaps as events."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import numpy as np
from django.db import DatabaseError
from msgspec.structs import replace

from alphapanda import logs
from alphapanda.core.clock import DAY_MS
from alphapanda.core.envelope import FeedGap
from marketdata.domain.bars import MINUTE_MS
from marketdata.domain.kite_frames import (
    HEARTBEAT,
    Decoded,
    MalformedFrame,
    Mode,
    Packets,
    Scales,
    decode,
    split,
)
from marketdata.domain.ticks import Rows
from marketdata.feeds.kite import Access, Connection, Timing, spread
from marketdata.services.feed import BATCH_WAIT_S, RowPublisher, Wall

SOURCE = "kite"
REFRESH_S = 5.0
CLOCK_LOOK_S = 0.2
# Ticks of a minute were seen to come in the first second of the next; a clock item would close its bars before.
CLOCK_AFTER_MS = 2_000
CACHED_MS = 5_000  # a first tick after subscribing that is older is no news
GAPS_KEPT = 1_000
AGAIN_S = 1.0  # after a database that did not answer

log = logs.channel("market_data")


@dataclass(slots=True)
class Figures:
    """What was heard and what became of it, since the start."""

    frames: int = 0
    ticks: int = 0
    malformed: int = 0  # frames
    cached: int = 0  # ticks that were old when they were subscribed to
    unwanted: int = 0  # of instruments that were not asked for (any more)
    inexact: int = 0
    texts: int = 0
    lengths: Counter[int] = field(default_factory=Counter)  # of packets of no known kind


class EventClock:
    """The time of the log: that of the wall, or of the ticks of a simulator that plays another day, going on by the
    wall between them."""

    def __init__(self, wall: Wall, *, by_ticks: bool) -> None:
        self.by_ticks = by_ticks
        self._wall = wall
        self._tick_ms, self._seen_s = 0, 0.0
        self._minute_ms = 0  # the last that was told

    def now_ms(self) -> int:
        """0: nothing is known of the time yet."""
        if not self.by_ticks:
            return self._wall.now_ms()
        since_ms = int((self._wall.monotonic() - self._seen_s) * 1_000)
        return self._tick_ms + since_ms if self._tick_ms else 0

    def see(self, at_ms: int) -> None:
        """A tick of this time has come."""
        if at_ms > self._tick_ms:
            self._tick_ms, self._seen_s = at_ms, self._wall.monotonic()

    def minutes(self, until_ms: int) -> list[int]:
        """The minutes up to a time that have not been told yet; after a leap of a day or more the last alone."""
        last = until_ms - until_ms % MINUTE_MS
        if not self._minute_ms or last - self._minute_ms >= DAY_MS:
            self._minute_ms = last - MINUTE_MS
        found = list(range(self._minute_ms + MINUTE_MS, last + 1, MINUTE_MS))
        self._minute_ms = max(self._minute_ms, last)
        return found


class KiteFeed:
    """Hears up to three connections and publishes what is live. `wanted`: the partition of each instrument to be
    subscribed to, the most wanted first, asked every few seconds; `tell`: stores a gap; `updates`: hears text frames
    of orders; `died`: hears of a token that Kite refused; `heard_ms`: when a feed before this one heard its last."""

    def __init__(
        self,
        publisher: RowPublisher,
        *,
        url: str,
        access: Callable[[], Awaitable[Access | None]],
        wanted: Callable[[], Awaitable[Mapping[int, int]]],
        tell: Callable[[FeedGap], Awaitable[None]],
        died: Callable[[Access], Awaitable[None]],
        wall: Wall,
        scales: Scales,
        updates: Callable[[dict[str, Any]], None] = lambda _: None,
        mode: Mode = Mode.FULL,
        by_ticks: bool = False,
        heard_ms: int = 0,
        timing: Timing | None = None,
        refresh_s: float = REFRESH_S,
    ) -> None:
        self.figures = Figures()
        self._publisher = publisher
        self._make = lambda number: Connection(
            number, url=url, mode=mode, access=access, hears=self, timing=timing or Timing()
        )
        self._access, self._wanted, self._tell = access, wanted, tell
        self._died, self._updates = died, updates
        self._wall = wall
        self._mode = mode
        self._scales = scales
        self._refresh_s = refresh_s
        self._clock = EventClock(wall, by_ticks=by_ticks)
        self._connections: list[Connection] = []
        self._frames: list[bytes] = []
        self._awaited: set[int] = set()  # tokens of which the next tick may be an old one
        self._heard_ms: dict[int, int] = {}
        self._open_gaps: dict[int, FeedGap] = {}
        if heard_ms:
            self._open_gaps[0] = FeedGap(SOURCE, 0, 0, heard_ms, 0, "the feed was not running")
        self._to_tell: deque[Callable[[], Awaitable[None]]] = deque(maxlen=GAPS_KEPT)
        self._is_told = asyncio.Event()
        self._is_filled = asyncio.Event()
        self._no_room = 0

    async def run(self) -> None:
        """Until cancelled; what was heard by then is published."""
        async with aiohttp.ClientSession() as session:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._refreshing(group, session))
                    group.create_task(self._publishing())
                    group.create_task(self._timing_out())
                    group.create_task(self._telling())
            finally:
                self.flush()

    # ---- what connections tell ----

    def opened(self, number: int) -> None:
        log.info("market_data.kite.opened", connection=number)

    def subscribed(self, tokens: Sequence[int]) -> None:
        self.flush()  # what came before is judged as it was
        self._awaited.update(tokens)

    def frame(self, number: int, raw: bytes) -> None:
        self._hear(number)
        if len(raw) != len(HEARTBEAT):
            self.figures.frames += 1
            self._frames.append(raw)
            self._is_filled.set()

    def text(self, number: int, message: dict[str, Any]) -> None:
        self._hear(number)
        self.figures.texts += 1
        kind, data = message.get("type"), message.get("data")
        if kind == "order" and isinstance(data, dict):
            self._updates(data)
        elif kind == "error":
            log.warning("market_data.kite.error", connection=number, text=str(data)[:200])
        else:
            log.info("market_data.kite.message", connection=number, kind=str(kind)[:40], text=str(data)[:200])

    def lost(self, number: int, reason: str) -> None:
        log.warning("market_data.kite.lost", connection=number, reason=reason)
        if number in self._open_gaps:
            return
        since_ms = self._heard_ms.get(number) or self._wall.now_ms()
        instruments = len(self._connections[number].tokens)
        self._open_gaps[number] = gap = FeedGap(SOURCE, number, instruments, since_ms, 0, reason)
        self._later(lambda: self._tell(gap))

    def refused(self, number: int, access: Access) -> None:
        log.error("market_data.kite.access_refused", connection=number)
        self.lost(number, "the access token is dead")
        self._later(lambda: self._died(access))

    def _hear(self, number: int) -> None:
        self._heard_ms[number] = now_ms = self._wall.now_ms()
        gap = self._open_gaps.pop(number, None)
        if gap is not None:
            instruments = gap.instruments or len(self._connections[number].tokens)
            over = replace(gap, instruments=instruments, until_ms=now_ms)
            self._later(lambda: self._tell(over))

    def _later(self, act: Callable[[], Awaitable[None]]) -> None:
        self._to_tell.append(act)
        self._is_told.set()

    # ---- to the log ----

    def flush(self) -> None:
        """Publish what has been heard."""
        frames, self._frames = self._frames, []
        if not frames:
            return
        now_ms = self._wall.now_ms()
        packets = self._split(frames)
        for one in packets:
            self.figures.lengths += one.unknown
            decoded = decode(one, received_ms=now_ms, scales=self._scales)
            self.figures.inexact += decoded.inexact
            self._publish(self._live(decoded))

    def _split(self, frames: list[bytes]) -> list[Packets]:
        """Frames that are none cost themselves only."""
        try:
            return [split(*frames)]
        except MalformedFrame as error:
            if len(frames) > 1:
                return [packets for frame in frames for packets in self._split([frame])]
            self.figures.malformed += 1
            log.warning("market_data.kite.malformed", reason=error.reason.value, text=str(error))
            return []

    def _live(self, decoded: Decoded) -> Rows:
        """Without what Kite had kept of instruments that were subscribed to just now: ticks that are old, or of which
        it cannot be told, having no stamp. In full mode what comes before the first stamp is of the mode before."""
        rows = decoded.rows
        records = rows.records
        oldest_ms = self._clock.now_ms() - CACHED_MS
        self._clock.see(int(records["at_ms"][decoded.is_stamped].max(initial=0)))
        if not self._awaited:
            return rows
        keep = np.ones(len(records), np.bool_)
        for place, token in enumerate(records["token"].tolist()):
            if token in self._awaited:
                is_stamped = bool(decoded.is_stamped[place])
                keep[place] = is_stamped and records["at_ms"][place] >= oldest_ms
                if is_stamped or self._mode is not Mode.FULL:
                    self._awaited.discard(token)
        self.figures.cached += len(keep) - int(keep.sum())
        return rows.at(keep)

    def _publish(self, rows: Rows) -> None:
        if not len(rows.records):
            return
        for minute_ms in self._minutes_among(rows) if self._clock.by_ticks else ():
            place = int(np.argmax(rows.records["at_ms"] >= minute_ms))
            self._publish_rows(rows.at(slice(place)))
            self._publisher.clock(minute_ms)
            rows = rows.at(slice(place, None))
        self._publish_rows(rows)

    def _minutes_among(self, rows: Rows) -> list[int]:
        """From that of the first tick on, for before it nothing is known of the time."""
        at_ms = rows.records["at_ms"]
        return [*self._clock.minutes(int(at_ms[0])), *self._clock.minutes(int(at_ms.max()))]

    def _publish_rows(self, rows: Rows) -> None:
        sent = self._publisher.rows(rows)
        self.figures.ticks += sent
        self.figures.unwanted += len(rows.records) - sent

    # ---- by time ----

    async def _publishing(self) -> None:
        while True:
            await self._is_filled.wait()
            await asyncio.sleep(BATCH_WAIT_S)
            self._is_filled.clear()
            self.flush()

    async def _timing_out(self) -> None:
        while True:
            now_ms = self._clock.now_ms()
            for minute_ms in self._clock.minutes(now_ms - CLOCK_AFTER_MS) if now_ms else ():
                self.flush()
                self._publisher.clock(minute_ms)
            await asyncio.sleep(CLOCK_LOOK_S)

    async def _refreshing(self, group: asyncio.TaskGroup, session: aiohttp.ClientSession) -> None:
        while True:
            if (access := await self._access()) is not None:
                for one in self._connections:
                    await one.renew(access)
            partitions = await self._wanted()
            self.flush()  # by the partitions under which it was heard
            self._publisher.route(partitions)
            lines, left = spread(list(partitions), [one.tokens for one in self._connections])
            if len(left) != self._no_room:
                self._no_room = len(left)
                log.error("market_data.kite.no_room", left=len(left), examples=left[:5])
            for number, tokens in enumerate(lines):
                is_new = number == len(self._connections)
                if is_new:
                    self._connections.append(self._make(number))
                await self._connections[number].want(tokens)
                if is_new:
                    group.create_task(self._connections[number].run(session))
            await asyncio.sleep(self._refresh_s)

    async def _telling(self) -> None:
        while True:
            await self._is_told.wait()
            self._is_told.clear()
            while self._to_tell:
                act = self._to_tell.popleft()
                try:
                    await act()
                except DatabaseError as error:
                    log.error("market_data.kite.not_told", error=type(error).__name__)
                    self._to_tell.appendleft(act)
                    await asyncio.sleep(AGAIN_S)
