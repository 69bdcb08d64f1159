"""The statement of a day: what there was, what happened, what there is, and whether that adds up. Pure.

Everything is told twice: from the fills and corporate actions of the books, folded anew, and from the ledger.
Each check states both figures and their difference; a statement with a difference says so and shows where.
What is open is valued at the last mark that was known at the end of the day; without one its value, and every
sum that needs it, is not known (None), never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal

import msgspec

from alphapanda.core.clock import ist_midnight_ms
from alphapanda.core.money import ZERO, quantized, value
from alphapanda.core.vocabulary import Side
from portfolio.domain.books import (
    CASH,
    CHARGES,
    DIVIDEND,
    FLAT,
    REALISED,
    BookedFill,
    Holding,
    average_price,
    cash_of,
)
from portfolio.domain.corporate import ActionKind, BookedAction
from portfolio.domain.history import Event, booked
from portfolio.domain.kite import net_position


class DayMark(msgspec.Struct, frozen=True):
    """The last price of an instrument that was known at a time."""

    price_e4: int
    at_ms: int


Marks = Mapping[str, DayMark]  # by EXCHANGE:TRADINGSYMBOL


class BookHistory(msgspec.Struct, frozen=True):
    """A book with everything that was ever booked on it, in that order."""

    name: str
    events: Sequence[Event]


class LedgerSums(msgspec.Struct, frozen=True):
    """What ledger accounts gained in rupees, before the day and on it."""

    before: Mapping[str, Decimal]
    today: Mapping[str, Decimal]


class Balance(msgspec.Struct, frozen=True):
    """What books amount to in rupees; `value`, `unrealised` and `equity` are None where a mark is missing."""

    cash: Decimal
    cost: Decimal
    value: Decimal | None
    unrealised: Decimal | None
    equity: Decimal | None


class TradeLine(msgspec.Struct, frozen=True):
    """A fill of the day; `realised` in rupees before charges."""

    at_ms: int
    book: str
    instrument: str
    side: Side
    quantity: int
    price_e4: int
    value: Decimal
    realised: Decimal
    charges: Decimal


class ActionLine(msgspec.Struct, frozen=True):
    """A corporate action of the day in one book."""

    book: str
    instrument: str
    kind: ActionKind
    quantity_before: int
    quantity_after: int
    received: Decimal


class PositionLine(msgspec.Struct, frozen=True):
    """An instrument of a book over the day. `m2m` is what the day made of it before charges and dividends,
    carried units valued at the mark of the day before."""

    book: str
    instrument: str
    carried: int
    bought: int
    bought_value: Decimal
    sold: int
    sold_value: Decimal
    quantity: int
    average_price: Decimal | None
    mark: DayMark | None
    value: Decimal | None
    unrealised: Decimal | None
    realised: Decimal
    m2m: Decimal | None


class Check(msgspec.Struct, frozen=True):
    """Two figures that must be equal; None where one of them is not known."""

    name: str
    stated: Decimal | None
    expected: Decimal | None

    @property
    def difference(self) -> Decimal | None:
        if self.stated is None or self.expected is None:
            return None
        return self.stated - self.expected


class Statement(msgspec.Struct, frozen=True):
    """The day of a portfolio or of an account (all portfolios of a broker); amounts in rupees."""

    subject: str
    broker: str
    day: date
    opening: Balance
    closing: Balance
    trades: list[TradeLine]
    actions: list[ActionLine]
    positions: list[PositionLine]
    charges: dict[str, Decimal]
    realised: Decimal  # by trades, before charges
    dividends: Decimal
    checks: list[Check]

    @property
    def charged(self) -> Decimal:
        return sum(self.charges.values(), ZERO)

    @property
    def net(self) -> Decimal:
        """What the day made, without what is open."""
        return self.realised + self.dividends - self.charged

    @property
    def adds_up(self) -> bool:
        return not any(check.difference for check in self.checks)

    @property
    def unmarked(self) -> list[str]:
        """Open instruments whose value is not known."""
        return sorted({line.instrument for line in self.positions if line.quantity and line.mark is None})


class _Day:
    """One book folded to the end of a day."""

    def __init__(self, history: BookHistory, starts_ms: int, ends_ms: int) -> None:
        self.name = history.name
        self.opening: dict[str, Holding] = {}
        self.carried: dict[str, Holding] = {}  # after the corporate actions of the day
        self.fills: dict[str, list[BookedFill]] = {}
        self.trades: list[TradeLine] = []
        self.actions: list[ActionLine] = []
        self.charges: dict[str, Decimal] = {}
        for event in history.events:
            if event.at_ms < starts_ms:
                self.opening[event.instrument], _ = booked(self.opening.get(event.instrument, FLAT), event)
        self.closing = dict(self.opening)
        for event in history.events:
            if starts_ms <= event.at_ms < ends_ms:
                self._take(event)

    def _take(self, event: Event) -> None:
        before = self.closing.get(event.instrument, FLAT)
        after, _ = booked(before, event)
        self.closing[event.instrument] = after
        if isinstance(event, BookedAction):
            self._act(event, before, after)
        else:
            self._trade(event, before, after)

    def _act(self, event: BookedAction, before: Holding, after: Holding) -> None:
        if not self.fills.get(event.instrument):
            self.carried[event.instrument] = after
        self.actions.append(
            ActionLine(
                book=self.name,
                instrument=event.instrument,
                kind=event.action.kind,
                quantity_before=event.entitled,
                quantity_after=after.quantity
                if event.action.kind is not ActionKind.DIVIDEND
                else event.entitled,
                received=after.realised - before.realised,
            )
        )

    def _trade(self, fill: BookedFill, before: Holding, after: Holding) -> None:
        self.fills.setdefault(fill.instrument, []).append(fill)
        for line, amount in fill.charges.items():
            self.charges[line] = self.charges.get(line, ZERO) + quantized(Decimal(amount))
        self.trades.append(
            TradeLine(
                at_ms=fill.at_ms,
                book=self.name,
                instrument=fill.instrument,
                side=fill.side,
                quantity=fill.quantity,
                price_e4=fill.price_e4,
                value=value(fill.price_e4, fill.quantity),
                realised=after.realised - before.realised,
                charges=after.charges - before.charges,
            )
        )

    def lines(self, opening: Marks, closing: Marks) -> list[PositionLine]:
        """A line for each instrument that was held or traded."""
        return [
            self._line(name, opening.get(name), closing.get(name))
            for name in sorted(self.closing)
            if self.opening.get(name, FLAT).quantity or self.fills.get(name) or self.closing[name].quantity
        ]

    def _line(self, name: str, before: DayMark | None, mark: DayMark | None) -> PositionLine:
        start, end = self.opening.get(name, FLAT), self.closing[name]
        fills = self.fills.get(name, [])
        row = net_position(
            self.carried.get(name, start), fills, close_e4=None, last_e4=mark.price_e4 if mark else None
        )
        was, worth = _worth(start, before), _worth(end, mark)
        invested = row.day_buy_value - row.day_sell_value
        return PositionLine(
            book=self.name,
            instrument=name,
            carried=row.overnight_quantity,
            bought=row.day_buy_quantity,
            bought_value=row.day_buy_value,
            sold=row.day_sell_quantity,
            sold_value=row.day_sell_value,
            quantity=end.quantity,
            average_price=average_price(end),
            mark=mark if end.quantity else None,
            value=worth,
            unrealised=None if worth is None else worth - end.cost,
            realised=sum((trade.realised for trade in self.trades if trade.instrument == name), ZERO),
            m2m=None if was is None or worth is None else worth - was - invested,
        )


def _worth(holding: Holding, mark: DayMark | None) -> Decimal | None:
    if not holding.quantity:
        return ZERO
    return None if mark is None else value(mark.price_e4, holding.quantity)


def statement(
    *,
    subject: str,
    broker: str,
    day: date,
    starting_cash: Decimal,
    books: Iterable[BookHistory],
    ledger: LedgerSums,
    opening_marks: Marks,
    closing_marks: Marks,
    unbooked: Sequence[BookedFill] = (),
) -> Statement:
    """The statement of an IST date. `unbooked`: fills up to the end of the day that wait to be booked."""
    starts_ms, ends_ms = ist_midnight_ms(day), ist_midnight_ms(day + timedelta(days=1))
    days = [_Day(book, starts_ms, ends_ms) for book in books]
    opening = _balance(starting_cash, [one.opening for one in days], opening_marks)
    closing = _balance(starting_cash, [one.closing for one in days], closing_marks)
    trades = sorted((trade for one in days for trade in one.trades), key=lambda trade: trade.at_ms)
    actions = [action for one in days for action in one.actions]
    found = Statement(
        subject=subject,
        broker=broker,
        day=day,
        opening=opening,
        closing=closing,
        trades=trades,
        actions=actions,
        positions=[line for one in days for line in one.lines(opening_marks, closing_marks)],
        charges=_added(one.charges for one in days),
        realised=sum((trade.realised for trade in trades), ZERO),
        dividends=sum((action.received for action in actions), ZERO),
        checks=[],
    )
    checks = [*_ledger_checks(found, starting_cash, ledger), *_own_checks(found), _unbooked(unbooked)]
    return msgspec.structs.replace(found, checks=checks)


def _balance(starting_cash: Decimal, books: Sequence[Mapping[str, Holding]], marks: Marks) -> Balance:
    held = [(name, holding) for book in books for name, holding in book.items()]
    cash = starting_cash + sum((cash_of(holding) for _, holding in held), ZERO)
    cost = sum((holding.cost for _, holding in held), ZERO)
    worths = [_worth(holding, marks.get(name)) for name, holding in held]
    known = [worth for worth in worths if worth is not None]
    worth = sum(known, ZERO) if len(known) == len(worths) else None
    return Balance(
        cash=cash,
        cost=cost,
        value=worth,
        unrealised=None if worth is None else worth - cost,
        equity=None if worth is None else cash + worth,
    )


def _added(parts: Iterable[Mapping[str, Decimal]]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for part in parts:
        for line, amount in part.items():
            sums[line] = sums.get(line, ZERO) + amount
    return {line: sums[line] for line in sorted(sums) if sums[line]}


def _ledger_checks(found: Statement, starting_cash: Decimal, ledger: LedgerSums) -> list[Check]:
    """The folded books against the ledger."""
    before, today = ledger.before, ledger.today
    opening = starting_cash + before.get(CASH, ZERO)
    charges = {account: amount for account, amount in today.items() if account.startswith(f"{CHARGES}:")}
    lines = sorted({account.partition(":")[2] for account in charges} | found.charges.keys())
    return [
        Check("opening cash, by fills and by the ledger", found.opening.cash, opening),
        Check(
            "closing cash, by fills and by the ledger", found.closing.cash, opening + today.get(CASH, ZERO)
        ),
        Check("realised, by fills and by the ledger", found.realised, -today.get(REALISED, ZERO)),
        Check("dividends, by actions and by the ledger", found.dividends, -today.get(DIVIDEND, ZERO)),
        *(
            Check(
                f"charges, {line}, by fills and by the ledger",
                found.charges.get(line, ZERO),
                charges.get(f"{CHARGES}:{line}", ZERO),
            )
            for line in lines
        ),
        Check("the ledger of the day, which adds up to nothing", sum(today.values(), ZERO), ZERO),
    ]


def _own_checks(found: Statement) -> list[Check]:
    """What must follow from the figures as they are stated."""
    opening, closing = found.opening, found.closing
    opened, closed = opening.unrealised, closing.unrealised
    gained = None if opened is None or closed is None else found.net + closed - opened
    moved = [line.m2m for line in found.positions]
    known = [amount for amount in moved if amount is not None]
    by_position = sum(known, ZERO) + found.dividends - found.charged if len(known) == len(moved) else None
    return [
        Check(
            "cash and positions at cost: opening, and what the day made",
            closing.cash + closing.cost,
            opening.cash + opening.cost + found.net,
        ),
        Check(
            "equity: opening, and what the day made and moved", closing.equity, _plus(opening.equity, gained)
        ),
        Check(
            "equity: opening, and what each position made", closing.equity, _plus(opening.equity, by_position)
        ),
    ]


def _plus(base: Decimal | None, gained: Decimal | None) -> Decimal | None:
    return None if base is None or gained is None else base + gained


def _unbooked(fills: Sequence[BookedFill]) -> Check:
    cash = sum((-value(fill.price_e4, fill.side.sign * fill.quantity) for fill in fills), ZERO)
    charged = sum((Decimal(amount) for fill in fills for amount in fill.charges.values()), ZERO)
    return Check(f"cash of {len(fills)} fills that wait to be booked", cash - charged, ZERO)
