"""The door for Kite's postbacks. It is open to the world: who knocks proves himself by a checksum."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.conf import settings
from rest_framework import status
from rest_framework.exceptions import NotFound, ParseError, PermissionDenied
from rest_framework.response import Response

from accounts.postbacks import is_kites
from alphapanda.web.roles import ANYBODY
from alphapanda.web.throttles import Pushes
from alphapanda.web.views import ApiView
from execution.services.live.pushes import POSTBACK, keep

if TYPE_CHECKING:
    from rest_framework.request import Request

BYTES_MAX = 64 << 10


class Postback(ApiView):
    """Takes an order update from Kite and keeps it for the broker's process."""

    authentication_classes = ()
    required_role = ANYBODY
    throttle_classes = (Pushes,)
    schema = None

    def post(self, request: Request) -> Response:
        """400 what is no order, 403 what Kite has not signed, 413 what is too large, 404 where nothing is sent."""
        if not settings.ZERODHA_ENABLED:
            raise NotFound
        if int(request.META.get("CONTENT_LENGTH") or 0) > BYTES_MAX:
            return Response({"detail": "Too large."}, status=status.HTTP_413_REQUEST_ENTITY_TOO_LARGE)
        body = request.body
        if not is_kites(_order(body)):
            raise PermissionDenied("The checksum is not that of Kite.")
        keep(body, POSTBACK)
        return Response({})


def _order(body: bytes) -> dict[str, Any]:
    try:
        order = json.loads(body)
    except (ValueError, RecursionError):
        raise ParseError("The body is no JSON.") from None
    if not isinstance(order, dict):
        raise ParseError("The body is no object.")
    return order
