"""Figures in words: amounts in their shortest form, limits as JSON."""

from __future__ import annotations

from datetime import time
from decimal import Decimal
from typing import Any

from risk.domain.limits import Limits, given


def text(amount: Decimal) -> str:
    """An amount in its shortest form, so that 0.00 and 0 read the same."""
    return f"{amount.normalize():f}"


def plain(limit: Any) -> Any:
    """A limit as JSON."""
    if isinstance(limit, Decimal):
        return text(limit)
    if isinstance(limit, time):
        return limit.isoformat()
    return list(limit) if isinstance(limit, tuple) else limit


def written(limits: Limits) -> dict[str, Any]:
    """The limits that are set, as JSON."""
    return {name: plain(limit) for name, limit in given(limits).items()}
