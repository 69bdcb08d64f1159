"""The socket of all pages: a snapshot, then what changed, conflated for each client. Read-only."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from importlib import import_module
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import msgspec
import redis
from channels.auth import get_user
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.conf import settings
from django.utils import timezone

from alphapanda import logs
from alphapanda.core.clock import to_ms
from alphapanda.dashboard import screen
from alphapanda.dashboard.access import broker_of, may_look
from alphapanda.push import readmodel
from alphapanda.push.pusher import GROUP, PERIOD_S
from alphapanda.push.readmodel import ReadModelUnavailable

log, slow = logs.channel("application"), logs.channel("performance")

NOT_LOGGED_IN, NO_ROLE, TOO_SLOW, TOO_LARGE = 4401, 4403, 4408, 1009
RECHECK_S = 60.0  # for how long a disabled user or a lowered role may still watch
BEAT_S = 1.0  # a quiet market must not look like a dead socket
JOIN_S = 4.0  # the group is a key of Redis: whoever flushes it puts every socket out
BEHIND_MAX = 10  # flushes that a client has not acknowledged
INBOUND_MAX = 256  # characters; a ping needs 30


class View(NamedTuple):
    """What of the screen a socket shows."""

    broker: str
    kinds: tuple[str, ...]
    hints: frozenset[str]

    def of(self, rows: screen.Rows) -> tuple[msgspec.Raw, list[str]]:
        """The HTML of rows by kind and id, as JSON; and the hints that they give."""
        own = screen.of_broker(rows, self.broker)
        html = screen.rendered(screen.showing(own, self.kinds))
        return msgspec.Raw(json.dumps(html).encode()), sorted(kind for kind in self.hints if own.get(kind))

    def of_pushes(self, messages: list[dict[str, Any]]) -> tuple[msgspec.Raw, list[str]]:
        """The same of pushes that came one after the other. The channel layer hands one message to all sockets of a
        process: what sockets with the same view show of it is worked out once."""
        if len(messages) == 1:
            known = messages[0].setdefault("views", {})
            if self not in known:
                known[self] = self.of(messages[0]["rows"])
            return known[self]
        last: screen.Rows = {}
        for message in messages:
            for kind, rows in message["rows"].items():
                last.setdefault(kind, {}).update(rows)
        return self.of(last)


class LiveConsumer(AsyncJsonWebsocketConsumer):
    """`/ws/live/?broker=paper&kinds=orders fills&hints=signals`: of the kinds, rows; of the hints, that something
    changed. The client answers each message with {"type": "ping", "flush": n}."""

    groups = ()  # joined after the checks, not before

    async def connect(self) -> None:
        await self.accept()
        self._waiting: list[dict[str, Any]] = []
        self._changed = asyncio.Event()
        self._previous = self._sequence = -1
        self._flush = self._acknowledged = 0
        self._tasks: list[asyncio.Task[None]] = []
        asked = parse_qs(self.scope["query_string"].decode())
        kinds, hints = (asked.get(name, [""])[0].split() for name in ("kinds", "hints"))
        self._view = View(broker_of(asked.get("broker", [""])[0]), tuple(kinds), frozenset(hints))
        refusal = await self._refusal()
        if refusal:
            await self.close(refusal)
            return
        await self._join()
        await self._snapshot()
        work = (self._flush_for_ever(), self._recheck(), self._stay_joined())
        self._tasks = [asyncio.create_task(each) for each in work]

    async def disconnect(self, code: int) -> None:
        for task in self._tasks:
            task.cancel()
        if self.channel_layer:
            await self.channel_layer.group_discard(GROUP, self.channel_name)

    # ---- who may watch ----

    async def _refusal(self) -> int | None:
        """The close code for who may not watch now. Session and user are read anew: the only ORM here."""
        store = import_module(settings.SESSION_ENGINE).SessionStore
        session = self.scope.get("session")
        key = getattr(session, "session_key", None)
        user = await get_user({"session": store(key)}) if key else None
        if user is None or not user.is_authenticated or not user.is_active:
            return NOT_LOGGED_IN
        return None if await database_sync_to_async(may_look)(user) else NO_ROLE

    async def _recheck(self) -> None:
        while True:
            await asyncio.sleep(RECHECK_S)
            refusal = await self._refusal()
            if refusal:
                await self.close(refusal)
                return

    async def _stay_joined(self) -> None:
        """Join again and again; a Redis that is away closes the socket from its other side."""
        while True:
            await asyncio.sleep(JOIN_S)
            with suppress(redis.RedisError, ReadModelUnavailable, OSError):
                await self._join()

    async def _join(self) -> None:
        await self.channel_layer.group_add(GROUP, self.channel_name)
        await asyncio.to_thread(readmodel.watch)

    # ---- what they see ----

    async def _snapshot(self) -> None:
        """All there is; changes up to its number that are still on their way are then old news."""
        try:
            overview = await asyncio.to_thread(readmodel.overview)
        except ReadModelUnavailable as error:
            await self._send({"type": "unavailable", "words": str(error)})
            return
        self._waiting = []
        self._previous = self._sequence = overview["sequence"]
        rows, _ = self._view.of(screen.rows(overview))
        await self._send({"type": "snapshot", "sequence": self._sequence, "rows": rows})

    async def live_delta(self, message: dict[str, Any]) -> None:
        """A push: keep the last value of each row. `previous` tells the client whether it missed one."""
        sequence = message["sequence"]
        if sequence <= self._sequence:
            return
        if sequence != self._sequence + 1:
            self._previous = sequence - 1
        self._sequence = sequence
        self._waiting.append(message)
        self._changed.set()

    async def _flush_for_ever(self) -> None:
        """What changed leaves at once where nothing has left for a period, else when it is over."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), BEAT_S)
            self._changed.clear()
            if self._flush - self._acknowledged >= BEHIND_MAX:
                slow.warning("push.client.too_slow", behind=self._flush - self._acknowledged)
                await self.close(TOO_SLOW)
                return
            await self._delta()
            await asyncio.sleep(PERIOD_S)

    async def _delta(self) -> None:
        """The last value of each row that has changed; a beat where none has."""
        if self._sequence == self._previous:
            await self._send({"type": "beat", "sequence": self._sequence})
            return
        waiting, previous = self._waiting, self._previous
        self._waiting, self._previous = [], self._sequence
        rows, hinted = self._view.of_pushes(waiting)
        told = {"previous": previous, "sequence": self._sequence, "rows": rows, "hints": hinted}
        await self._send({"type": "delta"} | told)

    async def _send(self, message: dict[str, Any]) -> None:
        self._flush += 1
        whole = message | {"flush": self._flush, "now_ms": to_ms(timezone.now())}
        await self.send(text_data=msgspec.json.encode(whole).decode())

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Only a ping counts; nothing that comes in over a socket ever acts."""
        if bytes_data or len(text_data or "") > INBOUND_MAX:
            await self.close(TOO_LARGE)
            return
        try:
            content = await self.decode_json(text_data or "")
        except ValueError:
            return
        if isinstance(content, dict) and content.get("type") == "ping":
            flush = content.get("flush")
            if isinstance(flush, int) and self._acknowledged < flush <= self._flush:
                self._acknowledged = flush
