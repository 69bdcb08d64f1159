"""The one door to the channel layer: what changed on the screens, at most four times a second.

A push is a hint. Whoever misses one sees a gap in the sequence and reads the snapshot again.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable
from typing import Any

import redis
from channels.layers import get_channel_layer

from alphapanda import logs
from alphapanda.push import readmodel
from alphapanda.push.connection import client
from alphapanda.push.readmodel import ReadModelUnavailable

log = logs.channel("application")

GROUP = "dashboard"
PERIOD_S = 0.25
LEASE_KEY = "push:lease"
LEASE_MS = 2_000  # eight periods: another process takes over soon, a slow one is not robbed

Rows = dict[str, dict[str, Any]]
Screen = Callable[[dict[str, Any]], Rows]


def changes(before: Rows, after: Rows) -> Rows:
    """Rows that are new or differ, by kind and id; None for a row that is gone."""
    changed: Rows = {}
    for kind in before.keys() | after.keys():
        old, new = before.get(kind, {}), after.get(kind, {})
        rows = {key: row for key, row in new.items() if old.get(key) != row}
        rows |= dict.fromkeys(old.keys() - new.keys())
        if rows:
            changed[kind] = rows
    return changed


class Pusher:
    """Sends how the screen differs from what it last sent, while anybody watches. Several may run: one holds
    the lease.

    `screen` turns an overview into rows by kind and id.
    """

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._name = uuid.uuid4().hex
        self._sent: Rows | None = None
        self._revision = -1

    def due(self) -> dict[str, Any] | None:
        """The next message, or None where nothing changed, nobody watches or another process pushes."""
        if not readmodel.is_watched() or not self._holds_lease():
            self._sent = None
            return None
        revision = readmodel.revision()
        if revision == self._revision and self._sent is not None:
            return None
        rows = self._screen(readmodel.overview())
        changed = changes(self._sent or {}, rows)
        self._sent, self._revision = rows, revision
        if not changed:
            return None
        return {"type": "live.delta", "sequence": readmodel.sequence_next(), "rows": changed}

    def _holds_lease(self) -> bool:
        try:
            if client().set(LEASE_KEY, self._name, nx=True, px=LEASE_MS):
                return True
            if client().get(LEASE_KEY) != self._name:
                return False
            return bool(client().pexpire(LEASE_KEY, LEASE_MS))
        except redis.RedisError as error:
            raise ReadModelUnavailable(f"Redis does not answer: {error}") from error

    async def push(self) -> bool:
        """Send what is due; says whether anything was. A push that fails is dropped, by design."""
        try:
            message = await asyncio.to_thread(self.due)
            if message is None:
                return False
            await get_channel_layer().group_send(GROUP, message)
        except (ReadModelUnavailable, redis.RedisError, OSError) as error:
            self._sent = None
            log.info("push.dropped", error=str(error))
            return False
        return True

    async def _run(self, stop: threading.Event) -> None:
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            began = loop.time()
            await self.push()
            await asyncio.sleep(max(0.0, PERIOD_S - (loop.time() - began)))

    def start(self, stop: threading.Event) -> threading.Thread:
        """Push from a thread of its own until `stop` is set."""
        thread = threading.Thread(target=lambda: asyncio.run(self._run(stop)), name="pusher", daemon=True)
        thread.start()
        return thread
