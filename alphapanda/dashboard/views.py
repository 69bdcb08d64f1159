"""The overview page and its snapshot."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from alphapanda import projections
from alphapanda.core.clock import to_ms
from alphapanda.core.vocabulary import Broker
from alphapanda.dashboard import screen
from alphapanda.dashboard.access import broker_of, may_act, viewer_required
from alphapanda.push import readmodel
from alphapanda.push.readmodel import ReadModelUnavailable


def _read() -> dict[str, Any]:
    """The overview; where Redis lost it, it is built first."""
    projections.ensure_built()
    return readmodel.overview()


@never_cache
@require_safe
@viewer_required
def overview(request: HttpRequest) -> HttpResponse:
    """The first paint: complete without a line of JavaScript."""
    broker = broker_of(request.GET.get("broker", ""))
    context: dict[str, Any] = {"broker": broker, "may_act": may_act(request.user), "page": "overview"}
    try:
        found = _read()
    except ReadModelUnavailable as error:
        return render(request, "dashboard/unavailable.html", context | {"error": str(error)}, status=503)
    own = screen.of_broker(screen.rows(found), broker)
    html = screen.rendered(own)
    context |= {
        "sequence": found["sequence"],
        "single": {kind: html[kind].get(broker) for kind in screen.SINGLE},
        "tables": {kind: list(html[kind].values()) for kind in screen.TABLES},
        "deployments": own["deployments"].values(),
        "has_live": Broker.ZERODHA in settings.BROKERS,
    }
    return render(request, "dashboard/overview.html", context)


@never_cache
@require_safe
@viewer_required
def snapshot(request: HttpRequest) -> JsonResponse:
    """All fragments of the page with the sequence number that they stand for."""
    broker = broker_of(request.GET.get("broker", ""))
    now_ms = to_ms(timezone.now())
    try:
        found = _read()
    except ReadModelUnavailable as error:
        return JsonResponse({"type": "unavailable", "words": str(error), "now_ms": now_ms}, status=503)
    own = screen.of_broker(screen.rows(found), broker)
    return JsonResponse(
        {
            "type": "snapshot",
            "sequence": found["sequence"],
            "rows": screen.rendered(own),
            "now_ms": now_ms,
        }
    )
