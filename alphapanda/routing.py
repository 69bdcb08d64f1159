"""Websocket addresses, behind the exact-origin check."""

from __future__ import annotations

from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from django.urls import path

from alphapanda.dashboard.consumers import OverviewConsumer
from alphapanda.dashboard.origins import ExactOrigin

websocket_urlpatterns = [path("ws/overview/", OverviewConsumer.as_asgi())]
websocket_application = ExactOrigin(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)))
