"""Carrying out decisions at the paper exchange, inside the transactions of `execution.services.chain`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date
from uuid import UUID

import msgspec
from django.db.models import QuerySet

from alphapanda.core.clock import ist_date
from alphapanda.core.envelope import Envelope
from alphapanda.core.vocabulary import Broker
from alphapanda.eventlog import outbox
from execution import loading, reference
from execution.domain import paper
from execution.domain.paper import OrderEventRow, Outcome, PaperOrder, PaperSettings, Standing, Venue
from execution.domain.settlement import charged
from execution.models import Order, OrderEvent
from execution.services import events
from execution.services.fills import fills_write
from marketdata import selectors as market
from marketdata.domain.calendar import MarketHours
from marketdata.domain.ticks import tick_from_json
from marketdata.models import Instrument
from portfolio import selectors as books
from risk.reference import margin_tables
from strategies import loading as deployments
from strategies.domain.signals import Mark
from strategies.models import Deployment, Due, Signal

CHANGING = (
    "status", "reason", "filled_quantity", "fills_count", "turnover", "updated_at_ms", "quantity", "order_type",
    "limit_price_e4", "trigger_price_e4", "triggered_at_ms", "validity", "validity_minutes", "disclosed_quantity",
    "eligible_from_ms", "expires_at_ms", "release_ms", "leg", "leg_turnover", "modifications", "events_count",
    "pending", "place",
)  # fmt: skip


def _settings(deployment: Deployment) -> PaperSettings:
    options = {name: value for name, value in deployment.execution.items() if name != "product"}
    return msgspec.convert(options, PaperSettings)


def carry_out(deployment: Deployment, signals: Sequence[Signal], calendar: MarketHours) -> None:
    """Place, cancel and modify orders at the paper exchange, as approved signals of one step ask for."""
    rows = _open_rows(deployment.id)
    targets = [signal.target for signal in signals if signal.target is not None]
    rows |= {row.id: row for row in _with_instruments(Order.objects.filter(id__in=targets))}
    orders = {row_id: loading.paper_order(row) for row_id, row in rows.items()}
    standing = Standing(
        orders={order.id: order for order in orders.values() if not order.status.is_final},
        holdings=books.holdings_of(deployment.id),
        memory=loading.memory_of(deployment.id),
    )
    # an order may be older than the deployment's instruments
    known = [row.instrument for row in rows.values()]
    known += deployments.instruments_of(deployment.id).values()
    venue = _venue(deployment, known, calendar, day=ist_date(signals[0].at_ms))
    asked = [deployments.signal_row(signal) for signal in signals]
    outcome = paper.carry_out(asked, standing, venue, ended=orders)
    instruments = {signal.token: row.instrument_id for signal, row in zip(asked, signals, strict=True)}
    placed = [order for order in outcome.orders.values() if order.id not in rows]
    new = {order.id: _row(order, deployment, instruments[order.token]) for order in placed}
    Order.objects.bulk_create(new.values())
    submitted = [event for order in placed for event in events.placed(order, Broker.PAPER)]
    _keep(outcome, rows | new, venue, is_new=new.keys(), step=signals[0].step, before=submitted)


def _venue(
    deployment: Deployment, instruments: Iterable[Instrument], calendar: MarketHours, *, day: date
) -> Venue:
    listed = {spec.token: spec for spec in map(market.spec, instruments)}
    calendars = {token: calendar.of(spec) for token, spec in listed.items()}
    specs = {token: calendars[token].ruled(spec, day) for token, spec in listed.items()}
    return Venue(_settings(deployment), specs, calendars, margin_tables())


def _with_instruments(rows: QuerySet[Order]) -> QuerySet[Order]:
    return rows.select_related("instrument").order_by("step", "ordinal")


def _open_rows(deployment_id: UUID) -> dict[UUID, Order]:
    return {row.id: row for row in loading.orders_open(deployment_id)}


def _row(order: PaperOrder, deployment: Deployment, instrument_id: int) -> Order:
    return Order(
        **loading.order_columns(order),
        deployment=deployment,
        broker=deployment.broker,
        instrument_id=instrument_id,
    )


def match(deployment: Deployment, due: Due, calendar: MarketHours) -> int:
    """Match working orders against the item of a due row; how many trades."""
    rows = _open_rows(deployment.id)
    memory = loading.memory_of(deployment.id)
    item = tick_from_json(due.item)
    instruments = [row.instrument for row in rows.values()]
    venue = _venue(deployment, instruments, calendar, day=ist_date(item.at_ms))
    outcome = paper.match(
        [loading.paper_order(row) for row in rows.values()],
        item,
        venue=venue,
        memory=memory,
        clock_ms=due.clock_ms,
        marks=msgspec.convert(due.marks, dict[int, Mark], strict=False),
    )
    _keep(outcome, rows, venue, step=due.step)
    if outcome.memory != memory:
        loading.memory_store(deployment.id, outcome.memory)
    return len(outcome.executions)


def _keep(
    outcome: Outcome,
    rows: dict[UUID, Order],
    venue: Venue,
    *,
    step: int,
    is_new: Collection[UUID] = (),
    before: Sequence[Envelope] = (),
) -> None:
    """Store what came of an item or of decisions, with its events; the fills are handed to the books."""
    changed = outcome.orders.values()
    fills = charged(
        outcome.executions,
        changed,
        step=step,
        cards=reference.charge_cards(),
        instruments=venue.instruments,
    )
    _save(rows, [order for order in changed if order.id not in is_new])
    OrderEvent.objects.bulk_create(_order_event(row) for row in outcome.history)
    told = [
        events.changed(row, outcome.orders[row.order_id], Broker.PAPER) for row in _to_tell(outcome, is_new)
    ]
    filled = [events.filled(fill, rows[fill.fill.order_id]) for fill in fills]
    failed = [
        events.failed(order, Broker.PAPER)
        for order in changed
        if order.id not in is_new and order.status.is_final and _has_ended_here(order, outcome)
    ]
    outbox.publish([*before, *told, *filled, *failed])
    fills_write(rows, fills, filled)


def _to_tell(outcome: Outcome, is_new: Collection[UUID]) -> list[OrderEventRow]:
    """Rows of history that no other event tells of: placing, trading and ending have events of their own."""
    return [
        row
        for row in outcome.history
        if row.order_id not in is_new and (row.decision_id is not None or not row.status.is_final)
    ]


def _has_ended_here(order: PaperOrder, outcome: Outcome) -> bool:
    """Whether an order ended by this without trading in full."""
    ends = {row.order_id for row in outcome.history if row.status.is_final and row.decision_id is None}
    return bool(order.unfilled) and order.id in ends


def _order_event(row: OrderEventRow) -> OrderEvent:
    return OrderEvent(id=row.id, **msgspec.structs.asdict(row))


def _save(rows: dict[UUID, Order], changed: Sequence[PaperOrder]) -> None:
    for order in changed:
        columns = loading.order_columns(order)
        for name in CHANGING:
            setattr(rows[order.id], name, columns[name])
        rows[order.id].save(update_fields=CHANGING)
