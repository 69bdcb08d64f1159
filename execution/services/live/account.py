"""What the account holds against all our books: what is outside is kept and told to risk, what nothing explains is a
difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime
from typing import NamedTuple

import msgspec

from alphapanda.core.clock import ist_date, to_ms
from alphapanda.core.vocabulary import Broker, Side
from execution.domain.kite import account
from execution.domain.kite.account import Held, Outside
from execution.domain.kite.reconciling import Difference, Ours, of_gap, traded_units
from execution.domain.kite.rows import OrderSnapshot, Where
from execution.domain.live import Reported
from execution.models import BrokerDesk, BrokerOrder
from execution.services.live import outside, states
from execution.services.live.looking import Book
from marketdata.domain.instruments import InstrumentSpec
from marketdata.domain.markets import UnknownMarket
from marketdata.selectors import calendars, specs_by_key
from portfolio.models import Position, Posting
from risk.loading import product_of
from strategies.models import Deployment, Report

CASH = ("NSE", "BSE")  # where nothing expires


class Compared(NamedTuple):
    """`is_whole`: all was read that is to be compared."""

    differences: list[Difference]
    is_whole: bool


def compare(desk: BrokerDesk, ours: Ours, book: Book, now: datetime) -> Compared:
    """Compare, and keep on the desk's row what is outside and what Kite says of funds; the caller saves it."""
    if book.funds is not None:
        desk.funds, desk.funds_at = msgspec.to_builtins(book.funds), now
    if book.positions is None or book.orders is None or _is_of_before(book.orders, to_ms(now)):
        return Compared([], is_whole=False)
    more, others = traded_units(ours, book.orders)
    held = positions()
    held.update(more)
    before, shares = outside_of(desk), book.holdings
    look = Held(
        day=account.day_of(to_ms(now)),
        ours=held,
        fills=others,
        positions={where: amount.units for where, amount in book.positions.items()},
        delivered=None if shares is None else {key: amount.units for key, amount in shares.items()},
        watched=_watched(held, ours),
        ended=_ended({*held, *others, *book.positions, *account.places_of(before)}, now),
    )
    known, gaps = account.looked(before, look)
    desk.outside = msgspec.to_builtins(known)
    outside.tell(known, book, now)
    return Compared([of_gap(gap) for gap in gaps], is_whole=known.delivered is not None)


def outside_of(desk: BrokerDesk) -> Outside:
    """What is outside as it was known last."""
    return msgspec.convert(desk.outside, Outside)


def _is_of_before(rows: Iterable[OrderSnapshot], now_ms: int) -> bool:
    """Whether Kite still shows the book of the day before: something in it traded then."""
    began_ms = account.began_ms(now_ms)
    return any(row.filled and row.at_ms < began_ms for row in rows)


def _ended(places: Iterable[Where], now: datetime) -> set[str]:
    """Contracts in which trading has ended for good."""
    keys = {where.instrument for where in places if where.instrument.partition(":")[0] not in CASH}
    specs = specs_by_key(keys) if keys else {}
    return {
        key
        for key, spec in specs.items()
        if spec.expiry is not None and _is_over(spec, spec.expiry, to_ms(now))
    }


def _is_over(spec: InstrumentSpec, expiry: date, now_ms: int) -> bool:
    today = ist_date(now_ms)
    if expiry != today:
        return expiry < today
    try:
        ends_ms = calendars().of(spec).expiry_closes_ms(now_ms)
    except UnknownMarket:
        return False
    return ends_ms is not None and now_ms >= ends_ms


def _watched(held: Iterable[Where], ours: Ours) -> set[str]:
    """Instruments that our deployments trade, that our books hold, or that orders of the day are in."""
    through = Deployment.instruments.through.objects.filter(deployment__broker=Broker.ZERODHA)
    traded = through.values_list("instrument__exchange", "instrument__tradingsymbol").distinct()
    return {
        *(f"{exchange}:{symbol}" for exchange, symbol in traded),
        *(where.instrument for where in held),
        *(order.instrument for order in ours.orders),
    }


def positions() -> Counter[Where]:
    """Units by instrument and product, of all our books at the broker, with the trades that wait to be booked."""
    rows = (
        Position.objects.filter(book__broker=Broker.ZERODHA).exclude(quantity=0).select_related("instrument")
    )
    products = {row.id: product_of(row) for row in Deployment.objects.filter(broker=Broker.ZERODHA)}
    held: Counter[Where] = Counter()
    for row in rows:
        held[Where(str(row.instrument), products[row.book_id])] += row.quantity
    for posting in Posting.objects.filter(book__broker=Broker.ZERODHA, state=Posting.State.NEW):
        where = Where(posting.fill["instrument"], products[posting.book_id])
        held[where] += Side(posting.fill["side"]).sign * posting.fill["quantity"]
    for report in Report.objects.filter(booked_at=None):
        told = msgspec.convert(report.data, Reported, strict=False)
        live = states.known(BrokerOrder.objects.get(order_id=told.order_id))
        for fill in told.fills:
            held[Where(live.instrument, live.product)] += live.side.sign * fill.quantity
    return held
