"""Reports booked: orders, their history and trades as a deployment hears of them. Inside the caller's transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

import msgspec
from django.utils import timezone

from alphapanda.core.clock import ist_date
from alphapanda.core.money import ZERO, value
from alphapanda.core.vocabulary import Broker
from alphapanda.eventlog import outbox
from execution import loading, reference
from execution.domain import live
from execution.domain.kite.reducer import NewFill
from execution.domain.settlement import FillRow, charged, named
from execution.models import Fill, Order, OrderEvent
from execution.services import events
from execution.services.fills import fills_write
from execution.services.live import states
from marketdata import selectors as market
from marketdata.domain.calendar import MarketHours
from strategies.models import Deployment, Due, Report


def match(_deployment: Deployment, due: Due, calendar: MarketHours) -> int:
    """Book what a due row stands for: a report, or nothing where only losses are looked at; how many trades."""
    if due.report_id is None:
        return 0
    return book(Report.objects.get(id=due.report_id), calendar, step=due.step)


def book(report: Report, calendar: MarketHours, *, step: int) -> int:
    """Book a report once; how many trades it brought."""
    if report.booked_at is not None:
        return 0
    told = msgspec.convert(report.data, live.Reported, strict=False)
    row = Order.objects.select_related("instrument").get(id=told.order_id)
    before = loading.paper_order(row)
    heard = live.heard(before, told, _legs(row))
    fills = _charged(row, heard, told.fills, calendar, step)
    states.order_save(row, heard.order)
    OrderEvent.objects.bulk_create(OrderEvent(id=one.id, **msgspec.structs.asdict(one)) for one in heard.rows)
    _tell(row, before.status.is_final, heard, fills, told.fills)
    report.booked_at = timezone.now()
    report.save(update_fields=["booked_at"])
    return len(fills)


def _legs(row: Order) -> dict[str, Decimal]:
    """Rupees traded so far by the broker's order."""
    traded: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for fill in Fill.objects.filter(order=row):
        traded[(fill.trade_key or "").rpartition(":")[2]] += value(fill.price_e4, fill.quantity)
    return dict(traded)


def _charged(
    row: Order, heard: live.Heard, fills: Sequence[NewFill], calendar: MarketHours, step: int
) -> list[FillRow]:
    """Trades with what our tables say they cost: the contract note says so in the evening."""
    spec = market.spec(row.instrument)
    day = ist_date(heard.executions[0].at_ms) if heard.executions else ist_date(row.placed_at_ms)
    specs = {spec.token: calendar.of(spec).ruled(spec, day)}
    made = charged(
        heard.executions,
        [heard.order],
        step=step,
        cards=reference.charge_cards(),
        instruments=specs,
    )
    return [named(one, fill.id) for one, fill in zip(made, fills, strict=True)]


def _tell(
    row: Order, was_over: bool, heard: live.Heard, fills: Sequence[FillRow], named: Sequence[NewFill]
) -> None:
    """Events, fills and their hand-over to the books."""
    is_failed = heard.order.status.is_final and not was_over and heard.order.unfilled > 0
    filled = [events.filled(fill, row) for fill in fills]
    changed = [
        events.changed(one, heard.order, Broker.ZERODHA) for one in heard.rows if not one.status.is_final
    ]
    failed = [events.failed(heard.order, Broker.ZERODHA)] if is_failed else []
    outbox.publish([*changed, *filled, *failed])
    fills_write({row.id: row}, fills, filled, trade_keys={fill.id: fill.trade_key for fill in named})
