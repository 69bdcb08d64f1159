"""Order updates sent to the address that the app has registered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import aiohttp
from aiohttp import web

from alphapanda import logs
from alphapanda.kite_simulator.keys import SIMULATOR
from alphapanda.kite_simulator.orders import Row
from alphapanda.kite_simulator.wire import encoded

TIMEOUT_S = 5.0

log = logs.channel("application")


async def sending(app: web.Application) -> AsyncIterator[None]:
    """Send postbacks while the application is served; one that fails is not sent again."""
    simulator = app[SIMULATOR]
    if not simulator.account.postback_url:
        yield
        return
    queue: asyncio.Queue[Row] = asyncio.Queue()
    simulator.updates.post = queue.put_nowait
    sender = asyncio.create_task(_send(simulator.account.postback_url, queue))
    yield
    simulator.updates.post = None
    sender.cancel()
    with suppress(asyncio.CancelledError):
        await sender


async def _send(url: str, queue: asyncio.Queue[Row]) -> None:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as client:
        while True:
            body = encoded(await queue.get())
            try:
                async with client.post(url, data=body, headers={"Content-Type": "application/json"}):
                    pass
            except (aiohttp.ClientError, TimeoutError) as error:
                log.warning("application.kite_simulator.postback_failed", error=repr(error))
