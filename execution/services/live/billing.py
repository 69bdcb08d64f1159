"""What the trades of a day have cost by our tables, against what Kite says: asked once trading of the day is over."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db.models import F, Max, QuerySet

from alphapanda.core.clock import DAY_MS, IST_OFFSET_MS, ist_date, ist_midnight_ms, to_datetime, to_ms
from alphapanda.core.money import ZERO, value
from alphapanda.core.vocabulary import Broker, Severity, Side
from alphapanda.prepared import Prepared
from execution.domain.kite import bills, reconciling
from execution.domain.kite.bills import Bill, Charges
from execution.domain.kite.reconciling import Kind
from execution.domain.kite.wire import units_a_lot
from execution.models import BrokerDesk, Difference, Fill
from execution.services.live.calls import ANY_MS
from execution.services.live.evidence import ANY_TIME
from execution.services.live.looking import Book
from marketdata import selectors as market
from marketdata.domain.calendar import NoSession
from marketdata.domain.markets import UnknownMarket
from marketdata.models import Instrument
from risk.services.alerts import alert_raise

AFTER_CLOSE = timedelta(minutes=10)
UNREAD_MAX = 60  # looks at charges that Kite does not tell, half an hour, before their day is left alone
DAYS_BACK = timedelta(days=7)  # a process that did not run for longer leaves older days alone


def due(now: datetime) -> tuple[Bill, ...]:
    """The orders of the earliest day that is over and whose charges were not compared; none where there is none."""
    today = ist_date(to_ms(now))
    first = today - DAYS_BACK
    for (charged_on,) in _charged():
        first = max(first, charged_on + timedelta(days=1))
    for day, last in sorted(_last_trades(first).items()):
        return _bills(day) if day < today or _is_over(last, now) else ()
    return ()


_charged = Prepared(
    lambda: BrokerDesk.objects.filter(broker=Broker.ZERODHA, charged_on__isnull=False).values_list(
        "charged_on"
    )
)


def compare(book: Book) -> list[reconciling.Difference]:
    """Orders that cost another amount at Kite."""
    if book.charges is None:
        return []
    return [
        reconciling.Difference(Kind.CHARGES, bill.order_id, _told(bill.charges), _told(theirs))
        for bill, theirs in bills.unequal(book.asked.bills, book.charges)
    ]


def _told(charges: Charges) -> str:
    return f"{charges.total:.4f}, of it stamp duty {charges.stamp:.4f}"


def done(desk: BrokerDesk, book: Book) -> None:
    """The day of a book's bills is compared."""
    if book.charges is not None:
        asked = next(iter(book.asked.bills))
        desk.charged_on = asked.day


class Unread:
    """How often in a row Kite told no charges while it told the rest."""

    def __init__(self) -> None:
        self._times = 0

    def count(self, book: Book, now: datetime) -> None:
        if book.orders is None or not book.asked.bills:
            return
        self._times = self._times + 1 if book.charges is None else 0
        if self._times >= UNREAD_MAX:
            self._times = 0
            _give_up(book, now)


def _give_up(book: Book, now: datetime) -> None:
    """Leave the charges of a day alone that Kite does not tell, so that those of later days are compared. What differed
    in one look will be looked at no more: it counts as seen, or entries would wait for it after each start."""
    day = next(iter(book.asked.bills)).day
    differing = Difference.objects.filter(
        kind=Kind.CHARGES, settled_at=None, rounds__lt=reconciling.HALT_AFTER
    )
    differing.update(rounds=reconciling.HALT_AFTER)
    BrokerDesk.objects.filter(broker=Broker.ZERODHA).update(charged_on=day)
    alert_raise(
        code="charges_unread",
        subject=str(day),
        text=f"Kite did not tell the charges of {len(book.asked.bills)} orders of {day}: compare the contract note",
        severity=Severity.WARNING,
        now=now,
    )


def _trades() -> QuerySet[Fill]:
    """Trades at the broker. What the books settled by themselves is no trade."""
    return Fill.objects.filter(broker=Broker.ZERODHA, trade_key__isnull=False)


def _last_trades(first: date) -> dict[date, dict[int, int]]:
    """When each instrument was traded last at the broker, by days from one on. It is asked for all day long, so the
    trades themselves are not read."""
    began_ms = ist_midnight_ms(first)
    found: dict[date, dict[int, int]] = defaultdict(dict)
    for _, instrument_id, at_ms in _last_since(to_datetime(began_ms), began_ms):
        found[ist_date(at_ms)][instrument_id] = at_ms
    return found


_last_since = Prepared(
    lambda began_at, began_ms: (
        _trades()
        .filter(created_at__gte=began_at, at_ms__gte=began_ms)
        .annotate(day=(F("at_ms") + IST_OFFSET_MS) / DAY_MS)
        .values_list("day", "order__instrument")
        .annotate(at=Max("at_ms"))
    ),
    ANY_TIME,
    ANY_MS,
)


def _is_over(last: Mapping[int, int], now: datetime) -> bool:
    """Whether trading of the day is over in every market in which it was traded; where its hours are not known, it is
    on the next day."""
    hours, traded = market.calendars(), Instrument.objects.in_bulk(list(last))
    try:
        ends = {hours.of(market.spec(traded[one])).closes_ms(at_ms) for one, at_ms in last.items()}
    except (UnknownMarket, NoSession):
        return False
    return now >= to_datetime(max(ends)) + AFTER_CLOSE


def _bills(day: date) -> tuple[Bill, ...]:
    began_ms, by_order = ist_midnight_ms(day), defaultdict[str, list[Fill]](list)
    fills = _trades().filter(at_ms__gte=began_ms, at_ms__lt=began_ms + DAY_MS)
    for fill in fills.select_related("order__instrument").order_by("at_ms"):
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
