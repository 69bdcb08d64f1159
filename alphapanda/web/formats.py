"""How amounts and times are written for people and for programs."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from babel.numbers import format_decimal

from alphapanda.core.clock import IST, ist_text, to_datetime
from alphapanda.core.money import to_rupees


def plain(amount: Decimal) -> str:
    """Rupees as decimal text without exponent, with two places at least."""
    text = format(amount, "f")
    whole, _, places = text.partition(".")
    return f"{whole}.{places.rstrip('0').ljust(2, '0')}"


def rupees(amount: Decimal) -> str:
    """Rupees for people, with lakh and crore grouping: ₹12,34,567.50."""
    text = format_decimal(abs(amount), format="#,##,##0.00##", locale="en_IN")
    return f"{'-' if amount < 0 else ''}₹{text}"


def ist(at_ms: int) -> str:
    """A time for people: 2019-07-09 09:15:00.000 IST; nothing for 0, which means never."""
    if not at_ms:
        return ""
    moment = to_datetime(at_ms).astimezone(IST)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{at_ms % 1000:03d} IST"


def pretty(value: Any) -> str:
    """JSON, indented."""
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)


def presentable(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the read model as the API shows it: no scaled prices, no epoch times, no Decimal objects."""
    return dict(_presentable(name, value) for name, value in row.items())


def _presentable(name: str, value: Any) -> tuple[str, Any]:
    if isinstance(value, dict):
        return name, presentable(value)
    if isinstance(value, list):
        return name, [presentable(item) if isinstance(item, dict) else item for item in value]
    if isinstance(value, Decimal):
        return name, plain(value)
    if name.endswith("_e4") and value is not None:
        return name.removesuffix("_e4"), plain(to_rupees(int(value)))
    if name.endswith("at_ms") and value is not None:
        return name.removesuffix("_ms"), ist_text(int(value))
    return name, value
