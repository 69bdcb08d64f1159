"""API keys: those of the person who looks, and the forms to make and to end one."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts import keys
from accounts.models import ApiKey
from alphapanda.core.clock import to_ms
from alphapanda.core.refusals import REASON_MAX, Refusal
from alphapanda.dashboard import frame, screen
from alphapanda.dashboard.access import broker_of, may_act, viewer_required
from alphapanda.dashboard.lists import BAD_REQUEST
from alphapanda.dashboard.moment import travelling

LIVES = (("30", "30 days"), ("90", "90 days"), ("365", "a year"), ("", "without end"))


class NewForm(forms.Form):
    """A key to make."""

    name = forms.CharField(max_length=keys.NAME_MAX)
    scope = forms.ChoiceField(choices=ApiKey.Scope.choices)
    days = forms.ChoiceField(required=False, choices=LIVES, initial="90", label="Good for")

    def clean_days(self) -> int | None:
        return int(self.cleaned_data["days"]) if self.cleaned_data["days"] else None


class RevokeForm(forms.Form):
    """A key to end."""

    key = forms.UUIDField()
    reason = forms.CharField(max_length=REASON_MAX)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@viewer_required
@travelling
def page(request: HttpRequest) -> HttpResponse:
    """A new key is on the answer to its form alone: it is kept nowhere, and reading the page again does not show it."""
    if request.method != "POST":
        return _shown(request)
    revoke = "key" in request.POST
    form = RevokeForm(request.POST) if revoke else NewForm(request.POST)
    if not form.is_valid():
        problem = "; ".join(f"{name}: {' '.join(errors)}" for name, errors in form.errors.items())
        return _shown(request, problem=problem, status=BAD_REQUEST)
    try:
        return _revoked(request, form.cleaned_data) if revoke else _made(request, form.cleaned_data)
    except Refusal as refusal:
        return _shown(request, problem=str(refusal), status=BAD_REQUEST)


def _made(request: HttpRequest, given: dict[str, Any]) -> HttpResponse:
    made, key = keys.key_create(owner=request.user, **given, **_moment(request))  # type: ignore[arg-type]
    return _shown(request, made=made, key=key)


def _revoked(request: HttpRequest, given: dict[str, Any]) -> HttpResponse:
    key_id: UUID = given["key"]
    ended = keys.key_revoke(key_id=key_id, owner=request.user, reason=given["reason"], **_moment(request))  # type: ignore[arg-type]
    return _shown(request, told=f"{ended.name} is revoked: whoever comes with it is refused from now on.")


def _moment(request: HttpRequest) -> dict[str, Any]:
    return {"now": timezone.now(), "ip": request.META.get("REMOTE_ADDR")}


def _shown(request: HttpRequest, *, status: int = 200, **more: Any) -> HttpResponse:
    now, live = timezone.now(), frame.Reading(broker_of(request.GET.get("broker", "")))
    own = list(keys.keys_of(request.user))  # type: ignore[arg-type]
    html = screen.rendered({"apikeys": {str(one.pk): _row(one, now) for one in own}})
    if frame.wants_json(request):
        return frame.snapshot(live, html, is_stored=True)
    new = NewForm()
    if not may_act(request.user):
        new.fields["scope"].choices = [(ApiKey.Scope.READ, ApiKey.Scope.READ.label)]
    context = {
        "rows": list(html["apikeys"].values()),
        "new": new,
        "good": [one for one in own if keys.state_of(one, now) == "good"],
        "address": request.build_absolute_uri("/api/v1/strategies/"),
        **more,
    }
    return frame.shown(
        request, "keys", "dashboard/keys.html", context, live=live, hints=["apikeys", "news"], status=status
    )


def _row(one: ApiKey, now: datetime) -> screen.Row:
    return {
        "id": str(one.pk),
        "order": to_ms(one.created_at),
        "name": one.name,
        "scope": one.scope,
        "words": one.get_scope_display(),
        "begins": one.begins,
        "state": keys.state_of(one, now),
        "created_ms": to_ms(one.created_at),
        "used_ms": to_ms(one.last_used_at) if one.last_used_at else None,
        "expires_ms": to_ms(one.expires_at) if one.expires_at else None,
    }
