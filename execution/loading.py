"""Rows turned into domain values: orders as the paper exchange knows them, and values into rows."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from django.db.models import Exists, QuerySet

from alphapanda.core.vocabulary import (
    OrderStatus,
    OrderType,
    Product,
    Side,
    SignalOrigin,
    Validity,
    Variety,
)
from alphapanda.prepared import ANYBODY, Prepared
from execution.domain.paper import Act, Memory, OrderEventRow, PaperOrder, Place
from execution.models import ENDED, Fill, Order, OrderEvent, PaperMemory
from portfolio import selectors as books
from portfolio.domain.books import BookedFill
from risk.models import Decision
from strategies.models import Deployment, Due, Report, Signal

ANY_STEP = -1  # stands for a step in SQL that is written once


def orders_open(deployment_id: UUID) -> list[Order]:
    """Working orders, oldest first."""
    return _orders_open(deployment_id)


_orders_open = Prepared(
    lambda one: (
        Order.objects.filter(deployment_id=one)
        .exclude(status__in=ENDED)
        .select_related("instrument")
        .order_by("step", "ordinal")
    ),
    ANYBODY,
)


def paper_order(row: Order) -> PaperOrder:
    """A stored order as the paper exchange knows it."""
    return PaperOrder(
        id=row.id,
        decision_id=row.decision_id,
        deployment_id=row.deployment_id,
        correlation_id=row.correlation_id,
        step=row.step,
        ordinal=row.ordinal,
        token=row.instrument.instrument_token,
        instrument=str(row.instrument),
        side=Side(row.side),
        quantity=row.quantity,
        order_type=OrderType(row.order_type),
        limit_price_e4=row.limit_price_e4,
        validity=Validity(row.validity),
        product=Product(row.product),
        placed_at_ms=row.placed_at_ms,
        eligible_from_ms=row.eligible_from_ms,
        expires_at_ms=row.expires_at_ms,
        updated_at_ms=row.updated_at_ms,
        status=OrderStatus(row.status),
        reason=row.reason,
        filled_quantity=row.filled_quantity,
        fills_count=row.fills_count,
        turnover=row.turnover,
        origin=SignalOrigin(row.origin),
        variety=Variety(row.variety),
        trigger_price_e4=row.trigger_price_e4,
        triggered_at_ms=row.triggered_at_ms,
        validity_minutes=row.validity_minutes,
        disclosed_quantity=row.disclosed_quantity,
        iceberg_legs=row.iceberg_legs,
        tag=row.tag,
        release_ms=row.release_ms,
        leg=row.leg,
        leg_turnover=row.leg_turnover,
        modifications=row.modifications,
        is_btst=row.is_btst,
        events_count=row.events_count,
        pending=msgspec.convert(row.pending, Act | None),
        place=msgspec.convert(row.place, Place | None),
    )


def order_columns(order: PaperOrder) -> dict[str, Any]:
    """An order as the columns of its row, but for those that its deployment and instrument give."""
    fields = msgspec.structs.asdict(order)
    for name in ("token", "instrument", "deployment_id"):
        fields.pop(name)
    return fields | {
        "pending": msgspec.to_builtins(order.pending),
        "place": msgspec.to_builtins(order.place),
    }


def order_event(row: OrderEvent) -> OrderEventRow:
    """A stored row of history as the domain knows it."""
    return OrderEventRow(
        order_id=row.order_id,
        number=row.number,
        status=OrderStatus(row.status),
        at_ms=row.at_ms,
        quantity=row.quantity,
        filled_quantity=row.filled_quantity,
        limit_price_e4=row.limit_price_e4,
        trigger_price_e4=row.trigger_price_e4,
        reason=row.reason,
        decision_id=row.decision_id,
    )


def dues_new(deployment_id: UUID) -> list[Due]:
    """Items that working orders of a deployment wait to be matched against, in the order of the log."""
    return _dues_new(deployment_id)


_dues_new = Prepared(
    lambda one: Due.objects.filter(deployment_id=one, state=Due.State.NEW).order_by("step"), ANYBODY
)


def memory_of(deployment_id: UUID) -> Memory:
    """What the paper exchange remembers of a deployment."""
    rows = _memories(deployment_id)
    return msgspec.convert(rows[0].data, Memory, strict=False) if rows else Memory()


_memories = Prepared(lambda one: PaperMemory.objects.filter(deployment_id=one), ANYBODY)


def memory_store(deployment_id: UUID, memory: Memory) -> None:
    """Keep what the paper exchange remembers of a deployment."""
    row = PaperMemory(deployment_id=deployment_id, data=msgspec.to_builtins(memory, str_keys=True))
    PaperMemory.objects.bulk_create(
        [row], update_conflicts=True, unique_fields=["deployment"], update_fields=["data"]
    )


def fills_of(deployment_id: UUID, *, step: int) -> list[BookedFill]:
    """Trades of one item of the log, in the order in which they were made."""
    return [booked_fill(row) for row in _fills(deployment_id, step)]


_fills = Prepared(
    lambda one, step: (
        Fill.objects.filter(deployment_id=one, step=step)
        .select_related("instrument")
        .order_by("order__step", "order__ordinal", "number")
    ),
    ANYBODY,
    ANY_STEP,
)


def fills_with(fill_ids: Sequence[str]) -> list[BookedFill]:
    """Trades by their ids, in the order in which they were made."""
    rows = Fill.objects.filter(id__in=fill_ids).select_related("instrument")
    return [booked_fill(row) for row in rows.order_by("at_ms", "order__step", "order__ordinal", "number")]


def report_at(deployment_id: UUID, step: int) -> Report | None:
    """The report of a broker that is due at a step; None where an item is."""
    return Report.objects.filter(due__deployment_id=deployment_id, due__step=step).first()


def booked_fill(row: Fill) -> BookedFill:
    """A stored trade as the books know it."""
    return BookedFill(
        fill_id=row.id,
        order_id=row.order_id,
        deployment_id=row.deployment_id,
        instrument=str(row.instrument),
        token=row.instrument.instrument_token,
        side=Side(row.side),
        quantity=row.quantity,
        price_e4=row.price_e4,
        charges={line: Decimal(charge) for line, charge in row.charges.items()},
        at_ms=row.at_ms,
    )


def decisions_open(deployment_id: UUID, step: int) -> QuerySet[Decision]:
    """Approved decisions of a deployment's step that no order and no act on one stands for."""
    return Decision.objects.filter(
        deployment_id=deployment_id,
        is_approved=True,
        order__isnull=True,
        act__isnull=True,
        signal__step=step,
    )


def signals_to_carry_out(deployment: Deployment) -> list[Signal]:
    """The signals of those decisions, in their order."""
    return [decision.signal for decision in _to_carry_out(deployment.id, deployment.step)]


_to_carry_out = Prepared(
    lambda one, step: (
        decisions_open(one, step).select_related("signal__instrument").order_by("signal__ordinal")
    ),
    ANYBODY,
    ANY_STEP,
)


def is_unfinished(deployment: Deployment) -> bool:
    """Whether a signal, a due item, an approved decision or a fill of the deployment waits for its next link."""
    return bool(_unfinished(deployment.id, deployment.step))


def _with_work_left(deployment_id: UUID, step: int) -> QuerySet[Deployment, UUID]:
    new_signals = Signal.objects.filter(deployment_id=deployment_id, state=Signal.State.NEW)
    new_dues = Due.objects.filter(deployment_id=deployment_id, state=Due.State.NEW)
    found = Deployment.objects.filter(id=deployment_id).filter(
        Exists(new_signals)
        | Exists(new_dues)
        | Exists(decisions_open(deployment_id, step))
        | Exists(books.unbooked(deployment_id))
    )
    return found.values_list("id", flat=True)


_unfinished = Prepared(_with_work_left, ANYBODY, ANY_STEP)
