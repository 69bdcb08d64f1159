"""Carrying out decisions at the paper exchange: place, match, settle. One transaction each, any number of runs."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec
from django.db import transaction

from alphapanda import failpoints
from alphapanda.core.envelope import Envelope
from alphapanda.core.money import written
from alphapanda.core.vocabulary import Broker, Waiting
from alphapanda.eventlog import outbox
from execution import loading, reference
from execution.domain import paper
from execution.domain.paper import PaperOrder, PaperSettings
from execution.domain.settlement import FillRow, charged, consequences
from execution.models import Fill, Order
from execution.services import events
from marketdata import selectors as market
from marketdata.domain.calendar import MarketHours
from marketdata.domain.ticks import tick_from_json
from portfolio import selectors as books
from portfolio.services import PostingRequest, postings_receive
from strategies import loading as deployments
from strategies.models import Deployment, Due, Signal

CHANGING = ("status", "reason", "filled_quantity", "fills_count", "turnover", "updated_at_ms")


class NoPaperDeployment(ValueError):
    """The paper exchange was asked to carry out orders of another broker."""


def _claimed(deployment_id: UUID) -> Deployment:
    """The deployment's row, locked. Raises NoPaperDeployment."""
    deployment = deployments.locked(deployment_id)
    if deployment.broker != Broker.PAPER:
        raise NoPaperDeployment(f"{deployment.name} trades at {deployment.broker}")
    return deployment


def _settings(deployment: Deployment) -> PaperSettings:
    options = {name: value for name, value in deployment.execution.items() if name != "product"}
    return msgspec.convert(options, PaperSettings)


def orders_submit(*, deployment_id: UUID, calendar: MarketHours) -> int | None:
    """Place orders for approved decisions that have none. Where nothing else of the deployment is unfinished
    it may read on at once: then the shard to ring is returned."""
    with transaction.atomic():
        deployment = _claimed(deployment_id)
        placed = _place(deployment, calendar)
        Order.objects.bulk_create([row for row, _ in placed])
        outbox.publish([event for _, order in placed for event in events.placed(order)])
        is_settled = _settle_if_finished(deployment)
        failpoints.hit("execution.submit.before_commit")
    failpoints.hit("execution.submit.after_commit")
    return deployment.shard if is_settled else None


def _place(deployment: Deployment, calendar: MarketHours) -> list[tuple[Order, PaperOrder]]:
    settings = _settings(deployment)
    placed = []
    for decision in loading.decisions_unplaced(deployment):
        signal = deployments.signal_row(decision.signal)
        instrument = market.spec(decision.signal.instrument)
        hours = calendar.of(instrument)
        order = paper.place(signal, settings=settings, instrument=instrument, calendar=hours)
        placed.append((_row(order, deployment, decision.signal), order))
    return placed


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
    instruments = {row.instrument.instrument_token: market.spec(row.instrument) for row in rows.values()}
    item = tick_from_json(due.item)
    changed, executions = paper.match(orders, item, settings=_settings(deployment), instruments=instruments)
    fills = charged(
        executions, changed, step=due.step, cards=reference.charge_cards(), instruments=instruments
    )
    _save(rows, changed)
    filled = [events.filled(fill, rows[fill.fill.order_id]) for fill in fills]
    failed = [events.failed(order) for order in changed if order.status.is_final and order.unfilled]
    outbox.publish(filled + failed)
    _write_fills(rows, fills, filled)
    Due.objects.filter(id=due.id).update(state=Due.State.DONE)
    return len(fills)


def _save(rows: dict[UUID, Order], changed: Sequence[PaperOrder]) -> None:
    for order in changed:
        for name in CHANGING:
            setattr(rows[order.id], name, getattr(order, name))
        rows[order.id].save(update_fields=CHANGING)


def _write_fills(rows: dict[UUID, Order], fills: Sequence[FillRow], envelopes: Sequence[Envelope]) -> None:
    """Fills, and their hand-over to the books."""
    Fill.objects.bulk_create(_fill(rows[fill.fill.order_id], fill) for fill in fills)
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
        charges={line: written(amount) for line, amount in row.fill.charges.items()},
        at_ms=row.fill.at_ms,
        received_at_ms=row.received_at_ms,
    )


def deployment_settle(*, deployment_id: UUID) -> int | None:
    """Let a deployment read on once nothing of it is unfinished; its shard, or None where it must still wait."""
    with transaction.atomic():
        deployment = _claimed(deployment_id)
        is_settled = _settle_if_finished(deployment)
        failpoints.hit("execution.settle.before_commit")
    failpoints.hit("execution.settle.after_commit")
    return deployment.shard if is_settled else None


def _settle_if_finished(deployment: Deployment) -> bool:
    if deployment.waiting != Waiting.NOTHING:
        if loading.is_unfinished(deployment):
            return False
        _settle(deployment)
    return True


def _settle(deployment: Deployment) -> None:
    """Write what orders and books came to; after a due item its step is matched."""
    step = deployment.step + 1
    is_matched = deployment.waiting == Waiting.DUE
    before = deployments.consequences_of(deployment)
    after = consequences(
        books.holdings_of(deployment.id),
        [loading.paper_order(row) for row in loading.orders_open(deployment.id)],
        matched_step=step if is_matched else before.matched_step,
        fills=loading.fills_of(deployment.id, step=step) if is_matched else (),
    )
    deployment.consequences = msgspec.to_builtins(after, str_keys=True)
    deployment.waiting = Waiting.NOTHING
    deployment.waiting_since = None
    deployment.save(update_fields=["consequences", "waiting", "waiting_since"])
