"""Quotes in the shape of Kite's answers."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from alphapanda.core.clock import ist_date
from alphapanda.kite_simulator import parsing
from alphapanda.kite_simulator.clock import SimClock
from alphapanda.kite_simulator.listing import Listing
from alphapanda.kite_simulator.market import Market
from alphapanda.kite_simulator.orders import Row
from alphapanda.kite_simulator.wire import rupees
from execution.domain.bands import circuit_limits_e4
from marketdata.domain.ticks import DEPTH_LEVELS, Levels, Tick

TRIGGER_PERCENT = 5  # how far from the last price a trigger may be


def last_price(tick: Tick) -> Row:
    return {"instrument_token": tick.token, "last_price": rupees(tick.price_e4)}


def ohlc(tick: Tick, market: Market) -> Row:
    """`close` is that of the day before."""
    day = market.days[tick.token]
    prices = {"open": day.open_e4, "high": day.high_e4, "low": day.low_e4, "close": day.close_e4}
    return last_price(tick) | {"ohlc": {name: rupees(price) for name, price in prices.items()}}


def quote(
    tick: Tick, market: Market, listing: Listing, clock: SimClock, circuit_percent: Decimal | None
) -> Row:
    day, spec = market.days[tick.token], listing.on(tick.token, ist_date(tick.at_ms))
    lower, upper = circuit_limits_e4(spec, day.close_e4, circuit_percent)
    change_e4 = tick.price_e4 - day.close_e4 if day.close_e4 else 0
    return {
        "instrument_token": tick.token,
        "timestamp": clock.text(tick.at_ms),
        "last_trade_time": clock.text(tick.traded_at_ms or tick.at_ms),
        "last_price": rupees(tick.price_e4),
        "last_quantity": tick.quantity,
        "buy_quantity": tick.buy_quantity,
        "sell_quantity": tick.sell_quantity,
        "volume": max(tick.volume, 0),
        "average_price": rupees(tick.average_e4),
        "oi": tick.oi,
        "oi_day_high": day.oi_high,
        "oi_day_low": day.oi_low,
        "net_change": rupees(change_e4),
        "lower_circuit_limit": rupees(lower),
        "upper_circuit_limit": rupees(upper),
        "ohlc": ohlc(tick, market)["ohlc"],
        "depth": {"buy": _levels(tick.bids), "sell": _levels(tick.asks)},
    }


def _levels(levels: Levels) -> list[Row]:
    filled = [*levels, *[(0, 0)] * (DEPTH_LEVELS - len(levels))]
    return [
        {"price": rupees(price_e4), "quantity": size, "orders": 1 if size else 0} for price_e4, size in filled
    ]


def trigger_range(tick: Tick, *, is_purchase: bool) -> Row:
    ends = (100 - TRIGGER_PERCENT, 100) if is_purchase else (100, 100 + TRIGGER_PERCENT)
    lower, upper = (rupees(tick.price_e4 * end // 100) for end in ends)
    return {"instrument_token": tick.token, "lower": lower, "upper": upper}


def of_keys(keys: Iterable[str], listing: Listing, market: Market) -> dict[str, Tick]:
    """The last tick of each key; what is unknown or has no price is silently absent. A token stands for itself."""
    found = {}
    for key in keys:
        spec = listing.by_token.get(int(key)) if parsing.is_whole(key) else listing.by_key.get(key)
        tick = market.last(spec.token) if spec else None
        if tick is not None:
            found[key] = tick
    return found
