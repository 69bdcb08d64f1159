"""The simulator as one object: its clock, market, sessions, and what is due in order of time."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from decimal import Decimal

import msgspec

from alphapanda.kite_simulator.clock import Schedule, SimClock
from alphapanda.kite_simulator.listing import Listing
from alphapanda.kite_simulator.market import Market
from alphapanda.kite_simulator.rows import Funds
from alphapanda.kite_simulator.sessions import Account, Sessions
from alphapanda.kite_simulator.ticker import Ticker
from alphapanda.kite_simulator.walk import Batch, Walk

IDLE_S = 0.05  # how long the pump sleeps at most: acts may be entered meanwhile


class SimulatorSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the operator chooses; amounts are rupees."""

    cash: Decimal = Decimal(1_000_000)


class Simulator:
    """All parts of one simulated broker, in memory only."""

    def __init__(
        self,
        *,
        listing: Listing,
        tokens: Collection[int],
        batches: Iterator[Batch],
        clock: SimClock,
        account: Account | None = None,
        settings: SimulatorSettings | None = None,
        past: Walk | None = None,
    ) -> None:
        self.account = account or Account()
        self.settings = settings or SimulatorSettings()
        self.clock = clock
        self.schedule = Schedule()
        self.listing = listing
        self.market = Market(listing, tokens, batches, clock, past=past)
        self.sessions = Sessions(self.account, clock)
        self.ticker = Ticker(self)

    def catch_up(self) -> None:
        """Let all happen that is due by now: acts and ticks by time, acts first where both are due at once."""
        now_ms = self.clock.now_ms()
        while True:
            act_ms, tick_ms = self.schedule.next_ms, self.market.next_ms
            due = [at_ms for at_ms in (act_ms, tick_ms) if at_ms is not None and at_ms <= now_ms]
            if not due:
                return
            if act_ms == min(due):
                self.schedule.run_next()
            else:
                self.market.step()

    def advance(self, by_ms: int) -> None:
        """Move the clock forward and let all happen that is due by then. Raises ValueError for a step back."""
        self.clock.move(by_ms)
        self.catch_up()

    async def run(self) -> None:
        """Keep up with the clock until cancelled."""
        while True:
            self.catch_up()
            due = [at_ms for at_ms in (self.schedule.next_ms, self.market.next_ms) if at_ms is not None]
            wait_s = self.clock.seconds_until(min(due)) if due else IDLE_S
            await asyncio.sleep(min(wait_s, IDLE_S))

    def funds(self, segment: str) -> Funds:
        """Rupees of a segment."""
        return Funds(self.settings.cash) if segment == "equity" else Funds()
