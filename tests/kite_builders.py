"""Values of Kite's adapter for tests: each builder makes a good one, options say what is different."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from alphapanda.core.clock import ist_text
from alphapanda.core.vocabulary import OrderStatus, OrderType, Product, Side, Validity, Variety
from execution.domain.kite.orders import LiveOrder, Sending
from execution.domain.kite.reducer import Evidence, Placing, Seen, Traded, take_all
from execution.domain.kite.rows import OrderSnapshot, TradeRow
from execution.domain.kite.tags import tag_of
from execution.domain.orders import Terms
from tests.builders import at, e4

HOUSE = "house of tests"
ORDER = UUID("6f1c2a52-6b0e-5c3c-9a64-0a1fa9a2da2a")
BROKER_ID = "1953341975595868160"
TAG = tag_of(HOUSE, ORDER, 1)


def terms(
    quantity: int = 10,
    order_type: OrderType = OrderType.LIMIT,
    limit: object = 100,
    trigger: object = None,
    *,
    validity: Validity = Validity.DAY,
    minutes: int = 0,
    disclosed: int = 0,
) -> Terms:
    return Terms(
        quantity=quantity,
        order_type=order_type,
        limit_price_e4=None if limit is None else e4(limit),
        trigger_price_e4=None if trigger is None else e4(trigger),
        validity=validity,
        validity_minutes=minutes,
        disclosed_quantity=disclosed,
    )


def live(own: Terms | None = None, *evidence: Evidence, order_id: UUID = ORDER, **more: Any) -> LiveOrder:
    """An order to buy 10 at 100 rupees, of which nothing was sent, after some news."""
    fields = {
        "id": order_id,
        "instrument": "NSE:STOCK7",
        "side": Side.BUY,
        "product": Product.MIS,
        "variety": Variety.REGULAR,
        "terms": own or terms(),
        "expires_at_ms": at("15:30"),
        "tags": frozenset({tag_of(HOUSE, order_id, 1)}),
    }
    return take_all(LiveOrder(**(fields | more)), list(evidence)).order


def placing(sending: Sending = Sending.ACKED, at_ms: int = 0, *, attempt: int = 1, **more: Any) -> Placing:
    ids = (BROKER_ID,) if sending is Sending.ACKED else ()
    return Placing(sending, at_ms or at(), attempt, **({"tag": TAG, "order_ids": ids} | more))


def snapshot(
    status: OrderStatus | str = OrderStatus.OPEN, filled: int = 0, *, at_ms: int = 0, **more: Any
) -> OrderSnapshot:
    """What Kite shows of the order of `live`."""
    text = status.value if isinstance(status, OrderStatus) else status
    fields = {
        "order_id": BROKER_ID,
        "status": status if isinstance(status, OrderStatus) else None,
        "status_text": text,
        "instrument": "NSE:STOCK7",
        "side": Side.BUY,
        "quantity": 10,
        "filled": filled,
        "order_type": "LIMIT",
        "product": "MIS",
        "validity": "DAY",
        "variety": "regular",
        "limit_price_e4": e4(100),
        "trigger_price_e4": None,
        "disclosed_quantity": 0,
        "at_ms": at_ms or at(),
        "placed_at_ms": at(),
        "reason": "",
        "tags": (TAG,),
        "parent_id": "",
    }
    return OrderSnapshot(**(fields | more))


def seen(
    status: OrderStatus | str = OrderStatus.OPEN, filled: int = 0, received_ms: int = 0, **more: Any
) -> Seen:
    return Seen(snapshot(status, filled, **more), received_ms or at())


def trade(number: int = 1, quantity: int = 10, price: object = 100, **more: Any) -> TradeRow:
    fields = {
        "exchange": "NSE",
        "trade_id": str(number),
        "order_id": BROKER_ID,
        "instrument": "NSE:STOCK7",
        "side": Side.BUY,
        "product": "MIS",
        "quantity": quantity,
        "price_e4": e4(price),
        "at_ms": at() + number,
    }
    return TradeRow(**(fields | more))


def traded(number: int = 1, quantity: int = 10, price: object = 100, **more: Any) -> Traded:
    return Traded(trade(number, quantity, price, **more), at() + number)


def kite_time(at_ms: int) -> str:
    return ist_text(at_ms)[:19].replace("T", " ")


def order_row(**more: Any) -> dict[str, Any]:
    """A row of the order book as Kite writes it."""
    row = {
        "order_id": BROKER_ID,
        "exchange_order_id": "1300000038792287",
        "parent_order_id": None,
        "status": "OPEN",
        "status_message": None,
        "status_message_raw": None,
        "order_timestamp": kite_time(at()),
        "exchange_update_timestamp": kite_time(at() + 1000),
        "exchange_timestamp": kite_time(at()),
        "variety": "regular",
        "exchange": "NSE",
        "tradingsymbol": "STOCK7",
        "order_type": "LIMIT",
        "transaction_type": "BUY",
        "validity": "DAY",
        "product": "MIS",
        "quantity": 10,
        "disclosed_quantity": 0,
        "price": 100.05,
        "trigger_price": 0,
        "average_price": 0,
        "filled_quantity": 0,
        "pending_quantity": 10,
        "cancelled_quantity": 0,
        "meta": {},
        "tag": TAG,
        "tags": [TAG],
    }
    return row | more


def body(rows: object, status: str = "success") -> bytes:
    return json.dumps({"status": status, "data": rows}).encode()
