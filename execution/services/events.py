"""Events of orders and fills."""

from __future__ import annotations

from uuid import UUID

from alphapanda.core import ids
from alphapanda.core.envelope import (
    Envelope,
    EventType,
    OrderChanged,
    OrderFailed,
    OrderFilled,
    OrderSubmitted,
    Payload,
    seal,
)
from alphapanda.core.money import written
from alphapanda.core.vocabulary import Broker
from execution.domain.paper import OrderEventRow, PaperOrder
from execution.domain.settlement import FillRow
from execution.models import Order


def _sealed(
    payload: Payload,
    event_type: EventType,
    subject: UUID,
    *,
    broker: Broker,
    at_ms: int,
    correlation_id: UUID,
    cause: UUID,
) -> Envelope:
    return seal(
        payload,
        event_type=event_type,
        event_id=ids.event_id(event_type, subject),
        ts=at_ms,
        source="execution",
        broker=broker,
        key=str(getattr(payload, "order_id", subject)),
        correlation_id=correlation_id,
        causation_id=cause,
    )


def submitted_id(order_id: UUID) -> UUID:
    return ids.event_id(EventType.ORDER_SUBMITTED, order_id)


def placed(order: PaperOrder, broker: Broker) -> list[Envelope]:
    """Submitted, and failed at once where the exchange rejected it."""
    payload = OrderSubmitted(
        order_id=order.id,
        decision_id=order.decision_id,
        deployment_id=order.deployment_id,
        instrument=order.instrument,
        side=order.side,
        quantity=order.quantity,
        order_type=order.order_type,
        limit_price_e4=order.limit_price_e4,
        validity=order.validity,
        product=order.product,
        origin=order.origin,
        variety=order.variety,
        trigger_price_e4=order.trigger_price_e4,
        validity_minutes=order.validity_minutes,
        disclosed_quantity=order.disclosed_quantity,
        iceberg_legs=order.iceberg_legs,
        tag=order.tag,
        at_ms=order.placed_at_ms,
    )
    first = _sealed(
        payload,
        EventType.ORDER_SUBMITTED,
        order.id,
        broker=broker,
        at_ms=order.placed_at_ms,
        correlation_id=order.correlation_id,
        cause=ids.event_id(EventType.SIGNAL_APPROVED, order.decision_id),
    )
    return [first, failed(order, broker)] if order.status.is_final and order.unfilled else [first]


def changed(row: OrderEventRow, order: PaperOrder, broker: Broker) -> Envelope:
    """A row of an order's history while it works."""
    payload = OrderChanged(
        order_event_id=row.id,
        order_id=row.order_id,
        deployment_id=order.deployment_id,
        instrument=order.instrument,
        number=row.number,
        order_status=row.status,
        quantity=row.quantity,
        filled_quantity=row.filled_quantity,
        limit_price_e4=row.limit_price_e4,
        trigger_price_e4=row.trigger_price_e4,
        reason=row.reason,
        decision_id=row.decision_id,
        at_ms=row.at_ms,
    )
    cause = submitted_id(row.order_id)
    if row.decision_id is not None:
        cause = ids.event_id(EventType.SIGNAL_APPROVED, row.decision_id)
    return _sealed(
        payload,
        EventType.ORDER_CHANGED,
        row.id,
        broker=broker,
        at_ms=row.at_ms,
        correlation_id=order.correlation_id,
        cause=cause,
    )


def failed(order: PaperOrder, broker: Broker) -> Envelope:
    """The order ended without trading in full."""
    payload = OrderFailed(
        order_id=order.id,
        deployment_id=order.deployment_id,
        instrument=order.instrument,
        order_status=order.status,
        unfilled=order.unfilled,
        reason=order.reason,
        at_ms=order.updated_at_ms,
    )
    return _sealed(
        payload,
        EventType.ORDER_FAILED,
        order.id,
        broker=broker,
        at_ms=order.updated_at_ms,
        correlation_id=order.correlation_id,
        cause=submitted_id(order.id),
    )


def filled(row: FillRow, order: Order) -> Envelope:
    """A part of the order traded."""
    fill = row.fill
    payload = OrderFilled(
        fill_id=row.id,
        order_id=fill.order_id,
        deployment_id=fill.deployment_id,
        instrument=fill.instrument,
        side=fill.side,
        quantity=fill.quantity,
        price_e4=fill.price_e4,
        charges={line: written(amount) for line, amount in fill.charges.items()},
        order_status=row.order_status,
        source=row.source,
        at_ms=fill.at_ms,
    )
    return _sealed(
        payload,
        EventType.ORDER_FILLED,
        row.id,
        broker=Broker(order.broker),
        at_ms=fill.at_ms,
        correlation_id=order.correlation_id,
        cause=submitted_id(fill.order_id),
    )
