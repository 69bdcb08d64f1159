"""Orders and fills over REST."""

from __future__ import annotations

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers

from alphapanda.web.fields import InstantField, MoneyField, PriceField
from alphapanda.web.filters import EventTimeFilter
from alphapanda.web.views import DetailView, ListView
from execution import selectors
from execution.models import Fill, Order


class OrderSerializer(serializers.ModelSerializer):
    deployment_name = serializers.CharField(source="deployment.name", read_only=True)
    instrument = serializers.StringRelatedField()
    limit_price = PriceField(source="limit_price_e4", allow_null=True)
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
            "validity",
            "product",
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


class FillSerializer(serializers.ModelSerializer):
    deployment_name = serializers.CharField(source="deployment.name", read_only=True)
    instrument = serializers.StringRelatedField()
    price = PriceField(source="price_e4")
    charges = serializers.DictField(child=serializers.CharField(), read_only=True)
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
            "at",
        )


class OrderFilter(EventTimeFilter):
    time_column = "placed_at_ms"

    class Meta:
        model = Order
        fields = ("broker", "deployment", "status", "side", "decision")


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
    path("fills/", Fills.as_view()),
]
