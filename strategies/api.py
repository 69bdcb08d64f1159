"""Strategies, deployments and signals over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.urls import path
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from alphapanda.web.fields import InstantField, PriceField
from alphapanda.web.filters import EventTimeFilter
from alphapanda.web.roles import RequiredRole
from alphapanda.web.views import AnyObject, ApiView, DetailView, ListView, Reason, actor_of
from strategies import selectors
from strategies.models import Deployment, Signal, Strategy, StrategyFile, StrategyVersion
from strategies.services.catalogue import catalogue_refresh
from strategies.services.lifecycle import ACTS, deployment_exit
from strategies.services.upgrades import deployment_upgrade

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from rest_framework.request import Request


class FaultSerializer(serializers.Serializer):
    """What is wrong with a file."""

    line = serializers.IntegerField(help_text="0: in no single line")
    text = serializers.CharField()


class StrategyVersionSerializer(serializers.ModelSerializer):
    schema = AnyObject(read_only=True)

    class Meta:
        model = StrategyVersion
        fields = ("version", "source_hash", "file", "origin", "is_installed", "schema", "created_at")


class StrategyFileSerializer(serializers.ModelSerializer):
    strategies = serializers.ListField(child=serializers.CharField())
    faults = FaultSerializer(many=True)

    class Meta:
        model = StrategyFile
        fields = ("file", "origin", "source_hash", "strategies", "faults", "changed_at")


class StrategySerializer(serializers.ModelSerializer):
    versions = StrategyVersionSerializer(many=True, read_only=True)

    class Meta:
        model = Strategy
        fields = ("name", "title", "description", "is_enabled", "versions")


class DeploymentSerializer(serializers.ModelSerializer):
    strategy = serializers.CharField(source="strategy_version.strategy.name", read_only=True)
    version = serializers.CharField(source="strategy_version.version", read_only=True)
    source_hash = serializers.CharField(source="strategy_version.source_hash", read_only=True)
    instruments = serializers.StringRelatedField(many=True)
    params = AnyObject(read_only=True)
    execution = AnyObject(read_only=True)
    at = InstantField(source="at_ms")

    class Meta:
        model = Deployment
        fields = (
            "id",
            "name",
            "strategy",
            "version",
            "source_hash",
            "broker",
            "shadow_of",
            "instruments",
            "params",
            "execution",
            "status",
            "shard",
            "partition",
            "step",
            "at",
            "waiting",
            "waiting_since",
            "error",
            "revision",
            "created_at",
            "checkpointed_at",
        )


class SignalSerializer(serializers.ModelSerializer):
    deployment_name = serializers.CharField(source="deployment.name", read_only=True)
    instrument = serializers.StringRelatedField()
    limit_price = PriceField(source="limit_price_e4", allow_null=True)
    trigger_price = PriceField(source="trigger_price_e4", allow_null=True)
    bracket = AnyObject(read_only=True, allow_null=True)
    at = InstantField(source="at_ms")

    class Meta:
        model = Signal
        fields = (
            "id",
            "deployment",
            "deployment_name",
            "broker",
            "step",
            "ordinal",
            "instrument",
            "side",
            "quantity",
            "kind",
            "target",
            "order_type",
            "limit_price",
            "trigger_price",
            "variety",
            "validity",
            "product",
            "reason",
            "origin",
            "bracket",
            "state",
            "correlation_id",
            "at",
        )


class DeploymentFilter(filters.FilterSet):
    strategy = filters.CharFilter(field_name="strategy_version__strategy__name")

    class Meta:
        model = Deployment
        fields = ("broker", "status", "name", "shard")


class SignalFilter(EventTimeFilter):
    class Meta:
        model = Signal
        fields = ("broker", "deployment", "side", "origin", "state")


class Refreshed(ListView):
    """A list that looks at the files of strategies first, so that a file that was dropped in is there."""

    def get_queryset(self) -> QuerySet:
        if not getattr(self, "swagger_fake_view", False):
            catalogue_refresh()
        return super().get_queryset()


@extend_schema(tags=["strategies"])
class Strategies(Refreshed):
    """The strategies that this installation knows, with every version of their code, installed ones first."""

    queryset = selectors.strategies_with_versions()
    serializer_class = StrategySerializer
    page_ordering = ("name",)
    filterset_fields = ("is_enabled",)


@extend_schema(tags=["strategies"])
class StrategyFiles(Refreshed):
    """The files of strategies, and what is wrong with those that do not load."""

    queryset = selectors.strategy_files()
    serializer_class = StrategyFileSerializer
    page_ordering = ("file",)


@extend_schema(tags=["deployments"])
class Deployments(ListView):
    """Deployments with their state and cursor."""

    queryset = selectors.deployments_detailed()
    serializer_class = DeploymentSerializer
    filterset_class = DeploymentFilter
    page_ordering = ("name",)


@extend_schema(tags=["deployments"])
class DeploymentDetail(DetailView):
    """One deployment."""

    queryset = selectors.deployments_detailed()
    serializer_class = DeploymentSerializer


class DeploymentAct(ApiView):
    """Start, pause, stop or release a deployment; asked twice, it is done once."""

    required_role = RequiredRole()
    act = ""

    @extend_schema(request=Reason, responses=DeploymentSerializer, tags=["deployments"])
    def post(self, request: Request, pk: UUID) -> Response:
        form = Reason(data=request.data)
        form.is_valid(raise_exception=True)
        ACTS[self.act](deployment_id=pk, now=timezone.now(), **form.validated_data, **actor_of(request))
        return Response(DeploymentSerializer(selectors.deployments_detailed().get(pk=pk)).data)


class Exit(Reason):
    """Which instrument is to be flat."""

    instrument = serializers.CharField(max_length=80, help_text="EXCHANGE:SYMBOL, of the deployment")


class DeploymentExit(ApiView):
    """Close what a deployment holds of one instrument; it goes on. Asked twice, it is done once."""

    required_role = RequiredRole()
    lowers_risk = True

    @extend_schema(request=Exit, responses=DeploymentSerializer, tags=["deployments"])
    def post(self, request: Request, pk: UUID) -> Response:
        form = Exit(data=request.data)
        form.is_valid(raise_exception=True)
        deployment_exit(deployment_id=pk, now=timezone.now(), **form.validated_data, **actor_of(request))
        return Response(DeploymentSerializer(selectors.deployments_detailed().get(pk=pk)).data)


class Upgrade(Reason):
    """What to go on with: a version or the start of a hash (without it the installed one), parameters (without
    them as they are), and whether the strategy's memory begins anew."""

    version = serializers.CharField(max_length=64, required=False, default="", allow_blank=True)
    params = AnyObject(required=False, default=None, allow_null=True)
    is_fresh = serializers.BooleanField(required=False, default=False)

    def validate_params(self, params: object) -> object:
        if params is not None and not isinstance(params, dict):
            raise serializers.ValidationError("An object, such as {}.")
        return params


class DeploymentUpgrade(ApiView):
    """Let a deployment go on with other code or other parameters, from the step of its checkpoint on."""

    required_role = RequiredRole()

    @extend_schema(request=Upgrade, responses=DeploymentSerializer, tags=["deployments"])
    def post(self, request: Request, pk: UUID) -> Response:
        form = Upgrade(data=request.data)
        form.is_valid(raise_exception=True)
        facts = form.validated_data | actor_of(request)
        deployment_upgrade(deployment_id=pk, now=timezone.now(), **facts)
        return Response(DeploymentSerializer(selectors.deployments_detailed().get(pk=pk)).data)


@extend_schema(tags=["signals"])
class Signals(ListView):
    """What strategies wanted, newest first."""

    queryset = selectors.signals_recorded()
    serializer_class = SignalSerializer
    filterset_class = SignalFilter
    page_ordering = ("-created_at", "-id")


urlpatterns = [
    path("strategies/", Strategies.as_view()),
    path("strategies/files/", StrategyFiles.as_view()),
    path("deployments/<uuid:pk>/", DeploymentDetail.as_view()),
    path("deployments/<uuid:pk>/start/", DeploymentAct.as_view(act="start")),
    path("deployments/<uuid:pk>/pause/", DeploymentAct.as_view(act="pause", lowers_risk=True)),
    path("deployments/<uuid:pk>/flatten/", DeploymentAct.as_view(act="flatten", lowers_risk=True)),
    path("deployments/<uuid:pk>/exit/", DeploymentExit.as_view()),
    path("deployments/<uuid:pk>/stop/", DeploymentAct.as_view(act="stop", lowers_risk=True)),
    path("deployments/<uuid:pk>/release/", DeploymentAct.as_view(act="release_quarantine")),
    path("deployments/<uuid:pk>/upgrade/", DeploymentUpgrade.as_view()),
    path("signals/", Signals.as_view()),
]
