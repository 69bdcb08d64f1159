"""Triggers at a broker outside (GTT) over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.urls import path
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.response import Response

from alphapanda.web.fields import InstantField, PriceField
from alphapanda.web.roles import RequiredRole
from alphapanda.web.views import ApiView, ListView, Reason, actor_of
from execution import live_selectors
from execution.gtt_models import Gtt, GttCall
from execution.services.live.gtt import KEY_MAX, Asked, Wanted, gtt_delete, gtt_modify, gtt_place

if TYPE_CHECKING:
    from rest_framework.request import Request


class LegSerializer(serializers.Serializer):
    trigger = PriceField(source="trigger_e4")
    limit = PriceField(source="limit_e4")
    quantity = serializers.IntegerField()


class GttCallSerializer(serializers.ModelSerializer):
    queued_at = InstantField(source="queued_at_ms")
    sent_at = InstantField(source="sent_at_ms")
    answered_at = InstantField(source="answered_at_ms")

    class Meta:
        model = GttCall
        fields = (
            "id",
            "key",
            "kind",
            "state",
            "actor",
            "why",
            "reason",
            "form",
            "http_status",
            "queued_at",
            "sent_at",
            "answered_at",
        )


class GttSerializer(serializers.ModelSerializer):
    legs = LegSerializer(source="terms.legs", many=True, read_only=True)
    created_at = InstantField(source="created_at_ms")
    expires_at = InstantField(source="expires_at_ms")
    calls = GttCallSerializer(many=True, read_only=True)

    class Meta:
        model = Gtt
        fields = (
            "id",
            "trigger_id",
            "is_ours",
            "instrument",
            "side",
            "product",
            "kind",
            "quantity",
            "legs",
            "status",
            "orders",
            "reason",
            "exceeds_since",
            "created_at",
            "expires_at",
            "first_seen_at",
            "seen_at",
            "calls",
        )


class GttFilter(filters.FilterSet):
    class Meta:
        model = Gtt
        fields = ("is_ours", "status", "instrument")


class GttAsk(Reason):
    key = serializers.CharField(max_length=KEY_MAX, help_text="asked again with it, nothing is done twice")


class _Price(serializers.DecimalField):
    def __init__(self) -> None:
        super().__init__(max_digits=15, decimal_places=4, default=None, allow_null=True)


class GttChange(GttAsk):
    quantity = serializers.IntegerField(min_value=1, max_value=10**12)
    stop = _Price()
    stop_limit = _Price()
    target = _Price()
    target_limit = _Price()
    last_price = _Price()


class GttPlace(GttChange):
    instrument = serializers.CharField(max_length=80)


@extend_schema(tags=["live"])
class Gtts(ListView):
    """Triggers of the account that are good till triggered, newest first, with what was said of ours."""

    queryset = live_selectors.gtts_known(is_all=True)
    serializer_class = GttSerializer
    filterset_class = GttFilter
    page_ordering = ("-first_seen_at", "-id")

    @extend_schema(request=GttPlace, responses={201: GttSerializer})
    def post(self, request: Request) -> Response:
        """Ask for a trigger that closes what is held: a stop, a target, or both. The broker's process sends it."""
        said = _said(GttPlace, request)
        row = gtt_place(instrument=said.pop("instrument"), asked=_asked(said, request), wanted=Wanted(**said))
        return Response(GttSerializer(row).data, status=status.HTTP_201_CREATED)


class GttModify(ApiView):
    required_role = RequiredRole()

    @extend_schema(request=GttChange, responses=GttSerializer, tags=["live"])
    def post(self, request: Request, pk: UUID) -> Response:
        """Ask for other terms of a trigger of ours; what is said replaces all of them."""
        said = _said(GttChange, request)
        row = gtt_modify(gtt_id=pk, asked=_asked(said, request), wanted=Wanted(**said))
        return Response(GttSerializer(row).data)


class GttDelete(ApiView):
    required_role = RequiredRole()

    @extend_schema(request=GttAsk, responses=GttSerializer, tags=["live"])
    def post(self, request: Request, pk: UUID) -> Response:
        """Ask for the end of a trigger of ours: nothing protects its position then."""
        row = gtt_delete(gtt_id=pk, asked=_asked(_said(GttAsk, request), request))
        return Response(GttSerializer(row).data)


def _said(form_class: type[GttAsk], request: Request) -> dict[str, Any]:
    form = form_class(data=request.data)
    form.is_valid(raise_exception=True)
    return dict(form.validated_data)


def _asked(said: dict[str, Any], request: Request) -> Asked:
    """Takes what is of the act itself out of what was said."""
    return Asked(key=said.pop("key"), reason=said.pop("reason"), now=timezone.now(), **actor_of(request))


urlpatterns = [
    path("live/gtts/", Gtts.as_view()),
    path("live/gtts/<uuid:pk>/modify/", GttModify.as_view()),
    path("live/gtts/<uuid:pk>/delete/", GttDelete.as_view()),
]
