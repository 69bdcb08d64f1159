"""What live trading asks of a person, over REST: terms, the password again, the readiness check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import path
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from accounts import live
from accounts.models import LiveAct
from alphapanda.readiness import readiness_check
from alphapanda.web.roles import RequiredRole
from alphapanda.web.throttles import Token
from alphapanda.web.views import ApiView, Form, actor_of

if TYPE_CHECKING:
    from rest_framework.request import Request


class TermsForm(Form):
    version = serializers.CharField(max_length=20)


class PasswordForm(Form):
    password = serializers.CharField(max_length=256, trim_whitespace=False)


class LiveActSerializer(serializers.ModelSerializer):
    class Meta:
        model = LiveAct
        fields = ("kind", "actor", "at", "version", "is_passed", "data")


class Clearance(ApiView):
    required_role = RequiredRole()

    @extend_schema(responses=OpenApiTypes.OBJECT, tags=["live"])
    def get(self, request: Request) -> Response:
        """The terms in force, and all that stands between you and trading live."""
        missing = live.why_not_live(actor=request.user.get_username(), now=timezone.now())
        return Response({"version": live.TERMS_VERSION, "terms": live.TERMS, "missing": missing})


class Terms(ApiView):
    required_role = RequiredRole()

    @extend_schema(request=TermsForm, responses=LiveActSerializer, tags=["live"])
    def post(self, request: Request) -> Response:
        """Acknowledge the terms of automation, by their version."""
        form = TermsForm(data=request.data)
        form.is_valid(raise_exception=True)
        act = live.terms_acknowledge(now=timezone.now(), **form.validated_data, **actor_of(request))
        return Response(LiveActSerializer(act).data)


class Unlock(ApiView):
    required_role = RequiredRole()
    throttle_classes = (Token,)

    @extend_schema(request=PasswordForm, responses=LiveActSerializer, tags=["live"])
    def post(self, request: Request) -> Response:
        """Give your password again; it counts for 15 minutes."""
        form = PasswordForm(data=request.data)
        form.is_valid(raise_exception=True)
        act = live.unlock(
            request=request._request, now=timezone.now(), **form.validated_data, **actor_of(request)
        )
        return Response(LiveActSerializer(act).data)


class Readiness(ApiView):
    required_role = RequiredRole()

    @extend_schema(request=None, responses=LiveActSerializer, tags=["live"])
    def post(self, request: Request) -> Response:
        """Make every check now, and keep what was found."""
        return Response(LiveActSerializer(readiness_check(now=timezone.now(), **actor_of(request))).data)


urlpatterns = [
    path("live/clearance/", Clearance.as_view()),
    path("live/terms/", Terms.as_view()),
    path("live/unlock/", Unlock.as_view()),
    path("live/readiness/", Readiness.as_view()),
]
