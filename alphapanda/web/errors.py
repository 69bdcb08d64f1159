"""The one shape of errors: {"error": {"code", "message", "fields"}}."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions, status
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.views import exception_handler

from alphapanda import logs
from alphapanda.core.refusals import BadRequest, Conflict, NotThere

log = logs.channel("error")


def body(code: str, message: str, fields: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "fields": fields or {}}}


def code_of(error: Exception) -> str:
    """The name of an error as words: IllegalTransition -> illegal_transition."""
    name = type(error).__name__
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name).lstrip("_")


OURS: dict[type[Exception], int] = {
    Conflict: status.HTTP_409_CONFLICT,
    BadRequest: status.HTTP_400_BAD_REQUEST,
    NotThere: status.HTTP_404_NOT_FOUND,
}


def handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer an anticipated error in the one shape; anything else is logged and propagates."""
    if request := context.get("request"):  # errors are JSON also where the view answers HTML or YAML
        request.accepted_renderer, request.accepted_media_type = JSONRenderer(), "application/json"
    for kind, code in OURS.items():
        if isinstance(error, kind):
            return Response(body(code_of(error), str(error)), status=code)
    response = exception_handler(error, context)
    if response is None:
        log.error("api.failed", view=type(context.get("view")).__name__, exc_info=error)
        return None
    response.data = _shaped(error)
    return response


def _shaped(error: Exception) -> dict[str, Any]:
    if isinstance(error, Http404):
        return body("not_found", "There is nothing here.")
    if isinstance(error, PermissionDenied):
        return body("permission_denied", "You may not do this.")
    if isinstance(error, exceptions.ValidationError):
        return body("invalid", "The request does not fit.", _fields(error.detail))
    return body(_code(error), _message(error))


def _code(error: exceptions.APIException) -> str:
    codes = error.get_codes()
    return codes if isinstance(codes, str) else error.default_code


def _message(error: exceptions.APIException) -> str:
    detail = error.detail
    return str(detail.get("detail", error.default_detail)) if isinstance(detail, dict) else str(detail)


def _fields(detail: Any) -> dict[str, Any]:
    return detail if isinstance(detail, dict) else {"non_field_errors": detail}
