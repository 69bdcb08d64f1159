"""What the account holds against all our books: what is outside is kept and told to risk, what nothing explains is a
difference."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import NamedTuple

import msgspec

from alphapanda.core.clock import ist_date, to_ms
from alphapanda.core.vocabulary import Broker
from alphapanda.prepared import Prepared
from execution.domain.kite import account
from execution.domain.kite.account import Held, Outside
from execution.domain.kite.reconciling import Difference, Ours, of_gap, traded_units
from execution.domain.kite.rows import OrderSnapshot, Where
from execution.models import BrokerDesk, BrokerName
from execution.services.live import outside, states
from execution.services.live.held import books
from execution.services.live.looking import Book
from marketdata.domain.instruments import InstrumentSpec
from marketdata.domain.markets import UnknownMarket
from marketdata.selectors import calendars, specs_by_key
from strategies.models import Deployment


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
    own, more, others = traded_units(ours, book.orders)
    held, taken = books()
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
        traded=own,
        booked=taken,
    )
    known, gaps = account.looked(before, look)
    desk.outside = msgspec.to_builtins(known)
    outside.tell(known, book, now)
    return Compared([of_gap(gap) for gap in gaps], is_whole=known.delivered is not None)


def outside_of(desk: BrokerDesk) -> Outside:
    """What is outside as it was known last."""
    return msgspec.convert(desk.outside, Outside)


def _is_of_before(rows: Iterable[OrderSnapshot], now_ms: int) -> bool:
    """Whether Kite still shows the book of the day before: something in it traded then. What we sent today did not,
    whatever the broker's clock says: that of a recording is another than ours."""
    began_ms = account.began_ms(now_ms)
    names = [{row.order_id, *row.tags} for row in rows if row.filled and row.at_ms < began_ms]
    if not names:
        return False
    known = BrokerName.objects.filter(states.sent_since("order", began_ms), name__in=set().union(*names))
    ours = set(known.values_list("name", flat=True))
    return any(ours.isdisjoint(one) for one in names)


def _ended(places: Iterable[Where], now: datetime) -> set[str]:
    """Contracts in which trading has ended for good."""
    keys = {where.instrument for where in places if where.instrument.partition(":")[0] not in account.CASH}
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
    return {
        *(f"{exchange}:{symbol}" for exchange, symbol in _traded()),
        *(where.instrument for where in held),
        *(order.instrument for order in ours.orders),
    }


_traded = Prepared(
    lambda: (
        Deployment.instruments.through.objects.filter(deployment__broker=Broker.ZERODHA)
        .values_list("instrument__exchange", "instrument__tradingsymbol")
        .distinct()
    )
)
