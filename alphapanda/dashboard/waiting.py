"""What waits for a person: entries in approval mode, and differences between the broker's books and ours."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from alphapanda.core.clock import to_ms
from alphapanda.core.vocabulary import Broker
from alphapanda.dashboard import frame, moment, screen
from alphapanda.dashboard.access import broker_of, page_view
from alphapanda.dashboard.verdicts import limits_then
from execution import live_selectors
from execution.domain.kite.reconciling import Kind
from execution.models import Difference, ExternalOrder
from marketdata import selectors as market
from risk import selectors
from risk.services.outlook import Outlook, approval_outlooks
from strategies import loading as deployments
from strategies.models import Approval

SHOWN = 200
ANSWERED = 40
SOON_S = 60  # what is over so soon is marked
OVER = {  # how a wait ended that nobody ended
    Approval.State.REPLACED: "its strategy has raised a newer entry since",
    Approval.State.EXPIRED: "nobody answered in time",
}
ACCEPTABLE = (Kind.POSITION, Kind.TAKEN)  # what may be declared to be right for good


@page_view
def approvals(request: HttpRequest) -> HttpResponse:
    """Entries that wait, with what they would do; and the newest that were answered. Exits never are here."""
    broker = broker_of(request.GET.get("broker", ""))
    live, now = frame.Reading(broker), timezone.now()
    asked = moment.known(selectors.approvals_asked().filter(deployment__broker=broker), "asked_at")
    waiting = list(moment.unended(asked, "answered_at").exclude(_let_pass())[:SHOWN])
    # what one would have done is not kept
    known = (
        approval_outlooks(waiting, calendar=market.calendars(), now=now) if moment.current() is None else {}
    )
    answered = (moment.ended(asked, "answered_at") | asked.filter(_let_pass()))[:ANSWERED]
    rows = {
        "waits": {
            str(one.pk): _waits(one, known.get(one.pk)) | _left(one, live, broker, now) for one in waiting
        },
        "answers": {str(one.pk): _asked(one) | _outcome(one) for one in answered},
    }
    html = screen.rendered(rows)
    if frame.wants_json(request):
        return frame.snapshot(live, html, is_stored=True)
    context = {kind: list(html[kind].values()) for kind in rows}
    hints = [*rows, "news", "signals"]
    return frame.shown(request, "approvals", "dashboard/approvals.html", context, live=live, hints=hints)


def _asked(one: Approval) -> screen.Row:
    return {
        "id": str(one.pk),
        "order": to_ms(one.asked_at),
        "deployment": one.deployment.name,
        "is_live": one.deployment.broker == Broker.ZERODHA,
        "instrument": str(one.signal.instrument),
        "side": one.signal.side,
        "quantity": one.signal.quantity,
        "order_type": one.signal.order_type,
        "limit_price_e4": one.signal.limit_price_e4,
        "because": one.signal.reason,
        "at_ms": one.signal.at_ms,
        "expires_at_ms": one.expires_at_ms,
        "state": one.state,
        "by": one.answered_by,
        "reason": one.reason,
    }


def _waits(one: Approval, outlook: Outlook | None) -> screen.Row:
    if outlook is None:
        return _asked(one)
    numbers = outlook["numbers"]
    return _asked(one) | {
        "passes": outlook["would_pass"],
        "rule": outlook["rule"],
        "why": outlook["reason"],
        "before": outlook["gross_exposure_before"],
        "after": numbers.get("gross_exposure"),
        "value": numbers.get("order_value"),
        "limits": limits_then(numbers, deployments.signal_row(one.signal)),
        "facts": f'{{"signals": ["{one.pk}"]}}',
    }


def _left(one: Approval, live: frame.Reading, broker: str, now: datetime) -> screen.Row:
    """How long an entry waits on: by the clock of the ticks, at most by that of the world."""
    if moment.current() is not None:
        return {}
    strip, now_ms = live.rows.get("strip", {}).get(broker, {}), to_ms(now)
    clock = strip["at_ms"] if strip.get("session") and strip["at_ms"] else now_ms
    wall_ms = to_ms(one.expires_at)
    left_s = max(min(one.expires_at_ms - clock, wall_ms - now_ms), 0) // 1000
    return {"wall_ms": wall_ms, "left_s": left_s, "is_soon": left_s < SOON_S}


def _let_pass() -> Q:
    """Entries that had been let pass by the moment that is looked at, but are over otherwise since: dropped or too
    late. None of now."""
    then = moment.until()
    return Q(answered_at__gt=then, signal__approving__created_at__lte=then) if then else Q(pk=None)


def _outcome(one: Approval) -> screen.Row:
    """What came of an entry that waits no more: why, when, and what risk said of one that was approved."""
    if one.answered_at is not None and moment.ended_at(one.answered_at) is None:
        told = one.signal.approving
        told_ms = to_ms(told.created_at)
        return {
            "state": Approval.State.APPROVED.value,
            "by": told.actor,
            "reason": told.reason,
            "answered_ms": told_ms,
        }
    told = {"reason": one.reason or OVER.get(Approval.State(one.state), ""), "answered_ms": None}
    if one.answered_at is not None:
        told["answered_ms"] = to_ms(one.answered_at)
    if one.state != Approval.State.APPROVED or moment.current() is not None:
        return told
    return told | {"is_approved": True, "verdict": selectors.approval_verdict(one)}


@page_view
def reconciliation(request: HttpRequest) -> HttpResponse:
    """The broker's view and ours beside each other, differences only, each with its age and a way to settle it."""
    live, now = frame.Reading(broker_of(request.GET.get("broker", ""))), timezone.now()
    found = moment.known(live_selectors.differences_found(), "first_seen_at")
    others = moment.known(live_selectors.external_orders().filter(is_open=True), "first_seen_at")[:SHOWN]
    rows = {
        "differences": {
            str(one.pk): _difference(one) | {"age_s": _age_s(one, now)}
            for one in moment.unended(found, "settled_at")[:SHOWN]
        },
        "settled": {str(one.pk): _difference(one) for one in moment.ended(found, "settled_at")[:ANSWERED]},
        "externals": {one.pk: _external(one) for one in others},
    }
    html = screen.rendered(rows)
    if frame.wants_json(request):
        return frame.snapshot(live, html, is_stored=True)
    context: dict[str, Any] = {kind: list(html[kind].values()) for kind in rows}
    context["desk"] = live_selectors.desk_now(now).desk
    return frame.shown(
        request, "reconciliation", "dashboard/reconciliation.html", context, live=live, hints=[*rows, "news"]
    )


def _age_s(one: Difference, now: datetime) -> int:
    """How long a difference has been there, at the moment that is looked at."""
    return int(((moment.until() or now) - one.first_seen_at).total_seconds())


def _difference(one: Difference) -> screen.Row:
    """What a look after the moment that is looked at has found is not told: those before are not kept."""
    is_known = moment.ended_at(one.seen_at) is not None
    return {
        "id": str(one.pk),
        "order": to_ms(one.first_seen_at),
        "kind": one.kind,
        "key": one.key,
        "deployment": one.deployment.name if one.deployment else "the account",
        "deployment_id": str(one.deployment_id or ""),
        "ours": one.ours if is_known else None,
        "theirs": one.theirs if is_known else None,
        "rounds": one.rounds if is_known else None,
        "first_ms": to_ms(one.first_seen_at),
        "seen_ms": to_ms(one.seen_at),
        "halted": moment.ended_at(one.halted_at) is not None,
        "can_accept": one.kind in ACCEPTABLE,
        "settled_ms": moment.ended_at(one.settled_at),
        "by": one.settled_by,
        "note": one.note,
    }


def _external(one: ExternalOrder) -> screen.Row:
    return {
        "id": one.pk,
        "order": to_ms(one.first_seen_at),
        "instrument": one.instrument,
        "worst": None if one.worst_value is None else str(one.worst_value),
        "first_ms": to_ms(one.first_seen_at),
        "status": one.snapshot.get("status", ""),
        "side": one.snapshot.get("side", ""),
        "quantity": one.snapshot.get("quantity"),
    }
