"""Decisions and kill switches over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import path
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.response import Response

from alphapanda.core.vocabulary import HaltLevel, HaltStep, LimitLevel
from alphapanda.web.fields import InstantField
from alphapanda.web.filters import EventTimeFilter
from alphapanda.web.roles import RequiredRole
from alphapanda.web.views import AnyObject, ApiView, Form, ListView, Reason, actor_of
from risk import selectors
from risk.models import Decision, KillSwitch
from risk.services.foresight import (
    SESSIONS,
    headroom_as_rows,
    headroom_now,
    level_proposed,
    preview_as_json,
    preview_of,
)
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
            "step",
            "reason",
            "is_active",
            "thrown_by",
            "thrown_at",
            "released_by",
            "released_at",
        )

    def get_is_active(self, halt: KillSwitch) -> bool:
        return halt.released_at is None


class ReleasedSerializer(HaltSerializer):
    """A halt that was released, with what is halted there all the same."""

    still_halted = serializers.SerializerMethodField()

    class Meta(HaltSerializer.Meta):
        fields = (*HaltSerializer.Meta.fields, "still_halted")

    def get_still_halted(self, halt: KillSwitch) -> list[str]:
        return selectors.halts_beside(halt)


class HaltRequest(Reason):
    level = serializers.ChoiceField(choices(HaltLevel))
    step = serializers.ChoiceField(choices(HaltStep), default=HaltStep.PAUSE.value)
    broker = serializers.ChoiceField(TRADING_BROKERS, default="", allow_blank=True)
    deployment = serializers.UUIDField(source="deployment_id", default=None, allow_null=True)


class HeadroomRequest(serializers.Serializer):
    deployment = serializers.UUIDField(default=None, allow_null=True)


class HeadroomSerializer(serializers.Serializer):
    """One limit as it binds one instrument and side; amounts are decimal text, counts are numbers."""

    deployment = serializers.CharField()
    level = serializers.CharField()
    limit = serializers.CharField()
    at = serializers.CharField()
    used = serializers.CharField(allow_null=True)
    left = serializers.CharField(allow_null=True)
    instrument = serializers.CharField(allow_blank=True)
    side = serializers.CharField(allow_blank=True)
    smallest_refused = serializers.IntegerField(allow_null=True)


class PreviewRequest(Form):
    """A level of limits as it would be: all its limits, not only those that change."""

    level = serializers.ChoiceField(choices(LimitLevel))
    broker = serializers.ChoiceField(TRADING_BROKERS, default="", allow_blank=True)
    portfolio = serializers.UUIDField(source="portfolio_id", default=None, allow_null=True)
    deployment = serializers.UUIDField(source="deployment_id", default=None, allow_null=True)
    instrument = serializers.IntegerField(source="instrument_id", default=None, allow_null=True)
    limits = AnyObject()
    sessions = serializers.IntegerField(default=SESSIONS, min_value=1, max_value=250)


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
    lowers_risk = True

    @extend_schema(request=HaltRequest, responses={201: HaltSerializer})
    def post(self, request: Request) -> Response:
        """Halt entries of everything, a broker or a deployment; thrown twice it is the same halt."""
        form = HaltRequest(data=request.data)
        form.is_valid(raise_exception=True)
        halt = halt_throw(now=timezone.now(), **form.validated_data, **actor_of(request))
        return Response(HaltSerializer(halt).data, status=status.HTTP_201_CREATED)


class HaltRelease(ApiView):
    required_role = RequiredRole()

    @extend_schema(request=Reason, responses=ReleasedSerializer, tags=["halts"])
    def post(self, request: Request, pk: int) -> Response:
        """Release a halt; asked twice, it is done once. The answer names the other halts that still hold there."""
        form = Reason(data=request.data)
        form.is_valid(raise_exception=True)
        halt = halt_release(halt_id=pk, now=timezone.now(), **form.validated_data, **actor_of(request))
        return Response(ReleasedSerializer(halt).data)


class LimitsHeadroom(ApiView):
    required_role = RequiredRole()
    query_names = tuple(HeadroomRequest().fields)

    @extend_schema(parameters=[HeadroomRequest], responses=HeadroomSerializer(many=True), tags=["limits"])
    def get(self, request: Request) -> Response:
        """Of every limit: used, left, and the smallest order that it would refuse."""
        form = HeadroomRequest(data=request.query_params)
        form.is_valid(raise_exception=True)
        found = headroom_now(deployment_id=form.validated_data["deployment"], now=timezone.now())
        return Response(headroom_as_rows(found))


class LimitsPreview(ApiView):
    required_role = RequiredRole()

    @extend_schema(request=PreviewRequest, responses=OpenApiTypes.OBJECT, tags=["limits"])
    def post(self, request: Request) -> Response:
        """What other limits would have done to the orders of past sessions; nothing is saved."""
        form = PreviewRequest(data=request.data)
        form.is_valid(raise_exception=True)
        given = dict(form.validated_data)
        sessions, limits = given.pop("sessions"), given.pop("limits")
        proposed = level_proposed(**given, limits=limits)
        found = preview_of(proposed, replaced=selectors.limits_at(**given), sessions=sessions)
        return Response(preview_as_json(found, proposed))


urlpatterns = [
    path("limits/headroom/", LimitsHeadroom.as_view()),
    path("limits/preview/", LimitsPreview.as_view()),
    path("decisions/", Decisions.as_view()),
    path("halts/", Halts.as_view()),
    path("halts/<int:pk>/release/", HaltRelease.as_view()),
]
