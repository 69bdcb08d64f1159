"""The Kite simulator on a free port of this machine, in a thread of this process, with a clock of the test's own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import web
from kiteconnect import KiteConnect

from alphapanda.kite_simulator.app import runner_of
from alphapanda.kite_simulator.clock import SimClock
from alphapanda.kite_simulator.listing import Listing, load_listing
from alphapanda.kite_simulator.sessions import Account
from alphapanda.kite_simulator.simulator import Simulator, SimulatorSettings
from alphapanda.kite_simulator.walk import Batch
from marketdata.domain.ticks import Tick
from tests.builders import a_tick, at

Got = TypeVar("Got")
INFY = 408065
SECOND_MS = 1_000


def quoted(price: float, seconds: int, *, size: int = 1_000, token: int = INFY) -> Tick:
    """A tick so many seconds after ten, with so many units on offer 0.1 beside its price on each side."""
    bids, asks = [(round(price - 0.1, 1), size)], [(round(price + 0.1, 1), size)]
    return a_tick(price, at_ms=at() + seconds * SECOND_MS, token=token, bids=bids, asks=asks)


def ticks_of(ticks: Sequence[Tick]) -> Iterator[Batch]:
    """A market of these ticks, each at its own time."""
    return iter([(tick.at_ms, [tick]) for tick in ticks])


def a_simulator(
    ticks: Sequence[Tick] = (),
    *,
    listing: Listing | None = None,
    starts_ms: int = 0,
    speed: float = 0,
    account: Account | None = None,
    **settings: Any,
) -> Simulator:
    """A simulator whose market is these ticks; its clock stands at 10:00 of a Tuesday until it is moved."""
    listing = listing or load_listing()
    return Simulator(
        listing=listing,
        tokens=[spec.token for spec in listing.by_key.values()],
        batches=ticks_of(ticks),
        clock=SimClock(starts_ms=starts_ms or at(), speed=speed),
        account=account,
        settings=SimulatorSettings(**settings),
    )


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
    assert ready.wait(10), "the simulator did not start"
    try:
        yield Served(simulator, f"http://127.0.0.1:{runner.addresses[0][1]}", loop)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
