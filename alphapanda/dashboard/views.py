"""The overview: market, money, strategies and trading in one glance."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from alphapanda.dashboard import frame, screen
from alphapanda.dashboard.access import broker_of, page_view

KINDS = ("tiles", "curve", *screen.TABLES)


@page_view
def overview(request: HttpRequest) -> HttpResponse:
    """The first paint is complete without a line of JavaScript."""
    broker = broker_of(request.GET.get("broker", ""))
    live = frame.Reading(broker)
    html = screen.rendered(screen.showing(live.rows, KINDS))
    if frame.wants_json(request):
        return frame.snapshot(live, html)
    if live.error:
        return frame.shown(request, "overview", "dashboard/unavailable.html", {}, live=live, status=503)
    context = {
        "single": {kind: html[kind].get(broker) for kind in ("tiles", "curve")},
        "tables": {kind: list(html[kind].values()) for kind in screen.TABLES},
    }
    return frame.shown(request, "overview", "dashboard/overview.html", context, live=live, kinds=KINDS)
