"""The health page for people, and the same as JSON for who asks for JSON."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.text import slugify

from alphapanda.dashboard import frame, screen
from alphapanda.dashboard.access import broker_of, page_view
from alphapanda.health import registry
from alphapanda.health.registry import Group, Level, Result

TITLES = {
    Group.READY: "stands on",
    Group.STAGE: "stage",
    Group.QUEUE: "queue",
    Group.HOUSE: "house",
}


@page_view
def page(request: HttpRequest) -> HttpResponse:
    """Every check with its words; as JSON 503 when one fails."""
    results = registry.run()
    worst = registry.worst(results)
    code = 503 if worst is Level.FAIL else 200
    live = frame.Reading(broker_of(request.GET.get("broker", "")))
    rows = {"checks": _rows(results), "verdict": {"all": {"id": "all", "level": worst}}}
    html = screen.rendered(rows)
    if frame.wants_json(request):
        checks = [result.as_row() for result in results]
        answer = frame.snapshot(live, html, is_stored=True, status=worst, checks=checks)
        answer.status_code = code
        return answer
    context = {"worst": worst, "verdict": html["verdict"]["all"], "rows": list(html["checks"].values())}
    return frame.shown(request, "health", "dashboard/health.html", context, live=live, hints=[*rows, "news"])


def _rows(results: list[Result]) -> dict[str, screen.Row]:
    names = [slugify(result.name) for result in results]
    return {
        name: result.as_row() | {"id": name, "order": f"{place:03}", "part": TITLES[result.group]}
        for place, (name, result) in enumerate(zip(names, results, strict=True))
    }
