"""The figures that rules look at: net worth, positions at their worst, and sums over several books."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from alphapanda.core.clock import ist_date, ist_day
from alphapanda.core.money import ZERO, value
from alphapanda.core.vocabulary import LimitLevel, Product, Side
from marketdata.domain.instruments import InstrumentSpec
from portfolio.domain.books import Holding, net, unrealised
from risk.domain.context import Context, Member, Outside, Sum
from risk.domain.limits import Limits, Scope
from risk.domain.margins import NoMarginRate, Opening, blocked
from risk.domain.memory import SECOND_MS, orders_on, orders_since
from strategies.domain.consequences import Working
from strategies.domain.signals import Mark, SignalRow

NOTHING = Working()
OWN = LimitLevel.DEPLOYMENT.value
OF_ACCOUNT = (LimitLevel.GLOBAL, LimitLevel.BROKER, LimitLevel.INSTRUMENT)  # where what is outside counts too


def closes(marks: Mapping[int, Mark]) -> dict[int, int]:
    """The prices at which positions were carried into the session."""
    return {token: mark.close_before_e4 or mark.price_e4 for token, mark in marks.items()}


def prices(marks: Mapping[int, Mark]) -> dict[int, int]:
    """The last prices."""
    return {token: mark.price_e4 for token, mark in marks.items()}


def equity(holdings: Mapping[int, Holding], prices_e4: Mapping[int, int]) -> Decimal | None:
    """Net worth of a book at given prices; None where a held instrument has none."""
    total = ZERO
    for token, holding in holdings.items():
        total += net(holding)
        if holding.quantity:
            price_e4 = prices_e4.get(token)
            if not price_e4 or price_e4 < 0:
                return None
            total += unrealised(holding, price_e4)
    return total


def worst(position: int, working: Working, side: Side, quantity: int) -> int:
    """The largest position on a side if all orders of that side filled, this one too, and no other did."""
    if side is Side.BUY:
        return position + working.buy + quantity
    return position - working.sell - quantity


def replaced(working: Working, signal: SignalRow) -> Working:
    """Working units without those of the order that a modification replaces by its own."""
    if not signal.replaces:
        return working
    if signal.side is Side.BUY:
        return Working(working.buy - signal.replaces, working.sell)
    return Working(working.buy, working.sell - signal.replaces)


def underlying(instrument: InstrumentSpec) -> str:
    """What an instrument rises and falls with: of a derivative its underlying, else the instrument itself."""
    return instrument.underlying or instrument.tradingsymbol


class Exposure:
    """Positions and working orders of books at their worst, with the order that is judged, valued at last prices.

    Amounts are rupees; None where a price that is needed is missing."""

    def __init__(
        self,
        books: Iterable[Member],
        marks: Mapping[int, Mark],
        *,
        candidate: SignalRow | None = None,
        token: int | None = None,
        outside: Iterable[Outside] = (),
    ) -> None:
        """`candidate` is counted with the first book. `token`: only what is in that instrument. `outside` is what the
        account holds besides."""
        self.ends = _all_ends(books, marks, candidate, token)
        others = _outside_ends(outside, marks, token)
        self.ends = None if self.ends is None or others is None else self.ends + others

    def gross(self) -> Decimal | None:
        """Both sides of each instrument at the worse of its ends."""
        return None if self.ends is None else _gross(self.ends)

    def net(self, side: Side) -> Decimal | None:
        """Longs less shorts if all working orders of one side filled, and none of the other."""
        if self.ends is None:
            return None
        is_buy = side is Side.BUY
        reached = (end.price_e4 * (end.highest if is_buy else end.lowest) for end in self.ends)
        return value(sum(reached), 1)

    def of_underlying(self, name: str, instruments: Mapping[int, InstrumentSpec]) -> Decimal | None:
        """Gross exposure to one underlying; None also where an instrument held is not known."""
        if self.ends is None:
            return None
        names = [_underlying(end, instruments) for end in self.ends]
        if None in names:
            return None
        return _gross(end for end, own in zip(self.ends, names, strict=True) if own == name)

    def margin(self, context: Context, day: date) -> Decimal | None:
        """What is blocked for all of it, of each instrument at the worse of its ends; None also where an instrument
        or its rate is not known."""
        if self.ends is None:
            return None
        try:
            return sum((_blocked(end, context, day) for end in self.ends), ZERO)
        except (KeyError, NoMarginRate):
            return None


class End(NamedTuple):
    """The highest and the lowest position that a book, or the account outside of all books, can come to."""

    token: int
    price_e4: int
    highest: int
    lowest: int
    product: Product | None  # none: of what is outside
    outside: Outside | None = None


def _gross(ends: Iterable[End]) -> Decimal:
    return value(sum(end.price_e4 * max(abs(end.highest), abs(end.lowest)) for end in ends), 1)


def _underlying(end: End, instruments: Mapping[int, InstrumentSpec]) -> str | None:
    """None where it is not known."""
    if end.outside is not None:
        return end.outside.underlying or None
    return underlying(instruments[end.token]) if end.token in instruments else None


def _blocked(end: End, context: Context, day: date) -> Decimal:
    if end.product is None:
        return _blocked_outside(end)
    token, product = end.token, end.product
    ends = [
        Opening(token, side, side.sign * units, end.price_e4)
        for side, units in ((Side.BUY, end.highest), (Side.SELL, end.lowest))
        if side.sign * units > 0
    ]
    instrument, margins = context.instruments[token], context.margins
    return max(
        (blocked(one, instrument=instrument, product=product, margins=margins, day=day) for one in ends),
        default=ZERO,
    )


def _blocked_outside(end: End) -> Decimal:
    if end.outside is None or end.outside.margin is None:
        raise NoMarginRate("what the account holds outside has no margin rate")
    return end.outside.margin


def _all_ends(
    books: Iterable[Member], marks: Mapping[int, Mark], candidate: SignalRow | None, only: int | None
) -> list[End] | None:
    """Of all that is held, works or is asked for; None where a price is missing."""
    found: list[End] = []
    for book in books:
        tokens = {token for token, holding in book.holdings.items() if holding.quantity}
        tokens.update(book.working)
        if candidate is not None:
            tokens.add(candidate.token)
        for token in tokens:
            if only is None or token == only:
                mark = marks.get(token)
                if mark is None or mark.price_e4 <= 0:
                    return None
                highest, lowest = _ends(book, token, candidate)
                found.append(End(token, mark.price_e4, highest, lowest, book.product))
        candidate = None  # it is the first book's
    return found


def _outside_ends(
    outside: Iterable[Outside], marks: Mapping[int, Mark], only: int | None
) -> list[End] | None:
    """Of what the account holds besides; None where a price is missing."""
    found: list[End] = []
    for row in outside:
        if only is None or row.token == only:
            mark = marks.get(row.token)
            price_e4 = mark.price_e4 if mark is not None and mark.price_e4 > 0 else row.price_e4
            if price_e4 <= 0:
                return None
            found.append(End(row.token, price_e4, row.units + row.buy, row.units - row.sell, None, row))
    return found


def _ends(book: Member, token: int, candidate: SignalRow | None) -> tuple[int, int]:
    holding = book.holdings.get(token)
    position = holding.quantity if holding else 0
    working = book.working.get(token, NOTHING)
    highest, lowest = position + working.buy, position - working.sell
    if candidate is not None and candidate.token == token:
        if candidate.side is Side.BUY:
            highest += candidate.quantity - candidate.replaces
        else:
            lowest -= candidate.quantity - candidate.replaces
    return highest, lowest


def own_book(context: Context) -> Member:
    """The book of the deployment that is judged."""
    return Member(context.holdings, context.working, context.orders, context.day, context.product)


def key_of(scope: Scope) -> str:
    """How memories name a scope."""
    return f"{scope.level.value} {scope.name}".strip()


def sum_of_own(
    context: Context, signal: SignalRow, exposure: Exposure, profit: Decimal | None, now: Decimal | None
) -> Sum:
    """The figures of the deployment by itself."""
    limits, day = context.limits, context.day
    return Sum(
        key=OWN,
        name="",
        limits=limits,
        orders_second=orders_since(day, signal.at_ms - SECOND_MS) if limits.orders_per_second else 0,
        orders_minute=len(day.recent_ms),
        orders_day=day.orders,
        profit=profit,
        decline=_decline(OWN, now, [own_book(context)]) if limits.drawdown is not None else None,
        gross=exposure.gross(),
        net=exposure.net(signal.side),
        underlying=_of_underlying(limits, exposure, context, signal),
        margin=exposure.margin(context, ist_date(signal.at_ms)) if limits.margin is not None else None,
        is_tripped=OWN in day.tripped,
    )


def sum_of(scope: Scope, context: Context, signal: SignalRow) -> Sum:
    """The figures of a scope that the deployment shares."""
    limits, today = scope.limits, ist_day(signal.at_ms)
    books = [own_book(context), *_others(scope, context)]
    outside = context.outside if scope.level in OF_ACCOUNT else ()
    exposure = Exposure(books, signal.marks, candidate=signal, token=scope.token, outside=outside)
    key, at_ms = key_of(scope), signal.at_ms
    return Sum(
        key=key,
        name=scope.name,
        limits=limits,
        orders_second=sum(orders_since(book.day, at_ms - SECOND_MS) for book in books),
        orders_minute=sum(orders_since(book.day, at_ms - 60 * SECOND_MS) for book in books),
        orders_day=sum(orders_on(book.day, today) for book in books),
        profit=profit_of(books, signal.marks, today) if limits.daily_loss is not None else None,
        decline=_decline(key, equity_of(books, signal.marks), books) if limits.drawdown is not None else None,
        gross=exposure.gross() if limits.gross_exposure is not None else None,
        net=exposure.net(signal.side) if limits.net_exposure is not None else None,
        underlying=_of_underlying(limits, exposure, context, signal),
        margin=exposure.margin(context, ist_date(signal.at_ms)) if limits.margin is not None else None,
        is_tripped=any(book.day.day == today and key in book.day.tripped for book in books),
    )


def _others(scope: Scope, context: Context) -> list[Member]:
    return [context.others[one] for one in sorted(scope.members & context.others.keys())]


def _of_underlying(limits: Limits, exposure: Exposure, context: Context, signal: SignalRow) -> Decimal | None:
    if limits.underlying_exposure is None:
        return None
    return exposure.of_underlying(underlying(context.instruments[signal.token]), context.instruments)


def equity_of(books: Iterable[Member], marks: Mapping[int, Mark]) -> Decimal | None:
    """Net worth of several books at the last prices."""
    total = ZERO
    for book in books:
        worth = equity(book.holdings, prices(marks))
        if worth is None:
            return None
        total += worth
    return total


def profit_of(books: Iterable[Member], marks: Mapping[int, Mark], today: int) -> Decimal | None:
    """What several books have earned in a session, marked to the last prices, charges taken off."""
    total = ZERO
    for book in books:
        began = book.day.equity if book.day.day == today else None
        if began is None:
            began = equity(book.holdings, closes(marks))
        now = equity(book.holdings, prices(marks))
        if began is None or now is None:
            return None
        total += now - began
    return total


def _decline(key: str, now: Decimal | None, books: Iterable[Member]) -> Decimal | None:
    """How far the net worth lies below the highest one seen; nought is where every book began."""
    return None if now is None else max(peak_of(key, books), now) - now


def peak_of(key: str, books: Iterable[Member]) -> Decimal:
    """The highest net worth that any of the books remembers of a scope."""
    return max((book.day.peaks.get(key, ZERO) for book in books), default=ZERO)
