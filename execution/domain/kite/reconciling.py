"""What we hold against what the broker shows: every difference with its kind, key and both sides.

A read that failed is no information: nothing is compared, and what was different before stays as old as it was. Orders
that carry no tag of ours were made elsewhere: no difference, and never touched. What the account holds is compared in
`execution.domain.kite.account`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from enum import StrEnum

import msgspec

from alphapanda.core.money import value
from alphapanda.core.vocabulary import OrderStatus
from execution.domain.kite import tags
from execution.domain.kite.account import Gap, place_of, text_of
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
    POSITION = "POSITION"  # units that nothing explains
    TAKEN = "TAKEN"  # others have closed what our books hold
    CHARGES = "CHARGES"  # an order costs there what it does not cost here


class Source(StrEnum):
    """What is read from the broker, each by a call of its own that may fail."""

    ORDERS = "ORDERS"
    TRADES = "TRADES"
    POSITIONS = "POSITIONS"
    HOLDINGS = "HOLDINGS"
    CHARGES = "CHARGES"


SOURCES: dict[Kind, tuple[Source, ...]] = {
    Kind.ORDER_MISSING: (Source.ORDERS,),
    Kind.ORDER_UNCLAIMED: (Source.ORDERS,),
    Kind.ORDER_DOUBLED: (Source.ORDERS,),
    Kind.ORDER_ENDED: (Source.ORDERS,),
    Kind.ORDER_TERMS: (Source.ORDERS,),
    Kind.ORDER_FILLED: (Source.ORDERS,),
    Kind.TRADE_MISSING: (Source.TRADES,),
    Kind.TRADE_UNKNOWN: (Source.TRADES,),
    Kind.TRADE_DIFFERS: (Source.TRADES,),
    Kind.POSITION: (Source.POSITIONS, Source.HOLDINGS, Source.ORDERS),
    Kind.TAKEN: (Source.POSITIONS, Source.HOLDINGS, Source.ORDERS),
    Kind.CHARGES: (Source.CHARGES,),
}


class Ours(msgspec.Struct, frozen=True):
    """What we hold: the orders of the day that may have reached the broker."""

    house: str
    orders: tuple[LiveOrder, ...] = ()


class Theirs(msgspec.Struct, frozen=True):
    """What the broker showed; None where the read failed or was not whole."""

    orders: tuple[OrderSnapshot, ...] | None = None
    trades: tuple[TradeRow, ...] | None = None


class Difference(msgspec.Struct, frozen=True):
    kind: Kind
    key: str
    ours: str
    theirs: str


def compare(ours: Ours, theirs: Theirs) -> list[Difference]:
    """Every difference of orders and trades, in the order of kinds and keys."""
    found: list[Difference] = []
    by_id, claims = _claimed(ours, theirs.orders or ())
    if theirs.orders is not None:
        found += _orders(ours, claims, by_id)
        found += _unclaimed(ours, theirs.orders, claims)
    if theirs.trades is not None:
        found += _trades(ours, theirs.trades, by_id)
    kinds = list(Kind)
    return sorted(found, key=lambda one: (kinds.index(one.kind), one.key))


def of_gap(gap: Gap) -> Difference:
    """A gap between the account and our books."""
    kind = Kind.TAKEN if gap.is_taken else Kind.POSITION
    return Difference(kind, text_of(gap.where), str(gap.ours), str(gap.theirs))


def gap_of(kind: Kind, key: str, ours: str, theirs: str) -> Gap:
    """The gap that a difference of positions tells of."""
    return Gap(place_of(key), int(ours), int(theirs), is_taken=kind is Kind.TAKEN)


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
    is_all = (
        ended and part.traded == row.filled == row.quantity
    )  # a status may lie for hours: nothing is left of it
    if ended != row.is_final and not is_all:
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


def _unclaimed(
    ours: Ours, rows: Iterable[OrderSnapshot], shown: Mapping[str, OrderSnapshot]
) -> Iterator[Difference]:
    """Orders with a tag of this house that no order of ours has."""
    for row in rows:
        if row.order_id not in shown and tags.ours(ours.house, row.tags) is not None:
            text = f"{row.side} {row.filled} of {row.quantity} {row.instrument} {row.status_text}"
            yield Difference(Kind.ORDER_UNCLAIMED, row.order_id, NOTHING, text)


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


def traded_units(
    ours: Ours, rows: Iterable[OrderSnapshot]
) -> tuple[Counter[Where], Counter[Where], Counter[Where]]:
    """What a book says was traded by place: by our orders, by them beyond what is known of them here, which is a
    difference of the order, and by orders made elsewhere."""
    rows = tuple(rows)
    _, shown = _claimed(ours, rows)
    known = {broker_id: part.traded for order in ours.orders for broker_id, part in order.parts.items()}
    own: Counter[Where] = Counter()
    more: Counter[Where] = Counter()
    others: Counter[Where] = Counter()
    for row in rows:
        where, units = Where(row.instrument, row.product), row.side.sign * row.filled
        if row.order_id in shown:
            own[where] += units
            more[where] += row.side.sign * (row.filled - known.get(row.order_id, 0))
        else:
            others[where] += units
    return own, more, others
