"""What we hold against what the broker shows, after each look at its book. Every difference is a row; one that is seen
in two rounds stops the deployment's entries and is an alert."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec
from django.db import transaction
from django.db.models import Q

from alphapanda.core.clock import DAY_MS, IST_OFFSET_MS, to_ms
from alphapanda.core.vocabulary import Broker, DeploymentStatus, Severity, Side
from execution.domain.kite import reconciling
from execution.domain.kite.lookup import PATIENCE_MS
from execution.domain.kite.orders import LiveOrder
from execution.domain.kite.reconciling import HALT_AFTER, Kind, Ours, Theirs, Where
from execution.domain.live import Reported
from execution.models import BrokerDesk, BrokerName, BrokerOrder, Difference
from execution.services.live import states
from execution.services.live.looking import Book
from portfolio.models import Position, Posting
from risk.loading import product_of
from risk.services.alerts import alert_raise
from strategies.models import Deployment, Report
from strategies.services.lifecycle import deployment_pause


def compare(book: Book, now: datetime) -> list[Difference]:
    """Compare, and keep what differs; the open differences. The first whole look after a start lets entries go."""
    if book.orders is None or book.trades is None:
        return []  # a failed read is no information
    with transaction.atomic():
        desk = BrokerDesk.objects.select_for_update().get(broker=Broker.ZERODHA)
        theirs = Theirs(orders=book.orders, trades=book.trades, positions=book.positions)
        ours = _ours(desk, to_ms(now))
        found = reconciling.compare(ours, theirs, marks_e4={})
        found = [one for one in found if book.moved.isdisjoint((one.key, one.key.rpartition(":")[2]))]
        found = [one for one in found if one.kind is not Kind.ORDER_MISSING or _is_due(ours, one, to_ms(now))]
        rows = _kept(found, theirs, now)
        desk.reconciled_at = now
        desk.save(update_fields=["reconciled_at"])
    for row in rows:
        if row.rounds == HALT_AFTER and row.kind != Kind.EXTERNAL:
            _stop_entries(row, now)
    return rows


def _ours(desk: BrokerDesk, now_ms: int) -> Ours:
    """Our orders of the day, those that work or were sent today, and what all our books hold."""
    midnight_ms = now_ms - (now_ms + IST_OFFSET_MS) % DAY_MS
    today = BrokerOrder.objects.filter(Q(is_open=True) | Q(calls__sent_at_ms__gte=midnight_ms)).distinct()
    orders = tuple(live for row in today if _may_be_there(live := states.known(row)))
    return Ours(
        house=desk.house,
        orders=orders,
        positions=positions(),
        theirs_before={Where(*name.rsplit(" ", 1)): units for name, units in desk.outside.items()},
    )


def _may_be_there(order: LiveOrder) -> bool:
    return bool(order.tags or order.parts)


def _is_due(ours: Ours, missing: reconciling.Difference, now_ms: int) -> bool:
    """Whether the broker's book has to show what it does not: an order that was just taken may come to light late."""
    order = next(one for one in ours.orders if missing.key in one.parts)
    return order.parts[missing.key].is_known or now_ms - order.local.at_ms > PATIENCE_MS


def positions() -> Counter[Where]:
    """Units by instrument and product, of all our books at the broker, with the trades that wait to be booked."""
    rows = (
        Position.objects.filter(book__broker=Broker.ZERODHA).exclude(quantity=0).select_related("instrument")
    )
    products = {row.id: product_of(row) for row in Deployment.objects.filter(broker=Broker.ZERODHA)}
    held: Counter[Where] = Counter()
    for row in rows:
        held[Where(str(row.instrument), products[row.book_id])] += row.quantity
    for posting in Posting.objects.filter(book__broker=Broker.ZERODHA, state=Posting.State.NEW):
        where = Where(posting.fill["instrument"], products[posting.book_id])
        held[where] += Side(posting.fill["side"]).sign * posting.fill["quantity"]
    for report in Report.objects.filter(booked_at=None):
        told = msgspec.convert(report.data, Reported, strict=False)
        live = states.known(BrokerOrder.objects.get(order_id=told.order_id))
        for fill in told.fills:
            held[Where(live.instrument, live.product)] += live.side.sign * fill.quantity
    return held


def _kept(found: Iterable[reconciling.Difference], theirs: Theirs, now: datetime) -> list[Difference]:
    """The open differences after a round, each a row that grows older or is settled by being gone."""
    wanted = {(one.kind.value, one.key): one for one in found}
    rows = {
        (row.kind, row.key): row for row in Difference.objects.select_for_update().filter(settled_at=None)
    }
    for name, row in rows.items():
        if name in wanted:
            row.rounds, row.seen_at = row.rounds + 1, now
            row.ours, row.theirs = wanted[name].ours[:200], wanted[name].theirs[:200]
        elif theirs.read.issuperset(reconciling.SOURCES[Kind(row.kind)]):
            row.settled_at, row.settled_by = now, "the next look"
        row.save()
    new = [_row(one, now) for name, one in wanted.items() if name not in rows]
    Difference.objects.bulk_create(new)
    return [row for row in (*rows.values(), *new) if row.settled_at is None]


def _row(one: reconciling.Difference, now: datetime) -> Difference:
    return Difference(
        kind=one.kind,
        key=one.key[:120],
        deployment_id=_deployment_of(one.key),
        ours=one.ours[:200],
        theirs=one.theirs[:200],
        first_seen_at=now,
        seen_at=now,
    )


def _deployment_of(key: str) -> UUID | None:
    """Whose order a difference is about; None where it is about the account."""
    names = [key, key.rpartition(":")[2]]
    found = BrokerName.objects.filter(name__in=names).values_list("order__order__deployment_id", flat=True)
    return next(iter(found), None)


def _stop_entries(row: Difference, now: datetime) -> None:
    """Pause whom a difference concerns; one about the account concerns all who trade there."""
    concerned = Deployment.objects.filter(broker=Broker.ZERODHA, status=DeploymentStatus.RUNNING)
    if row.deployment_id is not None:
        concerned = concerned.filter(id=row.deployment_id)
    alert_raise(
        code="broker_differs",
        subject=f"{row.kind} {row.key}",
        text=f"here {row.ours}, at the broker {row.theirs}",
        severity=Severity.CRITICAL,
        deployment_id=row.deployment_id,
        now=now,
    )
    for deployment in concerned:
        pause(deployment.id, f"differs from the broker: {row.kind} {row.key}", now)


def pause(deployment_id: UUID, reason: str, now: datetime) -> None:
    """Let a deployment enter no more until a person starts it again."""
    deployment_pause(deployment_id=deployment_id, actor="reconciliation", reason=reason[:200], now=now)
