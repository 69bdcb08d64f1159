"""Sending one claimed call, and writing down what came of it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from functools import partial
from threading import Event
from typing import Any
from uuid import UUID

import msgspec
from django.db import transaction

from alphapanda import failpoints
from alphapanda.core import ids
from alphapanda.core.clock import to_ms
from alphapanda.core.vocabulary import Broker, Severity, SignalKind
from alphapanda.prepared import Prepared
from execution.domain.kite.budgets import Lane
from execution.domain.kite.lookup import Lookup
from execution.domain.kite.orders import ActStage, Sending
from execution.domain.kite.outcomes import Outcome, Resend, Verdict, of_answer, of_failure
from execution.domain.kite.reducer import ActNews, Placing, answered
from execution.models import BrokerCall, BrokerDesk
from execution.services.live import containing, evidence, outages, states
from execution.services.live.calls import METHODS, Claimed, tell_refused
from execution.services.live.http import Failed, KiteHttp, NotLoggedIn
from risk.services.alerts import alert_raise

State = BrokerCall.State
PAUSE_MS = 1_000  # before a call that Kite did not take for now, or that could not leave
ATTEMPTS_MAX = 5  # connections that could not be opened, before an entry is given up
NOBODY = "nobody waited for its answer"
TOKEN_DEAD = "Kite does not know our access token any more: somebody has to log in"  # noqa: S105 - no token


class Said(StrEnum):
    """What an answer means for the budgets."""

    FINE = "FINE"
    TOO_MANY = "TOO_MANY"
    NOTHING = "NOTHING"  # no answer


def send(call: Claimed, http: KiteHttp, begun: Event | None = None) -> Outcome:
    """The one request of a claimed call; `begun` is set when it begins."""
    failpoints.hit("execution.call.before_send")
    if begun is not None:
        begun.set()
    try:
        answer = http.write(METHODS[call.kind], call.path, call.form)
    except NotLoggedIn as error:
        return Outcome(Verdict.TOKEN_DEAD, str(error))
    except Failed as error:
        return of_failure(error.stage, str(error))
    finally:
        failpoints.hit("execution.call.after_send")
    return of_answer(answer.status, answer.body)


def record(call_id: UUID, outcome: Outcome, now: datetime) -> Said:
    """Write down what came of a call that left."""
    with transaction.atomic():
        row = BrokerCall.objects.select_for_update().get(id=call_id)
        if row.state != State.SENDING:
            return Said.NOTHING
        row.answered_at_ms, row.http_status = to_ms(now), outcome.http_status or None
        row.reason = outcome.reason[:200]
        if outcome.never_left:
            row.sent_at_ms = None  # so the broker does not count it
        _BY_VERDICT[outcome.verdict](row, outcome, now)
        failpoints.hit("execution.call.before_record")
    failpoints.hit("execution.call.after_record")
    if outcome.resend is Resend.SAME_TAG:
        return Said.TOO_MANY
    return Said.FINE if outcome.http_status else Said.NOTHING


def recover(now: datetime, *, flying: Collection[UUID] = ()) -> int:
    """Calls between leaving and being recorded that nobody waits for: a process died, or what was committed was not
    heard. What came of them is not known. How many."""
    lost = [call_id for (call_id,) in _sending() if call_id not in flying]
    if not lost:
        return 0
    for row in BrokerCall.objects.filter(id__in=lost):
        fault = containing.savepoint("call", row.id, now, partial(_lose, row.id, now))
        if fault and fault != containing.BUSY:
            left = BrokerCall.objects.filter(id=row.id, state=State.SENDING)
            left.update(**_lost(row, now))  # looked for all the same
    return len(lost)


_sending = Prepared(lambda: BrokerCall.objects.filter(state=State.SENDING).values_list("id"))


def _lose(call_id: UUID, now: datetime) -> None:
    row = BrokerCall.objects.select_for_update().get(id=call_id)
    if row.state == State.SENDING:
        _unknown(row, Outcome(Verdict.UNKNOWN, NOBODY), now)


def _lost(row: BrokerCall, now: datetime) -> dict[str, Any]:
    """What a call becomes of which nobody knows what came of it."""
    search = Lookup(row.sent_at_ms or to_ms(now), to_ms(now))
    return {"state": State.UNKNOWN, "reason": NOBODY, "lookup": msgspec.to_builtins(search)}


def _accepted(row: BrokerCall, outcome: Outcome, now: datetime) -> None:
    row.state = State.DONE
    row.save()
    if row.kind == SignalKind.ORDER:
        news = answered(outcome, attempt=row.attempt, at_ms=to_ms(now))
        evidence.take(row.order_id, [news], now=now)
    else:
        tell_done(row, now)


def tell_done(row: BrokerCall, now: datetime) -> None:
    """That the broker has taken a cancellation or modification."""
    if row.decision_id is not None:
        evidence.take(row.order_id, [_act(row, ActStage.DONE, now)], now=now)


def _act(row: BrokerCall, stage: ActStage, now: datetime) -> ActNews:
    assert row.decision_id is not None, "told only of decisions"
    live = states.known(row.order)
    known = live.acts.get(row.decision_id)
    return ActNews(row.decision_id, stage, to_ms(now), known.terms if known else None)


def _refused(row: BrokerCall, outcome: Outcome, now: datetime) -> None:
    never_left = outcome.resend is Resend.NEW_TAG
    row.turned_away += outcome.resend is Resend.SAME_TAG  # the broker counts it
    if never_left and row.lane == Lane.EXIT and row.kind == SignalKind.ORDER:
        _back(row, now, pause_ms=outages.pause_ms(PAUSE_MS, now))
    elif outcome.resend is Resend.SAME_TAG or (never_left and row.lane != Lane.ENTRY):
        _back(row, now)
    elif never_left and row.attempt < ATTEMPTS_MAX:
        row.state = State.REFUSED
        row.save()
        _again(row, now)
    else:
        row.state = State.REFUSED
        row.save()
        tell_refused(row, outcome.reason, now)


def _back(row: BrokerCall, now: datetime, pause_ms: int = PAUSE_MS) -> None:
    """Kite did not take it for now, or it could not leave: the same call waits for its next turn. What was on its way
    is not any more."""
    row.state, row.sent_at_ms, row.not_before_ms = State.READY, None, to_ms(now) + pause_ms
    row.save()


def _again(row: BrokerCall, now: datetime) -> None:
    """It never left: a new attempt, under another tag."""
    attempt = row.attempt + 1
    BrokerCall.objects.create(
        id=ids.derived("broker call", row.decision_id or row.order_id, row.kind, attempt),
        order=row.order,
        decision_id=row.decision_id,
        kind=row.kind,
        lane=row.lane,
        attempt=attempt,
        not_before_ms=to_ms(now) + PAUSE_MS,
        queued_at_ms=row.queued_at_ms,
        terms=row.terms,
    )
    if row.kind == SignalKind.ORDER:
        evidence.take(row.order_id, [Placing(Sending.READY, to_ms(now), attempt)], now=now)


def _unknown(row: BrokerCall, outcome: Outcome, now: datetime) -> None:
    for name, value in (_lost(row, now) | {"reason": outcome.reason[:200]}).items():
        setattr(row, name, value)
    row.save()
    if row.kind == SignalKind.ORDER:
        news = answered(outcome, attempt=row.attempt, at_ms=to_ms(now))
        evidence.take(row.order_id, [news], now=now)


def _token_dead(row: BrokerCall, _outcome: Outcome, now: datetime) -> None:
    """What leaves a position or a book waits for a new login; an entry does not. Whether the token is still the one in
    use, so that nothing more is sent, the desk knows."""
    if row.lane == Lane.ENTRY:
        row.state = State.REFUSED
        row.save()
        tell_refused(row, TOKEN_DEAD, now)
    else:
        _back(row, now)


def stop(reason: str, now: datetime) -> None:
    """Send nothing any more until somebody has mended the reason; one alert."""
    BrokerDesk.objects.filter(broker=Broker.ZERODHA).update(stopped=reason[:200])
    alert_raise(
        code="broker_stopped",
        subject=Broker.ZERODHA,
        text=reason,
        severity=Severity.CRITICAL,
        broker=Broker.ZERODHA,
        now=now,
    )


_BY_VERDICT = {
    Verdict.ACCEPTED: _accepted,
    Verdict.REFUSED: _refused,
    Verdict.UNKNOWN: _unknown,
    Verdict.TOKEN_DEAD: _token_dead,
}
