"""Shadows over REST: making one, and how its decisions differ. They concern more apps than strategies."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from django.urls import path
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from alphapanda.shadows import Comparison, shadow_compare, shadow_create
from alphapanda.web.fields import InstantField
from alphapanda.web.roles import ROLE_TO_READ, RequiredRole
from alphapanda.web.views import ApiView, actor_of
from strategies import selectors
from strategies.api import DeploymentSerializer, Upgrade

if TYPE_CHECKING:
    from rest_framework.request import Request


class ShadowRequest(Upgrade):
    """What decides beside the original, under which name."""

    is_fresh = None  # type: ignore[assignment]  # a shadow always begins anew
    name = serializers.CharField(max_length=80, required=False, default="")


class DifferenceSerializer(serializers.Serializer):
    at = InstantField(source="at_ms")
    instrument = serializers.CharField()
    verdict = serializers.ChoiceField(["same", "only here", "only there", "other"])
    here = serializers.ListField(child=serializers.CharField())
    there = serializers.ListField(child=serializers.CharField())
    step_here = serializers.IntegerField(allow_null=True)
    step_there = serializers.IntegerField(allow_null=True)


class ComparisonSerializer(serializers.Serializer):
    original = serializers.CharField()
    shadow = serializers.CharField()
    since = serializers.CharField()
    until = serializers.CharField()
    counts = serializers.DictField(child=serializers.IntegerField())
    profit_here = serializers.CharField()
    profit_there = serializers.CharField()
    profit_difference = serializers.CharField()
    differences = DifferenceSerializer(many=True)


@extend_schema(tags=["deployments"])
class Shadows(ApiView):
    """Let another version or other parameters decide beside a deployment, on paper."""

    required_role = RequiredRole()

    @extend_schema(request=ShadowRequest, responses={201: DeploymentSerializer})
    def post(self, request: Request, pk: UUID) -> Response:
        form = ShadowRequest(data=request.data)
        form.is_valid(raise_exception=True)
        facts = form.validated_data | actor_of(request)
        shadow = shadow_create(deployment_id=pk, now=timezone.now(), **facts)
        found = selectors.deployments_detailed().get(pk=shadow.pk)
        return Response(DeploymentSerializer(found).data, status=201)


@extend_schema(tags=["deployments"])
class ShadowDifference(ApiView):
    """How a shadow has decided otherwise than its original, and what each has made since."""

    required_role = ROLE_TO_READ

    @extend_schema(responses=ComparisonSerializer)
    def get(self, _request: Request, pk: UUID) -> Response:
        found: Comparison = shadow_compare(selectors.deployment_name_of(pk))
        data = msgspec.structs.asdict(found) | {"profit_difference": found.profit_difference}
        return Response(ComparisonSerializer(data).data)


urlpatterns = [
    path("deployments/<uuid:pk>/shadow/", Shadows.as_view()),
    path("deployments/<uuid:pk>/shadow-difference/", ShadowDifference.as_view()),
]
