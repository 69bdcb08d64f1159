"""An order of the simulator: what the matching knows of it, what the account sees of it, and its rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from alphapanda.core.money import ZERO, to_rupees, value
from alphapanda.core.vocabulary import OrderStatus, OrderType, Variety
from alphapanda.kite_simulator.clock import SimClock
from alphapanda.kite_simulator.parsing import Wanted
from alphapanda.kite_simulator.wire import number, rupees
from execution.domain.orders import AT_MARKET, OrderEventRow, PaperOrder
from portfolio.domain.books import BookedFill

SNOWFLAKE_EPOCH_MS = 1_288_834_974_657  # what Kite's order ids of 19 digits count from
RMS = "RMS:"
Row = dict[str, Any]
# statuses that Kite does not have, or that its rows show otherwise
SHOWN = {OrderStatus.EXPIRED: OrderStatus.CANCELLED}
CANCELLED_AMO = "CANCELLED AMO"  # of an order that never left for the exchange
AT_HOME = {OrderStatus.AMO_RECEIVED.value, OrderStatus.CANCEL_PENDING.value, CANCELLED_AMO}
BEFORE_EXCHANGE = frozenset(
    {
        OrderStatus.PUT_RECEIVED,
        OrderStatus.AMO_RECEIVED,
        OrderStatus.VALIDATION_PENDING,
        OrderStatus.OPEN_PENDING,
        OrderStatus.REJECTED,
    }
)


class Trade(NamedTuple):
    """A fill with the id that the exchange gave it."""

    trade_id: str
    fill: BookedFill


@dataclass(slots=True)
class SimOrder:
    """`core` is the order as it is at the exchange; `rows` are what the account has been shown so far, the last one the
    order book's. `app` is empty for an order of another app of the client's."""

    core: PaperOrder
    order_id: str
    wanted: Wanted
    app: str
    tags: list[str]
    exchange_id: str
    parent_id: str | None = None
    leg: int = 1
    rows: list[Row] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    busy_until_ms: int = 0  # rows are shown one after the other
    stuck_until_ms: int = 0  # until when no row beyond the first ones is shown
    acted_ms: int = 0  # when the last request on it was received
    protection: Decimal | None = None

    @property
    def is_over(self) -> bool:
        return self.core.status.is_final

    def turnover(self, units: int) -> Decimal:
        """Rupees of the first so many units that traded."""
        worth, left = ZERO, units
        for trade in self.trades:
            taken = min(left, trade.fill.quantity)
            worth += value(trade.fill.price_e4, taken)
            left -= taken
        return worth


def order_id(at_ms: int, number_: int) -> str:
    """19 digits that rise with time, as Kite's since the middle of 2025."""
    return str(((at_ms - SNOWFLAKE_EPOCH_MS) << 22) + number_)


def row(order: SimOrder, event: OrderEventRow, user_id: str, clock: SimClock) -> Row:
    """The order as it stood at a row of its history, in Kite's words."""
    status = SHOWN.get(event.status, event.status)
    filled, is_at_exchange = event.filled_quantity, event.status not in BEFORE_EXCHANGE
    stamp = clock.text(event.at_ms) if is_at_exchange else None
    is_cancelled = status is OrderStatus.CANCELLED
    is_rejected = status is OrderStatus.REJECTED
    spec = order.wanted.spec
    found: Row = {
        "account_id": user_id,
        "placed_by": user_id,
        "order_id": order.order_id,
        "exchange_order_id": order.exchange_id if is_at_exchange else None,
        "parent_order_id": order.parent_id,
        "status": _text(order, status),
        **_messages(event, is_rejected=is_rejected),
        "order_timestamp": clock.text(order.acted_ms),
        "exchange_update_timestamp": stamp,
        "exchange_timestamp": stamp,
        "variety": order.wanted.variety.value,
        "modified": order.core.modifications > 0,
        "exchange": spec.exchange,
        "tradingsymbol": spec.tradingsymbol,
        "instrument_token": spec.token,
        **_terms(order, event),
        "quantity": event.quantity,
        "disclosed_quantity": order.core.disclosed_quantity,
        "average_price": _average(order, filled),
        "filled_quantity": filled,
        "pending_quantity": 0 if is_rejected else event.quantity - filled,
        "cancelled_quantity": event.quantity - filled if is_cancelled else 0,
        "market_protection": 0,
        "meta": _meta(order),
        "tag": order.wanted.tag,
        "guid": order.app or None,
    }
    tags = [*order.tags, *_protection_tags(order, event)]
    return found | {"tags": tags} if tags else found


def _text(order: SimOrder, status: OrderStatus) -> str:
    never_left = order.wanted.variety is Variety.AMO and {row["status"] for row in order.rows} <= AT_HOME
    return CANCELLED_AMO if status is OrderStatus.CANCELLED and never_left else status.value


def _terms(order: SimOrder, event: OrderEventRow) -> Row:
    """A market order that has its protection is shown as the limit order that it has become."""
    core = order.core
    is_limited = core.order_type in AT_MARKET and event.limit_price_e4 is not None
    return {
        "order_type": (OrderType.LIMIT if is_limited else core.order_type).value,
        "transaction_type": core.side.value,
        "validity": core.validity.value,
        "validity_ttl": core.validity_minutes,
        "product": core.product.value,
        "price": rupees(event.limit_price_e4),
        "trigger_price": rupees(event.trigger_price_e4),
    }


def _messages(event: OrderEventRow, *, is_rejected: bool) -> Row:
    if not is_rejected:
        return {"status_message": None, "status_message_raw": None}
    words = event.reason
    raw = words if words.startswith(RMS) else f"{RMS}{words}"
    return {"status_message": words.removeprefix(RMS), "status_message_raw": raw}


def remarks(words: str) -> Row:
    """What a row says besides of an act on its order that was refused."""
    return {"status_message": words, "status_message_raw": words} if words else {}


def _average(order: SimOrder, filled: int) -> int | Decimal:
    return number(round(order.turnover(filled) / filled, 4)) if filled else 0


def _meta(order: SimOrder) -> Row:
    wanted = order.wanted
    if not wanted.legs:
        return dict(wanted.meta)
    sent = min(order.leg * wanted.leg_quantity, wanted.quantity)
    return {
        "iceberg": {
            "leg": order.leg,
            "legs": wanted.legs,
            "leg_quantity": wanted.leg_quantity,
            "total_quantity": wanted.quantity,
            "remaining_quantity": wanted.quantity - sent,
        }
    }


def _protection_tags(order: SimOrder, event: OrderEventRow) -> list[str]:
    if order.protection is None or event.limit_price_e4 is None or order.core.order_type not in AT_MARKET:
        return []
    return ["mktp", f"mktp:{order.protection:.2f}"]


def trade_row(order: SimOrder, trade: Trade, clock: SimClock) -> Row:
    spec, stamp = order.wanted.spec, clock.text(trade.fill.at_ms)
    return {
        "trade_id": trade.trade_id,
        "order_id": order.order_id,
        "exchange": spec.exchange,
        "tradingsymbol": spec.tradingsymbol,
        "instrument_token": spec.token,
        "product": order.core.product.value,
        "average_price": number(to_rupees(trade.fill.price_e4)),
        "quantity": trade.fill.quantity,
        "exchange_order_id": order.exchange_id,
        "transaction_type": order.core.side.value,
        "fill_timestamp": stamp,
        "order_timestamp": stamp[11:],
        "exchange_timestamp": stamp,
    }
