"""The order book: orders on their way through Kite's statuses, matched by the paper exchange's functions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from decimal import Decimal

import msgspec

from alphapanda.core.vocabulary import OrderStatus, Product
from alphapanda.kite_simulator import orders as forms
from alphapanda.kite_simulator import signals
from alphapanda.kite_simulator.clock import Schedule, SimClock
from alphapanda.kite_simulator.desk import Desk
from alphapanda.kite_simulator.errors import HOLDING, INPUT, MARGIN, ORDER, KiteError, bad_input
from alphapanda.kite_simulator.ledger import Ledger
from alphapanda.kite_simulator.market import Market
from alphapanda.kite_simulator.orders import Row, SimOrder, Trade
from alphapanda.kite_simulator.parsing import Changed, Wanted
from alphapanda.kite_simulator.updates import Updates
from execution.domain.bands import protection_percent
from execution.domain.charges import Cards
from execution.domain.ladder import FIRST
from execution.domain.orders import Execution, OrderEventRow, PaperOrder
from execution.domain.paper import Outcome, Venue, carry_out, match
from execution.domain.refusals import Ground, Objection, objection
from execution.domain.settings import KITE_BANDS
from execution.domain.settlement import charged
from marketdata.domain.ticks import Clock, Item, Tick
from portfolio.domain.books import BookedFill
from strategies.domain.signals import Mark, SignalRow

LADDER_MS_MAX = 60_000
NO_ORDER = "Couldn't find that `order_id`."
Deed = Callable[[], None]  # what has been weighed and can be done now
UNAUTHORISED = "Your holdings need to be authorised at CDSL before they can be sold: {} of {}."


class Habits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the broker behaves where Kite's documents leave it open, or where one wants to try both.

    `ladder_ms`: between two rows of an order's history. `is_margin_answered`: too little margin is an answer 400
    instead of a rejected row. `slices_max`: into how many orders a larger one is cut. `is_squared_off`: the broker
    closes intraday positions."""

    ladder_ms: int = 20
    is_margin_answered: bool = False
    slices_max: int = 10
    is_squared_off: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.ladder_ms <= LADDER_MS_MAX or self.slices_max < 1:
            raise ValueError(f"`ladder_ms` is from 0 to {LADDER_MS_MAX}, `slices_max` from 1")


class Book:
    """All orders of the account, in the order in which they came."""

    def __init__(
        self,
        *,
        user_id: str,
        market: Market,
        ledger: Ledger,
        desk: Desk,
        cards: Cards,
        schedule: Schedule,
        clock: SimClock,
        updates: Updates,
        habits: Habits,
    ) -> None:
        self.orders: dict[str, SimOrder] = {}
        self._working: dict[str, SimOrder] = {}  # those of them that are not over
        self.fills: list[BookedFill] = []  # with their charges
        self.habits = habits
        self.leg_sent: Callable[[], None] = lambda: None  # hears of each further leg of an iceberg
        self._user_id = user_id
        self._market = market
        self._ledger = ledger
        self._desk = desk
        self._cards = cards
        self._schedule = schedule
        self._clock = clock
        self._updates = updates
        self._squared_ms: dict[int, int] = {}  # when positions are closed, by token
        self._count = self._trades = 0

    def subscribe(self, user_id: str) -> asyncio.Queue[Row]:
        """Updates of the account's orders, in the shape of a postback. Raises KeyError for another account."""
        return self._updates.subscribe(user_id)

    # ---- what is asked of it -------------------------------------------------------------------------------

    def next_id(self, at_ms: int) -> str:
        return forms.order_id(at_ms, self._step())

    def _step(self) -> int:
        self._count += 1
        return self._count

    def place(
        self,
        wanted: Wanted,
        *,
        app: str,
        at_ms: int,
        order_id: str = "",
        parent_id: str = "",
        leg: int = 1,
        stuck_until_ms: int = 0,
        is_answered: bool = True,
    ) -> SimOrder:
        """Take an order. Raises KiteError where it is refused at once; what risk management rejects is in the book, and
        everything that is refused where nobody waits for the answer."""
        order_id = order_id or self.next_id(at_ms)
        outcome = self._weighed(wanted, at_ms, leg=leg, is_answered=is_answered)
        (core,) = outcome.orders.values()
        self._desk.memory = outcome.memory
        order = self._entered(core, wanted, app=app, order_id=order_id, parent_id=parent_id, leg=leg)
        order.acted_ms, order.stuck_until_ms = at_ms, stuck_until_ms
        self._take(order, outcome, at_ms)
        if wanted.product is Product.MIS:
            self._await_square_off(core.token, at_ms)
        return order

    def check(self, wanted: Wanted, *, at_ms: int) -> None:
        """Raises KiteError for an order that would be refused at once."""
        self._weighed(wanted, at_ms, leg=1, is_answered=True)

    def _weighed(self, wanted: Wanted, at_ms: int, *, leg: int, is_answered: bool) -> Outcome:
        """What an order comes to, before it is taken. Raises KiteError."""
        mark = self._market.mark(wanted.spec.token)
        signal = signals.entry(wanted, step=self._step(), at_ms=at_ms, leg=leg, mark=mark)
        venue = self._venue_for(wanted, at_ms)
        working = self.working()
        standing = self._desk.standing(wanted.product, working, self._marks(working, signal.token))
        outcome = carry_out([signal], standing, venue, ended={})
        (core,) = outcome.orders.values()
        if core.status is OrderStatus.REJECTED:
            if is_answered:
                self._answer(objection(core, mark, standing, venue, at_ms=at_ms))
        elif lacking := self._desk.unauthorised(core, working):
            words = UNAUTHORISED.format(lacking, core.quantity)
            if is_answered:
                raise KiteError(HOLDING, words)
            return signals.rejected(signal, venue, words, memory=self._desk.memory)
        return outcome

    def _await_square_off(self, token: int, at_ms: int) -> None:
        """Intraday positions are closed by the broker when the day's time has come."""
        due_ms = self._market.square_off_ms(token, at_ms)
        if self.habits.is_squared_off and due_ms is not None and self._squared_ms.get(token, at_ms) < due_ms:
            self._squared_ms[token] = due_ms
            self._schedule.at(due_ms, lambda then_ms: self._square_off(token, then_ms))

    def _square_off(self, token: int, at_ms: int) -> None:
        """Working intraday orders of an instrument are cancelled, its position is closed at the market."""
        for order in list(self._working.values()):
            if order.core.token == token and order.core.product is Product.MIS:
                with suppress(KiteError):  # it may be on its way out already
                    self.cancellation(order.order_id, at_ms=at_ms)()
        quantity = self._desk.holding(token, Product.MIS).quantity
        if quantity:
            closing = signals.closing(self._market.spec(token), quantity)
            self.place(closing, app="", at_ms=at_ms, is_answered=False)

    def modification(self, order_id: str, changed: Changed, *, at_ms: int) -> Deed:
        """What sends a modification after an order. Raises KiteError where it is refused."""
        order = self.find(order_id)
        marks = self._marks([], order.core.token)
        signal = signals.modification(order.core, changed, step=self._step(), at_ms=at_ms, marks=marks)
        protection = changed.protection or order.protection
        return self._deed(order, signal, at_ms, self._percent(order.wanted, protection))

    def cancellation(self, order_id: str, *, at_ms: int) -> Deed:
        """What sends a cancellation after an order. Raises KiteError where it is refused."""
        order = self.find(order_id)
        marks = self._marks([], order.core.token)
        signal = signals.cancellation(order.core, step=self._step(), at_ms=at_ms, marks=marks)
        return self._deed(order, signal, at_ms, order.protection)

    def refuse(self, order_id: str, words: str, *, at_ms: int) -> None:
        """Show an order that works as it was, with why an act on it is refused as its message. What has ended, or is of
        a day before, stays as it was shown."""
        order = self._working.get(order_id)
        if order is not None:
            self._show(order, [signals.standing(order.core)], at_ms, remark=words)

    def find(self, order_id: str) -> SimOrder:
        """Raises KiteError for an order that nobody has seen."""
        order = self.orders.get(order_id)
        if order is None:
            raise KiteError(ORDER, NO_ORDER, http=400)
        return order

    def working(self) -> list[PaperOrder]:
        return [order.core for order in self._working.values()]

    # ---- what the market and time do -----------------------------------------------------------------------

    def on_ticks(self, ticks: Iterable[Tick], at_ms: int) -> None:
        """Match all working orders against ticks, oldest first."""
        for tick in ticks:
            for order in list(self._working.values()):
                if order.core.token == tick.token:
                    self._match(order, tick, at_ms)

    def _match(self, order: SimOrder, item: Item, at_ms: int) -> None:
        if order.protection == KITE_BANDS:  # no price was known when it came
            order.protection = self._percent(order.wanted, order.protection)
        venue = self._desk.venue(at_ms, order.protection)
        outcome = match([order.core], item, venue=venue, memory=self._desk.memory)
        self._desk.memory = outcome.memory
        if order.core.id in outcome.orders:
            order.core = outcome.orders[order.core.id]
            self._take(order, outcome, at_ms)

    def _on_time(self, order: SimOrder, at_ms: int) -> None:
        if not order.is_over:
            self._match(order, Clock(at_ms, at_ms), at_ms)

    def roll(self) -> None:
        """A new day: yesterday's orders and trades are gone from the book."""
        self.orders = dict(self._working)
        self.fills.clear()

    # ---- in between ----------------------------------------------------------------------------------------

    def _deed(self, order: SimOrder, signal: SignalRow, at_ms: int, protection: Decimal | None) -> Deed:
        """What carries out an act on an order. Raises KiteError where it is refused."""
        before, working = order.core, self.working()
        standing = self._desk.standing(before.product, working, self._marks(working, before.token))
        capital = self._desk.capital(before.product, working, standing.marks, at_ms)
        venue = self._desk.venue(at_ms, protection, capital=capital)
        outcome = carry_out([signal], standing, venue, ended={before.id: before})
        (first, *_) = outcome.history
        if first.status is before.status:  # a refused act leaves a remark
            raise KiteError(ORDER if order.is_over or before.pending else INPUT, first.reason, http=400)

        def do() -> None:
            order.acted_ms, order.protection = at_ms, protection
            self._take(order, outcome, at_ms)

        return do

    def _take(self, order: SimOrder, outcome: Outcome, at_ms: int) -> None:
        """Book the trades of an outcome, show its history, and come back when time alone changes the order."""
        order.core = outcome.orders[order.core.id]
        for execution in outcome.executions:
            self._trade(order, execution, at_ms)
        self._show(order, signals.told(order.core, outcome), at_ms)
        core = order.core
        if core.status.is_final:
            self._working.pop(order.order_id, None)
            self._next_leg(order, at_ms)
            return
        due = [core.expires_at_ms, core.release_ms, core.pending.effective_ms if core.pending else 0]
        for due_ms in due:
            if due_ms > at_ms:
                self._schedule.at(due_ms, lambda then_ms: self._on_time(order, then_ms))

    def _trade(self, order: SimOrder, execution: Execution, at_ms: int) -> None:
        instruments = self._desk.instruments(at_ms)
        (row,) = charged([execution], [order.core], step=0, cards=self._cards, instruments=instruments)
        self._trades += 1
        trade = Trade(str(10_000_000 + self._trades), row.fill)
        order.trades.append(trade)
        self.fills.append(row.fill)
        self._ledger.book(row.fill, order.core.product)

    def _show(self, order: SimOrder, events: list[OrderEventRow], at_ms: int, *, remark: str = "") -> None:
        """Show rows one after the other, each when it has come to be; a remark is shown on them as their message."""
        for number, event in enumerate(events):
            due_ms = max(event.at_ms, at_ms + number * self.habits.ladder_ms, order.busy_until_ms)
            if event.status not in FIRST:
                due_ms = max(due_ms, order.stuck_until_ms)
            order.busy_until_ms = due_ms
            row = forms.row(order, event, self._user_id, self._clock) | forms.remarks(remark)
            if not order.rows:
                self._publish(order, row, at_ms)
            else:
                self._schedule.at(due_ms, lambda then, row=row: self._publish(order, row, then))

    def _publish(self, order: SimOrder, row: Row, at_ms: int) -> None:
        before = order.rows[-1] if order.rows else None
        order.rows.append(row)
        self._updates.tell(order, row, before, at_ms)

    def _next_leg(self, order: SimOrder, at_ms: int) -> None:
        """The next part of an iceberg is an order of its own, sent when the one before has traded."""
        wanted = order.wanted
        if not wanted.legs or order.core.status is not OrderStatus.COMPLETE or order.leg == wanted.legs:
            return

        def send(then_ms: int) -> None:
            following, leg = signals.triggered(wanted), order.leg + 1
            self.leg_sent()
            self.place(following, app=order.app, at_ms=then_ms, leg=leg, is_answered=False)

        self._schedule.at(at_ms + self.habits.ladder_ms, send)

    def _answer(self, found: Objection | None) -> None:
        """Raises KiteError for what is refused at once; what the risk system rejects becomes a row."""
        if found is None or found.ground is Ground.HELD or found.words.startswith(forms.RMS):
            return
        if found.ground is not Ground.FUNDED:
            raise bad_input(found.words)
        if self.habits.is_margin_answered:
            raise KiteError(MARGIN, found.words)

    def _entered(
        self, core: PaperOrder, wanted: Wanted, *, app: str, order_id: str, parent_id: str, leg: int
    ) -> SimOrder:
        tags = [wanted.tag] if wanted.tag else []
        if parent_id:
            tags += ["autoslice", f"autoslice:{parent_id}"]
        order = SimOrder(
            core=core,
            order_id=order_id,
            wanted=wanted,
            app=app,
            tags=tags,
            exchange_id=f"13{self._count:014d}",
            leg=leg,
            protection=self._percent(wanted, wanted.protection),
        )
        self.orders[order_id] = self._working[order_id] = order
        return order

    def _percent(self, wanted: Wanted, protection: Decimal | None) -> Decimal | None:
        """A protection in percent: Kite's band is that of the last price when the order is taken."""
        mark = self._market.mark(wanted.spec.token)
        if protection != KITE_BANDS or mark is None:
            return protection
        return protection_percent(wanted.spec, mark.price_e4)

    def _venue_for(self, wanted: Wanted, at_ms: int) -> Venue:
        working = self.working()
        marks = self._marks(working, wanted.spec.token)
        capital = self._desk.capital(wanted.product, working, marks, at_ms)
        return self._desk.venue(at_ms, self._percent(wanted, wanted.protection), capital=capital)

    def _marks(self, working: Iterable[PaperOrder], token: int) -> Mapping[int, Mark]:
        tokens = {order.token for order in working} | {token}
        return {one: mark for one in tokens if (mark := self._market.mark(one))}

    def funds_marks(self) -> Mapping[int, Mark]:
        """The last prices that the account's funds depend on."""
        return self._marks(self.working(), 0)
