"""Tokens for scripts, and what broker accounts there are."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from django.urls import path
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.response import Response

from accounts import tokens
from accounts.domain.sessions import SessionState
from accounts.selectors import AccountNow, accounts_now
from alphapanda.web.roles import ANYBODY, ROLE_TO_READ
from alphapanda.web.throttles import Token
from alphapanda.web.views import ApiView

if TYPE_CHECKING:
    from rest_framework.request import Request


class Credentials(serializers.Serializer):
    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=256, trim_whitespace=False)


class Refresh(serializers.Serializer):
    refresh = serializers.CharField(max_length=2000)


class Pair(serializers.Serializer):
    access = serializers.CharField()
    refresh = serializers.CharField()


class TokenView(ApiView):
    """Common to the token routes: open to anybody, few attempts a minute."""

    authentication_classes = ()
    required_role = ANYBODY
    throttle_classes = (Token,)

    def get_authenticate_header(self, _request: Request) -> str:
        return 'Bearer realm="api"'


class TokenIssue(TokenView):
    @extend_schema(request=Credentials, responses=Pair, tags=["token"])
    def post(self, request: Request) -> Response:
        """Get an access and a refresh token for a name and a password."""
        form = Credentials(data=request.data)
        form.is_valid(raise_exception=True)
        return Response(asdict(tokens.tokens_issue(request=request._request, **form.validated_data)))


class TokenRefresh(TokenView):
    @extend_schema(request=Refresh, responses=Pair, tags=["token"])
    def post(self, request: Request) -> Response:
        """Get new tokens for a refresh token, which is used up by it."""
        form = Refresh(data=request.data)
        form.is_valid(raise_exception=True)
        return Response(asdict(tokens.tokens_rotate(form.validated_data["refresh"])))


class TokenRevoke(TokenView):
    @extend_schema(request=Refresh, responses={204: None}, tags=["token"])
    def post(self, request: Request) -> Response:
        """End a refresh token."""
        form = Refresh(data=request.data)
        form.is_valid(raise_exception=True)
        tokens.token_revoke(form.validated_data["refresh"])
        return Response(status=status.HTTP_204_NO_CONTENT)


class BrokerAccountRow(serializers.Serializer):
    """An account at a broker without its secrets. `dies_at`: when the token of the newest login does, at the latest."""

    id = serializers.UUIDField(source="account.pk")
    name = serializers.CharField(source="account.name")
    broker = serializers.CharField(source="account.broker")
    user_id = serializers.CharField(source="account.user_id")
    api_key = serializers.CharField(source="account.api_key")
    is_active = serializers.BooleanField(source="account.is_active")
    state = serializers.ChoiceField(choices=[(state.value, state.value) for state in SessionState])
    logged_in_at = serializers.DateTimeField(source="session.logged_in_at", default=None)
    logged_in_by = serializers.CharField(source="session.logged_in_by", default=None)
    dies_at = serializers.DateTimeField(source="session.dies_at", default=None)
    ended_at = serializers.DateTimeField(source="session.ended_at", default=None)
    ended_by = serializers.CharField(source="session.ended_by", default="")


class BrokerAccounts(ApiView):
    required_role = ROLE_TO_READ

    @extend_schema(responses=BrokerAccountRow(many=True), tags=["broker"])
    def get(self, _request: Request) -> Response:
        """Every broker account with the state of its token."""
        found: list[AccountNow] = accounts_now(now=timezone.now(), is_active=None)
        return Response(BrokerAccountRow(found, many=True).data)


urlpatterns = [
    path("broker-accounts/", BrokerAccounts.as_view()),
    path("token/", TokenIssue.as_view()),
    path("token/refresh/", TokenRefresh.as_view()),
    path("token/revoke/", TokenRevoke.as_view()),
]
