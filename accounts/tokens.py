"""The one place where tokens are made and believed: HS256, own key, 5 minutes, rotation with a blacklist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib.auth import authenticate
from django.db import transaction
from drf_spectacular.contrib.rest_framework_simplejwt import SimpleJWTScheme
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import AuthenticationFailed, InvalidToken, TokenError
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from alphapanda.web.roles import roles_of

if TYPE_CHECKING:
    from django.http import HttpRequest

    from accounts.models import User


class CredentialsRefused(AuthenticationFailed):
    """Name and password are not those of a person with a role; which of it is not told."""

    default_detail = "Name and password do not match, or the account is out of use."
    default_code = "credentials_refused"


class TokenRefused(AuthenticationFailed):
    """A refresh token is forged, out of date, used before, or its owner is out of use."""

    default_detail = "The refresh token is not valid."
    default_code = "token_refused"


@dataclass(frozen=True, slots=True)
class TokenPair:
    access: str
    refresh: str


class BearerAuthentication(JWTAuthentication):
    """Believes an access token whose owner is in use and has not changed the password since."""

    def get_validated_token(self, raw_token: bytes) -> AccessToken:
        try:
            return AccessToken(raw_token)
        except TokenError as error:
            raise InvalidToken(str(error)) from error


class BearerScheme(SimpleJWTScheme):
    """How the schema tells of BearerAuthentication."""

    target_class = "accounts.tokens.BearerAuthentication"
    name = "bearer"


def tokens_issue(*, request: HttpRequest, username: str, password: str) -> TokenPair:
    """Tokens for a person with a role; the lock-out counts failures. Raises CredentialsRefused."""
    user = authenticate(request=request, username=username, password=password)
    if user is None or not roles_of(user):
        raise CredentialsRefused
    return _pair(RefreshToken.for_user(user))


def tokens_rotate(refresh: str) -> TokenPair:
    """New tokens for a refresh token, which is used up by it, also under a race. Raises TokenRefused."""
    with transaction.atomic():
        used = _usable(refresh)
        user = _owner(used)
        used.blacklist()
        return _pair(RefreshToken.for_user(user))


def token_revoke(refresh: str) -> None:
    """End a refresh token. Idempotent: one that is not valid is at its end already."""
    try:
        RefreshToken(refresh).blacklist()
    except TokenError:
        return


def _pair(refresh: RefreshToken) -> TokenPair:
    return TokenPair(access=str(refresh.access_token), refresh=str(refresh))


def _usable(refresh: str) -> RefreshToken:
    try:
        token = RefreshToken(refresh)
        OutstandingToken.objects.select_for_update().filter(jti=token["jti"]).first()
        token.check_blacklist()  # again: whoever held the lock before may have used it up
    except TokenError as error:
        raise TokenRefused from error
    return token


def _owner(token: RefreshToken) -> User:
    claims: Any = token
    try:
        user = BearerAuthentication().get_user(claims)
    except AuthenticationFailed as error:
        raise TokenRefused from error
    if not roles_of(user):
        raise TokenRefused
    return user
