"""Tokens and keys for scripts, and what broker accounts there are."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from django.urls import path
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.response import Response

from accounts import keys, tokens
from accounts.domain.sessions import SessionState
from accounts.models import ApiKey
from accounts.selectors import AccountNow, accounts_now
from alphapanda.web.roles import ANYBODY, ROLE_TO_READ, RequiredRole, Role
from alphapanda.web.throttles import Token
from alphapanda.web.views import ApiView, Form, Reason

if TYPE_CHECKING:
    from uuid import UUID

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


class KeyRow(serializers.ModelSerializer):
    """A key without itself."""

    state = serializers.SerializerMethodField()

    class Meta:
        model = ApiKey
        fields = (
            "id",
            "name",
            "scope",
            "begins",
            "state",
            "created_at",
            "expires_at",
            "last_used_at",
            "revoked_at",
            "revoked_by",
        )

    def get_state(self, key: ApiKey) -> str:
        return keys.state_of(key, timezone.now())


class NewKey(KeyRow):
    """With the key itself, which is shown this once."""

    key = serializers.CharField()

    class Meta(KeyRow.Meta):
        fields = (*KeyRow.Meta.fields, "key")


class KeyForm(Form):
    """`days`: until it ends; none: it does not end."""

    name = serializers.CharField(max_length=keys.NAME_MAX)
    scope = serializers.ChoiceField(choices=ApiKey.Scope.choices, default=ApiKey.Scope.READ)
    days = serializers.IntegerField(min_value=1, max_value=keys.DAYS_MAX, allow_null=True, default=keys.DAYS)


class OwnKeys(ApiView):
    required_role = RequiredRole(write=Role.VIEWER)

    @extend_schema(responses=KeyRow(many=True), tags=["keys"])
    def get(self, request: Request) -> Response:
        """Your keys, the newest first; none of them itself."""
        return Response(KeyRow(keys.keys_of(request.user), many=True).data)

    @extend_schema(request=KeyForm, responses={201: NewKey}, tags=["keys"])
    def post(self, request: Request) -> Response:
        """Make a key of yours. The answer holds it, this once. With a key no other can be made."""
        form = KeyForm(data=request.data)
        form.is_valid(raise_exception=True)
        _by_person(request)
        made, key = keys.key_create(
            owner=request.user,
            now=timezone.now(),
            ip=request.META.get("REMOTE_ADDR"),
            **form.validated_data,
        )
        return Response({**KeyRow(made).data, "key": key}, status=status.HTTP_201_CREATED)


class KeyRevoke(ApiView):
    required_role = RequiredRole(write=Role.VIEWER)

    @extend_schema(request=Reason, responses=KeyRow, tags=["keys"])
    def post(self, request: Request, pk: UUID) -> Response:
        """End a key of yours at once, for good."""
        form = Reason(data=request.data)
        form.is_valid(raise_exception=True)
        _by_person(request)
        key = keys.key_revoke(
            key_id=pk,
            owner=request.user,
            now=timezone.now(),
            ip=request.META.get("REMOTE_ADDR"),
            **form.validated_data,
        )
        return Response(KeyRow(key).data)


def _by_person(request: Request) -> None:
    """Raises KeyRefusedHere for who comes with a key: one that was stolen must not outlive its end."""
    if isinstance(request.auth, ApiKey):
        raise keys.KeyRefusedHere("Keys are made and ended by people: log in, or use a token.")


urlpatterns = [
    path("keys/", OwnKeys.as_view()),
    path("keys/<uuid:pk>/revoke/", KeyRevoke.as_view()),
    path("broker-accounts/", BrokerAccounts.as_view()),
    path("token/", TokenIssue.as_view()),
    path("token/refresh/", TokenRefresh.as_view()),
    path("token/revoke/", TokenRevoke.as_view()),
]
