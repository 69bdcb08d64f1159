"""Websocket addresses, behind the exact-origin check."""

from __future__ import annotations

from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from django.urls import path, re_path

from alphapanda.dashboard.consumers import LiveConsumer
from alphapanda.dashboard.origins import ExactOrigin


async def nowhere(_scope: Any, _receive: Any, send: Any) -> None:
    """Refuse the handshake (HTTP 403) of an address that is none; Channels would call it an error of ours."""
    await send({"type": "websocket.close"})


websocket_urlpatterns = [path("ws/live/", LiveConsumer.as_asgi()), re_path("", nowhere)]
websocket_application = ExactOrigin(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)))
