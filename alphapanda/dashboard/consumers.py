"""The socket of all pages: a snapshot, then what changed, conflated for each client. Read-only."""

from __future__ import annotations

import asyncio
import json
from importlib import import_module
from typing import Any
from urllib.parse import parse_qs

from channels.auth import get_user
from channels.consumer import get_handler_name
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.utils import timezone

from alphapanda import logs
from alphapanda.core.clock import to_ms
from alphapanda.dashboard.access import broker_of, may_look
from alphapanda.dashboard.audience import Push, Sight, View, audience
from alphapanda.push.readmodel import ReadModelUnavailable

slow = logs.channel("performance")

NOT_LOGGED_IN, NO_ROLE, TOO_SLOW, TOO_LARGE, AWAY = 4401, 4403, 4408, 1009, 1013
RECHECK_S = 60.0  # for how long a disabled user or a lowered role may still watch
BEHIND_MAX = 10  # flushes that a client has not acknowledged
MARKS_BEHIND_MAX = 4  # from then on a chart waits for its next price: what cuts off is the rest
INBOUND_MAX = 256  # characters; a ping needs 30
DIGITS_MAX = 19  # of a number that an address asks for


class LiveConsumer(AsyncWebsocketConsumer):
    """`/ws/live/?broker=paper&kinds=orders fills&hints=signals&mark=408065&minutes=1`: of the kinds, rows; of the
    hints, that something changed; of the mark, price and bar in the making, ten times a second. The client answers each
    message with {"type": "ping", "flush": n}."""

    groups = ()
    channel_layer_alias = ""  # no channel of its own: the audience has one for all

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Without the look at the database's connections that costs each message a thread: who needs one takes it."""
        await getattr(self, get_handler_name(message))(message)

    async def connect(self) -> None:
        await self.accept()
        self._early: list[Push] = []  # came while the snapshot was read
        self._is_shown = False
        self._sequence = -1
        self._flush = self._acknowledged = 0
        self._rechecking: asyncio.Task[None] | None = None
        asked = parse_qs(self.scope["query_string"].decode())
        kinds, hints = (asked.get(name, [""])[0].split() for name in ("kinds", "hints"))
        self._view = View(broker_of(asked.get("broker", [""])[0]), tuple(kinds), frozenset(hints))
        self.sight = _sight(*(asked.get(name, [""])[0] for name in ("mark", "minutes")))
        self._mark = ""  # as last told
        refusal = await self._refusal()
        if refusal:
            await self.close(refusal)
        elif await audience().join(self):
            await self._snapshot()
            self._rechecking = asyncio.create_task(self._recheck())
        else:
            await self.send_away()

    async def disconnect(self, code: int) -> None:
        audience().leave(self)
        if self._rechecking:
            self._rechecking.cancel()

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

    # ---- what they see ----

    async def _snapshot(self) -> None:
        """All there is; changes up to its number that are still on their way are then old news."""
        try:
            snapshot = await audience().snapshot()
        except ReadModelUnavailable as error:
            await self._send(json.dumps({"type": "unavailable", "words": str(error)}))
        else:
            self._sequence = snapshot.sequence
            await self._send(snapshot.shown(self._view))
        while self._early:
            await self._show(self._early.pop(0))
        self._is_shown = True

    async def tell(self, push: Push | None) -> None:
        """Show a push, or that nothing changed; one that does not read is cut off, never waited for."""
        if not self._is_shown:
            self._early += [push] if push else []
        elif self._flush - self._acknowledged >= BEHIND_MAX:
            slow.warning("push.client.too_slow", behind=self._flush - self._acknowledged)
            audience().leave(self)
            await self.close(TOO_SLOW)
        elif push:
            await self._show(push)
        else:
            await self._send(json.dumps({"type": "beat", "sequence": self._sequence}))

    async def tell_mark(self, told: str) -> None:
        """Show a chart's last bar where it has moved; a client that is behind gets the next one."""
        is_behind = self._flush - self._acknowledged >= MARKS_BEHIND_MAX
        if self._is_shown and not is_behind and told != self._mark:
            self._mark = told
            await self._send(told)

    async def send_away(self) -> None:
        """Redis is away: the page dials again, and says meanwhile that it hears nothing."""
        await self.close(AWAY)

    async def _show(self, push: Push) -> None:
        if push.sequence > self._sequence:
            self._sequence = push.sequence
            await self._send(push.shown(self._view))

    async def _send(self, told: str) -> None:
        """An object of JSON, with its number and the time."""
        self._flush += 1
        await self.send(f'{told[:-1]}, "flush": {self._flush}, "now_ms": {to_ms(timezone.now())}}}')

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Only a ping counts; nothing that comes in over a socket ever acts."""
        if bytes_data or len(text_data or "") > INBOUND_MAX:
            await self.close(TOO_LARGE)
            return
        try:
            content = json.loads(text_data or "")
        except ValueError:
            return
        if isinstance(content, dict) and content.get("type") == "ping":
            flush = content.get("flush")
            if isinstance(flush, int) and self._acknowledged < flush <= self._flush:
                self._acknowledged = flush


def _sight(token: str, minutes: str) -> Sight | None:
    """What a chart looks at; None for all other pages, and for what is no number."""
    is_good = all(text.isdecimal() and len(text) < DIGITS_MAX for text in (token, minutes))
    return Sight(int(token), int(minutes)) if is_good else None
