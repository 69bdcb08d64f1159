"""What we hold against what the broker shows, after each look at its book. Every difference is a row; one that is seen
in two rounds stops the deployment's entries and is an alert."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import msgspec
from django.db import transaction
from django.db.models import Q

from alphapanda.core.clock import to_ms
from alphapanda.core.vocabulary import Broker, DeploymentStatus, Severity
from alphapanda.prepared import Prepared
from execution.domain.kite import reconciling
from execution.domain.kite.account import began_ms, place_of
from execution.domain.kite.lookup import PATIENCE_MS
from execution.domain.kite.orders import LiveOrder
from execution.domain.kite.reconciling import HALT_AFTER, Kind, Ours, Source, Theirs
from execution.models import BrokerDesk, BrokerName, BrokerOrder, Difference
from execution.services.differences import difference_accept
from execution.services.live import account, billing, states, taking
from execution.services.live.containing import savepoint
from execution.services.live.looking import Book
from execution.services.live.states import Remembered
from risk.services.alerts import alert_raise
from strategies import loading as deployments
from strategies.models import Deployment
from strategies.services.lifecycle import IllegalTransition, deployment_pause

ROUND = timedelta(
    seconds=4
)  # between two rounds of a difference at least: looks at what moves come each second, and Kite's lists lag
READ = {"whole_orders": Source.ORDERS, "whole_trades": Source.TRADES, "charges": Source.CHARGES}


def compare(book: Book, now: datetime, remembered: Remembered | None = None) -> list[Difference]:
    """Compare, and keep what differs; the open differences. Entries go after the first whole comparison that leaves
    nothing to be looked at again."""
    if book.whole_orders is None or book.whole_trades is None:
        return []  # a failed read is no information
    with transaction.atomic():
        (desk,) = _desk()
        ours = _ours(desk, book, now, remembered or Remembered())
        found = reconciling.compare(ours, Theirs(book.whole_orders, book.whole_trades))
        found = [one for one in found if one.kind is not Kind.ORDER_MISSING or _is_due(ours, one, to_ms(now))]
        held = account.compare(desk, ours, _without_unreadable(book, ours), now)
        found += [*held.differences, *billing.compare(book)]
        rows = _kept(found, book, _read(book, is_account_read=held.is_whole), now)
        if held.is_whole and (desk.reconciled_at or all(row.rounds >= HALT_AFTER for row in rows)):
            desk.reconciled_at = now
        if book.asked.bills and not any(row.kind == Kind.CHARGES and row.rounds < HALT_AFTER for row in rows):
            billing.done(desk, book)
        desk.save(update_fields=["reconciled_at", "outside", "funds", "funds_at", "charged_on"])
    for row in rows:
        if row.kind == Kind.TAKEN and taking.is_of_our_gtts(row, book, now):
            facts = {"actor": "reconciliation", "reason": "a GTT of ours has closed it", "now": now}
            savepoint("difference", row.pk, now, partial(difference_accept, difference_id=row.pk, **facts))
        elif row.rounds >= HALT_AFTER and row.halted_at is None:
            _stop_entries(row, now)
    return rows


def let_entries_wait() -> None:
    """Until the books have been compared again."""
    BrokerDesk.objects.filter(broker=Broker.ZERODHA).update(reconciled_at=None)


def _read(book: Book, *, is_account_read: bool) -> frozenset[Source]:
    """What this round can tell of."""
    found = {source for name, source in READ.items() if getattr(book, name) is not None}
    return frozenset(found | {Source.POSITIONS, Source.HOLDINGS} if is_account_read else found)


def _ours(desk: BrokerDesk, book: Book, now: datetime, remembered: Remembered) -> Ours:
    """Our orders of the broker's day: those that work, that were sent in it or that the book shows."""
    sent = states.sent_since("pk", began_ms(to_ms(now)))
    names = [name for row in book.orders or () for name in (row.order_id, *row.tags)]
    shown = BrokerName.objects.filter(name__in=names).values("order")
    known = remembered.of(BrokerOrder.objects.filter(Q(is_open=True) | sent | Q(pk__in=shown)), now)
    remembered.forget_but(known.keys())
    return Ours(desk.house, tuple(live for live in known.values() if _may_be_there(live)))


def _without_unreadable(book: Book, ours: Ours) -> Book:
    """A look without orders of ours whose rows here cannot be read: nobody else made them, and what is known of their
    trades is booked."""
    known = {name for order in ours.orders for name in (*order.parts, *order.tags)}
    others = [row for row in book.orders or () if known.isdisjoint((row.order_id, *row.tags))]
    names = {name for row in others for name in (row.order_id, *row.tags)}
    mine = set(BrokerName.objects.filter(name__in=names).values_list("name", flat=True)) if names else set()
    kept = (row for row in book.orders or () if mine.isdisjoint((row.order_id, *row.tags)))
    return msgspec.structs.replace(book, orders=tuple(kept)) if mine else book


def _may_be_there(order: LiveOrder) -> bool:
    return bool(order.tags or order.parts)


def _is_due(ours: Ours, missing: reconciling.Difference, now_ms: int) -> bool:
    """Whether the broker's book has to show what it does not: an order that was just taken may come to light late."""
    order = next(one for one in ours.orders if missing.key in one.parts)
    return order.parts[missing.key].is_known or now_ms - order.local.at_ms > PATIENCE_MS


# ---- rows ----------------------------------------------------------------------------------------------------


def _kept(
    found: Iterable[reconciling.Difference], book: Book, read: frozenset[Source], now: datetime
) -> list[Difference]:
    """The open differences after a round, each a row that grows older or is settled by being gone."""
    wanted = {(one.kind.value, one.key): one for one in found if not _is_moving(one.key, book)}
    rows = {(row.kind, row.key): row for row in _open()}
    for name, row in rows.items():
        if name in wanted:
            row.rounds, row.seen_at = row.rounds + (now >= row.first_seen_at + row.rounds * ROUND), now
            row.ours, row.theirs = wanted[name].ours[:200], wanted[name].theirs[:200]
            row.save(update_fields=["rounds", "seen_at", "ours", "theirs"])
        elif _was_looked_for(row, book, read):
            row.settled_at, row.settled_by = now, "the next look"
            row.save(update_fields=["settled_at", "settled_by"])
    new = [_row(one, now) for name, one in wanted.items() if name not in rows]
    Difference.objects.bulk_create(new)
    for row in (*rows.values(), *new):
        if row.kind == Kind.TAKEN and (lots := taking.lots_of(place_of(row.key), book)):
            Difference.objects.filter(pk=row.pk).update(lots=lots)
    return [row for row in (*rows.values(), *new) if row.settled_at is None]


_desk = Prepared(lambda: BrokerDesk.objects.select_for_update().filter(broker=Broker.ZERODHA))
_open = Prepared(lambda: Difference.objects.select_for_update().filter(settled_at=None))


def _is_moving(key: str, book: Book) -> bool:
    """Whether it is about an order that traded while the book was read: its lists tell different things."""
    return not book.moved.isdisjoint((key, key.rpartition(":")[2]))


def _was_looked_for(row: Difference, book: Book, read: frozenset[Source]) -> bool:
    """Whether a difference that was not found is gone."""
    if row.kind == Kind.CHARGES and row.key not in {bill.order_id for bill in book.asked.bills}:
        return False  # of a day that is not asked about any more
    return read.issuperset(reconciling.SOURCES[Kind(row.kind)]) and not _is_moving(row.key, book)


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


# ---- what follows --------------------------------------------------------------------------------------------


def _stop_entries(row: Difference, now: datetime) -> None:
    """Pause whom a difference concerns, once; one about the account concerns all who trade there. Whoever dies before
    this is written down does it after the next look."""
    alert_raise(
        code="broker_differs",
        subject=f"{row.kind} {row.key}",
        text=f"here {row.ours}, at the broker {row.theirs}",
        severity=Severity.CRITICAL,
        deployment_id=row.deployment_id,
        broker=Broker.ZERODHA,
        now=now,
    )
    if _pause_all(f"differs from the broker: {row.kind} {row.key}", now, alone=row.deployment_id):
        row.halted_at = now  # else the next look tries again
        row.save(update_fields=["halted_at"])


def forbidden(reason: str, now: datetime) -> None:
    """Kite lets us place nothing (it does not know our address, the app has no permission): each further entry would
    be refused too, and count. Exits are tried all the same."""
    alert_raise(
        code="broker_forbids",
        subject=Broker.ZERODHA,
        text=f"no live deployment enters any more: {reason}",
        severity=Severity.CRITICAL,
        broker=Broker.ZERODHA,
        now=now,
    )
    _pause_all(f"the broker forbids it: {reason}", now)


def _pause_all(reason: str, now: datetime, *, alone: UUID | None = None) -> bool:
    """Pause all that trade live, or one alone; whether all of them are."""
    concerned = Deployment.objects.filter(broker=Broker.ZERODHA, status=DeploymentStatus.RUNNING)
    if alone is not None:
        concerned = concerned.filter(id=alone)
    acts = {one.id: partial(_pause_running, one.id, reason, now) for one in concerned}
    return not [one for one, act in acts.items() if savepoint("pause", one, now, act)]


def _pause_running(deployment_id: UUID, reason: str, now: datetime) -> None:
    deployments.locked_soon(deployment_id)
    with suppress(IllegalTransition):  # it has stopped meanwhile
        pause(deployment_id, reason, now)


def pause(deployment_id: UUID, reason: str, now: datetime) -> None:
    """Let a deployment enter no more until a person starts it again."""
    deployment_pause(deployment_id=deployment_id, actor="reconciliation", reason=reason[:200], now=now)
