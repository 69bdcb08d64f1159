"""The overview: market, money, strategies and trading in one glance."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from alphapanda.dashboard import frame, moment, screen
from alphapanda.dashboard.access import broker_of, page_view
from alphapanda.dashboard.glance import glance, steps_missing

HINTS = ("glance", "news")
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
    is_now = moment.current() is None  # what health, limits and steps were then is not kept
    at_a_glance = {"glance": {broker: glance(broker, live)} if is_now else {}}
    found = screen.showing(live.rows, KINDS) | at_a_glance
    html = screen.rendered(found)
    if frame.wants_json(request):
        return frame.snapshot(live, html)
    context = {
        "steps": steps_missing(broker) if is_now else [],
        "single": {kind: html[kind].get(broker, "") for kind in ("tiles", "curve", "glance")},
        "tables": {kind: list(html[kind].values()) for kind in screen.TABLES},
    }
    return frame.shown(
        request, "overview", "dashboard/overview.html", context, live=live, kinds=KINDS, hints=HINTS
    )
