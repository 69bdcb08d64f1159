"""Stored backtests and searches over REST: list, ask for, look at, cancel, run again, compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

import msgspec
from django.urls import path, reverse
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.response import Response

from alphapanda.research import selectors
from alphapanda.research.places import list_names, placed, recorded_names, rule_names
from alphapanda.research.plan import BadPlan, Plan, askable
from alphapanda.research.search import asked_of
from alphapanda.research.stored import backtest_again, backtest_cancel, backtest_create
from alphapanda.web.roles import ROLE_TO_READ, RequiredRole
from alphapanda.web.views import KEY_PARAMETER, AnyObject, ApiView, Form, ListView, Reason, actor_of, key_of
from strategies.models import BacktestRun

if TYPE_CHECKING:
    from rest_framework.request import Request


class BacktestSerializer(serializers.ModelSerializer):
    """A run as lists show it."""

    statistics = AnyObject(source="summary", read_only=True)
    findings = serializers.ListField(child=serializers.CharField(), read_only=True)
    code = AnyObject(read_only=True)
    plan = AnyObject(read_only=True)
    search = AnyObject(read_only=True)
    sheet = serializers.SerializerMethodField()
    data = serializers.ListField(child=AnyObject(), read_only=True)
    seconds_left = serializers.SerializerMethodField()

    class Meta:
        model = BacktestRun
        fields = (
            "id",
            "name",
            "kind",
            "state",
            "plan",
            "search",
            "statistics",
            "findings",
            "data",
            "data_sha256",
            "code",
            "result_sha256",
            "sheet",
            "done",
            "total",
            "seconds_left",
            "error",
            "asked_by",
            "created_at",
            "started_at",
            "finished_at",
        )

    def get_sheet(self, run: BacktestRun) -> str | None:
        """The address of its page, for whoever may look."""
        return reverse("backtest-sheet", args=[run.pk]) if run.state == BacktestRun.State.DONE else None

    def get_seconds_left(self, run: BacktestRun) -> int | None:
        return selectors.seconds_left(run, timezone.now())


class WholeBacktestSerializer(BacktestSerializer):
    """A run with its result."""

    result = serializers.SerializerMethodField()

    class Meta(BacktestSerializer.Meta):
        fields = (*BacktestSerializer.Meta.fields, "result")

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_result(self, run: BacktestRun) -> dict[str, Any] | None:
        return selectors.result_of(run) if run.state == BacktestRun.State.DONE else None


class NewBacktest(Form):
    """What to run. `deployments` are definitions: name, strategy, instruments, params, execution, limits, product.
    `rules` are files of instrument rules by date; `warm_up` are files that end before, whose bars strategies have seen.
    `search` tunes the strategy: space, objective, trials, seed, walk_forward, hold_out, rolling, shuffles."""

    name = serializers.CharField(max_length=120)
    files = serializers.ListField(child=serializers.CharField(max_length=300), min_length=1, max_length=200)
    deployments = serializers.ListField(child=AnyObject(), min_length=1, max_length=200)
    instruments = serializers.ListField(
        child=serializers.CharField(max_length=300), default=list, max_length=20
    )
    rules = serializers.ListField(child=serializers.CharField(max_length=300), default=list, max_length=20)
    warm_up = serializers.ListField(child=serializers.CharField(max_length=300), default=list, max_length=200)
    first_day = serializers.DateField(default=None, allow_null=True)
    last_day = serializers.DateField(default=None, allow_null=True)
    cash = serializers.DecimalField(max_digits=20, decimal_places=4, default="1000000")
    costs = AnyObject(default=dict)
    search = AnyObject(default=None, allow_null=True)
    reason = serializers.CharField(max_length=300, default="", allow_blank=True)


class Comparison(serializers.Serializer):
    """Backtests beside each other."""

    names = serializers.ListField(child=serializers.CharField())
    same = AnyObject()
    differences = AnyObject()
    statistics = AnyObject()
    findings = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))
    monthly = AnyObject()


class Files(serializers.Serializer):
    """Files that backtests can name."""

    recorded = serializers.ListField(child=serializers.CharField())
    instruments = serializers.ListField(child=serializers.CharField())
    rules = serializers.ListField(child=serializers.CharField())


class BacktestFilter(filters.FilterSet):
    class Meta:
        model = BacktestRun
        fields = ("name", "kind", "state", "asked_by")


def plan_of(asked: dict[str, Any]) -> Plan:
    """The plan that was asked for, with its files found and looked at. Raises BadPlan."""
    names = ("files", "instruments", "rules", "warm_up", "first_day", "last_day", "costs")
    raw = {name: asked[name] for name in names}
    raw |= {"definitions": asked["deployments"], "cash": str(asked["cash"])}
    try:
        return askable(placed(msgspec.convert(raw, Plan)))
    except ValueError as error:
        raise BadPlan(str(error)) from None


class Backtests(ListView):
    """Stored backtests and searches, newest first; an operator asks for further ones."""

    required_role: ClassVar[RequiredRole] = RequiredRole()
    queryset = selectors.backtests()
    serializer_class = BacktestSerializer
    filterset_class = BacktestFilter
    page_ordering = ("-created_at", "-id")

    @extend_schema(tags=["backtests"])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(request=NewBacktest, responses={201: BacktestSerializer}, tags=["backtests"])
    def post(self, request: Request) -> Response:
        """Ask for a backtest, or for a search where `search` is given; its row tells how far it is."""
        form = NewBacktest(data=request.data)
        form.is_valid(raise_exception=True)
        asked = dict(form.validated_data)
        plan = plan_of(asked)
        run = backtest_create(
            plan,
            search=asked_of(asked["search"], plan),
            name=asked["name"],
            reason=asked["reason"],
            now=timezone.now(),
            **actor_of(request),
        )
        return Response(BacktestSerializer(run).data, status=201)


class BacktestDetail(ApiView):
    """One backtest with its result."""

    required_role = ROLE_TO_READ

    @extend_schema(responses=WholeBacktestSerializer, tags=["backtests"])
    def get(self, _request: Request, pk: UUID) -> Response:
        run = BacktestRun.objects.filter(pk=pk).first()
        if run is None:
            raise NotFound
        return Response(WholeBacktestSerializer(run).data)


class BacktestAct(ApiView):
    """Cancel a backtest, or ask for the same once more."""

    required_role = RequiredRole()
    act = ""

    @extend_schema(
        request=Reason, responses=BacktestSerializer, parameters=[KEY_PARAMETER], tags=["backtests"]
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """With the same Idempotency-Key it is the same act."""
        form = Reason(data=request.data)
        form.is_valid(raise_exception=True)
        by = {"run_id": pk, "now": timezone.now(), **form.validated_data, **actor_of(request)}
        run = backtest_cancel(**by) if self.act == "cancel" else backtest_again(**by, key=key_of(request))
        return Response(BacktestSerializer(run).data)


class BacktestComparison(ApiView):
    """Two to four backtests beside each other."""

    required_role = ROLE_TO_READ
    query_names = ("name",)

    @extend_schema(
        parameters=[OpenApiParameter("name", OpenApiTypes.STR, many=True, description="two to four names")],
        responses=Comparison,
        tags=["backtests"],
    )
    def get(self, request: Request) -> Response:
        names = request.query_params.getlist("name")
        return Response(selectors.compared([selectors.backtest_named(name) for name in names]))


class BacktestFiles(ApiView):
    """Recorded files, instrument lists and rules by date that can be named."""

    required_role = ROLE_TO_READ

    @extend_schema(responses=Files, tags=["backtests"])
    def get(self, _request: Request) -> Response:
        return Response({"recorded": recorded_names(), "instruments": list_names(), "rules": rule_names()})


urlpatterns = [
    path("backtests/", Backtests.as_view()),
    path("backtests/compare/", BacktestComparison.as_view()),
    path("backtests/files/", BacktestFiles.as_view()),
    path("backtests/<uuid:pk>/", BacktestDetail.as_view()),
    path("backtests/<uuid:pk>/cancel/", BacktestAct.as_view(act="cancel")),
    path("backtests/<uuid:pk>/again/", BacktestAct.as_view(act="again")),
]
