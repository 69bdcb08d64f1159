"""What is traded at a broker outside over REST: its process, calls, orders of others, differences."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec
from django.urls import path
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from alphapanda.web.fields import InstantField, MoneyField
from alphapanda.web.filters import EventTimeFilter
from alphapanda.web.roles import ROLE_TO_READ, RequiredRole
from alphapanda.web.views import ApiView, ListView, Reason, actor_of
from execution import live_selectors
from execution.models import BrokerCall, BrokerDesk, Difference, ExternalOrder
from execution.services.differences import difference_accept, difference_settle

if TYPE_CHECKING:
    from rest_framework.request import Request


SHOWN = (
    "broker",
    "stopped",
    "seen_at",
    "reconciled_at",
    "gtts_read_at",
    "outside",
    "funds",
    "funds_at",
    "charged_on",
)


class BrokerCallSerializer(serializers.ModelSerializer):
    deployment = serializers.UUIDField(source="order.order.deployment_id")
    instrument = serializers.StringRelatedField(source="order.order.instrument")
    queued_at = InstantField(source="queued_at_ms")
    sent_at = InstantField(source="sent_at_ms")
    answered_at = InstantField(source="answered_at_ms")

    class Meta:
        model = BrokerCall
        fields = (
            "id",
            "order",
            "decision",
            "deployment",
            "instrument",
            "kind",
            "lane",
            "attempt",
            "state",
            "tag",
            "broker_order_id",
            "form",
            "http_status",
            "reason",
            "queued_at",
            "sent_at",
            "answered_at",
        )


class ExternalOrderSerializer(serializers.ModelSerializer):
    worst_value = MoneyField(allow_null=True)

    class Meta:
        model = ExternalOrder
        fields = (
            "broker_order_id",
            "instrument",
            "is_open",
            "worst_value",
            "gtt",
            "snapshot",
            "first_seen_at",
            "seen_at",
        )


class BrokerDifferenceSerializer(serializers.ModelSerializer):
    class Meta:
        model = Difference
        fields = (
            "id",
            "kind",
            "key",
            "deployment",
            "ours",
            "theirs",
            "rounds",
            "first_seen_at",
            "seen_at",
            "settled_at",
            "settled_by",
            "note",
        )


class CallFilter(EventTimeFilter):
    time_column = "queued_at_ms"
    deployment = filters.UUIDFilter(field_name="order__order__deployment")

    class Meta:
        model = BrokerCall
        fields = ("state", "kind", "lane", "order", "deployment")


class DifferenceFilter(filters.FilterSet):
    is_open = filters.BooleanFilter(field_name="settled_at", lookup_expr="isnull")

    class Meta:
        model = Difference
        fields = ("kind", "deployment")


class ExternalFilter(filters.FilterSet):
    class Meta:
        model = ExternalOrder
        fields = ("is_open", "instrument")


@extend_schema(tags=["live"])
class Calls(ListView):
    """Writes to the broker, newest first: what was said, once, and what came of it."""

    queryset = live_selectors.calls_made()
    serializer_class = BrokerCallSerializer
    filterset_class = CallFilter
    page_ordering = ("-queued_at_ms", "-id")


@extend_schema(tags=["live"])
class Externals(ListView):
    """Orders in the account that no one here has sent, newest first."""

    queryset = live_selectors.external_orders()
    serializer_class = ExternalOrderSerializer
    filterset_class = ExternalFilter
    page_ordering = ("-first_seen_at", "-broker_order_id")


@extend_schema(tags=["live"])
class Differences(ListView):
    """What the broker shows otherwise than we hold it, newest first."""

    queryset = live_selectors.differences_found()
    serializer_class = BrokerDifferenceSerializer
    filterset_class = DifferenceFilter
    page_ordering = ("-first_seen_at", "-id")


class DifferenceSettle(ApiView):
    required_role = RequiredRole()

    @extend_schema(request=Reason, responses=BrokerDifferenceSerializer, tags=["live"])
    def post(self, request: Request, pk: int) -> Response:
        """Take a difference off the open ones, with a note on what it was. The same note by the same person again is
        the same act; 409 where it is settled otherwise."""
        form = Reason(data=request.data)
        form.is_valid(raise_exception=True)
        row = difference_settle(
            difference_id=pk, now=timezone.now(), **form.validated_data, **actor_of(request)
        )
        return Response(BrokerDifferenceSerializer(row).data)


class DifferenceAccept(ApiView):
    required_role = RequiredRole()

    @extend_schema(request=Reason, responses=BrokerDifferenceSerializer, tags=["live"])
    def post(self, request: Request, pk: int) -> Response:
        """Settle a difference of positions for good: those units are not ours, or what others took is known. The same
        note by the same person again is the same act; 409 where it is settled otherwise."""
        form = Reason(data=request.data)
        form.is_valid(raise_exception=True)
        row = difference_accept(
            difference_id=pk, now=timezone.now(), **form.validated_data, **actor_of(request)
        )
        return Response(BrokerDifferenceSerializer(row).data)


class LiveDesk(ApiView):
    required_role = ROLE_TO_READ

    @extend_schema(responses=OpenApiTypes.OBJECT, tags=["live"])
    def get(self, _request: Request) -> Response:
        """The broker's process, what waits, and what is left of the budgets, by lane."""
        return Response(desk_as_json(live_selectors.desk_now(timezone.now())))


def desk_as_json(now: live_selectors.DeskNow) -> dict[str, Any]:
    """Where an account stands, as JSON."""
    facts = asdict(now) | {"left": msgspec.to_builtins(now.left)}
    return facts | {"desk": None if now.desk is None else _desk(now.desk)}


def _desk(row: BrokerDesk) -> dict[str, Any]:
    return {name: getattr(row, name) for name in SHOWN}


urlpatterns = [
    path("live/", LiveDesk.as_view()),
    path("live/calls/", Calls.as_view()),
    path("live/external-orders/", Externals.as_view()),
    path("live/differences/", Differences.as_view()),
    path("live/differences/<int:pk>/settle/", DifferenceSettle.as_view()),
    path("live/differences/<int:pk>/accept/", DifferenceAccept.as_view()),
]
