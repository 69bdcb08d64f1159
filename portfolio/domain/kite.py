"""Positions and holdings as Kite states them, so that ours can be laid beside a broker's.

A position has what was carried from the day before, and the day: bought and sold quantities with their values.
Its average is that of everything bought (for a long) or sold (for a short), closed units too, which is Kite's
rule (support.zerodha.com, "intraday trades average"): 50 at 280, sold, and 70 at 283 average 281.75; the books
keep 283. So profit is comparable between the two, and the average is not. `unrealised` is all of `pnl` and
`realised` is 0, as in every sample of Kite's.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from alphapanda.core.money import ZERO, to_rupees, value
from alphapanda.core.vocabulary import Side
from portfolio.domain.books import FLAT, BookedFill, Holding

PERCENT = 100


class KitePosition(msgspec.Struct, frozen=True):
    """One row of Kite's positions in its own words, in rupees; None where a price it needs is not known."""

    quantity: int
    overnight_quantity: int
    multiplier: int
    average_price: Decimal
    close_price: Decimal | None
    last_price: Decimal | None
    value: Decimal
    pnl: Decimal | None
    m2m: Decimal | None
    unrealised: Decimal | None
    realised: Decimal
    buy_quantity: int
    buy_price: Decimal
    buy_value: Decimal
    buy_m2m: Decimal | None
    sell_quantity: int
    sell_price: Decimal
    sell_value: Decimal
    sell_m2m: Decimal | None
    day_buy_quantity: int
    day_buy_price: Decimal
    day_buy_value: Decimal
    day_sell_quantity: int
    day_sell_price: Decimal
    day_sell_value: Decimal


class KiteHolding(msgspec.Struct, frozen=True):
    """The figures of one row of Kite's holdings, in rupees."""

    pnl: Decimal
    day_change: Decimal
    day_change_percentage: Decimal


class _Leg(msgspec.Struct, frozen=True):
    """One side of a position; `m2m` values carried units at the close of the day before."""

    quantity: int
    value: Decimal
    m2m: Decimal | None

    def price(self, multiplier: int) -> Decimal:
        return self.value / (self.quantity * multiplier) if self.quantity else ZERO


def net_position(
    carried: Holding,
    fills: Iterable[BookedFill],
    *,
    close_e4: int | None,
    last_e4: int | None,
    multiplier: int = 1,
) -> KitePosition:
    """What was carried (its cost before the multiplier) and a day's fills of one instrument."""
    todays = list(fills)
    day = {side: _of_day(todays, side, multiplier) for side in Side}
    both = {side: _with_carried(leg, carried, side, close_e4, multiplier) for side, leg in day.items()}
    return _position(carried.quantity, both, day, close_e4=close_e4, last_e4=last_e4, multiplier=multiplier)


def day_position(
    fills: Iterable[BookedFill], *, close_e4: int | None, last_e4: int | None, multiplier: int = 1
) -> KitePosition:
    """A day's fills of one instrument alone."""
    return net_position(FLAT, fills, close_e4=close_e4, last_e4=last_e4, multiplier=multiplier)


def holding_figures(
    *, quantity: int, average_price: Decimal, last_price: Decimal, close_price: Decimal, t1_quantity: int = 0
) -> KiteHolding:
    """A holding's profit and its change of a day. Raises ValueError where the close is not above 0."""
    return KiteHolding(
        pnl=(last_price - average_price) * (quantity + t1_quantity),
        day_change=last_price - close_price,
        day_change_percentage=day_change_percent(last_price, close_price),
    )


def day_change_percent(last_price: Decimal, close_price: Decimal) -> Decimal:
    """What a price has moved since the close of the day before. Raises ValueError where that is not above 0."""
    if close_price <= 0:
        raise ValueError(f"a close of {close_price} is no price to compare with")
    return (last_price - close_price) / close_price * PERCENT


def _of_day(fills: Iterable[BookedFill], side: Side, multiplier: int) -> _Leg:
    own = [fill for fill in fills if fill.side is side]
    worth = sum((value(fill.price_e4, fill.quantity) for fill in own), ZERO) * multiplier
    return _Leg(sum(fill.quantity for fill in own), worth, worth)


def _with_carried(leg: _Leg, carried: Holding, side: Side, close_e4: int | None, multiplier: int) -> _Leg:
    units = carried.quantity * side.sign
    if units <= 0:
        return leg
    at_close = None if close_e4 is None else leg.value + value(close_e4, units) * multiplier
    return _Leg(leg.quantity + units, leg.value + abs(carried.cost) * multiplier, at_close)


def _position(
    overnight: int,
    legs: dict[Side, _Leg],
    day: dict[Side, _Leg],
    *,
    close_e4: int | None,
    last_e4: int | None,
    multiplier: int,
) -> KitePosition:
    buy, sell = legs[Side.BUY], legs[Side.SELL]
    quantity = buy.quantity - sell.quantity
    open_leg = buy if quantity > 0 else sell
    worth = _worth(quantity, last_e4, multiplier)
    gained = sell.value - buy.value
    pnl = None if worth is None else gained + worth
    m2m = None if worth is None or buy.m2m is None or sell.m2m is None else sell.m2m - buy.m2m + worth
    return KitePosition(
        quantity=quantity,
        overnight_quantity=overnight,
        multiplier=multiplier,
        average_price=open_leg.price(multiplier) if quantity else ZERO,
        close_price=None if close_e4 is None else to_rupees(close_e4),
        last_price=None if last_e4 is None else to_rupees(last_e4),
        value=gained,
        pnl=pnl,
        m2m=m2m,
        unrealised=pnl,
        realised=ZERO,
        buy_quantity=buy.quantity,
        buy_price=buy.price(multiplier),
        buy_value=buy.value,
        buy_m2m=buy.m2m,
        sell_quantity=sell.quantity,
        sell_price=sell.price(multiplier),
        sell_value=sell.value,
        sell_m2m=sell.m2m,
        day_buy_quantity=day[Side.BUY].quantity,
        day_buy_price=day[Side.BUY].price(multiplier),
        day_buy_value=day[Side.BUY].value,
        day_sell_quantity=day[Side.SELL].quantity,
        day_sell_price=day[Side.SELL].price(multiplier),
        day_sell_value=day[Side.SELL].value,
    )


def _worth(quantity: int, last_e4: int | None, multiplier: int) -> Decimal | None:
    """Rupees of the open units; nothing is worth nothing, whatever the price."""
    if not quantity:
        return ZERO
    return None if last_e4 is None else value(last_e4, quantity) * multiplier
