"""Simulators for tests: their market, and a clock of the test's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from alphapanda.kite_simulator.clock import SimClock
from alphapanda.kite_simulator.listing import Listing, load_listing
from alphapanda.kite_simulator.sessions import Account
from alphapanda.kite_simulator.simulator import Simulator, SimulatorSettings
from alphapanda.kite_simulator.walk import Batch
from alphapanda.proof.kite_served import Served, serving
from marketdata.domain.ticks import Tick
from tests.builders import a_tick, at

__all__ = ["Served", "a_simulator", "quoted", "serving", "ticks_of"]
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
