"""Orders with their history, and fills over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.urls import path
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from alphapanda.core.vocabulary import FillSource
from alphapanda.web.fields import InstantField, MoneyField, PriceField
from alphapanda.web.filters import EventTimeFilter
from alphapanda.web.roles import RequiredRole
from alphapanda.web.views import ApiView, DetailView, ListView, Reason, actor_of
from execution import selectors
from execution.models import Fill, Order, OrderEvent
from execution.services.cancelling import order_cancel

if TYPE_CHECKING:
    from rest_framework.request import Request


class OrderSerializer(serializers.ModelSerializer):
    deployment_name = serializers.CharField(source="deployment.name", read_only=True)
    instrument = serializers.StringRelatedField()
    limit_price = PriceField(source="limit_price_e4", allow_null=True)
    trigger_price = PriceField(source="trigger_price_e4", allow_null=True)
    turnover = MoneyField()
    placed_at = InstantField(source="placed_at_ms")
    expires_at = InstantField(source="expires_at_ms")
    updated_at = InstantField(source="updated_at_ms")

    class Meta:
        model = Order
        fields = (
            "id",
            "decision",
            "deployment",
            "deployment_name",
            "broker",
            "broker_order_id",
            "instrument",
            "step",
            "side",
            "quantity",
            "order_type",
            "limit_price",
            "trigger_price",
            "validity",
            "validity_minutes",
            "variety",
            "disclosed_quantity",
            "iceberg_legs",
            "leg",
            "product",
            "tag",
            "origin",
            "is_btst",
            "modifications",
            "status",
            "reason",
            "filled_quantity",
            "turnover",
            "fills_count",
            "correlation_id",
            "placed_at",
            "expires_at",
            "updated_at",
        )


class OrderEventSerializer(serializers.ModelSerializer):
    limit_price = PriceField(source="limit_price_e4", allow_null=True)
    trigger_price = PriceField(source="trigger_price_e4", allow_null=True)
    at = InstantField(source="at_ms")

    class Meta:
        model = OrderEvent
        fields = (
            "id",
            "order",
            "number",
            "status",
            "quantity",
            "filled_quantity",
            "limit_price",
            "trigger_price",
            "reason",
            "decision",
            "at",
        )


class FillSerializer(serializers.ModelSerializer):
    deployment_name = serializers.CharField(source="deployment.name", read_only=True)
    instrument = serializers.StringRelatedField()
    price = PriceField(source="price_e4")
    charges = serializers.DictField(child=serializers.CharField(), read_only=True)
    is_assumed = serializers.SerializerMethodField(help_text="no size on record covers it")
    at = InstantField(source="at_ms")

    class Meta:
        model = Fill
        fields = (
            "id",
            "order",
            "number",
            "deployment",
            "deployment_name",
            "broker",
            "instrument",
            "step",
            "side",
            "quantity",
            "price",
            "charges",
            "source",
            "is_assumed",
            "at",
        )

    def get_is_assumed(self, fill: Fill) -> bool:
        return FillSource(fill.source).is_assumed


class OrderFilter(EventTimeFilter):
    time_column = "placed_at_ms"

    class Meta:
        model = Order
        fields = ("broker", "deployment", "status", "side", "decision")


class OrderEventFilter(EventTimeFilter):
    class Meta:
        model = OrderEvent
        fields = ("order", "status", "decision")


class FillFilter(EventTimeFilter):
    class Meta:
        model = Fill
        fields = ("broker", "deployment", "order", "side")


@extend_schema(tags=["orders"])
class Orders(ListView):
    """Orders, newest first."""

    queryset = selectors.orders_recorded()
    serializer_class = OrderSerializer
    filterset_class = OrderFilter
    page_ordering = ("-created_at", "-id")


@extend_schema(tags=["orders"])
class OrderDetail(DetailView):
    """One order."""

    queryset = selectors.orders_recorded()
    serializer_class = OrderSerializer


class OrderCancel(ApiView):
    """Cancel what works of an order; its deployment goes on. Asked twice, it is done once."""

    required_role = RequiredRole()
    lowers_risk = True

    @extend_schema(request=Reason, responses=OrderSerializer, tags=["orders"])
    def post(self, request: Request, pk: UUID) -> Response:
        form = Reason(data=request.data)
        form.is_valid(raise_exception=True)
        order_cancel(order_id=pk, now=timezone.now(), **form.validated_data, **actor_of(request))
        return Response(OrderSerializer(selectors.orders_recorded().get(pk=pk)).data)


@extend_schema(tags=["orders"])
class OrderEvents(ListView):
    """The histories of orders, newest first."""

    queryset = selectors.order_events_recorded()
    serializer_class = OrderEventSerializer
    filterset_class = OrderEventFilter
    page_ordering = ("-created_at", "-id")


@extend_schema(tags=["fills"])
class Fills(ListView):
    """Fills, newest first."""

    queryset = selectors.fills_recorded()
    serializer_class = FillSerializer
    filterset_class = FillFilter
    page_ordering = ("-created_at", "-id")


urlpatterns = [
    path("orders/", Orders.as_view()),
    path("orders/<uuid:pk>/", OrderDetail.as_view()),
    path("orders/<uuid:pk>/cancel/", OrderCancel.as_view()),
    path("order-events/", OrderEvents.as_view()),
    path("fills/", Fills.as_view()),
]
