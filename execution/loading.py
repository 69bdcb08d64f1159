"""Rows turned into domain values: orders as the paper exchange knows them."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from django.db.models import Exists

from alphapanda.core.vocabulary import OrderStatus, OrderType, Product, Side, Validity
from execution.domain.paper import PaperOrder
from execution.models import Fill, Order
from portfolio import selectors as books
from portfolio.domain.books import BookedFill
from risk.models import Decision
from strategies.models import Deployment, Due, Signal


def orders_open(deployment_id: UUID) -> list[Order]:
    """Working orders, oldest first."""
    rows = Order.objects.filter(deployment_id=deployment_id, status=OrderStatus.OPEN)
    return list(rows.select_related("instrument").order_by("step", "ordinal"))


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
    )


def fills_of(deployment_id: UUID, *, step: int) -> list[BookedFill]:
    """Trades of one item of the log, in the order in which they were made."""
    rows = Fill.objects.filter(deployment_id=deployment_id, step=step).select_related("instrument")
    return [booked_fill(row) for row in rows.order_by("order__step", "order__ordinal", "number")]


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


def decisions_unplaced(deployment: Deployment) -> list[Decision]:
    """Approved decisions of the deployment's step that have no order yet, in the order of their signals."""
    rows = Decision.objects.filter(
        deployment_id=deployment.id, is_approved=True, order__isnull=True, signal__step=deployment.step
    )
    return list(rows.select_related("signal__instrument").order_by("signal__ordinal"))


def is_unfinished(deployment: Deployment) -> bool:
    """Whether a signal, a due item, an approved decision or a fill of the deployment waits for its next link."""
    new_signals = Signal.objects.filter(deployment_id=deployment.id, state=Signal.State.NEW)
    new_dues = Due.objects.filter(deployment_id=deployment.id, state=Due.State.NEW)
    unplaced = Decision.objects.filter(
        deployment_id=deployment.id, is_approved=True, order__isnull=True, signal__step=deployment.step
    )
    found = Deployment.objects.filter(id=deployment.id).filter(
        Exists(new_signals) | Exists(new_dues) | Exists(unplaced) | Exists(books.unbooked(deployment.id))
    )
    return found.exists()
