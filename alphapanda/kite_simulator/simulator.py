"""The simulator as one object: its parts, and what is due in order of time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from alphapanda.core.clock import DAY_MS
from alphapanda.core.money import ZERO
from alphapanda.kite_simulator.alerts import Alerts
from alphapanda.kite_simulator.book import Book, Deed, Habits
from alphapanda.kite_simulator.calculators import Calculator
from alphapanda.kite_simulator.clock import Schedule, SimClock
from alphapanda.kite_simulator.desk import Desk
from alphapanda.kite_simulator.errors import KiteError
from alphapanda.kite_simulator.faults import Faults, Kind
from alphapanda.kite_simulator.gtt import Gtts
from alphapanda.kite_simulator.ledger import Demat, Ledger
from alphapanda.kite_simulator.limits import Limits, Rates
from alphapanda.kite_simulator.listing import Listing
from alphapanda.kite_simulator.market import Market
from alphapanda.kite_simulator.parsing import Wanted
from alphapanda.kite_simulator.rows import Funds
from alphapanda.kite_simulator.sessions import Account, Sessions, dies_ms
from alphapanda.kite_simulator.slices import placed_in_slices, slices
from alphapanda.kite_simulator.ticker import Ticker
from alphapanda.kite_simulator.updates import Updates
from alphapanda.kite_simulator.walk import Batch, Walk
from execution.domain.settings import PaperSettings
from execution.reference import charge_cards
from marketdata.domain.ticks import Item, Tick
from risk.reference import margin_tables

IDLE_S = 1.0  # how long the pump sleeps at most
MATCHING: Mapping[str, Any] = {"slippage_ticks": 0, "circuit_percent": 20}


class SimulatorSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the operator chooses. `cash` is rupees, `demat` shares by token, `matching` the settings of a paper
    deployment's execution, `seed` that of faults."""

    cash: Decimal = Decimal(1_000_000)
    demat: dict[int, Demat] = {}
    matching: dict[str, Any] = {}
    habits: Habits = Habits()
    rates: Rates = Rates()
    seed: int = 0


@dataclass(slots=True)
class Switches:
    """What is otherwise as long as it is on: order writes come from a foreign address; slices are answered as a
    list."""

    static_ip_refused: bool = False
    slices_are_flat: bool = False


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
        self.settings = chosen = settings or SimulatorSettings()
        self.paper = _paper(chosen)
        self.clock = clock
        self.schedule = Schedule()
        self.listing = listing
        self.market = Market(listing, tokens, batches, clock, past=past)
        self.sessions = Sessions(self.account, clock)
        self.faults = Faults(chosen.seed)
        self.faults.now_ms = clock.now_ms
        self.limits = Limits(chosen.rates)
        self.switches = Switches()
        self.posts: Counter[str] = Counter()  # order requests that came in, by tag
        self.refused: Counter[str] = Counter()  # those of them that were stopped at the door
        self.updates = Updates(self.account, self.schedule, self.faults)
        self.ledger = Ledger(chosen.demat)
        self.desk = Desk(listing, self.ledger, margin_tables(), cash=chosen.cash, settings=self.paper)
        self.book = self._book()
        self.book.leg_sent = self._count_one
        self.gtts = Gtts(self.account, self.book, clock, listing.by_key)
        self.ticker = Ticker(self)
        self.alerts = Alerts(self.account, self.book, self.market, clock, listing)
        self.calculator = Calculator(listing.by_key, charge_cards(), margin_tables(), self._last_e4)
        self.schedule.at(dies_ms(clock.now_ms()), self._new_day)

    def _book(self) -> Book:
        return Book(
            user_id=self.account.user_id,
            market=self.market,
            ledger=self.ledger,
            desk=self.desk,
            cards=charge_cards(),
            schedule=self.schedule,
            clock=self.clock,
            updates=self.updates,
            habits=self.settings.habits,
        )

    def _count_one(self) -> None:
        self.limits.also(self.clock.pace_ms())

    def _last_e4(self, token: int) -> int:
        tick = self.market.last(token)
        return tick.price_e4 if tick else 0

    def _new_day(self, at_ms: int) -> None:
        """At six in the morning the book is empty, positions have been carried over and the day is paid."""
        self.desk.cash += self.ledger.roll() - self.charges()
        self.book.roll()
        self.schedule.at(at_ms + DAY_MS, self._new_day)

    # ---- time ----------------------------------------------------------------------------------------------

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
                self._on_ticks(self.market.step(), min(due))

    def _on_ticks(self, ticks: list[Tick], at_ms: int) -> None:
        for part in (self.book, self.gtts, self.alerts):
            part.on_ticks(ticks, at_ms)

    def hear(self, items: Iterable[Item]) -> None:
        """Items of a log: time is theirs, and goes on to each of them before it is seen."""
        for item in items:
            self.advance(max(0, item.at_ms - self.clock.now_ms()))
            if isinstance(item, Tick):
                now_ms = self.clock.now_ms()
                self._on_ticks(self.market.take([item._replace(received_ms=now_ms)]), now_ms)

    def advance(self, by_ms: int) -> None:
        """Move the clock forward and let all happen that is due by then. Raises ValueError for a step back."""
        self.clock.move(by_ms)
        self.catch_up()

    def run_at(self, speed: float) -> None:
        """Let the clock run so fast from now on. Raises ValueError."""
        self.clock.run_at(speed)
        if self.schedule.entered is not None:
            self.schedule.entered()  # the pump counts anew when it is to wake

    async def run(self) -> None:
        """Keep up with the clock until cancelled."""
        entered = asyncio.Event()
        self.schedule.entered = entered.set
        while True:
            entered.clear()
            self.catch_up()
            due = [at_ms for at_ms in (self.schedule.next_ms, self.market.next_ms) if at_ms is not None]
            wait_s = self.clock.seconds_until(min(due)) if due else IDLE_S
            with suppress(TimeoutError):
                async with asyncio.timeout(min(wait_s, IDLE_S)):
                    await entered.wait()

    # ---- what the account does -----------------------------------------------------------------------------

    def place(self, wanted: Wanted, *, late_ms: int = 0, is_ours: bool = True) -> Any:
        """Take an order and answer as Kite does. With `late_ms` it is nowhere until then; what can be no order is
        refused at once all the same, for an order with an id comes to the book, if only as rejected. `is_ours`: the
        app of the account sends it. Raises KiteError."""
        now_ms, app = self.clock.now_ms(), self.account.api_key if is_ours else ""
        if not is_ours:
            self._count_one()
        order_id = self.book.next_id(now_ms)
        parts = self._parts(wanted, now_ms)
        if not late_ms:
            return self._placed(parts, app, order_id, now_ms)
        for part in parts:
            self.book.check(part, at_ms=now_ms)

        def arrive(at_ms: int) -> None:
            self._placed(parts, app, order_id, at_ms, is_answered=False)

        self.schedule.at(now_ms + late_ms, arrive)
        return {"order_id": order_id}

    def act(self, order_id: str, weigh: Callable[[int], Deed], late_ms: int) -> None:
        """Send an act after an order; with `late_ms` it arrives then. What has become impossible meanwhile is a
        message on the order; what is impossible now is refused at once. Raises KiteError."""
        now_ms = self.clock.now_ms()
        deed = weigh(now_ms)
        if not late_ms:
            deed()
            return

        def arrive(at_ms: int) -> None:
            try:
                weigh(at_ms)()
            except KiteError as error:
                self.book.refuse(order_id, error.message, at_ms=at_ms)

        self.schedule.at(now_ms + late_ms, arrive)

    def _parts(self, wanted: Wanted, at_ms: int) -> list[Wanted]:
        """The order in slices. Raises KiteError for too many."""
        most = self.desk.instruments(at_ms)[wanted.spec.token].quantity_max
        return slices(wanted, most, self.settings.habits.slices_max)

    def _placed(
        self, parts: list[Wanted], app: str, order_id: str, at_ms: int, *, is_answered: bool = True
    ) -> Any:
        if len(parts) > 1:
            is_flat = self.switches.slices_are_flat
            return placed_in_slices(
                self.book,
                parts,
                app=app,
                at_ms=at_ms,
                order_id=order_id,
                is_flat=is_flat,
                is_answered=is_answered,
            )
        (wanted,) = parts
        stuck = self.faults.takes(Kind.STUCK, on=["place"], tag=wanted.tag or "")
        stuck_ms = at_ms + stuck.ms if stuck else 0
        order = self.book.place(
            wanted,
            app=app,
            at_ms=at_ms,
            order_id=order_id,
            stuck_until_ms=stuck_ms,
            is_answered=is_answered,
        )
        return {"order_id": order.order_id}

    def funds(self, segment: str) -> Funds:
        """Rupees of a segment: all is in one, equity."""
        if segment != "equity":
            return Funds()
        return self.desk.funds(self.book.working(), self.book.funds_marks(), self.clock.now_ms())

    def charges(self) -> Decimal:
        """Rupees of charges on the day's trades, which the broker takes when the day is over."""
        return sum((sum(one.charges.values(), ZERO) for one in self.book.fills), ZERO)


def _paper(settings: SimulatorSettings) -> PaperSettings:
    """Raises ValueError for settings of matching that do not fit."""
    latency = {"latency_ms": 3 * settings.habits.ladder_ms}
    return msgspec.convert({**MATCHING, **latency, **settings.matching}, PaperSettings, strict=False)
