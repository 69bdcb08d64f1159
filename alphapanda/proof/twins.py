"""Two deployments that differ by their broker alone, side by side: what differs, and which rule explains it.

What differs is explained only where the records bear it out: a trade at another time by the way of the order, if both
prices were on offer at their own times; what an approved signal is by the trades that its deployment had been told of;
money by the trades that differ, if each has the money of its own trades. Anything else is unexplained."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import zip_longest
from typing import Any

import msgspec

from alphapanda.core.clock import ist_date
from alphapanda.core.money import ZERO, quantized, to_rupees, value
from alphapanda.core.vocabulary import Product, Side, SignalOrigin
from execution.domain.charges import order_charges, rate_group
from execution.models import Fill, Order
from execution.reference import charge_cards
from marketdata import selectors as market
from marketdata.domain.instruments import segment_of
from marketdata.domain.ticks import Tick
from portfolio.domain.books import CASH
from portfolio.models import LedgerEntry, Position
from risk.domain.review import EXIT, WITHIN
from risk.models import Decision
from strategies.models import Deployment, Signal

SECOND_MS = 1_000  # Kite states whole seconds
UNEXPLAINED = "unexplained"
PERSON_MS = 10_000  # between what a person asks of one and of the other
LATENCY, PERSON, MONEY = "way of the order", "a person's act", "trades"


class Trade(msgspec.Struct, frozen=True):
    """A fill without its names."""

    side: Side
    quantity: int
    price_e4: int
    at_ms: int


class Known(msgspec.Struct, frozen=True):
    """Units held, and the most or least of them once all orders of the signal's side have traded, this one too."""

    held: int = 0
    worst: int = 0

    @property
    def is_exit(self) -> bool:
        """Whether what is ordered can only bring the position nearer to zero."""
        return self.held * self.worst >= 0 and abs(self.worst) < abs(self.held)


class Act(msgspec.Struct, frozen=True):
    """A signal with all that came of it. `heard`: what follows from the trades that its deployment had been told of
    when it raised it; `stood`: on what its decision stands."""

    wanted: dict[str, Any]
    decision: dict[str, Any]
    order: dict[str, Any]
    trades: tuple[Trade, ...]
    heard: Known = Known()
    stood: Known = Known()


class Twin(msgspec.Struct, frozen=True):
    """What a deployment did, and what it has of it. `cash` is what moved, after `charges`; `tables` is what the charge
    tables say of its trades, worked out order by order."""

    name: str
    acts: tuple[Act, ...]
    positions: dict[str, int]
    cash: Decimal
    charges: Decimal
    tables: Decimal = ZERO

    @property
    def is_of_trades(self) -> bool:
        """Whether its money is that of its trades, and of nothing else."""
        traded = sum(
            (-one.side.sign * value(one.price_e4, one.quantity) for act in self.acts for one in act.trades),
            ZERO,
        )
        return self.charges == self.tables and self.cash == traded - self.charges


class Difference(msgspec.Struct, frozen=True):
    """Both sides in words; `why` is UNEXPLAINED where no rule bears it out."""

    what: str
    paper: str
    live: str
    why: str


class Offers:
    """What stood in the recording's depth, by time."""

    def __init__(self, told: Iterable[tuple[int, Tick]]) -> None:
        self._told = sorted(told, key=lambda one: one[0])
        self._times = [at_ms for at_ms, _ in self._told]

    def has(self, trade: Trade) -> bool:
        """Whether its price was on offer in its second, or before it where nothing came in it."""
        first = max(bisect_right(self._times, trade.at_ms) - 1, 0)
        last = bisect_left(self._times, trade.at_ms - trade.at_ms % SECOND_MS + SECOND_MS)
        return any(trade.price_e4 in _prices(tick, trade.side) for _, tick in self._told[first:last])


def _prices(tick: Tick, side: Side) -> set[int]:
    levels = tick.asks if side is Side.BUY else tick.bids
    return {level[0] for level in levels}


def of_deployment(deployment: Deployment) -> Twin:
    """The rows of a deployment."""
    signals = Signal.objects.filter(deployment=deployment).select_related("instrument")
    orders = list(Order.objects.filter(deployment=deployment).prefetch_related("fills"))
    entries = LedgerEntry.objects.filter(book_id=deployment.id)
    positions = Position.objects.filter(book_id=deployment.id).select_related("instrument")
    decisions = {row.signal_id: row for row in Decision.objects.filter(deployment=deployment)}
    return Twin(
        name=deployment.name,
        acts=tuple(_act(row, decisions.get(row.id), orders) for row in signals.order_by("step", "ordinal")),
        positions={str(row.instrument): row.quantity for row in positions},
        cash=sum((row.amount for row in entries.filter(account=CASH)), ZERO),
        charges=sum((charged(row) for row in Fill.objects.filter(deployment=deployment)), ZERO),
        tables=sum((_by_tables(order) for order in orders if order.fills_count), ZERO),
    )


def _by_tables(order: Order) -> Decimal:
    """Rupees of charges of an order's trades together, which are of one day."""
    fills, spec = list(order.fills.all()), market.spec(order.instrument)
    segment = segment_of(spec.exchange, spec.instrument_type)
    lines = order_charges(
        charge_cards().on(ist_date(fills[0].at_ms)),
        side=Side(order.side),
        turnover=sum((value(row.price_e4, row.quantity) for row in fills), ZERO),
        product=Product(order.product),
        exchange=spec.exchange,
        segment=segment,
        group=rate_group(spec.exchange, segment, spec.tradingsymbol),
        is_square_off=order.origin == SignalOrigin.SQUARE_OFF,
    )
    return sum(map(quantized, lines.values()), ZERO)


def charged(fill: Fill) -> Decimal:
    """Rupees of charges of a fill."""
    return sum((Decimal(amount) for amount in fill.charges.values()), ZERO)


def _act(signal: Signal, decision: Decision | None, orders: Sequence[Order]) -> Act:
    order = next((one for one in orders if decision and one.decision_id == decision.id), None)
    stood = decision.numbers if decision else {}
    return Act(
        wanted={
            "at_ms": signal.at_ms,
            "instrument": str(signal.instrument),
            "kind": signal.kind,
            "side": signal.side,
            "quantity": signal.quantity,
            "order_type": signal.order_type,
            "origin": signal.origin,
            "reason": signal.reason,
        },
        decision={"approved": decision.is_approved, "rule": decision.rule} if decision else {},
        order={"quantity": order.quantity, "status": order.status, "filled": order.filled_quantity}
        if order
        else {},
        trades=tuple(_trades(order)) if order else (),
        heard=_heard(signal, [one for one in orders if one.instrument_id == signal.instrument_id]),
        stood=Known(stood.get("position", 0), stood.get("worst_position", 0)),
    )


def _heard(signal: Signal, orders: Sequence[Order]) -> Known:
    """From the trades alone, each at the step at which it was booked. An order that ended without having traded in full
    counts on: what is said of later signals is then not borne out."""
    held, working = 0, 0
    for order in orders:
        filled = sum(row.quantity for row in order.fills.all() if row.step <= signal.step)
        held += Side(order.side).sign * filled
        if order.side == signal.side and (order.step, order.ordinal) < (signal.step, signal.ordinal):
            working += order.quantity - filled
    return Known(held, held + Side(signal.side).sign * (working + signal.quantity))


def _trades(order: Order) -> Iterator[Trade]:
    for row in sorted(order.fills.all(), key=lambda row: row.number):
        yield Trade(Side(row.side), row.quantity, row.price_e4, row.at_ms)


def compare(paper: Twin, live: Twin, offers: Offers) -> list[Difference]:
    """Every difference, in the order of the session: signals, decisions, orders, trades, then positions and money."""
    found: list[Difference] = []
    for number, (one, other) in enumerate(zip_longest(paper.acts, live.acts), 1):
        name = f"signal {number}"
        if one is None or other is None:
            found.append(Difference(name, _wanted(one), _wanted(other), UNEXPLAINED))
            continue
        found += _fields(name, one, other)
        if one.trades != other.trades:
            why = _why(one, other, offers)
            found.append(Difference(f"{name}: trades", _told(one.trades), _told(other.trades), why))
    if paper.positions != live.positions:
        found.append(Difference("positions", str(paper.positions), str(live.positions), UNEXPLAINED))
    is_of_trades = paper.is_of_trades and live.is_of_trades
    why = MONEY if is_of_trades and any(one.why == LATENCY for one in found) else UNEXPLAINED
    for what in ("cash", "charges"):
        ours, theirs = getattr(paper, what), getattr(live, what)
        if ours != theirs:
            found.append(Difference(what, f"{ours:f}", f"{theirs:f}", why))
    return found


def _fields(name: str, paper: Act, live: Act) -> Iterator[Difference]:
    """What was wanted, decided and ordered, field by field. What a person asks of both comes to each at a time of its
    own; whether an approved signal is an exit depends on what either has heard of."""
    for what in ("wanted", "decision", "order"):
        ours, theirs = getattr(paper, what), getattr(live, what)
        for key in sorted(ours.keys() | theirs.keys()):
            if ours.get(key) == theirs.get(key):
                continue
            why = UNEXPLAINED
            if (what, key) == ("decision", "rule") and _is_of_hearing(paper, live):
                why = LATENCY
            if (what, key) == ("wanted", "at_ms") and ours["origin"] == SignalOrigin.OPERATOR:
                why = PERSON if abs(ours[key] - theirs[key]) <= PERSON_MS else UNEXPLAINED
            yield Difference(f"{name}: {what} {key}", f"{ours.get(key)}", f"{theirs.get(key)}", why)


def _is_of_hearing(paper: Act, live: Act) -> bool:
    """Whether two approvals differ because one knew of trades of which the other did not: each must stand on what its
    own deployment had been told of, and follow from it."""
    return all(
        act.stood == act.heard and act.decision["rule"] == (EXIT if act.heard.is_exit else WITHIN)
        for act in (paper, live)
    )


def _why(paper: Act, live: Act, offers: Offers) -> str:
    """The way of an order explains another time and price, never another quantity, nor a trade before its signal."""
    trades = (*paper.trades, *live.trades)
    is_whole = sum(one.quantity for one in paper.trades) == sum(one.quantity for one in live.trades)
    is_after = all(one.at_ms > act.wanted["at_ms"] - SECOND_MS for act in (paper, live) for one in act.trades)
    return LATENCY if is_whole and is_after and all(map(offers.has, trades)) else UNEXPLAINED


def _wanted(act: Act | None) -> str:
    return "-" if act is None else f"{act.wanted['side']} {act.wanted['quantity']} at {act.wanted['at_ms']}"


def _told(trades: Sequence[Trade]) -> str:
    """Quantities and prices, and when the first came."""
    if not trades:
        return "-"
    parts = " ".join(f"{one.quantity}@{to_rupees(one.price_e4):f}" for one in trades)
    return f"{parts} at {trades[0].at_ms // SECOND_MS}"
