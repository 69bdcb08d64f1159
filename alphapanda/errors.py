"""Answers to what no view could answer: JSON for the API, a page for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import JsonResponse
from django.shortcuts import render
from django.views import defaults

from accounts.views import Login
from alphapanda.web.errors import body

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


def server_error(request: HttpRequest) -> HttpResponse:
    """500; what went wrong is in the log, not in the answer."""
    if _is_api(request):
        return JsonResponse(body("server_error", "Something went wrong; it is in the log."), status=500)
    return defaults.server_error(request)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400 before any view was reached."""
    if _is_api(request):
        return JsonResponse(body("bad_request", "The request cannot be read."), status=400)
    return defaults.bad_request(request, exception)


def locked_out(
    request: HttpRequest, _response: HttpResponse | None = None, _credentials: dict[str, Any] | None = None
) -> HttpResponse:
    """429 after too many wrong passwords, the same whether the person exists or not."""
    message = "Too many attempts. Try again later."
    if _is_api(request):
        return JsonResponse(body("locked_out", message), status=429)
    form = Login.form_class(request)
    return render(request, Login.template_name, {"form": form, "locked_out": message}, status=429)


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")
