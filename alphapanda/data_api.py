"""What the pages Data and Logs show, over REST: lists, calendar, gaps, bars of each day; lines, the audit trail."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.urls import path
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from accounts.models import AuditEntry
from alphapanda import log_files, logs
from alphapanda.backfills import backfill_ask
from alphapanda.core.clock import ist_text
from alphapanda.web.roles import ROLE_TO_READ, RequiredRole
from alphapanda.web.views import AnyObject, ApiView, Form, ListView, Reason, actor_of
from marketdata import coverage
from marketdata.coverage import EPOCH
from marketdata.domain.kite_candles import Interval
from marketdata.models import CandleFetch
from marketdata.services.kite_candles import WHY_NOT_KEPT
from strategies.models import Deployment

if TYPE_CHECKING:
    from uuid import UUID

    from rest_framework.request import Request

    from alphapanda.core.envelope import FeedGap
    from alphapanda.log_files import Line
    from marketdata.coverage import Covered, ListState

DAYS, DAYS_MAX = 15, 60
LINES, LINES_MAX = 200, 1000


class DaysAsked(Form):
    """So many trading days, up to a day or to the newest bar."""

    days = serializers.IntegerField(min_value=1, max_value=DAYS_MAX, default=DAYS)
    until = serializers.DateField(required=False, default=None)

    def validate_until(self, day: date | None) -> date | None:
        if day is not None and day < EPOCH:
            raise serializers.ValidationError(f"A day from {EPOCH} on.")
        return day


class LinesAsked(Form):
    """Lines of one process or of all, of a least level, with some words, naming a deployment."""

    file = serializers.CharField(max_length=100, default="")
    level = serializers.ChoiceField(choices=log_files.LEVELS, default="")
    words = serializers.CharField(max_length=200, default="")
    deployment = serializers.UUIDField(required=False, default=None)
    limit = serializers.IntegerField(min_value=1, max_value=LINES_MAX, default=LINES)

    def validate_file(self, name: str) -> str:
        if name and name not in log_files.names():
            raise serializers.ValidationError(f"Expected one of {', '.join(log_files.names()) or 'no file'}.")
        return name

    def validate_deployment(self, pk: UUID | None) -> Deployment | None:
        if pk is None:
            return None
        found = Deployment.objects.filter(pk=pk).only("id", "name").first()
        if found is None:
            raise serializers.ValidationError(f"There is no deployment {pk}.")
        return found


class Data(ApiView):
    """Lists of instruments, how far the calendar reaches, gaps of the live feed, what is kept of the broker's
    candles."""

    required_role = ROLE_TO_READ

    @extend_schema(responses=OpenApiTypes.OBJECT, tags=["data"], operation_id="data")
    def get(self, _request: Request) -> Response:
        copies = coverage.copies_kept()
        return Response(
            {
                "lists": [_list(one) for one in coverage.lists_known()],
                "calendar_days_left": coverage.calendar_left(now=timezone.now()),
                "gaps": [_gap(one) for one in coverage.gaps_told()],
                "candles": {
                    "files": copies.files,
                    "bytes": copies.size,
                    "is_archiving": settings.KITE_ARCHIVE,
                    "why_not": "" if settings.KITE_ARCHIVE else WHY_NOT_KEPT,
                },
            }
        )


class Asked(Reason):
    """Candles of which instrument, how long, of which days."""

    instrument = serializers.CharField(max_length=80, help_text="EXCHANGE:SYMBOL")
    interval = serializers.ChoiceField(choices=[one.value for one in Interval], default=Interval.MINUTE.value)
    first = serializers.DateField(help_text="IST")
    last = serializers.DateField(help_text="IST, included")


class FetchSerializer(serializers.ModelSerializer):
    instrument = serializers.StringRelatedField()

    class Meta:
        model = CandleFetch
        fields = (
            "id", "instrument", "interval", "first", "last", "state", "done", "total", "files", "error",
            "asked_by", "created_at", "finished_at",
        )  # fmt: skip


@extend_schema(tags=["data"])
class Fetches(ListView):
    """Candles that were asked for, the newest first."""

    required_role = RequiredRole()
    queryset = CandleFetch.objects.select_related("instrument")
    serializer_class = FetchSerializer
    filterset_fields = ("state",)
    page_ordering = ("-created_at", "-id")

    @extend_schema(request=Asked, responses={201: FetchSerializer}, tags=["data"])
    def post(self, request: Request) -> Response:
        """Ask for candles of the broker; what waits already is not asked for twice."""
        form = Asked(data=request.data)
        form.is_valid(raise_exception=True)
        given = form.validated_data | {"interval": Interval(form.validated_data["interval"])}
        fetch = backfill_ask(now=timezone.now(), **given, **actor_of(request))
        return Response(FetchSerializer(fetch).data, status=201)


class Coverage(ApiView):
    """Minute bars stored of each day, against the minutes that the day has."""

    required_role = ROLE_TO_READ
    query_names = tuple(DaysAsked().fields)

    @extend_schema(
        parameters=[DaysAsked], responses=OpenApiTypes.OBJECT, tags=["data"], operation_id="data_coverage"
    )
    def get(self, request: Request) -> Response:
        asked = DaysAsked(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        return Response({"results": [_covered(one) for one in coverage.coverage(**asked.validated_data)]})


class Lines(ApiView):
    """The newest lines of the processes' log files, without what looks like a secret."""

    required_role = ROLE_TO_READ
    query_names = tuple(LinesAsked().fields)

    @extend_schema(
        parameters=[LinesAsked], responses=OpenApiTypes.OBJECT, tags=["logs"], operation_id="log_lines"
    )
    def get(self, request: Request) -> Response:
        asked = LinesAsked(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        given = asked.validated_data
        own, count = given.pop("deployment"), given.pop("limit")
        others = Deployment.objects.exclude(pk=own.pk).values_list("name", flat=True) if own else ()
        named = {"is_meant": log_files.naming(own.name, others, str(own.pk))} if own else {}
        return Response({"results": [_line(one) for one in log_files.tail(**given, count=count, **named)]})


class AuditSerializer(serializers.ModelSerializer):
    reason = serializers.SerializerMethodField()
    details = serializers.SerializerMethodField()

    class Meta:
        model = AuditEntry
        fields = ("id", "at", "actor", "action", "target", "reason", "details", "ip")

    def get_reason(self, row: AuditEntry) -> str:
        return logs.redacted(row.reason)

    @extend_schema(responses=AnyObject)
    def get_details(self, row: AuditEntry) -> Any:
        return logs.redacted(row.details)


class AuditFilter(filters.FilterSet):
    """Parts of words; `since` (inclusive) and `until` (exclusive) in ISO 8601."""

    actor = filters.CharFilter(lookup_expr="icontains")
    action = filters.CharFilter(lookup_expr="icontains")
    target = filters.CharFilter(lookup_expr="icontains")
    since = filters.IsoDateTimeFilter("at", lookup_expr="gte")
    until = filters.IsoDateTimeFilter("at", lookup_expr="lt")

    class Meta:
        model = AuditEntry
        fields = ("actor", "action", "target", "since", "until")


@extend_schema(tags=["logs"])
class Audits(ListView):
    """Who did what to what, the newest first, without what looks like a secret."""

    queryset = AuditEntry.objects.all()
    serializer_class = AuditSerializer
    filterset_class = AuditFilter
    page_ordering = ("-id",)


def _list(one: ListState) -> dict[str, Any]:
    return {
        "exchange": one.exchange,
        "listed": one.listed,
        "gone": one.gone,
        "source": one.load.source if one.load else None,
        "loaded_at": one.load.loaded_at if one.load else None,
    }


def _gap(gap: FeedGap) -> dict[str, Any]:
    return {
        "source": gap.source,
        "connection": gap.connection,
        "instruments": gap.instruments,
        "from": ist_text(gap.from_ms),
        "until": ist_text(gap.until_ms) if gap.until_ms else None,
        "reason": gap.reason,
    }


def _covered(one: Covered) -> dict[str, Any]:
    days = [
        {"day": day.day, "stored": day.stored, "expected": day.expected, "missing": day.missing}
        for day in one.days
    ]
    return {"instrument": str(one.instrument), "days": days}


def _line(one: Line) -> dict[str, Any]:
    return {
        "at": ist_text(one.at_ms) if one.at_ms else None,
        "file": one.file,
        "level": one.level,
        "logger": one.logger,
        "event": one.event,
        "rest": one.rest,
    }


urlpatterns = [
    path("data/", Data.as_view()),
    path("data/candles/", Fetches.as_view()),
    path("data/coverage/", Coverage.as_view()),
    path("logs/", Lines.as_view()),
    path("audit/", Audits.as_view()),
]
