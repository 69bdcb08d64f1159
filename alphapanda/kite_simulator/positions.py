"""Positions and holdings in the shape of Kite's answers; the figures are portfolio.domain.kite's."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from alphapanda.core.money import ZERO, to_e4, to_rupees
from alphapanda.core.vocabulary import Product
from alphapanda.kite_simulator import parsing
from alphapanda.kite_simulator.ledger import Demat, Ledger
from alphapanda.kite_simulator.listing import Listing
from alphapanda.kite_simulator.market import Market
from alphapanda.kite_simulator.orders import Row
from alphapanda.kite_simulator.wire import number
from portfolio.domain.kite import KitePosition, day_position, holding_figures, net_position


def positions(ledger: Ledger, listing: Listing, market: Market) -> Row:
    """Net: what was carried, and the day. Day: the day alone."""
    net, day = [], []
    for (token, product), place in ledger.places.items():
        if not place.fills and not place.carried.quantity:
            continue
        prices = _prices(market, token)
        net.append(_row(listing, token, product, net_position(place.carried, place.fills, **prices)))
        if place.fills:
            day.append(_row(listing, token, product, day_position(place.fills, **prices)))
    return {"net": net, "day": day}


def _prices(market: Market, token: int) -> dict[str, Any]:
    mark = market.mark(token)
    return {"close_e4": mark.close_before_e4 if mark else 0, "last_e4": mark.price_e4 if mark else 0}


def _row(listing: Listing, token: int, product: Product, one: KitePosition) -> Row:
    spec = listing.by_token[token]
    figures = {
        name: number(value) if isinstance(value, Decimal) else value or 0
        for name, value in msgspec.structs.asdict(one).items()
    }
    return {
        "tradingsymbol": spec.tradingsymbol,
        "exchange": spec.exchange,
        "instrument_token": token,
        "product": product.value,
        **figures,
    }


def holdings(ledger: Ledger, listing: Listing, market: Market, authorised_at: str) -> list[Row]:
    """The shares in the depository. What this day has sold has left `quantity` for `used_quantity`."""
    return [
        _holding(token, shares, ledger, listing, market) | {"authorised_date": authorised_at}
        for token, shares in ledger.demat.items()
    ]


def _holding(token: int, shares: Demat, ledger: Ledger, listing: Listing, market: Market) -> Row:
    spec, mark = listing.by_token[token], market.mark(token)
    used = min(ledger.sold_today(token), shares.units)
    quantity = max(0, shares.quantity - used)
    last = to_rupees(mark.price_e4) if mark else shares.average_price
    close = to_rupees(mark.close_before_e4) if mark and mark.close_before_e4 else last
    figures = holding_figures(
        quantity=quantity,
        average_price=shares.average_price,
        last_price=last,
        close_price=close,
        t1_quantity=shares.t1,
    )
    return {
        "tradingsymbol": spec.tradingsymbol,
        "exchange": spec.exchange,
        "instrument_token": token,
        "isin": "",  # no instrument list tells it
        "product": Product.CNC.value,
        "price": 0,
        "quantity": quantity,
        "used_quantity": used,
        "t1_quantity": shares.t1,
        "realised_quantity": shares.quantity,
        "authorised_quantity": shares.authorised,
        "authorised_date": "",
        "authorisation": {},
        "opening_quantity": shares.units,
        "short_quantity": 0,
        "collateral_quantity": 0,
        "collateral_type": "",
        "discrepancy": False,
        "average_price": number(shares.average_price),
        "last_price": number(last),
        "close_price": number(close),
        **{name: number(value) for name, value in msgspec.structs.asdict(figures).items()},
        "mtf": {"quantity": 0, "used_quantity": 0, "average_price": 0, "value": 0, "initial_margin": 0},
    }


def summary(rows: list[Row]) -> Row:
    """The sums over holdings."""
    units = [(row, row["quantity"] + row["t1_quantity"]) for row in rows]
    invested = sum((units_ * Decimal(row["average_price"]) for row, units_ in units), ZERO)
    current = sum((units_ * Decimal(row["last_price"]) for row, units_ in units), ZERO)
    before = sum((units_ * Decimal(row["close_price"]) for row, units_ in units), ZERO)
    return {
        "total_pnl": number(current - invested),
        "total_pnl_percent": number(_percent(current - invested, invested)),
        "today_pnl": number(current - before),
        "today_pnl_percent": number(_percent(current - before, before)),
        "invested_amount": number(invested),
        "current_value": number(current),
    }


def _percent(part: Decimal, whole: Decimal) -> Decimal:
    return round(part * 100 / whole, 4) if whole else ZERO


def demat_of(texts: list[str], listing: Listing, *, is_authorised: bool) -> dict[int, Demat]:
    """Shares written as EXCHANGE:SYMBOL=QUANTITY@PRICE. Raises ValueError."""
    return dict(_demat(text, listing, is_authorised=is_authorised) for text in texts)


def _demat(text: str, listing: Listing, *, is_authorised: bool) -> tuple[int, Demat]:
    key, _, rest = text.partition("=")
    quantity, _, price = rest.partition("@")
    if key not in listing.by_key or not parsing.is_whole(quantity) or not price:
        raise ValueError(f"{text!r}: write EXCHANGE:SYMBOL=QUANTITY@PRICE of an instrument in a list")
    average = to_rupees(to_e4(price))
    units = int(quantity)
    return listing.by_key[key].token, Demat(units, average, units if is_authorised else 0)
