"""The overview: market, money, strategies and trading in one glance."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from alphapanda.dashboard import frame, screen
from alphapanda.dashboard.access import broker_of, page_view
from alphapanda.dashboard.glance import glance, steps_missing

HINTS = ("glance", "switches", "alerts")
KINDS = ("tiles", "curve", *screen.TABLES)


@page_view
def overview(request: HttpRequest) -> HttpResponse:
    """The first paint is complete without a line of JavaScript."""
    broker = broker_of(request.GET.get("broker", ""))
    live = frame.Reading(broker)
    if live.error and frame.wants_json(request):
        return frame.snapshot(live, {})
    if live.error:
        return frame.shown(request, "overview", "dashboard/unavailable.html", {}, live=live, status=503)
    found = screen.showing(live.rows, KINDS) | {"glance": {broker: glance(broker, live)}}
    html = screen.rendered(found)
    if frame.wants_json(request):
        return frame.snapshot(live, html)
    context = {
        "steps": steps_missing(broker),
        "single": {kind: html[kind].get(broker) for kind in ("tiles", "curve", "glance")},
        "tables": {kind: list(html[kind].values()) for kind in screen.TABLES},
    }
    return frame.shown(
        request, "overview", "dashboard/overview.html", context, live=live, kinds=KINDS, hints=HINTS
    )
