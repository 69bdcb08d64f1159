"""The page Broker: which account has a token and until when, the way to Kite's login page and back, where orders stand
and what is left of the limits."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from csp.decorators import csp_update
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts import broker, selectors
from alphapanda import env
from alphapanda.core.clock import to_ms
from alphapanda.core.refusals import Refusal
from alphapanda.dashboard import frame
from alphapanda.dashboard.access import broker_of, may_act, page_view
from alphapanda.health_broker import SEEN_FAIL_S
from execution import live_selectors
from execution.domain.kite import budgets

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any

    from accounts.models import BrokerAccount

KITE = env.BY_VARIABLE["ALPHAPANDA_KITE_API_URL"].default


@page_view
def page(request: HttpRequest) -> HttpResponse:
    """Complete without a line of JavaScript, which only counts down; who asks for JSON is told what stands."""
    live = frame.Reading(broker_of(request.GET.get("broker", "")))
    if frame.wants_json(request):
        return frame.snapshot(live, {}, is_stored=True)
    now = timezone.now()
    desk = live_selectors.desk_now(now)
    context: dict[str, Any] = {
        "accounts": selectors.accounts_now(now=now),
        "now": now,
        "now_ms": to_ms(now),
        "desk": desk,
        "is_at_work": _is_at_work(desk, now),
        "is_on": settings.ZERODHA_ENABLED,
        "changes_max": budgets.MODIFICATIONS_MAX,
        "callback": request.build_absolute_uri("/broker/callback/"),
        "simulator": "" if settings.KITE_API_URL == KITE else settings.KITE_API_URL,
    }
    # the form leads on to Kite's page, which browsers count as a target of the form
    shown = csp_update({"form-action": [_origin(settings.KITE_LOGIN_URL)]})(frame.shown)
    return shown(request, "broker", "dashboard/broker.html", context, live=live)


def _is_at_work(desk: live_selectors.DeskNow, now: datetime) -> bool:
    """Whether the broker's process has told so lately, as Health asks."""
    seen_at = desk.desk and desk.desk.seen_at
    return seen_at is not None and (now - seen_at).total_seconds() < SEEN_FAIL_S


@never_cache
@require_POST
def login(request: HttpRequest) -> HttpResponse:
    """Off to Kite's login page, with a state of this browser session."""
    _act_only(request)
    now = timezone.now()
    try:
        account = selectors.the_account(request.POST.get("account", ""))
        address = broker.login_begin(
            account=account, actor=request.user.get_username(), browser=_browser(request), now=now
        )
    except Refusal as refusal:
        return _back(request, messages.ERROR, str(refusal))
    return HttpResponseRedirect(address)


@never_cache
@require_GET
def callback(request: HttpRequest) -> HttpResponse:
    """Back from Kite's login page. Who is not logged in here any more is refused, not sent through our own login page:
    the request token would go along in the address."""
    _act_only(request)
    try:
        session = broker.login_finish(
            came=request.GET.dict(),
            actor=request.user.get_username(),
            browser=_browser(request),
            now=timezone.now(),
            ip=request.META.get("REMOTE_ADDR"),
        )
    except Refusal as refusal:
        return _back(request, messages.ERROR, str(refusal))
    return _back(request, messages.SUCCESS, f"{session.account} is logged in to Kite.")


@never_cache
@require_POST
def logout(request: HttpRequest) -> HttpResponse:
    """End the token of an account."""
    _act_only(request)
    try:
        account: BrokerAccount = selectors.the_account(request.POST.get("account", ""))
        broker.session_end(
            account=account,
            actor=request.user.get_username(),
            now=timezone.now(),
            ip=request.META.get("REMOTE_ADDR"),
        )
    except Refusal as refusal:
        return _back(request, messages.ERROR, str(refusal))
    return _back(request, messages.SUCCESS, f"{account} is logged out of Kite.")


def _act_only(request: HttpRequest) -> None:
    if not may_act(request.user):
        raise PermissionDenied("Only an operator who is logged in here may log in to the broker.")


def _browser(request: HttpRequest) -> str:
    """What tells this browser session from all others."""
    return request.session.session_key or ""


def _back(request: HttpRequest, level: int, words: str) -> HttpResponse:
    """To the page, so that no token stays in the address."""
    messages.add_message(request, level, words)
    return redirect("broker")


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"
