"""The Kite simulator on a free port of this machine, in a thread of this process, with a clock of the caller's own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from aiohttp import web

from alphapanda.kite_simulator.app import runner_of
from alphapanda.kite_simulator.simulator import Simulator

if TYPE_CHECKING:
    from kiteconnect import KiteConnect

Got = TypeVar("Got")


@dataclass(frozen=True)
class Served:
    """A simulator that answers at `url`."""

    simulator: Simulator
    url: str
    loop: asyncio.AbstractEventLoop

    def call(self, act: Callable[..., Got], *arguments: Any) -> Got:
        """Do something in the simulator's own thread."""

        async def done() -> Got:
            return act(*arguments)

        return asyncio.run_coroutine_threadsafe(done(), self.loop).result(10)

    def advance(self, ms: int) -> None:
        self.call(self.simulator.advance, ms)

    def kite(self, *, logged_in: bool = True) -> KiteConnect:
        """The official client, logged in as the account."""
        from kiteconnect import KiteConnect  # brings Twisted's reactor along

        account = self.simulator.account
        client = KiteConnect(account.api_key, root=self.url)
        if logged_in:
            client.generate_session(self.call(self.simulator.sessions.login), account.api_secret)
        return client


@contextmanager
def serving(simulator: Simulator) -> Iterator[Served]:
    loop = asyncio.new_event_loop()
    runner = runner_of(simulator)
    ready = threading.Event()

    async def start() -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ready.set()

    def run() -> None:
        loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    if not ready.wait(10):
        raise TimeoutError("the simulator did not start")
    try:
        yield Served(simulator, f"http://127.0.0.1:{runner.addresses[0][1]}", loop)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
