"""Calls to the broker: claimed with everything that may forbid them, sent once, and what came of them written down.

Transaction A claims (state SENDING, tag, the kill switch read), the one request leaves, transaction B records. A row
that died between A and B is UNKNOWN at the next start: it is looked up by tag, never sent again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import msgspec
from django.db import transaction
from django.db.models import Case, QuerySet, Value, When

from accounts.live import why_no_entry
from alphapanda import failpoints
from alphapanda.core.clock import ist_date, ist_midnight_ms, ist_text, to_ms
from alphapanda.core.vocabulary import Broker, DeploymentStatus, Severity, SignalKind, Variety
from alphapanda.prepared import Prepared
from execution.domain import acts
from execution.domain.kite import budgets, lookup, tags, wire
from execution.domain.kite.budgets import Lane, Spent
from execution.domain.kite.orders import ActStage, LiveOrder, Sending
from execution.domain.kite.reducer import ActNews, LastLeg, Placing
from execution.gtt_models import GttCall
from execution.models import BrokerCall, BrokerDesk
from execution.services.live import containing, evidence, external, states, taking, ways_out, words
from marketdata import selectors as market
from marketdata.domain.instruments import InstrumentSpec
from risk.loading import halts_active
from risk.services.alerts import alert_raise
from risk.services.terms import share_kill_lock
from strategies import loading as deployments
from strategies.models import Deployment

State = BrokerCall.State
KINDS = {
    SignalKind.ORDER: budgets.CallKind.PLACE,
    SignalKind.MODIFY: budgets.CallKind.MODIFY,
    SignalKind.CANCEL: budgets.CallKind.CANCEL,
}
URGENCY = Case(*(When(lane=lane, then=Value(place)) for place, lane in enumerate(Lane)))
METHODS = {SignalKind.ORDER: "POST", SignalKind.MODIFY: "PUT", SignalKind.CANCEL: "DELETE"}
BUDGETED = (
    "kind", "lane", "queued_at_ms", "sent_at_ms", "turned_away", "order__order__variety", "order__order__iceberg_legs",
)  # fmt: skip
LEFT = (State.SENDING, State.UNKNOWN, State.DONE)
CLAIMED_MAX = 64  # calls that wait are looked at so many at a time, the most urgent first
DROPPED_MAX = 20
ENTRY_PATIENCE_MS = 120_000  # what an entry was decided on is too old after that
COMPARED_MAX = timedelta(seconds=120)  # since the books were compared; an entry waits for the next time then
WAIT_MS = 30_000  # for an order that is on its way, or looked for; news of it end the wait at once


class Claimed(msgspec.Struct, frozen=True):
    """A call that may leave now, committed."""

    id: UUID
    kind: SignalKind
    path: str
    form: dict[str, str]


class Round(msgspec.Struct, frozen=True):
    """What a look at the queue came to: the call whose turn it was, and what is to be said (None: it was dropped, or
    waits for its order)."""

    call: budgets.Call | None = None
    said: Claimed | None = None
    halted: int = 0  # entries that a kill switch has dropped


def spent_today(now_ms: int) -> Spent:
    """What was said today, by others in the account too, from the rows: after a restart nothing is forgotten."""
    midnight_ms = ist_midnight_ms(ist_date(now_ms))
    rows = BrokerCall.objects.select_related("order__order").only(*BUDGETED)
    said = [(row.sent_at_ms or 0, _budgeted(row)) for row in rows.filter(sent_at_ms__gte=midnight_ms)]
    for row in rows.filter(turned_away__gt=0, queued_at_ms__gte=midnight_ms):
        said += [(row.queued_at_ms, _budgeted(row))] * row.turned_away
    gtts = GttCall.objects.filter(
        sent_at_ms__gte=now_ms - budgets.MINUTE_MS
    )  # no order, so none of the day's
    said += [(row.sent_at_ms or 0, gtt_budgeted(row)) for row in gtts]
    return budgets.seen_elsewhere(budgets.rebuilt(said, now_ms), external.placed_on_day(now_ms), now_ms)


def gtt_budgeted(row: GttCall) -> budgets.Call:
    """A write about a trigger, as the budgets count it: triggers of ours are exits."""
    return budgets.Call(str(row.id), budgets.CallKind.GTT, Lane.EXIT, row.queued_at_ms)


def is_waiting(now: datetime) -> bool:
    """Whether a call waits for its turn."""
    if containing.resting("call", now):
        return _ready(now).exists()
    return bool(_turns(to_ms(now)))


ANY_MS = -1  # stands for a time in SQL that is written once
_turns = Prepared(
    lambda now_ms: _due(now_ms).values_list("id")[:1],
    ANY_MS,
)


def _ready(now: datetime) -> QuerySet[BrokerCall]:
    """Calls whose time has come, and that have not failed a moment ago."""
    return _due(to_ms(now)).exclude(id__in=containing.resting("call", now))


def _due(now_ms: int) -> QuerySet[BrokerCall]:
    return BrokerCall.objects.filter(state=State.READY, not_before_ms__lte=now_ms)


def claim(spent: Spent, now: datetime) -> Round:
    """The next call that may be said, marked as leaving. Nothing leaves without a row that says so, and no entry after
    a kill switch has been committed."""
    with transaction.atomic():
        share_kill_lock()
        desk = BrokerDesk.objects.get(broker=Broker.ZERODHA)
        _drop_old(desk, now)
        rows = _waiting(desk, now)
        halted = _drop_halted(rows, now)
        changed = _changed(rows.values())
        waiting = [_budgeted(row, changed[row.order_id]) for row in rows.values()]
        found = budgets.next_to_send(waiting, spent, to_ms(now))
        for call in found.exhausted:
            _drop_alone(rows[call.id], acts.TOO_OFTEN, now)
        if found.call is None:
            return Round(halted=halted)
        said = _prepared_alone(rows[found.call.id], now)
        failpoints.hit("execution.call.before_claim")
    failpoints.hit("execution.call.after_claim")
    return Round(found.call, said, halted)


def _drop_halted(rows: dict[str, BrokerCall], now: datetime) -> int:
    """Take entries that a kill switch covers out of what waits. They are dropped a few at a time, for cancellations
    are not to wait for that."""
    entries = [row for row in rows.values() if row.lane == Lane.ENTRY]
    covered = {row.order.order.deployment_id: row.order.order.deployment for row in entries}
    halts = {one: found for one, row in covered.items() if (found := halts_active(row))}
    halted = [row for row in entries if row.order.order.deployment_id in halts]
    for row in halted[:DROPPED_MAX]:
        _drop_alone(row, f"halted: {halts[row.order.order.deployment_id][0].reason}", now)
    for row in halted:
        del rows[str(row.id)]
    return len(halted[:DROPPED_MAX])


def _drop_alone(row: BrokerCall, reason: str, now: datetime) -> None:
    """A call that is never sent, though nobody may be able to hear so."""
    fault = containing.savepoint("call", row.id, now, partial(drop, row, reason, now))
    if fault and fault != containing.BUSY:
        _never(row, reason, now)


def _never(row: BrokerCall, reason: str, now: datetime) -> None:
    BrokerCall.objects.filter(id=row.id).update(
        state=State.DROPPED, reason=reason[:200], answered_at_ms=to_ms(now)
    )


def _prepared_alone(row: BrokerCall, now: datetime) -> Claimed | None:
    """The call as it leaves; None where it will not. One that cannot be prepared is left alone with the reason and
    tried again, an entry is dropped."""
    with containing.contained("call", row.id, now) as held, transaction.atomic():
        return _prepared(row, now)
    BrokerCall.objects.filter(id=row.id).update(reason=held.fault)
    if row.lane == Lane.ENTRY and held.fault != containing.BUSY:
        row.refresh_from_db()
        _drop_alone(row, held.fault, now)
    return None


def _drop_old(desk: BrokerDesk, now: datetime) -> None:
    """Drop entries that have waited too long, and all while nothing is sent: none leaves when that is mended."""
    entries = BrokerCall.objects.filter(state=State.READY, lane=Lane.ENTRY)
    if not desk.stopped:
        too_old = now - timedelta(milliseconds=ENTRY_PATIENCE_MS)
        entries = entries.filter(decision__created_at__lt=too_old)
    reason = desk.stopped or f"waited for more than {ENTRY_PATIENCE_MS // 1000} s"
    for row in entries.select_for_update(of=("self",), skip_locked=True)[:DROPPED_MAX]:
        _drop_alone(row, reason, now)


def _waiting(desk: BrokerDesk, now: datetime) -> dict[str, BrokerCall]:
    """Calls that may go by all but the budgets. Entries wait for a comparison with the broker's book in the last
    minutes and after each start, login and gap; exits and cancellations do not."""
    if desk.stopped:
        return {}
    has_entries = desk.reconciled_at is not None and desk.reconciled_at >= now - COMPARED_MAX
    if containing.resting("call", now):
        rows: Iterable[BrokerCall] = _in_turn(_ready(now), has_entries=has_entries)
    else:
        rows = (_all_in_turn if has_entries else _others_in_turn)(to_ms(now))
    return {str(row.id): row for row in rows}


def _in_turn(rows: QuerySet[BrokerCall], *, has_entries: bool) -> QuerySet[BrokerCall]:
    if not has_entries:
        rows = rows.exclude(lane=Lane.ENTRY)
    rows = rows.select_related("order__order__deployment", "order__order__instrument", "decision__signal")
    rows = rows.select_for_update(of=("self",), skip_locked=True)
    return rows.order_by(URGENCY, "queued_at_ms", "id")[:CLAIMED_MAX]


_all_in_turn = Prepared(lambda now_ms: _in_turn(_due(now_ms), has_entries=True), ANY_MS)
_others_in_turn = Prepared(lambda now_ms: _in_turn(_due(now_ms), has_entries=False), ANY_MS)


def _changed(rows: Iterable[BrokerCall]) -> Counter[UUID]:
    """How many changes of their orders Kite may have counted: all that left and that it has not refused. By the calls,
    for the row of an order may be no order."""
    orders = {row.order_id for row in rows if row.kind == SignalKind.MODIFY}
    if not orders:
        return Counter()
    left = BrokerCall.objects.filter(order__in=orders, kind=SignalKind.MODIFY, state__in=LEFT)
    return Counter(left.values_list("order_id", flat=True))


def _budgeted(row: BrokerCall, modifications: int = 0) -> budgets.Call:
    order = row.order.order
    legs = max(order.iceberg_legs, 1) if order.variety == Variety.ICEBERG else 1
    return budgets.Call(
        id=str(row.id),
        kind=KINDS[SignalKind(row.kind)],
        lane=Lane(row.lane),
        queued_ms=row.queued_at_ms,
        modifications=modifications,
        orders=legs,
    )


def _prepared(row: BrokerCall, now: datetime) -> Claimed | None:
    """The call with its tag and words, as it leaves; None where it will not, or not yet."""
    live, order = states.known(row.order), row.order.order
    if reason := _why_not(row, now):
        drop(row, reason, now)
        return None
    if row.kind == SignalKind.ORDER and row.lane == Lane.EXIT and _is_hindered(row, now):
        return None
    try:
        claimed = _said(row, live, market.spec(order.instrument), now)
    except (wire.CannotBeSaid, tags.BadAttempt) as error:
        drop(row, str(error), now)
        return None
    if claimed is not None:
        row.state, row.sent_at_ms, row.form = State.SENDING, to_ms(now), claimed.form
        row.save()
        _tell_sent(row, now)
    return claimed


def _why_not(row: BrokerCall, now: datetime) -> str:
    """Why a call whose turn it is does not leave; empty: it does."""
    if row.kind == SignalKind.ORDER and _is_over(row, now):
        return "its session is over"
    if row.lane != Lane.ENTRY:
        return ""
    deployment = deployments.locked_soon(row.order.order.deployment_id)  # no pause commits before it leaves
    if deployment.status != DeploymentStatus.RUNNING:
        return f"its deployment is {deployment.status}"
    return _from_the_past(row, now) or _uncleared(deployment, now)


def _from_the_past(row: BrokerCall, now: datetime) -> str:
    """Why an entry is too late that was decided on ticks of long ago: whoever reads on after an outage decides within
    seconds what was to be decided for hours."""
    assert row.decision is not None, "only decisions enter"
    came_ms = row.decision.signal.received_at_ms  # 0: no item made it
    if not came_ms or to_ms(now) - came_ms <= ENTRY_PATIENCE_MS:
        return ""
    return f"decided on what came in at {ist_text(came_ms)}"


def _is_hindered(row: BrokerCall, now: datetime) -> bool:
    """Whether an exit would open a position if it left now; it waits then, or is dropped."""
    if found := ways_out.hindrance(row, to_ms(now)):
        _hinder(row, found, now)
        return True
    if taking.holds_up(row, now):
        BrokerCall.objects.filter(id=row.id).update(not_before_ms=to_ms(now) + taking.WAIT_MS)
        return True
    return False


def _hinder(row: BrokerCall, found: ways_out.Hindrance, now: datetime) -> None:
    """An exit beside a cancellation waits for that, or never leaves: then people hear of it."""
    if found.passes:
        for one in ways_out.in_doubt(row):
            evidence.cancel_wanted(one, now=now, reason="an exit waits for its end")
        row.not_before_ms = to_ms(now) + ways_out.AGAIN_MS
        row.save()
        return
    order = row.order.order
    alert_raise(
        code="exit_dropped",
        subject=str(row.order_id),
        text=f"{order.side} {order.quantity} {order.instrument} of {order.deployment.name}, to be out beside a "
        f"cancellation, would open a position: {found.reason}",
        severity=Severity.CRITICAL,
        deployment_id=order.deployment_id,
        now=now,
    )
    drop(row, found.reason, now)


def _is_over(row: BrokerCall, now: datetime) -> bool:
    """Whether an order has waited for longer than it was to live. How long counts, not until when: its own times are
    those of the log, which a rehearsal plays on another day."""
    assert row.decision is not None, "only decisions place orders"
    order = row.order.order
    waited = now - row.decision.created_at
    return waited >= timedelta(milliseconds=order.expires_at_ms - order.placed_at_ms)


def _uncleared(deployment: Deployment, now: datetime) -> str:
    """What who started a deployment lacks by now, with an alert."""
    missing = " ".join(why_no_entry(actor=deployment.started_by))
    if missing:
        alert_raise(
            code="live_not_cleared",
            subject=deployment.name,
            text=f"no entry leaves: {missing}",
            severity=Severity.CRITICAL,
            deployment_id=deployment.id,
            now=now,
        )
    return missing


def _tell_sent(row: BrokerCall, now: datetime) -> None:
    """What is on its way is so for the reducer too, before it leaves."""
    if row.kind == SignalKind.ORDER:
        news = Placing(Sending.SUBMITTING, to_ms(now), row.attempt, tag=row.tag or "")
        evidence.take(row.order_id, [news], now=now)
    elif row.decision_id is not None:
        terms = words.wanted(row) if row.kind == SignalKind.MODIFY else None
        evidence.take(row.order_id, [ActNews(row.decision_id, ActStage.SENT, to_ms(now), terms)], now=now)


def drop(row: BrokerCall, reason: str, now: datetime) -> None:
    """A call that is never sent; whoever asked for it hears so."""
    row.state, row.reason, row.answered_at_ms = State.DROPPED, reason[:200], to_ms(now)
    row.save()
    tell_refused(row, reason, now)


def tell_refused(row: BrokerCall, reason: str, now: datetime) -> None:
    """That nothing came of a call."""
    if row.kind == SignalKind.ORDER:
        news = Placing(Sending.REFUSED, to_ms(now), row.attempt, reason=reason)
        evidence.take(row.order_id, [news], now=now)
    elif row.decision_id is not None:
        act = ActNews(row.decision_id, ActStage.REFUSED, to_ms(now), reason=reason)
        evidence.take(row.order_id, [act], now=now)


def _said(row: BrokerCall, live: LiveOrder, spec: InstrumentSpec, now: datetime) -> Claimed | None:
    kind = SignalKind(row.kind)
    if kind is SignalKind.ORDER:
        house = BrokerDesk.objects.get(broker=row.order.order.broker).house
        row.tag = tags.tag_of(house, live.id, row.attempt)
        return Claimed(row.id, kind, f"/orders/{live.variety}", words.placing(live, spec, row))
    works = [name for name, part in live.parts.items() if part.ended is None]
    if not works:
        return _not_yet(row, live, now)
    row.broker_order_id = works[-1]  # of an iceberg order the leg at work
    path = f"/orders/{live.variety}/{row.broker_order_id}"
    form = {} if kind is SignalKind.CANCEL else words.changing(live, spec, row)
    return Claimed(row.id, kind, path, form)


def _not_yet(row: BrokerCall, live: LiveOrder, now: datetime) -> None:
    """An act on an order that the broker does not show: what was never sent is not sent any more, what may be there is
    waited for, what is over needs no act."""
    placing = BrokerCall.objects.select_for_update().filter(
        order=row.order, kind=SignalKind.ORDER, state=State.READY
    )
    if live.status.is_final:
        drop(row, "the order is over", now)
    elif row.kind == SignalKind.CANCEL and (unsent := placing.first()) is not None:
        drop(unsent, "cancelled before it was sent", now)
        row.state, row.answered_at_ms = State.DONE, to_ms(now)
        row.save()
    elif row.kind == SignalKind.CANCEL and lookup.is_without_leg(live, _compared_ms()):
        evidence.take(row.order_id, [LastLeg(len(live.parts), to_ms(now))], now=now)
        drop(row, "the order is over", now)
    else:
        row.not_before_ms = to_ms(now) + WAIT_MS
        row.save()


def _compared_ms() -> int:
    compared_at = BrokerDesk.objects.get(broker=Broker.ZERODHA).reconciled_at
    return to_ms(compared_at) if compared_at else 0
