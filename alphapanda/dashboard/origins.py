"""Which web pages may open a socket here: exactly our own origin, or one that the settings name."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http.request import validate_host

Application = Any
SCHEMES = {"ws": "http", "wss": "https", "http": "http", "https": "https"}


def is_allowed(scope: dict[str, Any]) -> bool:
    """Whether the origin of a handshake is, to the letter, one that may connect; a missing one may not."""
    headers = dict(scope.get("headers", []))
    origin = headers.get(b"origin", b"").decode("latin-1")
    if not origin or origin == "null":
        return False
    if settings.ALLOWED_ORIGINS:
        return origin in settings.ALLOWED_ORIGINS
    host = headers.get(b"host", b"").decode("latin-1")
    own = f"{_scheme(scope, headers)}://{host}"
    return origin == own and validate_host(_name(host), settings.ALLOWED_HOSTS)


def _scheme(scope: dict[str, Any], headers: dict[bytes, bytes]) -> str:
    """What the browser's page was fetched by, told as to Django: by the proxy's header where one is trusted."""
    if settings.SECURE_PROXY_SSL_HEADER:
        name, secure = settings.SECURE_PROXY_SSL_HEADER
        wanted = name.removeprefix("HTTP_").replace("_", "-").lower().encode()
        if wanted in headers:
            told = headers[wanted].decode("latin-1").partition(",")[0].strip()
            return "https" if told == secure else "http"
    return SCHEMES.get(scope.get("scheme", "ws"), "http")


def _name(host: str) -> str:
    """The host without its port; an IPv6 address keeps its brackets."""
    if host.endswith("]"):
        return host
    return host.rpartition(":")[0] or host


class ExactOrigin:
    """Refuses the handshake (HTTP 403) of any other origin, before a session is looked at."""

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if is_allowed(scope):
            await self.application(scope, receive, send)
        else:
            await send({"type": "websocket.close"})
