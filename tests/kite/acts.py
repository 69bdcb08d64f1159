"""Orders of tests, and what has become of them."""

from __future__ import annotations

from typing import Any

import requests
from kiteconnect import KiteConnect

from tests.kite.server import Served

DELIVERY = {"variety": "regular", "exchange": "NSE", "tradingsymbol": "INFY", "product": "CNC"}
BUY = {**DELIVERY, "transaction_type": "BUY", "quantity": 10, "order_type": "LIMIT", "price": 1500}


def statuses(kite: KiteConnect, order_id: str) -> list[str]:
    return [row["status"] for row in kite.order_history(order_id)]


def last(kite: KiteConnect, order_id: str) -> dict[str, Any]:
    (row,) = (row for row in kite.orders() if row["order_id"] == order_id)
    return row


def post(served: Served, order: dict[str, Any]) -> requests.Response:
    """An order as a form, past the official client."""
    kite = served.kite()
    headers = {"Authorization": f"token {kite.api_key}:{kite.access_token}"}
    fields = {name: value for name, value in order.items() if name != "variety" and value is not None}
    return requests.post(f"{served.url}/orders/{order['variety']}", fields, headers=headers, timeout=5)
