"""Rows of live orders turned into what the domain knows of them, and back."""

from __future__ import annotations

from typing import Any

import msgspec

from execution import loading
from execution.domain.kite.orders import LiveOrder
from execution.domain.orders import PaperOrder
from execution.models import BrokerOrder, Order

CHANGING = (
    "status", "reason", "quantity", "filled_quantity", "fills_count", "turnover", "leg_turnover", "limit_price_e4",
    "trigger_price_e4", "modifications", "events_count", "updated_at_ms",
)  # fmt: skip


def written(order: LiveOrder) -> dict[str, Any]:
    """What is known of an order, as JSON."""
    told: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(order))
    return told


def known(row: BrokerOrder) -> LiveOrder:
    """What is known of an order."""
    return msgspec.convert(row.state, LiveOrder, strict=False)


def order_save(row: Order, order: PaperOrder) -> None:
    """The order as its deployment sees it now."""
    columns = loading.order_columns(order)
    for name in CHANGING:
        setattr(row, name, columns[name])
    row.save(update_fields=CHANGING)
