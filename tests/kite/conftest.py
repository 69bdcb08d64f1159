"""Markets that most tests of the simulator trade on."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from kiteconnect import KiteConnect

from alphapanda.kite_simulator.ledger import Demat
from alphapanda.kite_simulator.limits import Rates
from tests.kite.server import INFY, Served, a_simulator, quoted, serving

if TYPE_CHECKING:
    from alphapanda.proof.kite_world import World
    from tests.kite.looks import Started


@pytest.fixture
def served() -> Iterator[Served]:
    """INFY at 1500 at ten and every second of the minute after."""
    with serving(a_simulator([quoted(1500, seconds) for seconds in range(60)])) as found:
        yield found


@pytest.fixture
def kite(served: Served) -> KiteConnect:
    return served.kite()


@pytest.fixture
def walking() -> Iterator[Served]:
    """INFY at 1500, then 1501 with four units a level on offer, 1502, 1510, 1490."""
    prices = [(1500, 0), (1501, 1), (1502, 2), (1503, 3), (1510, 10), (1490, 20)]
    with serving(a_simulator([quoted(price, seconds, size=4) for price, seconds in prices])) as found:
        yield found


@pytest.fixture
def world(db: None) -> Iterator[World]:
    """A live deployment and the broker's process, which has compared its books; time stands until it is moved."""
    from alphapanda.kite_simulator.listing import load_listing  # models: when the settings are there
    from alphapanda.proof.kite_parts import simulator
    from alphapanda.proof.kite_served import serving as standing
    from alphapanda.proof.kite_world import World, set_up

    set_up()
    chance = random.Random(1)
    with standing(simulator(load_listing(), chance)) as served, World(served, chance) as world:
        world.work(until=lambda: world.reconciled_at() is not None, ends_ms=60_000)
        yield world


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[Started]:
    """A live deployment at a simulator, of chosen product."""
    from execution.services.live import billing  # models: when the settings are there
    from marketdata.reference import load_calendars
    from tests.kite.live import Live

    ticks = [quoted(1500, second) for second in range(600)]
    ticks += [quoted(1500, second + day * 24 * 3_600) for day in (1, 2) for second in range(600)]
    demat = {INFY: Demat(7, Decimal(1_400), 7)}
    monkeypatch.setattr(billing.market, "calendars", load_calendars)
    with serving(a_simulator(ticks, demat=demat)) as served:
        served.simulator.limits.rates = Rates(other=1_000)  # a test looks as often as it likes
        yield lambda **more: Live(served, monkeypatch, **more)
