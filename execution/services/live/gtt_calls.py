"""Writes about triggers: claimed with what may forbid them, sent once, and what came of them written down.

As with orders, but a trigger has no tag: what is not known is looked for in the list of triggers."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import msgspec
from django.db import transaction

from alphapanda import failpoints
from alphapanda.core.clock import ist_date, to_ms
from alphapanda.core.vocabulary import Broker, Severity
from alphapanda.prepared import Prepared
from execution.domain.kite import budgets, gtt
from execution.domain.kite.budgets import Spent
from execution.domain.kite.gtt import GttStatus
from execution.domain.kite.lookup import Lookup
from execution.domain.kite.outcomes import Outcome, Resend, Verdict, of_answer, of_failure
from execution.domain.kite.wire import CannotBeSaid
from execution.gtt_models import CallState, Gtt, GttCall
from execution.models import BrokerDesk
from execution.services.live.answers import PAUSE_MS, Said
from execution.services.live.calls import ANY_MS, gtt_budgeted
from execution.services.live.containing import contained, resting
from execution.services.live.gtt import columns, excess, wanted_of
from execution.services.live.http import Failed, KiteHttp, NotLoggedIn
from marketdata.selectors import specs_by_key
from risk.services.alerts import alert_raise

Kind = GttCall.Kind
METHODS = {Kind.PLACE: "POST", Kind.MODIFY: "PUT", Kind.DELETE: "DELETE"}
PATIENCE_MS = 300_000  # a person asked for it now, not for some later time
CLAIMED_MAX = 16


class Claimed(msgspec.Struct, frozen=True):
    """A call that may leave now, committed."""

    call: budgets.Call
    method: str
    path: str
    form: dict[str, str]


def is_waiting(now: datetime) -> bool:
    """Whether a call waits for its turn."""
    return bool(_turns(to_ms(now)))


_turns = Prepared(
    lambda now_ms: GttCall.objects.filter(state=CallState.READY, not_before_ms__lte=now_ms).values_list("id")[
        :1
    ],
    ANY_MS,
)
_sending = Prepared(lambda: GttCall.objects.filter(state=CallState.SENDING).values_list("id"))


def claim(spent: Spent, now: datetime) -> Claimed | None:
    """The next call that may be said, marked as leaving. No kill switch forbids one: all close, or take back."""
    with transaction.atomic():
        desk = BrokerDesk.objects.select_for_update().get(broker=Broker.ZERODHA)
        claimed = None if desk.stopped else _first(desk, spent, now)
        _drop_old(now)
        failpoints.hit("execution.gtt.before_claim")
    failpoints.hit("execution.gtt.after_claim")
    return claimed


def _first(desk: BrokerDesk, spent: Spent, now: datetime) -> Claimed | None:
    rows = (
        GttCall.objects.select_for_update(of=("self",)).select_related("gtt").order_by("queued_at_ms", "id")
    )
    rows = rows.filter(
        state=CallState.READY, not_before_ms__lte=to_ms(now), queued_at_ms__gt=to_ms(now) - PATIENCE_MS
    )
    if desk.reconciled_at is None or desk.gtts_read_at is None:
        rows = rows.filter(kind=Kind.DELETE)  # what is held, and what covers it, is not known yet
    for row in rows.exclude(id__in=resting("trigger", now))[:CLAIMED_MAX]:
        if budgets.free_ms(gtt_budgeted(row), spent, to_ms(now)) > to_ms(now):
            return None
        with contained("trigger", row.id, now), transaction.atomic():
            if (claimed := _prepared(row, desk, now)) is not None:
                return claimed
    return None


def _prepared(row: GttCall, desk: BrokerDesk, now: datetime) -> Claimed | None:
    """The call with its words, as it leaves; None where it will not."""
    form: dict[str, str] = {}
    if row.kind != Kind.DELETE:
        terms = wanted_of(row)
        spec = specs_by_key([terms.instrument]).get(terms.instrument)
        try:
            if spec is None:
                raise CannotBeSaid(f"there is no instrument {terms.instrument} any more")
            if problem := excess(terms, desk, row.gtt):
                raise CannotBeSaid(problem)
            form = gtt.form(terms, spec.on(ist_date(to_ms(now))), row.last_price_e4)
        except CannotBeSaid as error:
            _drop(row, str(error), now)
            return None
    row.state, row.sent_at_ms, row.form = CallState.SENDING, to_ms(now), form
    row.save()
    _told(row.gtt, now)
    path = "/gtt/triggers" if row.kind == Kind.PLACE else f"/gtt/triggers/{row.gtt.trigger_id}"
    return Claimed(gtt_budgeted(row), METHODS[Kind(row.kind)], path, form)


def _told(row: Gtt, now: datetime, **changes: object) -> None:
    """A change of what is known of a trigger by word of ours; lists that were asked for before do not count."""
    for name, value in changes.items():
        setattr(row, name, value)
    row.told_at_ms = to_ms(now)
    row.save()


def _drop_old(now: datetime) -> None:
    old = GttCall.objects.select_for_update(of=("self",)).select_related("gtt")
    for row in old.filter(state=CallState.READY, queued_at_ms__lte=to_ms(now) - PATIENCE_MS):
        _drop(row, row.reason or "it could not leave for five minutes", now)


def _drop(row: GttCall, reason: str, now: datetime) -> None:
    """A call that is never sent."""
    row.state = CallState.DROPPED
    nothing_came(row, reason, now)


def nothing_came(row: GttCall, reason: str, now: datetime) -> None:
    """That a call came to nothing; who asked may believe that a position is protected. Saves it."""
    row.reason, row.answered_at_ms = reason[:200], to_ms(now)
    row.save()
    if row.kind == Kind.PLACE:
        _told(row.gtt, now, status=GttStatus.NOT_PLACED, reason=reason[:200])
    alert_raise(
        code="gtt_refused",
        subject=f"{row.kind} {row.gtt.instrument} {row.pk}",
        text=f"{row.kind} of a GTT, asked for by {row.actor}, came to nothing: {reason}",
        severity=Severity.WARNING,
        now=now,
    )


def send(call: Claimed, http: KiteHttp) -> Outcome:
    """The one request of a claimed call."""
    failpoints.hit("execution.gtt.before_send")
    try:
        answer = http.write(call.method, call.path, call.form)
    except NotLoggedIn as error:
        return Outcome(Verdict.TOKEN_DEAD, str(error))
    except Failed as error:
        return of_failure(error.stage, str(error))
    finally:
        failpoints.hit("execution.gtt.after_send")
    return of_answer(answer.status, answer.body, id_name="trigger_id")


def record(call_id: UUID, outcome: Outcome, now: datetime) -> Said:
    """Write down what came of a call that left."""
    with transaction.atomic():
        row = GttCall.objects.select_for_update(of=("self",)).select_related("gtt").get(id=call_id)
        if row.state != CallState.SENDING:
            return Said.NOTHING
        row.answered_at_ms, row.http_status = to_ms(now), outcome.http_status or None
        row.reason = outcome.reason[:200]
        _write_down(row, outcome, now)
        failpoints.hit("execution.gtt.before_record")
    failpoints.hit("execution.gtt.after_record")
    if outcome.resend is Resend.SAME_TAG:
        return Said.TOO_MANY
    return Said.FINE if outcome.http_status else Said.NOTHING


def _write_down(row: GttCall, outcome: Outcome, now: datetime) -> None:
    if outcome.verdict is Verdict.ACCEPTED and (row.kind != Kind.PLACE or outcome.order_id.isdigit()):
        done(row, now, trigger_id=int(outcome.order_id) if row.kind == Kind.PLACE else None)
    elif outcome.verdict is Verdict.TOKEN_DEAD or outcome.may_resend:
        row.state, row.sent_at_ms, row.not_before_ms = CallState.READY, None, to_ms(now) + PAUSE_MS
        row.save()  # it proves that nothing was taken: its next turn, if that comes in time
    elif outcome.verdict is Verdict.REFUSED:
        row.state = CallState.REFUSED
        nothing_came(row, outcome.reason, now)
    else:
        unknown(row, now)


def done(row: GttCall, now: datetime, *, trigger_id: int | None = None) -> None:
    """That the broker has taken a call. Saves it."""
    row.state, row.answered_at_ms = CallState.DONE, to_ms(now)
    row.save()
    if row.kind == Kind.PLACE:
        _told(row.gtt, now, trigger_id=trigger_id, status=GttStatus.ACTIVE)
    elif row.kind == Kind.MODIFY:
        _told(row.gtt, now, **columns(wanted_of(row)))
    else:
        _told(row.gtt, now, status=GttStatus.DELETED)


def unknown(row: GttCall, now: datetime) -> None:
    """Nobody knows what came of a call: it is looked for, never repeated. Saves it."""
    search = Lookup(row.sent_at_ms or to_ms(now), to_ms(now), outlives_day=True)
    row.state, row.lookup = CallState.UNKNOWN, msgspec.to_builtins(search)
    row.save()


def recover(now: datetime, *, flying: Collection[UUID] = ()) -> int:
    """Calls that left and that nobody waits for: what came of them is not known. How many."""
    lost_ids = [call_id for (call_id,) in _sending() if call_id not in flying]
    if not lost_ids:
        return 0
    with transaction.atomic():
        lost = GttCall.objects.select_for_update().filter(state=CallState.SENDING, id__in=lost_ids)
        for row in (found := list(lost)):
            row.reason = "nobody waited for its answer"
            unknown(row, now)
    return len(found)
