"""What concerns more apps than strategies over REST: making a deployment or a shadow, and how a shadow differs."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from django.urls import path
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from alphapanda import deploying
from alphapanda.approval_mode import approval_mode_set
from alphapanda.core.clock import to_ms
from alphapanda.core.vocabulary import Product
from alphapanda.deploying import BadDefinition, Definition
from alphapanda.shadows import Comparison, shadow_compare, shadow_create
from alphapanda.web.fields import InstantField
from alphapanda.web.roles import ROLE_TO_READ, RequiredRole
from alphapanda.web.views import AnyObject, ApiView, Form, Reason, actor_of
from strategies import selectors
from strategies.api import Deployments, DeploymentSerializer, Upgrade
from strategies.models import TRADING_BROKERS

if TYPE_CHECKING:
    from rest_framework.request import Request


class NewDeployment(Form):
    """A deployment as an operator writes it down; parameters are those of the strategy's JSON Schema."""

    name = serializers.CharField(max_length=80)
    strategy = serializers.CharField(max_length=60)
    instruments = serializers.ListField(child=serializers.CharField(), min_length=1)
    portfolio = serializers.CharField(help_text="name of a portfolio of the same broker")
    params = AnyObject(required=False, default=dict)
    broker = serializers.ChoiceField(TRADING_BROKERS, required=False, default="paper")
    execution = AnyObject(required=False, default=dict)
    limits = AnyObject(required=False, default=dict)
    product = serializers.ChoiceField(list(Product), required=False, default="MIS")
    warm_up_until = serializers.DateTimeField(
        required=False,
        default=None,
        allow_null=True,
        help_text="the strategy has seen the bars stored before",
    )
    reason = serializers.CharField(max_length=300)

    def definition(self) -> Definition:
        """Raises BadDefinition."""
        given = {name: self.validated_data[name] for name in Definition.__struct_fields__}
        try:
            return msgspec.convert(given, Definition)
        except msgspec.ValidationError as error:
            raise BadDefinition(f"{given['name']}: {error}") from error


class ShadowRequest(Upgrade):
    """What decides beside the original, under which name."""

    is_fresh = None  # type: ignore[assignment]  # a shadow always begins anew
    name = serializers.CharField(max_length=80, required=False, default="")


class ApprovalModeRequest(Reason):
    seconds = serializers.IntegerField(help_text="of event time that an entry waits; 0: none waits")


class DifferenceSerializer(serializers.Serializer):
    at = InstantField(source="at_ms")
    instrument = serializers.CharField()
    verdict = serializers.ChoiceField(["same", "only here", "only there", "other"])
    here = serializers.ListField(child=serializers.CharField())
    there = serializers.ListField(child=serializers.CharField())
    step_here = serializers.IntegerField(allow_null=True)
    step_there = serializers.IntegerField(allow_null=True)


class ShadowComparisonSerializer(serializers.Serializer):
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
class AllDeployments(Deployments):
    """Deployments with their state and cursor; a new one is born stopped."""

    required_role = RequiredRole()

    @extend_schema(request=NewDeployment, responses={201: DeploymentSerializer})
    def post(self, request: Request) -> Response:
        form = NewDeployment(data=request.data)
        form.is_valid(raise_exception=True)
        until = form.validated_data["warm_up_until"]
        made = deploying.create_by(
            form.definition(),
            portfolio=form.validated_data["portfolio"],
            reason=form.validated_data["reason"],
            warm_up_until_ms=to_ms(until) if until else None,
            now=timezone.now(),
            **actor_of(request),
        )
        found = selectors.deployments_detailed().get(pk=made.pk)
        return Response(DeploymentSerializer(found).data, status=201)


@extend_schema(tags=["deployments"])
class ApprovalMode(ApiView):
    """Let the entries of a stopped deployment wait for a person, or not any more."""

    required_role = RequiredRole()

    @extend_schema(request=ApprovalModeRequest, responses=DeploymentSerializer)
    def post(self, request: Request, pk: UUID) -> Response:
        form = ApprovalModeRequest(data=request.data)
        form.is_valid(raise_exception=True)
        approval_mode_set(deployment_id=pk, now=timezone.now(), **form.validated_data, **actor_of(request))
        return Response(DeploymentSerializer(selectors.deployments_detailed().get(pk=pk)).data)


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

    @extend_schema(responses=ShadowComparisonSerializer)
    def get(self, _request: Request, pk: UUID) -> Response:
        found: Comparison = shadow_compare(selectors.deployment_name_of(pk))
        data = msgspec.structs.asdict(found) | {"profit_difference": found.profit_difference}
        return Response(ShadowComparisonSerializer(data).data)


urlpatterns = [
    path("deployments/", AllDeployments.as_view()),
    path("deployments/<uuid:pk>/approval-mode/", ApprovalMode.as_view()),
    path("deployments/<uuid:pk>/shadow/", Shadows.as_view()),
    path("deployments/<uuid:pk>/shadow-difference/", ShadowDifference.as_view()),
]
