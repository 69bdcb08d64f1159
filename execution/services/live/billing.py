"""What the trades of a day have cost by our tables, against what Kite says: asked once trading of the day is over."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal

from alphapanda.core.clock import ist_date, ist_midnight_ms, to_datetime, to_ms
from alphapanda.core.money import ZERO, value
from alphapanda.core.vocabulary import Broker, Side
from execution.domain.kite import bills
from execution.domain.kite.bills import Bill, Charges
from execution.domain.kite.reconciling import Difference, Kind
from execution.domain.kite.wire import units_a_lot
from execution.models import BrokerDesk, Fill
from execution.services.live.looking import Book
from marketdata import selectors as market
from marketdata.domain.calendar import NoSession
from marketdata.domain.markets import UnknownMarket

AFTER_CLOSE = timedelta(minutes=10)
DAYS_BACK = timedelta(days=7)  # a process that did not run for longer leaves older days alone


def due(now: datetime) -> tuple[Bill, ...]:
    """The orders of the earliest day that is over and whose charges were not compared; none where there is none."""
    today = ist_date(to_ms(now))
    desk = BrokerDesk.objects.get(broker=Broker.ZERODHA)
    first = today - DAYS_BACK
    if desk.charged_on is not None:
        first = max(first, desk.charged_on + timedelta(days=1))
    for day, fills in sorted(_fills_by_day(first).items()):
        return _bills(fills) if day < today or _is_over(fills, now) else ()
    return ()


def compare(book: Book) -> list[Difference]:
    """Orders that cost another amount at Kite."""
    if book.charges is None:
        return []
    return [
        Difference(Kind.CHARGES, bill.order_id, _told(bill.charges), _told(theirs))
        for bill, theirs in bills.unequal(book.asked.bills, book.charges)
    ]


def _told(charges: Charges) -> str:
    return f"{charges.total:.4f}, of it stamp duty {charges.stamp:.4f}"


def done(desk: BrokerDesk, book: Book) -> None:
    """The day of a book's bills is compared."""
    if book.charges is not None:
        asked = next(iter(book.asked.bills))
        desk.charged_on = asked.day


def _fills_by_day(first: date) -> dict[date, list[Fill]]:
    """Trades at the broker from a day on. What the books settled by themselves is no trade."""
    began = to_datetime(ist_midnight_ms(first))
    rows = Fill.objects.filter(broker=Broker.ZERODHA, trade_key__isnull=False, created_at__gte=began)
    found: dict[date, list[Fill]] = defaultdict(list)
    for fill in rows.filter(at_ms__gte=to_ms(began)).select_related("order__instrument").order_by("at_ms"):
        found[ist_date(fill.at_ms)].append(fill)
    return found


def _is_over(fills: Iterable[Fill], now: datetime) -> bool:
    """Whether trading of the day is over in every market in which it was traded; where its hours are not known, it is
    on the next day."""
    hours = market.calendars()
    try:
        ends = {hours.of(market.spec(fill.order.instrument)).closes_ms(fill.at_ms) for fill in fills}
    except (UnknownMarket, NoSession):
        return False
    return now >= to_datetime(max(ends)) + AFTER_CLOSE


def _bills(fills: Iterable[Fill]) -> tuple[Bill, ...]:
    by_order: dict[str, list[Fill]] = defaultdict(list)
    for fill in fills:
        by_order[(fill.trade_key or "").rpartition(":")[2]].append(fill)
    return tuple(_bill(order_id, some) for order_id, some in sorted(by_order.items()))


def _bill(order_id: str, fills: list[Fill]) -> Bill:
    order, units = fills[0].order, sum(fill.quantity for fill in fills)
    worth = sum((value(fill.price_e4, fill.quantity) for fill in fills), ZERO)
    lines = [(name, Decimal(amount)) for fill in fills for name, amount in fill.charges.items()]
    return Bill(
        order_id=order_id,
        day=ist_date(fills[0].at_ms),
        exchange=order.instrument.exchange,
        symbol=order.instrument.tradingsymbol,
        side=Side(order.side),
        variety=order.variety,
        product=order.product,
        order_type=order.order_type,
        quantity=units // units_a_lot(market.spec(order.instrument)),
        average_price=worth / units,
        charges=Charges(
            sum((amount for _, amount in lines), ZERO),
            sum((amount for name, amount in lines if name == "stamp"), ZERO),
        ),
    )
