"""Kite's order and trade rows, from its lists, websocket frames and postbacks, as typed snapshots.

A row that lacks what we need, or has it in another shape, is a fault and no row; the rest may be missing. Statuses that
nobody documents are not the end of an order. Quantities are units: where Kite counts lots (currency, commodities)
`units` says how many a lot holds, by EXCHANGE:TRADINGSYMBOL; what is not named counts single units."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import TypeVar

import msgspec

from alphapanda.core.clock import IST, ist_midnight_ms, to_ms
from alphapanda.core.money import PRICE_SCALE
from alphapanda.core.vocabulary import OrderStatus, Side

PROTECTED = "mktp"  # the tag by which Kite marks a market order that it shows as a limit order
_NOISE = Decimal("0.000001")  # rupees: what a float may add to a price on its way
_STATUSES = {status.value: status for status in OrderStatus if status is not OrderStatus.EXPIRED}
_NAMED_SO = {"CANCELLED AMO": OrderStatus.CANCELLED.value}  # what Kite says of an order for the next session
NUMBER_MAX = 10**12


class NotKites(ValueError):
    """An answer or a message that is not what Kite sends: it is no information."""


class OrderSnapshot(msgspec.Struct, frozen=True):
    """An order as Kite showed it once. `status` is None where it is unknown, or UPDATE, which only postbacks say.

    `at_ms` is the last of its times: an act that is on its way moves only some of them. A price of 0 is None. What is
    left to trade is `quantity` less `filled`: Kite's pending quantity stays above 0 in cancelled rows."""

    order_id: str
    status: OrderStatus | None
    status_text: str
    instrument: str
    side: Side
    quantity: int
    filled: int
    order_type: str
    product: str
    validity: str
    variety: str
    limit_price_e4: int | None
    trigger_price_e4: int | None
    disclosed_quantity: int
    at_ms: int
    placed_at_ms: int
    reason: str
    tags: tuple[str, ...]
    parent_id: str

    @property
    def is_final(self) -> bool:
        return self.status is not None and self.status.is_final

    @property
    def is_protected(self) -> bool:
        return PROTECTED in self.tags


class TradeRow(msgspec.Struct, frozen=True):
    """One trade; it is told apart by exchange, trade id and order."""

    exchange: str
    trade_id: str
    order_id: str
    instrument: str
    side: Side
    product: str
    quantity: int
    price_e4: int
    at_ms: int

    @property
    def key(self) -> str:
        return f"{self.exchange}:{self.trade_id}:{self.order_id}"


class Where(msgspec.Struct, frozen=True):
    """A position's place: what is held, as what product."""

    instrument: str
    product: str


Row = TypeVar("Row")


class Rows(msgspec.Struct, frozen=True):
    """What a list held. With faults in it, what is not there may still be at the broker."""

    orders: tuple[OrderSnapshot, ...] = ()
    trades: tuple[TradeRow, ...] = ()
    faults: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        return not self.faults


class _Order(msgspec.Struct):
    order_id: str
    status: str
    exchange: str
    tradingsymbol: str
    transaction_type: Side
    quantity: int
    filled_quantity: int
    order_type: str
    product: str
    validity: str | None = None
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    variety: str | None = None
    disclosed_quantity: int | None = None
    order_timestamp: str | None = None
    exchange_timestamp: str | None = None
    exchange_update_timestamp: str | None = None
    status_message: str | None = None
    status_message_raw: str | None = None
    tag: str | None = None
    tags: list[str | None] | None = None
    parent_order_id: str | None = None


class _Trade(msgspec.Struct):
    trade_id: str
    order_id: str
    exchange: str
    tradingsymbol: str
    transaction_type: Side
    product: str
    quantity: int
    average_price: Decimal
    fill_timestamp: str | None = None
    exchange_timestamp: str | None = None


class _Answer(msgspec.Struct):
    status: str
    data: list[msgspec.Raw] | None = None
    message: str = ""


class _Frame(msgspec.Struct):
    type: str
    data: msgspec.Raw = msgspec.Raw(b"null")


def orders_of(body: bytes, units: Mapping[str, int]) -> Rows:
    """The rows of the order book, or of one order's history. Raises NotKites where the answer is no list."""
    orders, faults = each(body, lambda raw: order_of(raw, units))
    return Rows(orders=orders, faults=faults)


def trades_of(body: bytes, units: Mapping[str, int]) -> Rows:
    """The rows of the trade book, or of one order's trades. Raises NotKites where the answer is no list."""
    trades, faults = each(body, lambda raw: trade_of(raw, units))
    return Rows(trades=trades, faults=faults)


def order_in_frame(text: bytes, units: Mapping[str, int]) -> OrderSnapshot | None:
    """The order of a text frame of the websocket; None for frames that tell other things. Raises NotKites."""
    frame = decoded(text, _Frame)
    return order_of(bytes(frame.data), units) if frame.type == "order" else None


def order_of(raw: bytes, units: Mapping[str, int]) -> OrderSnapshot:
    """One row, or the body of a postback. Raises NotKites."""
    row = decoded(raw, _Order)
    try:
        return _snapshot(row, units)
    except ValueError as error:
        raise NotKites(f"order {row.order_id[:40]}: {error}") from error


def trade_of(raw: bytes, units: Mapping[str, int]) -> TradeRow:
    """One row. Raises NotKites."""
    row = decoded(raw, _Trade)
    try:
        return _trade(row, units)
    except ValueError as error:
        raise NotKites(f"trade {row.trade_id[:40]}: {error}") from error


def _snapshot(row: _Order, units: Mapping[str, int]) -> OrderSnapshot:
    instrument = f"{row.exchange}:{row.tradingsymbol}"
    lot, status = units.get(instrument, 1), _NAMED_SO.get(row.status, row.status)
    times = (row.exchange_update_timestamp, row.exchange_timestamp, row.order_timestamp)
    return OrderSnapshot(
        order_id=name_of("order_id", row.order_id),
        status=_STATUSES.get(status),
        status_text=status,
        instrument=instrument,
        side=row.transaction_type,
        quantity=count("quantity", row.quantity) * lot,
        filled=count("filled_quantity", row.filled_quantity) * lot,
        order_type=row.order_type,
        product=row.product,
        validity=row.validity or "",
        variety=row.variety or "regular",
        limit_price_e4=_price_e4(row.price, "price", row, ("LIMIT", "SL")),
        trigger_price_e4=_price_e4(row.trigger_price, "trigger price", row, ("SL", "SL-M")),
        disclosed_quantity=count("disclosed_quantity", row.disclosed_quantity or 0) * lot,
        at_ms=max(map(ist_text_ms, times)),
        placed_at_ms=ist_text_ms(row.order_timestamp),
        reason=row.status_message or row.status_message_raw or "",
        tags=tuple(dict.fromkeys(filter(None, [row.tag, *(row.tags or ())]))),
        parent_id=row.parent_order_id or "",
    )


def _price_e4(rupees: Decimal | None, what: str, row: _Order, needed_by: tuple[str, ...]) -> int | None:
    if rupees is None and row.order_type in needed_by:
        raise ValueError(f"{row.order_type} without a {what}")
    return None if rupees is None else price_e4_of(rupees) or None


def _trade(row: _Trade, units: Mapping[str, int]) -> TradeRow:
    instrument = f"{row.exchange}:{row.tradingsymbol}"
    quantity, price_e4 = count("quantity", row.quantity), price_e4_of(row.average_price)
    if not quantity or not price_e4:
        raise ValueError(f"{quantity} at {row.average_price} is no trade")
    return TradeRow(
        exchange=name_of("exchange", row.exchange),
        trade_id=name_of("trade_id", row.trade_id),
        order_id=name_of("order_id", row.order_id),
        instrument=instrument,
        side=row.transaction_type,
        product=row.product,
        quantity=quantity * units.get(instrument, 1),
        price_e4=price_e4,
        at_ms=ist_text_ms(row.fill_timestamp or row.exchange_timestamp),
    )


def ist_text_ms(text: str | None) -> int:
    """Epoch ms of a time as Kite writes it: IST, or with an offset, or a date. Nothing is 0. Raises ValueError."""
    if not text or text == "null":
        return 0
    try:
        if len(text) == 10:
            return ist_midnight_ms(date.fromisoformat(text))
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:30]!r} is not a time") from None
    return to_ms(moment if moment.tzinfo else moment.replace(tzinfo=IST))


def each(body: bytes, read: Callable[[bytes], Row]) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    rows, faults = [], []
    for raw in listed(body, "list"):
        try:
            rows.append(read(bytes(raw)))
        except NotKites as error:
            faults.append(str(error))
    return tuple(rows), tuple(faults)


def listed(body: bytes, what: str) -> list[msgspec.Raw]:
    """The rows of an answer that is a list. Raises NotKites."""
    answer = decoded(body, _Answer)
    if answer.status != "success" or answer.data is None:
        raise NotKites(f"no {what}: {answer.status} {answer.message}"[:200])
    return answer.data


Shape = TypeVar("Shape")


def decoded(raw: bytes, shape: type[Shape]) -> Shape:
    """An answer, or a part of one, of a shape. Raises NotKites."""
    try:
        return msgspec.json.decode(raw, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NotKites(str(error)[:200]) from error


def name_of(what: str, text: str, *, most: int = 40) -> str:
    """A name that Kite gave. Raises ValueError."""
    if not text or len(text) > most or not text.isprintable():
        raise ValueError(f"{what} {text[:40]!r} is no name")
    return text


def count(what: str, number: int) -> int:
    if not 0 <= number <= NUMBER_MAX:
        raise ValueError(f"{what} {number} is not from 0 to {NUMBER_MAX}")
    return number


def price_e4_of(rupees: Decimal) -> int:
    if not rupees.is_finite() or not 0 <= rupees <= NUMBER_MAX:
        raise ValueError(f"{rupees} is no price in rupees")
    price_e4 = round(rupees * PRICE_SCALE)
    if abs(Decimal(price_e4) - rupees * PRICE_SCALE) > _NOISE * PRICE_SCALE:
        raise ValueError(f"{rupees} has more than four decimal places")
    return price_e4
