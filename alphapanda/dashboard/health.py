"""The health page for people, and the same as JSON for who asks for JSON."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from alphapanda.dashboard.access import viewer_required
from alphapanda.health import registry
from alphapanda.health.registry import Group, Level

TITLES = {
    Group.READY: "What it stands on",
    Group.STAGE: "From tick to screen: the last item through each stage",
    Group.QUEUE: "What waits",
    Group.HOUSE: "The house",
}


@never_cache
@require_safe
@viewer_required
def page(request: HttpRequest) -> HttpResponse:
    """Every check with its words; 503 when one fails."""
    results = registry.run()
    status = registry.worst(results)
    code = 503 if status is Level.FAIL else 200
    if request.get_preferred_type(["text/html", "application/json"]) == "application/json":
        rows = [result.as_row() for result in results]
        return JsonResponse({"status": status, "checks": rows}, status=code)
    groups = [(title, [r for r in results if r.group is group]) for group, title in TITLES.items()]
    return render(request, "dashboard/health.html", {"status": status, "groups": groups, "page": "health"})
