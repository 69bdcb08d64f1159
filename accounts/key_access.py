"""`Authorization: Bearer apk_…`: requests that come with a key of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed

from accounts.keys import PREFIX, key_believed

if TYPE_CHECKING:
    from rest_framework.request import Request

    from accounts.models import ApiKey, User


class KeyRefused(AuthenticationFailed):
    """A key that is none, was revoked, is past its end, or whose owner is out of use; which of it is not told."""

    default_detail = "The key is not valid."
    default_code = "key_refused"


class KeyAuthentication(BaseAuthentication):
    """Takes the bearers that begin as our keys do; `request.auth` is the key, whose scope the permission looks at."""

    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        kind, _, text = get_authorization_header(request).partition(b" ")
        if kind.lower() != b"bearer" or not text.startswith(PREFIX.encode()):
            return None
        key = key_believed(text.decode("latin-1"), now=timezone.now())
        if key is None:
            raise KeyRefused
        return key.owner, key

    def authenticate_header(self, _request: Request) -> str:
        return 'Bearer realm="api"'


class KeyScheme(OpenApiAuthenticationExtension):
    """How the schema tells of KeyAuthentication."""

    target_class = "accounts.key_access.KeyAuthentication"
    name = "key"

    def get_security_definition(self, _auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": f"a key of the page API keys: {PREFIX}…"}
