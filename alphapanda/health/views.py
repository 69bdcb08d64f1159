"""Probes for machines: alive, and ready."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from alphapanda.health import registry
from alphapanda.health.registry import Group, Level


@never_cache
@require_safe
def live(_request: HttpRequest) -> JsonResponse:
    """The process answers. Depends on nothing, so that a lost database does not restart it."""
    return JsonResponse({"status": Level.OK})


@never_cache
@require_safe
def ready(_request: HttpRequest) -> JsonResponse:
    """200 when all that the platform stands on is there, else 503; the words are for logged-in people."""
    results = registry.run([Group.READY])
    status = registry.worst(results)
    checks = {result.name: result.status.level for result in results}
    return JsonResponse({"status": status, "checks": checks}, status=503 if status is Level.FAIL else 200)
