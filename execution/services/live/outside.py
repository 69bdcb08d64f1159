"""What the account holds and has at work that no deployment here has asked for, told to risk: orders made elsewhere at
their worst, and positions. Shares that lay in the depository in the morning are no position."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from alphapanda.core.clock import ist_date, to_ms
from alphapanda.core.money import ZERO
from alphapanda.core.vocabulary import Broker, Product, Side
from alphapanda.prepared import Prepared
from execution.domain.kite.account import Outside as Account
from execution.domain.kite.account import place_of, twins
from execution.domain.kite.rows import OrderSnapshot, Where
from execution.models import ExternalOrder
from execution.services.live.looking import Book
from marketdata.domain.instruments import InstrumentSpec
from marketdata.selectors import specs_by_key
from risk.domain.context import Outside
from risk.domain.figures import underlying
from risk.domain.margins import NoMarginRate, Opening, blocked
from risk.models import AccountOutside
from risk.reference import margin_tables


def tell(known: Account, book: Book, now: datetime) -> None:
    """Let risk count what is outside by a look, where it has changed."""
    orders = [msgspec.convert(snapshot, OrderSnapshot, strict=False) for (snapshot,) in _working()]
    rows = msgspec.to_builtins(_rows(_positions(known), orders, book, ist_date(to_ms(now))))
    kept = [one.rows for one in _told()]
    before = kept[0] if kept else []
    rows = [next((one for one in before if _is_much_the_same(one, row)), row) for row in rows]
    if kept != [rows]:
        facts = {"rows": rows, "told_at": now}
        AccountOutside.objects.update_or_create(broker=Broker.ZERODHA, defaults=facts)


_working = Prepared(lambda: ExternalOrder.objects.filter(is_open=True).values_list("snapshot"))
_told = Prepared(lambda: AccountOutside.objects.filter(broker=Broker.ZERODHA))


def _is_much_the_same(before: dict[str, Any], row: dict[str, Any]) -> bool:
    """Whether nothing has moved but the price, by a twentieth at most: every change is a row of each deployment."""
    is_near = abs(before["price_e4"] - row["price_e4"]) * 20 <= before["price_e4"]
    moving = {"price_e4": 0, "margin": None}
    return (
        is_near and before | moving == row | moving and (before["margin"] is None) is (row["margin"] is None)
    )


def _positions(known: Account) -> dict[Where, int]:
    """Of delivery what others did today, of all else what is held."""
    held = {place_of(name): units for name, units in known.units.items()}
    found = {where: units for where, units in held.items() if where.product != Product.CNC}
    traded = {place_of(name): units for name, units in known.fills.items()}
    return found | {where: units for where, units in traded.items() if where.product == Product.CNC}


def _rows(held: dict[Where, int], orders: Iterable[OrderSnapshot], book: Book, day: date) -> list[Outside]:
    working: dict[Where, list[OrderSnapshot]] = defaultdict(list)
    for order in orders:
        working[Where(order.instrument, order.product)].append(order)
    places = sorted({*held, *working}, key=lambda where: (where.instrument, where.product))
    specs = specs_by_key({where.instrument for where in places}) if places else {}
    rows = [_row(where, held.get(where, 0), working[where], book) for where in places]
    return [_known(row, specs.get(row.instrument), day) for row in rows if row.units or row.buy or row.sell]


def _row(where: Where, units: int, orders: list[OrderSnapshot], book: Book) -> Outside:
    """Each order may fill whole, and the others not at all."""
    left = {side: sum(one.quantity - one.filled for one in orders if one.side is side) for side in Side}
    names = twins(where.instrument) if where.product == Product.CNC else (where.instrument,)
    told = [(book.positions or {}).get(Where(name, where.product)) for name in names]
    told += [(book.holdings or {}).get(name) for name in names]
    prices = [one.price_e4 for one in told if one is not None]
    prices += [price for one in orders for price in (one.limit_price_e4, one.trigger_price_e4) if price]
    return Outside(
        instrument=where.instrument,
        product=where.product,
        units=units,
        buy=left[Side.BUY],
        sell=left[Side.SELL],
        price_e4=max(prices, default=0),
    )


def _known(row: Outside, spec: InstrumentSpec | None, day: date) -> Outside:
    """The same with what the lists say of the instrument."""
    if spec is None:
        return row
    return msgspec.structs.replace(
        row, token=spec.token, underlying=underlying(spec), margin=_margin(row, spec, day)
    )


def _margin(row: Outside, spec: InstrumentSpec, day: date) -> Decimal | None:
    if row.product not in set(Product) or not row.price_e4:
        return None
    product, margins = Product(row.product), margin_tables()
    ends = ((Side.BUY, row.units + row.buy), (Side.SELL, row.sell - row.units))
    openings = [Opening(spec.token, side, units, row.price_e4) for side, units in ends if units > 0]
    try:
        rupees = [
            blocked(one, instrument=spec, product=product, margins=margins, day=day) for one in openings
        ]
    except NoMarginRate:
        return None
    return max(rupees, default=ZERO)
