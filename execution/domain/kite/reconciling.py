"""What we hold against what the broker shows: every difference with its kind, key and both sides, and how old it is.

A read that failed is no information: nothing is compared, and what was different before stays as old as it was. Orders
that carry no tag of ours are external: listed with the worst they can come to, never touched."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

import msgspec

from alphapanda.core.money import value
from alphapanda.core.vocabulary import OrderStatus
from execution.domain.kite import tags
from execution.domain.kite.orders import LiveOrder, Part
from execution.domain.kite.rows import OrderSnapshot, TradeRow, Where

HALT_AFTER = 2  # rounds in which a difference was seen
NOTHING = "-"


class Kind(StrEnum):
    ORDER_MISSING = "ORDER_MISSING"  # ours is not in the broker's book
    ORDER_UNCLAIMED = "ORDER_UNCLAIMED"  # a tag of this house that no order of ours has
    ORDER_DOUBLED = "ORDER_DOUBLED"  # one order of ours, more than one of theirs
    ORDER_ENDED = "ORDER_ENDED"  # it works here and ended there, or the other way round
    ORDER_TERMS = "ORDER_TERMS"
    ORDER_FILLED = "ORDER_FILLED"
    TRADE_MISSING = "TRADE_MISSING"  # ours is not in the broker's list
    TRADE_UNKNOWN = "TRADE_UNKNOWN"  # theirs, of an order of ours, is not here
    TRADE_DIFFERS = "TRADE_DIFFERS"
    POSITION = "POSITION"
    HOLDING = "HOLDING"
    FUNDS = "FUNDS"
    EXTERNAL = "EXTERNAL"  # an order that was made elsewhere: no fault


class Source(StrEnum):
    """What is read from the broker, each by a call of its own that may fail."""

    ORDERS = "ORDERS"
    TRADES = "TRADES"
    POSITIONS = "POSITIONS"
    HOLDINGS = "HOLDINGS"
    FUNDS = "FUNDS"


SOURCES: dict[Kind, tuple[Source, ...]] = {
    Kind.ORDER_MISSING: (Source.ORDERS,),
    Kind.ORDER_UNCLAIMED: (Source.ORDERS,),
    Kind.ORDER_DOUBLED: (Source.ORDERS,),
    Kind.ORDER_ENDED: (Source.ORDERS,),
    Kind.ORDER_TERMS: (Source.ORDERS,),
    Kind.ORDER_FILLED: (Source.ORDERS,),
    Kind.EXTERNAL: (Source.ORDERS,),
    Kind.TRADE_MISSING: (Source.TRADES,),
    Kind.TRADE_UNKNOWN: (Source.TRADES,),
    Kind.TRADE_DIFFERS: (Source.TRADES,),
    Kind.POSITION: (Source.POSITIONS, Source.ORDERS),
    Kind.HOLDING: (Source.HOLDINGS,),
    Kind.FUNDS: (Source.FUNDS,),
}


class Ours(msgspec.Struct, frozen=True):
    """What we hold. `orders` are those of the day that may have reached the broker. `positions` are of all our books
    together, of CNC what the day added or sold; `theirs_before` is what the account held at the start of the day that
    is not ours; `holdings` are delivered units, of both, by instrument."""

    house: str
    orders: tuple[LiveOrder, ...] = ()
    positions: Mapping[Where, int] = {}
    theirs_before: Mapping[Where, int] = {}
    holdings: Mapping[str, int] = {}
    funds: Mapping[str, Decimal] = {}  # by segment


class Theirs(msgspec.Struct, frozen=True):
    """What the broker showed; None where the read failed or was not whole."""

    orders: tuple[OrderSnapshot, ...] | None = None
    trades: tuple[TradeRow, ...] | None = None
    positions: Mapping[Where, int] | None = None
    holdings: Mapping[str, int] | None = None
    funds: Mapping[str, Decimal] | None = None

    @property
    def read(self) -> frozenset[Source]:
        found = {
            Source.ORDERS: self.orders,
            Source.TRADES: self.trades,
            Source.POSITIONS: self.positions,
            Source.HOLDINGS: self.holdings,
            Source.FUNDS: self.funds,
        }
        return frozenset(source for source, rows in found.items() if rows is not None)


class Difference(msgspec.Struct, frozen=True):
    """`exposure` is the worst that an external order can come to, in rupees; None where it has no price to tell."""

    kind: Kind
    key: str
    ours: str
    theirs: str
    exposure: Decimal | None = Decimal(0)


class Aged(msgspec.Struct, frozen=True):
    """A difference, and in how many rounds one after the other it was seen."""

    difference: Difference
    rounds: int
    since_ms: int

    @property
    def halts(self) -> bool:
        return self.difference.kind is not Kind.EXTERNAL and self.rounds >= HALT_AFTER


def compare(
    ours: Ours,
    theirs: Theirs,
    *,
    marks_e4: Mapping[str, int],
    funds_tolerance: Decimal = Decimal(0),
) -> list[Difference]:
    """Every difference, in the order of kinds and keys. `marks_e4` are last prices by instrument."""
    found: list[Difference] = []
    by_id, claims = _claimed(ours, theirs.orders or ())
    if theirs.orders is not None:
        found += _orders(ours, claims, by_id)
        found += _strangers(ours, theirs.orders, claims, marks_e4)
    if theirs.trades is not None:
        found += _trades(ours, theirs.trades, by_id)
    if theirs.orders is not None and theirs.positions is not None:
        wanted = _expected_positions(ours, theirs.orders, claims)
        found += _amounts(Kind.POSITION, wanted, theirs.positions, _named_place)
    if theirs.holdings is not None:
        found += _amounts(Kind.HOLDING, ours.holdings, theirs.holdings, str)
    if theirs.funds is not None:
        found += _funds(ours.funds, theirs.funds, funds_tolerance)
    kinds = list(Kind)
    return sorted(found, key=lambda one: (kinds.index(one.kind), one.key))


Claims = dict[str, LiveOrder]  # by the broker's order id


def _claimed(ours: Ours, rows: Iterable[OrderSnapshot]) -> tuple[Claims, dict[str, OrderSnapshot]]:
    """Our orders by all ids of the broker's that stand for them, and the broker's rows that do."""
    by_tag = {tag: order for order in ours.orders for tag in order.tags}
    claims = {broker_id: order for order in ours.orders for broker_id in order.parts}
    shown = {}
    for row in rows:
        order = claims.get(row.order_id) or next((by_tag[tag] for tag in row.tags if tag in by_tag), None)
        if order is not None:
            claims[row.order_id] = order
            shown[row.order_id] = row
    return claims, shown


def _orders(ours: Ours, shown: Mapping[str, OrderSnapshot], claims: Claims) -> Iterator[Difference]:
    rows_of: dict[str, list[OrderSnapshot]] = defaultdict(list)
    for order_id, row in shown.items():
        rows_of[str(claims[order_id].id)].append(row)
    for order in ours.orders:
        rows = rows_of[str(order.id)]
        if len(rows) > 1 and not order.is_iceberg:
            both = " ".join(sorted(row.order_id for row in rows))
            yield Difference(Kind.ORDER_DOUBLED, str(order.id), "1 order", both)
        for broker_id in order.parts:
            if broker_id not in shown:
                yield Difference(Kind.ORDER_MISSING, broker_id, order.status.value, NOTHING)
        for row in rows:
            yield from _order(order, order.parts.get(row.order_id, Part()), row)


def _order(order: LiveOrder, part: Part, row: OrderSnapshot) -> Iterator[Difference]:
    """One of the broker's orders against what we know of it."""
    if part.traded != row.filled:
        yield Difference(Kind.ORDER_FILLED, row.order_id, str(part.traded), str(row.filled))
    ended = part.ended is not None or order.status.is_final
    if ended != row.is_final:
        ours = (part.ended or order.status).value if ended else OrderStatus.OPEN.value
        yield Difference(Kind.ORDER_ENDED, row.order_id, ours, row.status_text)
    if not row.is_final and part.told is not None:
        told = part.told
        here = (told.quantity, told.limit_price_e4, told.trigger_price_e4)
        there = (row.quantity, row.limit_price_e4 or 0, row.trigger_price_e4 or 0)
        if here != there:
            yield Difference(Kind.ORDER_TERMS, row.order_id, _terms(here), _terms(there))


def _terms(three: tuple[int, int, int]) -> str:
    quantity, limit_e4, trigger_e4 = three
    return f"{quantity} at {limit_e4 or NOTHING} from {trigger_e4 or NOTHING}"


def _strangers(
    ours: Ours, rows: Iterable[OrderSnapshot], shown: Mapping[str, OrderSnapshot], marks_e4: Mapping[str, int]
) -> Iterator[Difference]:
    """Orders that are not ours."""
    for row in rows:
        if row.order_id in shown:
            continue
        mine = tags.ours(ours.house, row.tags)
        kind = Kind.EXTERNAL if mine is None else Kind.ORDER_UNCLAIMED
        text = f"{row.side} {row.filled} of {row.quantity} {row.instrument} {row.status_text}"
        exposure = worst_exposure(row, marks_e4.get(row.instrument, 0))
        yield Difference(kind, row.order_id, NOTHING, text, exposure)


def worst_exposure(row: OrderSnapshot, mark_e4: int) -> Decimal | None:
    """Rupees that an order can come to at most: what it traded and what it may still trade, at the dearest price that
    is known; None where none is."""
    units = row.filled if row.is_final else row.quantity
    if not units:
        return Decimal(0)
    price_e4 = max(row.limit_price_e4 or 0, row.trigger_price_e4 or 0, mark_e4)
    return value(price_e4, units) if price_e4 else None


def _trades(ours: Ours, rows: Iterable[TradeRow], claims: Claims) -> Iterator[Difference]:
    """Trades of our orders; those of orders made elsewhere are not looked at."""
    here = {trade.key: trade for order in ours.orders for trade in order.trades}
    there = {row.key: row for row in rows if row.order_id in claims}
    for key in here.keys() | there.keys():
        own, other = here.get(key), there.get(key)
        if own == other:
            continue
        kind = Kind.TRADE_UNKNOWN if own is None else Kind.TRADE_MISSING if other is None else None
        yield Difference(kind or Kind.TRADE_DIFFERS, key, _traded(own), _traded(other))


def _traded(trade: TradeRow | None) -> str:
    return NOTHING if trade is None else f"{trade.side} {trade.quantity} at {trade.price_e4}"


def _expected_positions(
    ours: Ours, rows: Iterable[OrderSnapshot], shown: Mapping[str, OrderSnapshot]
) -> Counter[Where]:
    """What the account should hold: our books, what was there before, all that external orders filled today, and what
    our own orders filled that is not booked yet (that is a difference of the order)."""
    wanted: Counter[Where] = Counter()
    for before in (ours.positions, ours.theirs_before):
        wanted.update(before)
    booked = {broker_id: part.traded for order in ours.orders for broker_id, part in order.parts.items()}
    for row in rows:
        here = booked.get(row.order_id, 0) if row.order_id in shown else 0
        wanted[Where(row.instrument, row.product)] += row.side.sign * (row.filled - here)
    return wanted


Key = TypeVar("Key")


def _amounts(
    kind: Kind, ours: Mapping[Key, int], theirs: Mapping[Key, int], named: Callable[[Key], str]
) -> Iterator[Difference]:
    """Quantities by place; what is not there is 0."""
    for key in ours.keys() | theirs.keys():
        here, there = ours.get(key, 0), theirs.get(key, 0)
        if here != there:
            yield Difference(kind, named(key), str(here), str(there))


def _named_place(where: Where) -> str:
    return f"{where.instrument} {where.product}"


def _funds(
    ours: Mapping[str, Decimal], theirs: Mapping[str, Decimal], tolerance: Decimal
) -> Iterator[Difference]:
    """Only segments that we keep."""
    for segment, amount in ours.items():
        there = theirs.get(segment)
        if there is None or abs(there - amount) > tolerance:
            yield Difference(Kind.FUNDS, segment, f"{amount:f}", NOTHING if there is None else f"{there:f}")


def aged(
    before: Iterable[Aged], found: Iterable[Difference], read: frozenset[Source], at_ms: int
) -> list[Aged]:
    """The differences with their ages after a round. One that was seen is a round older, one that was looked for and
    not seen is gone, one that could not be looked for stays as it was."""
    known = {(one.difference.kind, one.difference.key): one for one in before}
    now: dict[tuple[Kind, str], Aged] = {
        name: one for name, one in known.items() if not read.issuperset(SOURCES[one.difference.kind])
    }
    for difference in found:
        name = (difference.kind, difference.key)
        old = known.get(name)
        now[name] = Aged(difference, old.rounds + 1 if old else 1, old.since_ms if old else at_ms)
    kinds = list(Kind)
    return sorted(now.values(), key=lambda one: (kinds.index(one.difference.kind), one.difference.key))
