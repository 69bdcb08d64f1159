"""Decisions and kill switches over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import path
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.response import Response

from alphapanda.core.vocabulary import HaltLevel
from alphapanda.web.fields import InstantField
from alphapanda.web.filters import EventTimeFilter
from alphapanda.web.roles import RequiredRole
from alphapanda.web.views import AnyObject, ApiView, ListView, Reason, actor_of
from risk import selectors
from risk.models import Decision, KillSwitch
from risk.services.halts import halt_release, halt_throw
from strategies.models import TRADING_BROKERS, choices

if TYPE_CHECKING:
    from rest_framework.request import Request


class DecisionSerializer(serializers.ModelSerializer):
    deployment_name = serializers.CharField(source="deployment.name", read_only=True)
    instrument = serializers.CharField(source="signal.instrument", read_only=True)
    numbers = AnyObject(read_only=True)
    at = InstantField(source="at_ms")

    class Meta:
        model = Decision
        fields = (
            "id",
            "signal",
            "deployment",
            "deployment_name",
            "broker",
            "instrument",
            "is_approved",
            "rule",
            "reason",
            "numbers",
            "at",
        )


class HaltSerializer(serializers.ModelSerializer):
    deployment_name = serializers.CharField(source="deployment.name", read_only=True, allow_null=True)
    is_active = serializers.SerializerMethodField()

    class Meta:
        model = KillSwitch
        fields = (
            "id",
            "level",
            "broker",
            "deployment",
            "deployment_name",
            "reason",
            "is_active",
            "thrown_by",
            "thrown_at",
            "released_by",
            "released_at",
        )

    def get_is_active(self, halt: KillSwitch) -> bool:
        return halt.released_at is None


class HaltRequest(Reason):
    level = serializers.ChoiceField(choices(HaltLevel))
    broker = serializers.ChoiceField(TRADING_BROKERS, default="", allow_blank=True)
    deployment = serializers.UUIDField(source="deployment_id", default=None, allow_null=True)


class DecisionFilter(EventTimeFilter):
    class Meta:
        model = Decision
        fields = ("broker", "deployment", "is_approved", "rule", "signal")


class HaltFilter(filters.FilterSet):
    is_active = filters.BooleanFilter(field_name="released_at", lookup_expr="isnull")

    class Meta:
        model = KillSwitch
        fields = ("level", "broker", "deployment")


@extend_schema(tags=["decisions"])
class Decisions(ListView):
    """The verdicts of risk, the rule that decided and the numbers it saw, newest first."""

    queryset = selectors.decisions_recorded()
    serializer_class = DecisionSerializer
    filterset_class = DecisionFilter
    page_ordering = ("-created_at", "-id")


@extend_schema(tags=["halts"])
class Halts(ListView):
    """Halts of entries, newest first."""

    queryset = selectors.halts_thrown()
    serializer_class = HaltSerializer
    filterset_class = HaltFilter
    page_ordering = ("-thrown_at", "-id")

    @extend_schema(request=HaltRequest, responses={201: HaltSerializer})
    def post(self, request: Request) -> Response:
        """Halt entries of everything, a broker or a deployment; thrown twice it is the same halt."""
        form = HaltRequest(data=request.data)
        form.is_valid(raise_exception=True)
        halt = halt_throw(now=timezone.now(), **form.validated_data, **actor_of(request))
        return Response(HaltSerializer(halt).data, status=status.HTTP_201_CREATED)


class HaltRelease(ApiView):
    required_role = RequiredRole()

    @extend_schema(request=Reason, responses=HaltSerializer, tags=["halts"])
    def post(self, request: Request, pk: int) -> Response:
        """Release a halt; asked twice, it is done once."""
        form = Reason(data=request.data)
        form.is_valid(raise_exception=True)
        halt = halt_release(halt_id=pk, now=timezone.now(), **form.validated_data, **actor_of(request))
        return Response(HaltSerializer(halt).data)


urlpatterns = [
    path("decisions/", Decisions.as_view()),
    path("halts/", Halts.as_view()),
    path("halts/<int:pk>/release/", HaltRelease.as_view()),
]
