"""Alerts: what a person must know of, in groups; what is silent; where it goes besides this page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from alphapanda.core.clock import to_ms
from alphapanda.core.refusals import Refusal
from alphapanda.core.vocabulary import Severity
from alphapanda.dashboard import frame, moment, screen
from alphapanda.dashboard.access import broker_of, may_act, viewer_required
from alphapanda.dashboard.lists import BAD_REQUEST
from risk import selectors
from risk.channel_models import AlertChannel, AlertDelivery, AlertSilence
from risk.domain.grouping import Group, Seen, grouped
from risk.domain.silences import silence_of
from risk.messenger import ADDRESS_MAX
from risk.models import Alert
from risk.services.channels import NAME_MAX, channel_add

SHOWN = 200
SUBJECTS = 3  # of a group that are named
FORBIDDEN = 403
RECENT = timedelta(days=1)  # in which what was given up is counted
State = AlertDelivery.State


class AlertForm(forms.Form):
    """Which alerts."""

    state = forms.ChoiceField(required=False, choices=[("", "open"), ("all", "all")])

    @property
    def is_all(self) -> bool:
        return bool(self.cleaned_data.get("state") == "all")

    def narrow(self, found: QuerySet) -> QuerySet:
        return found if self.is_all else moment.unended(found, "acknowledged_at")


class ChannelForm(forms.Form):
    """A channel to add. The address is written as a password is, and a refused form comes back without it."""

    name = forms.CharField(max_length=NAME_MAX, help_text="as you call it")
    address = forms.CharField(
        max_length=ADDRESS_MAX,
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="it is stored sealed, and shown nowhere again",
    )
    least = forms.ChoiceField(
        label="From",
        choices=[(Severity.WARNING.value, "warnings on"), (Severity.CRITICAL.value, "critical alerts alone")],
    )


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters("address")
@viewer_required
def alerts(request: HttpRequest) -> HttpResponse:
    """What a person must know of, and the ways to take it upon oneself, to silence it, to be told elsewhere."""
    if request.method != "POST":
        return _shown(request)
    if not may_act(request.user):
        return _shown(request, problem="Channels are for operators.", status=FORBIDDEN)
    form = ChannelForm(request.POST)
    if not form.is_valid():
        return _shown(request, new=form, status=BAD_REQUEST)
    try:
        return _added(request, form.cleaned_data)
    except Refusal as refusal:
        return _shown(request, new=form, problem=str(refusal), status=BAD_REQUEST)


@sensitive_variables("given")
def _added(request: HttpRequest, given: dict[str, Any]) -> HttpResponse:
    made = channel_add(
        **given | {"least": Severity(given["least"])},
        actor=request.user.get_username(),
        ip=request.META.get("REMOTE_ADDR"),
        now=timezone.now(),
    )
    return _shown(request, told=f"{made} is added. Try it: Test sends it a message.")


def _shown(request: HttpRequest, *, status: int = 200, **more: Any) -> HttpResponse:
    live = frame.Reading(broker_of(request.GET.get("broker", "")))
    form = AlertForm(request.GET)
    status = status if form.is_valid() else BAD_REQUEST
    now = moment.until() or timezone.now()
    silences = list(selectors.silences_in_force(now))
    known = moment.known(selectors.alerts_raised(), "raised_at").select_related("deployment")
    found = list(form.narrow(known).defer(*selectors.HEAVY).order_by("-raised_at", "-id")[:SHOWN])
    rows = {
        "alerts": _flat(found, silences) if form.is_all else _grouped(found, silences),
        "silences": {str(one.pk): _silence(one) for one in silences},
        "channels": {} if moment.current() is not None else channels(now),
    }
    html = screen.rendered(rows)
    if frame.wants_json(request):
        return frame.snapshot(live, html, is_stored=True)
    context = {
        "form": form,
        "new": ChannelForm(),
        "sort": "newest" if form.is_all else "",
        "has_channels": bool(rows["channels"]),
        **{kind: list(of_kind.values()) for kind, of_kind in html.items()},
        **more,
    }
    hints = ["alerts", "news"]
    return frame.shown(
        request, "alerts", "dashboard/alerts.html", context, live=live, hints=hints, status=status
    )


def _flat(found: Iterable[Alert], silences: Sequence[AlertSilence]) -> dict[str, screen.Row]:
    return {str(one.pk): _alert(one, silences) | {"order": str(one.pk)} for one in found}


def _grouped(found: Iterable[Alert], silences: Sequence[AlertSilence]) -> dict[str, screen.Row]:
    """A row for each group, and below it those of its alerts."""
    alerts = {one.pk: one for one in found}
    rows: dict[str, screen.Row] = {}
    for place, group in enumerate(grouped(_seen(one, silences) for one in alerts.values())):
        rows[f"group-{group.code}"] = _group(group) | {"order": f"{place:04}"}
        for number, one in enumerate(group.alerts):
            rows[str(one.id)] = _alert(alerts[one.id], silences) | {"order": f"{place:04}-{number:04}"}
    return rows


def _seen(one: Alert, silences: Sequence[AlertSilence]) -> Seen:
    is_silent = silence_of(one.code, one.subject, silences) is not None
    return Seen(one.pk, one.code, Severity(one.severity), one.subject, to_ms(one.raised_at), is_silent)


def _group(group: Group) -> screen.Row:
    return {
        "is_group": True,
        "id": f"group-{group.code}",
        "code": group.code,
        "severity": group.severity,
        "count": len(group.alerts),
        "silent": group.silent,
        "subjects": list(group.subjects[:SUBJECTS]),
        "more": max(len(group.subjects) - SUBJECTS, 0),
        "at_ms": group.newest_ms,
        "facts": json.dumps({"ids": [one.id for one in group.alerts]}),
    }


def _alert(one: Alert, silences: Sequence[AlertSilence]) -> screen.Row:
    acknowledged_ms = moment.ended_at(one.acknowledged_at)
    silence = None if acknowledged_ms else silence_of(one.code, one.subject, silences)
    return {
        "id": str(one.pk),
        "code": one.code,
        "severity": one.severity,
        "subject": one.subject,
        "text": one.text,
        "deployment": one.deployment.name if one.deployment else "",
        "times": one.times if moment.current() is None else None,  # how often by then is not kept
        "at_ms": to_ms(one.raised_at),
        "by": one.acknowledged_by,
        "note": one.note,
        "acknowledged_ms": acknowledged_ms,
        "silence": {"until_ms": to_ms(silence.until), "by": silence.by} if silence else None,
    }


def _silence(one: AlertSilence) -> screen.Row:
    return {
        "id": str(one.pk),
        "order": str(to_ms(one.until)),
        "code": one.code,
        "subject": one.subject,
        "until_ms": to_ms(one.until),
        "by": one.by,
        "at_ms": to_ms(one.at),
        "reason": one.reason,
    }


def channels(now: datetime) -> dict[str, screen.Row]:
    """The channels by id, each with how it does."""
    found = list(selectors.channels_there().annotate(**_counts(now)))
    tests = AlertDelivery.objects.filter(channel__in=found, alert=None).order_by("channel", "-created_at")
    newest = {one.channel_id: one for one in tests.distinct("channel")}
    return {str(one.pk): _channel(one, newest.get(one.pk), place) for place, one in enumerate(found)}


def _counts(now: datetime) -> dict[str, Count]:
    waits = Q(deliveries__state__in=(State.WAITING, State.SENDING), deliveries__alert__isnull=False)
    given_up = Q(deliveries__state=State.GIVEN_UP, deliveries__alert__isnull=False)
    return {
        "waits": Count("deliveries", filter=waits),
        "given_up": Count("deliveries", filter=given_up & Q(deliveries__created_at__gt=now - RECENT)),
    }


def _channel(one: Any, test: AlertDelivery | None, place: int) -> screen.Row:
    is_under_way = test is not None and test.state in (State.WAITING, State.SENDING)
    return {
        "id": str(one.pk),
        "order": f"{place:04}",
        "name": one.name,
        "service": one.service,
        "least": one.least,
        "is_enabled": one.is_enabled,
        "sent_ms": to_ms(one.sent_at) if one.sent_at else None,
        "failing_ms": to_ms(one.failing_since) if one.failing_since else None,
        "failure": one.failure,
        "waits": one.waits,
        "given_up": one.given_up,
        "is_under_way": is_under_way,
        "test": None if test is None or is_under_way else _test(test),
        "state": _state(one),
    }


def _state(one: AlertChannel) -> str:
    if not one.is_enabled:
        return "off"
    if one.failing_since:
        return "fails"
    return "works" if one.sent_at else "not used yet"


def _test(test: AlertDelivery) -> screen.Row:
    return {
        "is_taken": test.state == State.SENT,
        "at_ms": to_ms(test.sent_at or test.claimed_at or test.created_at),
        "words": test.words,
    }
