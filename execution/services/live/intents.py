"""Intents: orders and acts of approved signals, written with the calls that will be made for them. Nothing is sent."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from alphapanda.core import ids
from alphapanda.core.clock import ist_date
from alphapanda.core.envelope import Envelope
from alphapanda.core.vocabulary import Broker, SignalKind
from alphapanda.eventlog import outbox
from execution import loading, reference
from execution.domain import acts, live
from execution.domain.kite.budgets import Lane
from execution.domain.kite.orders import LiveOrder
from execution.domain.orders import OrderEventRow, PaperOrder, Terms
from execution.domain.settings import PaperSettings
from execution.domain.settlement import charged
from execution.domain.venue import Venue
from execution.models import BrokerCall, BrokerOrder, Order, OrderEvent
from execution.services import events
from execution.services.fills import fills_write
from execution.services.live import states
from marketdata import selectors as market
from marketdata.domain.calendar import MarketHours
from risk.domain.review import EXIT, WAY_OUT
from risk.reference import margin_tables
from strategies import loading as deployments
from strategies.domain.signals import SignalRow
from strategies.models import Deployment, Signal


def carry_out(deployment: Deployment, signals: Sequence[Signal], calendar: MarketHours) -> None:
    """Write what approved signals of one step ask for, inside the caller's transaction."""
    venue = _venue(deployment, calendar, signals[0].at_ms)
    told: list[Envelope] = []
    for row in signals:
        signal = deployments.signal_row(row)
        if signal.kind is SignalKind.ORDER and signal.origin in live.SETTLED:
            _settle(deployment, row, signal, venue)
        elif signal.kind is SignalKind.ORDER:
            told += _place(deployment, row, signal, venue)
        else:
            told += _act(row, signal)
    outbox.publish(told)


def _venue(deployment: Deployment, calendar: MarketHours, at_ms: int) -> Venue:
    """Sessions and instruments; nothing of it decides whether the broker takes an order."""
    rows = deployments.instruments_of(deployment.id)
    listed = {token: market.spec(row) for token, row in rows.items()}
    calendars = {token: calendar.of(spec) for token, spec in listed.items()}
    specs = {token: calendars[token].ruled(spec, ist_date(at_ms)) for token, spec in listed.items()}
    return Venue(PaperSettings(latency_ms=0), specs, calendars, margin_tables())


def _place(deployment: Deployment, row: Signal, signal: SignalRow, venue: Venue) -> list[Envelope]:
    order, event = live.intended(signal, venue)
    stored = _stored(deployment, row, order, [event])
    at_broker = BrokerOrder.objects.create(order=stored, state=states.written(_known(order)))
    is_exit = row.decision.rule == EXIT or row.decision.numbers.get(WAY_OUT)
    lane = Lane.EXIT if is_exit else Lane.ENTRY
    _call(at_broker, SignalKind.ORDER, order.decision_id, lane, order.placed_at_ms)
    return events.placed(order, Broker.ZERODHA)


def _stored(
    deployment: Deployment, row: Signal, order: PaperOrder, history: Sequence[OrderEventRow]
) -> Order:
    stored = Order.objects.create(
        **loading.order_columns(order),
        deployment=deployment,
        broker=deployment.broker,
        instrument_id=row.instrument_id,
    )
    OrderEvent.objects.bulk_create(OrderEvent(id=one.id, **msgspec.structs.asdict(one)) for one in history)
    return stored


def _settle(deployment: Deployment, row: Signal, signal: SignalRow, venue: Venue) -> None:
    """What a contract that has ended comes to, or what others have closed: in the books at once, for none of it is an
    order to the broker."""
    heard = live.settled(signal, venue)
    stored = _stored(deployment, row, heard.order, heard.rows)
    fills = charged(
        heard.executions,
        [heard.order],
        step=signal.step,
        cards=reference.charge_cards(),
        instruments=venue.instruments,
    )
    filled = [events.filled(fill, stored) for fill in fills]
    outbox.publish([*events.placed(heard.order, Broker.ZERODHA), *filled])
    fills_write({stored.id: stored}, fills, filled)


def _known(order: PaperOrder) -> LiveOrder:
    return LiveOrder(
        id=order.id,
        instrument=order.instrument,
        side=order.side,
        product=order.product,
        variety=order.variety,
        terms=live.terms_of(order),
        expires_at_ms=order.expires_at_ms,
        iceberg_legs=order.iceberg_legs,
    )


def _act(row: Signal, signal: SignalRow) -> list[Envelope]:
    stored = Order.objects.select_related("instrument").get(id=signal.target)
    before = loading.paper_order(stored)
    order, event = live.acted(signal, before)
    is_late = stored.status == order.status
    states.order_save(stored, order)
    OrderEvent.objects.create(id=event.id, **msgspec.structs.asdict(event))
    if not is_late:
        terms = acts.wanted(signal, before) if signal.kind is SignalKind.MODIFY else None
        _call_off(stored.id, signal, event, terms, is_exit=row.decision.rule == EXIT)
    return [events.changed(event, order, Broker.ZERODHA)]


def _call_off(
    order_id: UUID, signal: SignalRow, event: OrderEventRow, terms: Terms | None, *, is_exit: bool
) -> None:
    """The call for a cancellation or modification; a change that may add to a position is an entry as any other."""
    at_broker = BrokerOrder.objects.get(order_id=order_id)
    lane = Lane.EXIT if is_exit else Lane.ENTRY
    if signal.kind is SignalKind.CANCEL:
        lane = Lane.CANCEL
    assert event.decision_id is not None, "an act has its decision"
    _call(at_broker, signal.kind, event.decision_id, lane, signal.at_ms, terms)


def _call(
    order: BrokerOrder,
    kind: SignalKind,
    decision_id: UUID,
    lane: Lane,
    at_ms: int,
    terms: Terms | None = None,
) -> None:
    BrokerCall.objects.create(
        id=ids.derived("broker call", decision_id, 1),
        order=order,
        decision_id=decision_id,
        kind=kind,
        lane=lane,
        attempt=1,
        queued_at_ms=at_ms,
        terms=msgspec.to_builtins(terms),
    )
