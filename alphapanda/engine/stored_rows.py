"""The rows of a deployment in the database, in the words of `alphapanda.engine.rows`."""

from __future__ import annotations

from collections.abc import Iterable

from alphapanda.core.vocabulary import FillSource, OrderStatus
from alphapanda.engine import rows
from alphapanda.engine.rows import Row
from execution import loading as executions
from execution.domain.settlement import FillRow
from execution.models import Fill, Order, OrderEvent
from portfolio import selectors as books
from portfolio.domain.books import Entry
from portfolio.models import LedgerEntry, Position
from risk.domain.context import Verdict
from risk.models import Decision
from strategies import loading as deployments
from strategies.models import Deployment, Signal


def of_deployment(deployment: Deployment) -> dict[str, list[Row]]:
    """All rows that a deployment caused, by kind, each kind in the order in which the rows came to be."""
    fills = list(_fills(deployment))
    return {
        "signals": [rows.signal_row(deployments.signal_row(row)) for row in _signals(deployment)],
        "decisions": [rows.decision_row(verdict) for verdict in _verdicts(deployment)],
        "orders": [rows.order_row(executions.paper_order(row)) for row in _orders(deployment)],
        "order_events": [
            rows.order_event_row(executions.order_event(row)) | {"id": str(row.id)}
            for row in _order_events(deployment)
        ],
        "fills": [rows.fill_row(fill) for fill in fills],
        "entries": [rows.entry_row(entry) for entry in _entries(deployment, fills)],
        "positions": _positions(deployment),
    }


def _signals(deployment: Deployment) -> Iterable[Signal]:
    return deployment.signals.select_related("instrument").order_by("step", "ordinal").iterator()


def _verdicts(deployment: Deployment) -> Iterable[Verdict]:
    for row in Decision.objects.filter(deployment=deployment).order_by("signal__step", "signal__ordinal"):
        yield Verdict(row.id, row.signal_id, row.is_approved, row.rule, row.reason, row.numbers, row.at_ms)


def _orders(deployment: Deployment) -> Iterable[Order]:
    return deployment.orders.select_related("instrument").order_by("step", "ordinal").iterator()


def _order_events(deployment: Deployment) -> Iterable[OrderEvent]:
    found = OrderEvent.objects.filter(order__deployment=deployment)
    return found.order_by("order__step", "order__ordinal", "number").iterator()


def _fills(deployment: Deployment) -> Iterable[FillRow]:
    found = Fill.objects.filter(deployment=deployment).select_related("instrument")
    for row in found.order_by("step", "order__step", "order__ordinal", "number"):
        fill = executions.booked_fill(row)
        yield FillRow(
            row.id, row.number, row.step, fill, OrderStatus.OPEN, row.received_at_ms, FillSource(row.source)
        )


def _entries(deployment: Deployment, fills: list[FillRow]) -> list[Entry]:
    place = {fill.id: number for number, fill in enumerate(fills)}
    entries = [
        Entry(id=row.id, fill_id=row.fill_id, number=row.number, account=row.account, amount=row.amount)
        for row in LedgerEntry.objects.filter(book_id=deployment.id).iterator()
    ]
    return sorted(entries, key=lambda entry: (place.get(entry.fill_id, len(fills)), entry.number))


def _positions(deployment: Deployment) -> list[Row]:
    holdings = books.holdings_of(deployment.id)
    names = {
        row.instrument.instrument_token: str(row.instrument)
        for row in Position.objects.filter(book_id=deployment.id).select_related("instrument")
    }
    return [
        rows.position_row(str(deployment.id), names[token], holding)
        for token, holding in sorted(holdings.items())
    ]
