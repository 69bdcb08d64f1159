"""Kite's snapshots of the market as plain values, prices as exact as Kite writes them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec


class Ohlc(msgspec.Struct, frozen=True):
    """The day so far; `close` is that of the day before."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


class DepthLevel(msgspec.Struct, frozen=True):
    """Orders at one price."""

    price: Decimal
    quantity: int
    orders: int


class Depth(msgspec.Struct, frozen=True):
    """Five levels of each side, the best first."""

    buy: list[DepthLevel]
    sell: list[DepthLevel]


class Quote(msgspec.Struct, frozen=True):
    """An instrument at a moment. Indices have neither depth nor limits. What Kite adds later is passed over."""

    instrument_token: int
    last_price: Decimal
    ohlc: Ohlc
    timestamp: str | None = None
    last_trade_time: str | None = None
    last_quantity: int = 0
    buy_quantity: int = 0
    sell_quantity: int = 0
    volume: int = 0
    average_price: Decimal = Decimal(0)
    oi: int = 0
    oi_day_high: int = 0
    oi_day_low: int = 0
    net_change: Decimal = Decimal(0)
    lower_circuit_limit: Decimal = Decimal(0)
    upper_circuit_limit: Decimal = Decimal(0)
    depth: Depth | None = None

    @property
    def day(self) -> date | None:
        """The day in India that it is of; none where it tells no time."""
        try:
            return datetime.fromisoformat(self.timestamp or "").date()
        except ValueError:
            return None


class BadQuote(ValueError):
    """A row of Kite's answer is no quote."""


def quotes_of(answer: Any) -> dict[str, Quote]:
    """The quotes of an answer by EXCHANGE:TRADINGSYMBOL. Raises BadQuote."""
    try:
        return msgspec.convert(answer, dict[str, Quote])
    except msgspec.ValidationError as error:
        raise BadQuote(f"Kite's answer is no quote: {error}") from None
