"""Carrying out decisions at the paper exchange: place, match, settle. One transaction each, any number of runs."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec
from django.db import transaction

from alphapanda import failpoints
from alphapanda.core.vocabulary import Broker, Waiting
from alphapanda.eventlog import outbox
from execution import loading, reference
from execution.domain import paper
from execution.domain.paper import PaperOrder, PaperSettings
from execution.domain.settlement import FillRow, charged, consequences
from execution.models import Fill, Order
from execution.services import events
from marketdata.domain.calendar import Calendar
from marketdata.domain.ticks import tick_from_json
from portfolio import selectors as books
from portfolio.services import PostingRequest, postings_receive
from strategies import loading as deployments
from strategies.models import Deployment, Due, Signal

CHANGING = ("status", "reason", "filled_quantity", "fills_count", "turnover", "updated_at_ms")


class NoPaperDeployment(ValueError):
    """The paper exchange was asked to carry out orders of another broker."""


def _claimed(deployment_id: UUID) -> Deployment:
    """The deployment's row, locked: it has one writer at a time. Raises NoPaperDeployment."""
    deployment = Deployment.objects.select_for_update().get(id=deployment_id)
    if deployment.broker != Broker.PAPER:
        raise NoPaperDeployment(f"{deployment.name} trades at {deployment.broker}")
    return deployment


def _settings(deployment: Deployment) -> PaperSettings:
    options = {name: value for name, value in deployment.execution.items() if name != "product"}
    return msgspec.convert(options, PaperSettings)


def orders_submit(*, deployment_id: UUID, calendar: Calendar) -> int:
    """Place orders for approved decisions that have none; how many."""
    with transaction.atomic():
        deployment = _claimed(deployment_id)
        decisions = loading.decisions_unplaced(deployment)
        settings = _settings(deployment)
        placed = []
        for decision in decisions:
            signal = deployments.signal_row(decision.signal)
            instrument = deployments.instrument_spec(decision.signal.instrument)
            order = paper.place(signal, settings=settings, instrument=instrument, calendar=calendar)
            placed.append((_row(order, deployment, decision.signal), order))
        Order.objects.bulk_create([row for row, _ in placed])
        outbox.publish([event for _, order in placed for event in events.placed(order)])
        failpoints.hit("execution.submit.before_commit")
    failpoints.hit("execution.submit.after_commit")
    return len(placed)


def _row(order: PaperOrder, deployment: Deployment, signal: Signal) -> Order:
    fields = msgspec.structs.asdict(order)
    fields.pop("token")
    fields.pop("instrument")
    fields.pop("deployment_id")
    return Order(
        **fields, deployment=deployment, broker=deployment.broker, instrument_id=signal.instrument_id
    )


def dues_match(*, deployment_id: UUID) -> int:
    """Match working orders against the items that are due; how many trades."""
    with transaction.atomic():
        deployment = _claimed(deployment_id)
        dues = list(Due.objects.filter(deployment_id=deployment_id, state=Due.State.NEW).order_by("step"))
        trades = sum(_match(deployment, due) for due in dues)
        failpoints.hit("execution.match.before_commit")
    failpoints.hit("execution.match.after_commit")
    return trades


def _match(deployment: Deployment, due: Due) -> int:
    rows = {row.id: row for row in loading.orders_open(deployment.id)}
    orders = [loading.paper_order(row) for row in rows.values()]
    instruments = {
        row.instrument.instrument_token: deployments.instrument_spec(row.instrument) for row in rows.values()
    }
    item = tick_from_json(due.item)
    changed, executions = paper.match(orders, item, settings=_settings(deployment), instruments=instruments)
    fills = charged(executions, changed, step=due.step, cards=reference.charge_cards())
    _save(rows, changed)
    _write_fills(rows, fills)
    Due.objects.filter(id=due.id).update(state=Due.State.DONE)
    return len(fills)


def _save(rows: dict[UUID, Order], changed: Sequence[PaperOrder]) -> None:
    for order in changed:
        for name in CHANGING:
            setattr(rows[order.id], name, getattr(order, name))
    Order.objects.bulk_update([rows[order.id] for order in changed], CHANGING)
    failed = [order for order in changed if order.status.is_final and order.unfilled]
    outbox.publish([events.failed(order) for order in failed])


def _write_fills(rows: dict[UUID, Order], fills: Sequence[FillRow]) -> None:
    Fill.objects.bulk_create(_fill(rows[fill.fill.order_id], fill) for fill in fills)
    envelopes = [events.filled(fill, rows[fill.fill.order_id]) for fill in fills]
    outbox.publish(envelopes)
    postings_receive(
        [
            PostingRequest(fill=row.fill, event_id=envelope.id, correlation_id=envelope.correlation_id)
            for row, envelope in zip(fills, envelopes, strict=True)
        ]
    )


def _fill(order: Order, row: FillRow) -> Fill:
    return Fill(
        id=row.id,
        order=order,
        number=row.number,
        deployment_id=order.deployment_id,
        broker=order.broker,
        instrument_id=order.instrument_id,
        step=row.step,
        side=row.fill.side,
        quantity=row.fill.quantity,
        price_e4=row.fill.price_e4,
        charges={line: str(amount) for line, amount in row.fill.charges.items()},
        at_ms=row.fill.at_ms,
        received_at_ms=row.received_at_ms,
    )


def deployment_settle(*, deployment_id: UUID) -> int | None:
    """Let a deployment read on once nothing of it is unfinished; its shard, or None where it still has to wait."""
    with transaction.atomic():
        deployment = _claimed(deployment_id)
        if deployment.waiting != Waiting.NOTHING:
            if _is_unfinished(deployment):
                return None
            _settle(deployment)
        failpoints.hit("execution.settle.before_commit")
    failpoints.hit("execution.settle.after_commit")
    return deployment.shard


def _is_unfinished(deployment: Deployment) -> bool:
    return (
        Signal.objects.filter(deployment=deployment, state=Signal.State.NEW).exists()
        or Due.objects.filter(deployment=deployment, state=Due.State.NEW).exists()
        or bool(loading.decisions_unplaced(deployment))
        or books.has_unbooked(deployment.id)
    )


def _settle(deployment: Deployment) -> None:
    was_due = deployment.waiting == Waiting.DUE
    instruments = deployments.instruments_of(deployment.id)
    after = consequences(
        books.holdings_of(deployment.id),
        [loading.paper_order(row) for row in loading.orders_open(deployment.id)],
        {token: str(row) for token, row in instruments.items()},
        matched_step=deployment.step + 1 if was_due else deployments.consequences_of(deployment).matched_step,
    )
    deployment.consequences = msgspec.to_builtins(after, str_keys=True)
    deployment.waiting = Waiting.NOTHING
    deployment.waiting_since = None
    deployment.save(update_fields=["consequences", "waiting", "waiting_since"])
