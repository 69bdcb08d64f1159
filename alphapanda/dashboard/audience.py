"""All sockets of a process: they share one place in the group of pushes, and what is shown is worked out once for all
that look at the same. With a place for each, a push would cost a queue, a task and a thread a socket.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple, Protocol
from weakref import WeakKeyDictionary

import redis
from autobahn.exception import Disconnected
from channels.layers import get_channel_layer

from alphapanda import logs
from alphapanda.dashboard import screen
from alphapanda.push import readmodel
from alphapanda.push.pusher import GROUP, PERIOD_S
from alphapanda.push.readmodel import ReadModelUnavailable

log = logs.channel("application")

AGAIN = 0.8  # of the pusher's period: after a whole one the two drift, and what it sends may wait as long
SIGHT_S = 0.1  # what a chart's last bar is told: more often than anything else
BEAT_S = 1.0  # a quiet market must not look like a dead socket
JOIN_S = 4.0  # the group is a key of Redis: whoever flushes it puts every socket out
AWAY = (redis.RedisError, ReadModelUnavailable, OSError)


class View(NamedTuple):
    """What of the screen a socket shows."""

    broker: str
    kinds: tuple[str, ...]
    hints: frozenset[str]

    def of(self, rows: screen.Rows) -> tuple[dict[str, Any], list[str]]:
        """The HTML of rows by kind and id; and the hints that they give."""
        own = screen.of_broker(rows, self.broker)
        html = screen.rendered(screen.showing(own, self.kinds))
        return html, sorted(kind for kind in self.hints if own.get(kind))


class Sight(NamedTuple):
    """What a chart looks at: the last price of an instrument, and its bar of so many minutes in the making."""

    token: int
    minutes: int

    def shown(self, known: Mapping[int, readmodel.Making]) -> str:
        """The message of all charts that look at the same, as JSON; empty where no price is known. It is a whole value:
        who misses one has lost nothing but time."""
        if self.token not in known:
            return ""
        price_e4, at_ms, bars = known[self.token]
        bar = next((bar for minutes, *bar in bars if minutes == self.minutes), None)
        return json.dumps({"type": "mark", "price_e4": price_e4, "at_ms": at_ms, "bar": bar})


class Push:
    """Rows that changed after the push `previous`, up to the push `sequence`."""

    def __init__(self, previous: int, sequence: int, rows: screen.Rows) -> None:
        self.previous, self.sequence, self.rows = previous, sequence, rows
        self._shown: dict[View, str] = {}

    @classmethod
    def of(cls, messages: list[dict[str, Any]], last: int) -> Push:
        """What the pusher's messages say together: the last value of each row. `last` is the number of the one before
        them; where numbers are missing, `previous` is one that no client has, which makes it read the snapshot."""
        previous, rows = last, screen.Rows()
        for message in messages:
            if message["sequence"] != last + 1:
                previous = message["sequence"] - 1
            last = message["sequence"]
            for kind, found in message["rows"].items():
                rows.setdefault(kind, {}).update(found)
        return cls(previous, last, rows)

    def shown(self, view: View) -> str:
        """The message of all who look at the same, as JSON."""
        if view not in self._shown:
            rows, hints = view.of(self.rows)
            told = {"type": "delta", "previous": self.previous, "sequence": self.sequence}
            self._shown[view] = json.dumps(told | {"rows": rows, "hints": hints})
        return self._shown[view]


class Snapshot:
    """All rows, up to the push `sequence`."""

    def __init__(self, overview: dict[str, Any], read_at: float) -> None:
        self.sequence, self.read_at = overview["sequence"], read_at
        self._rows = screen.rows(overview)
        self._shown: dict[View, str] = {}

    def shown(self, view: View) -> str:
        """The message of all who look at the same, as JSON."""
        if view not in self._shown:
            rows, _ = view.of(self._rows)
            told = {"type": "snapshot", "sequence": self.sequence, "rows": rows}
            self._shown[view] = json.dumps(told)
        return self._shown[view]


class Socket(Protocol):
    """What an audience asks of each of its sockets."""

    sight: Sight | None

    async def tell_mark(self, told: str) -> None:
        """Show what its sight shows now, if that is news."""

    async def tell(self, push: Push | None) -> None:
        """Show a push; None is a beat: nothing changed."""

    async def send_away(self) -> None:
        """Close it: no push reaches it any more, and who dials again sees why."""


class Audience:
    """The sockets of one event loop. Works from the first that joins to the last that leaves."""

    def __init__(self) -> None:
        self._sockets: set[Socket] = set()
        self._waiting: list[dict[str, Any]] = []
        self._sequence = -1
        self._changed = asyncio.Event()
        self._is_settled = asyncio.Event()  # in the group, or sent away
        self._work: asyncio.Task[None] | None = None
        self._snapshot: Snapshot | None = None
        self._reading = asyncio.Lock()

    async def snapshot(self) -> Snapshot:
        """All there is. Those who come together share one, as long as no push has left since that it does not hold.
        Raises ReadModelUnavailable."""
        loop = asyncio.get_running_loop()
        async with self._reading:
            kept, since = self._snapshot, loop.time() - PERIOD_S
            if kept is None or kept.sequence < self._sequence or kept.read_at < since:
                read_at = loop.time()
                kept = Snapshot(await asyncio.to_thread(readmodel.overview), read_at)
                self._snapshot = kept
            return kept

    async def join(self, socket: Socket) -> bool:
        """Tell this socket from now on; False where Redis is away."""
        self._sockets.add(socket)
        if self._work is None:
            self._is_settled.clear()
            self._work = asyncio.create_task(self._serve())
        await self._is_settled.wait()
        return socket in self._sockets

    def leave(self, socket: Socket) -> None:
        """Tell it no more."""
        self._sockets.discard(socket)
        if not self._sockets and self._work:
            self._work.cancel()
            self._work = None

    async def _serve(self) -> None:
        layer = get_channel_layer()
        channel = await layer.new_channel()
        try:
            await self._enter(layer, channel)
            self._is_settled.set()
            async with asyncio.TaskGroup() as work:
                for each in (self._listen(layer, channel), self._stay(layer, channel)):
                    work.create_task(each)
                work.create_task(self._tell_for_ever())
                work.create_task(self._tell_charts_for_ever())
        except* AWAY as group:
            log.info("audience.redis_away", error=str(group.exceptions[0]))
        finally:
            if self._work is asyncio.current_task():  # else the last has left
                self._work = None
                await self._send_away()
            with suppress(*AWAY):
                await layer.group_discard(GROUP, channel)

    async def _enter(self, layer: Any, channel: str) -> None:
        await layer.group_add(GROUP, channel)
        await asyncio.to_thread(readmodel.watch)

    async def _stay(self, layer: Any, channel: str) -> None:
        """Join again and again; a Redis that is away ends the listening."""
        while True:
            await asyncio.sleep(JOIN_S)
            with suppress(*AWAY):
                await self._enter(layer, channel)

    async def _listen(self, layer: Any, channel: str) -> None:
        while True:
            message = await layer.receive(channel)
            self._waiting.append(message)  # to the list of now, not of when the waiting began
            self._changed.set()

    async def _send_away(self) -> None:
        sockets, self._sockets = self._sockets, set()
        self._is_settled.set()
        for socket in sockets:
            await self._safely(socket, socket.send_away())

    async def _tell_for_ever(self) -> None:
        """What changed leaves at once where nothing has left for most of a period, else when that is over."""
        loop = asyncio.get_running_loop()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S):
                    await self._changed.wait()
            self._changed.clear()
            began = loop.time()
            push = self._next()
            for socket in tuple(self._sockets):
                await self._safely(socket, socket.tell(push))
                await asyncio.sleep(0)  # pages are served between two of them
            await asyncio.sleep(max(0.0, AGAIN * PERIOD_S - (loop.time() - began)))

    async def _tell_charts_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            with suppress(*AWAY):  # the listening ends where it stays away
                await self._tell_charts([one for one in self._sockets if one.sight])
            await asyncio.sleep(max(0.0, SIGHT_S - (loop.time() - began)))

    async def _tell_charts(self, sockets: list[Socket]) -> None:
        sights = {one.sight for one in sockets if one.sight}
        if not sights:
            return
        known = await asyncio.to_thread(readmodel.chart_look, [sight.token for sight in sights])
        shown = {sight: sight.shown(known) for sight in sights}
        for socket in sockets:
            if socket.sight and shown[socket.sight]:
                await self._safely(socket, socket.tell_mark(shown[socket.sight]))

    def _next(self) -> Push | None:
        if not self._waiting:
            return None
        push = Push.of(self._waiting, self._sequence)
        self._waiting, self._sequence = [], push.sequence
        return push

    async def _safely(self, socket: Socket, act: Any) -> None:
        """A socket that fails costs itself only."""
        try:
            await act
        except Disconnected:  # the browser has left, and its word of that is on the way
            self.leave(socket)
        except Exception:
            log.exception("socket.failed")
            self.leave(socket)


_audiences: WeakKeyDictionary[asyncio.AbstractEventLoop, Audience] = WeakKeyDictionary()


def audience() -> Audience:
    """The one of the running loop."""
    return _audiences.setdefault(asyncio.get_running_loop(), Audience())
