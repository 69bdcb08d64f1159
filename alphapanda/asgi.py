"""The ASGI application: HTTP by Django, websockets by Channels."""

from __future__ import annotations

import os

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "alphapanda.settings")
http_application = get_asgi_application()

from alphapanda.routing import websocket_application  # noqa: E402  (needs the app registry)

application = ProtocolTypeRouter({"http": http_application, "websocket": websocket_application})
