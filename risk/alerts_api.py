"""Alerts over REST: those raised, what is silent, where they go, and what has gone there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import path
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.response import Response

from alphapanda.core.vocabulary import Severity
from alphapanda.web.roles import RequiredRole
from alphapanda.web.views import KEY_PARAMETER, ApiView, Form, ListView, Reason, actor_of, key_of
from risk import selectors
from risk.channel_models import AlertChannel, AlertDelivery, AlertSilence
from risk.domain.silences import WANTED, silence_of
from risk.messenger import ADDRESS_MAX
from risk.models import Alert
from risk.services import channels
from risk.services.alerts import alert_acknowledge, alerts_acknowledge
from risk.services.silences import silence_begin, silence_end
from strategies.models import choices

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from rest_framework.request import Request

AT_ONCE_MAX = 200


class AlertSerializer(serializers.ModelSerializer):
    """`silent_until`: nothing is said of it until then; null: it is told."""

    silent_until = serializers.SerializerMethodField()

    class Meta:
        model = Alert
        fields = (
            "id",
            "code",
            "severity",
            "subject",
            "text",
            "deployment",
            "broker",
            "times",
            "raised_at",
            "silent_until",
            "acknowledged_at",
            "acknowledged_by",
            "note",
        )

    def get_silent_until(self, alert: Alert) -> str | None:
        found = None if alert.acknowledged_at else silence_of(alert.code, alert.subject, self._silences)
        return serializers.DateTimeField().to_representation(found.until) if found else None

    @property
    def _silences(self) -> list[AlertSilence]:
        """Read once for a whole answer."""
        if "silences" not in self.context:
            self.context["silences"] = list(selectors.silences_in_force(timezone.now()))
        found: list[AlertSilence] = self.context["silences"]
        return found


class Several(Reason):
    ids = serializers.ListField(child=serializers.IntegerField(), min_length=1, max_length=AT_ONCE_MAX)


class AlertFilter(filters.FilterSet):
    is_open = filters.BooleanFilter(field_name="acknowledged_at", lookup_expr="isnull")

    class Meta:
        model = Alert
        fields = ("code", "severity", "subject")


class SilenceSerializer(serializers.ModelSerializer):
    class Meta:
        model = AlertSilence
        fields = ("id", "code", "subject", "until", "reason", "by", "at", "ended_at", "ended_by")


class SilenceRequest(Reason):
    """`subject`: empty silences the code whatever it is about."""

    code = serializers.CharField(max_length=40)
    subject = serializers.CharField(max_length=120, default="", allow_blank=True)
    until = serializers.CharField(max_length=40, help_text=WANTED)


class ChannelSerializer(serializers.ModelSerializer):
    """A channel without its address, which is never shown again."""

    class Meta:
        model = AlertChannel
        fields = (
            "id",
            "name",
            "service",
            "least",
            "is_enabled",
            "created_by",
            "created_at",
            "sent_at",
            "failed_at",
            "failure",
            "failing_since",
        )


class ChannelRequest(Form):
    """`address`: as apprise writes it, with its tokens; it is stored sealed."""

    name = serializers.CharField(max_length=channels.NAME_MAX)
    address = serializers.CharField(max_length=ADDRESS_MAX, write_only=True)
    least = serializers.ChoiceField(choices(Severity), default=Severity.WARNING.value)
    reason = serializers.CharField(max_length=300, default="", allow_blank=True)


class TestRequest(Form):
    reason = serializers.CharField(max_length=300, default="", allow_blank=True)


class DeliverySerializer(serializers.ModelSerializer):
    channel_name = serializers.CharField(source="channel.name", read_only=True)

    class Meta:
        model = AlertDelivery
        fields = (
            "id",
            "channel",
            "channel_name",
            "alert",
            "occasion",
            "state",
            "tries",
            "words",
            "created_at",
            "sent_at",
        )


class DeliveryFilter(filters.FilterSet):
    class Meta:
        model = AlertDelivery
        fields = ("channel", "alert", "state")


@extend_schema(tags=["alerts"])
class Alerts(ListView):
    """Alerts, newest first."""

    queryset = selectors.alerts_raised()
    serializer_class = AlertSerializer
    filterset_class = AlertFilter
    page_ordering = ("-raised_at", "-id")


class AlertAcknowledge(ApiView):
    required_role = RequiredRole()

    @extend_schema(request=Reason, responses=AlertSerializer, tags=["alerts"])
    def post(self, request: Request, pk: int) -> Response:
        """Take an alert upon oneself, with a word on what is done; asked twice, it is done once."""
        alert = alert_acknowledge(alert_id=pk, now=timezone.now(), **_asked(request, Reason))
        return Response(AlertSerializer(alert).data)


class AlertsAcknowledge(ApiView):
    required_role = RequiredRole()

    @extend_schema(
        operation_id="alerts_acknowledge_several",
        request=Several,
        responses=AlertSerializer(many=True),
        tags=["alerts"],
    )
    def post(self, request: Request) -> Response:
        """Take several alerts upon oneself with one word, all or none."""
        found = alerts_acknowledge(now=timezone.now(), **_asked(request, Several))
        return Response(AlertSerializer(found, many=True).data)


@extend_schema(tags=["alerts"])
class Silences(ListView):
    """Silences, newest first; one that is over says when, or was ended early by somebody."""

    queryset = AlertSilence.objects.all()
    serializer_class = SilenceSerializer
    page_ordering = ("-at", "-id")

    @extend_schema(request=SilenceRequest, responses={201: SilenceSerializer})
    def post(self, request: Request) -> Response:
        """Keep messages, tone and banner of alerts of a code back until a time. Entries are kept out as ever."""
        made = silence_begin(now=timezone.now(), **_asked(request, SilenceRequest))
        return Response(SilenceSerializer(made).data, status=status.HTTP_201_CREATED)


class SilenceEnd(ApiView):
    required_role = RequiredRole()

    @extend_schema(request=Reason, responses=SilenceSerializer, tags=["alerts"])
    def post(self, request: Request, pk: int) -> Response:
        """End a silence before its time; what is open behind it is told now."""
        return Response(
            SilenceSerializer(silence_end(silence_id=pk, now=timezone.now(), **_asked(request, Reason))).data
        )


class Channels(ApiView):
    required_role = RequiredRole()

    @extend_schema(responses=ChannelSerializer(many=True), tags=["alerts"])
    def get(self, _request: Request) -> Response:
        """Where alerts go besides the page, without the addresses."""
        return Response(ChannelSerializer(selectors.channels_there(), many=True).data)

    @extend_schema(request=ChannelRequest, responses={201: ChannelSerializer}, tags=["alerts"])
    def post(self, request: Request) -> Response:
        """A new channel. Its address is sealed, and shown nowhere again."""
        made = channels.channel_add(now=timezone.now(), **_asked(request, ChannelRequest))
        return Response(ChannelSerializer(made).data, status=status.HTTP_201_CREATED)


class ChannelTest(ApiView):
    required_role = RequiredRole()

    @extend_schema(
        request=TestRequest, responses={202: DeliverySerializer}, parameters=[KEY_PARAMETER], tags=["alerts"]
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Have a test message sent. What came of it is in the list of deliveries; with the same key it is the same
        test."""
        made = channels.channel_test(
            channel_id=pk, key=key_of(request), now=timezone.now(), **_asked(request, TestRequest)
        )
        return Response(DeliverySerializer(made).data, status=status.HTTP_202_ACCEPTED)


class ChannelAct(ApiView):
    """`act` is the service, with `facts`."""

    required_role = RequiredRole()
    act: Callable[..., AlertChannel] = staticmethod(channels.channel_remove)
    facts: dict[str, Any] = {}

    @extend_schema(request=Reason, responses=ChannelSerializer, tags=["alerts"])
    def post(self, request: Request, pk: UUID) -> Response:
        """Done twice it is done once."""
        asked = _asked(request, Reason)
        return Response(
            ChannelSerializer(self.act(channel_id=pk, now=timezone.now(), **self.facts, **asked)).data
        )


class ChannelSwitch(ChannelAct):
    act = staticmethod(channels.channel_switch)


@extend_schema(tags=["alerts"])
class Deliveries(ListView):
    """What has gone to channels, or is to go there, newest first; tests have no alert."""

    queryset = AlertDelivery.objects.select_related("channel").defer("channel__address")
    serializer_class = DeliverySerializer
    filterset_class = DeliveryFilter
    page_ordering = ("-created_at", "-id")


def _asked(request: Request, kind: type[Form]) -> dict[str, Any]:
    """What a request says, and who says it."""
    form = kind(data=request.data)
    form.is_valid(raise_exception=True)
    return {**form.validated_data, **actor_of(request)}


urlpatterns = [
    path("alerts/", Alerts.as_view()),
    path("alerts/acknowledge/", AlertsAcknowledge.as_view()),
    path("alerts/<int:pk>/acknowledge/", AlertAcknowledge.as_view()),
    path("alert-silences/", Silences.as_view()),
    path("alert-silences/<int:pk>/end/", SilenceEnd.as_view()),
    path("alert-channels/", Channels.as_view()),
    path("alert-channels/<uuid:pk>/test/", ChannelTest.as_view()),
    path("alert-channels/<uuid:pk>/enable/", ChannelSwitch.as_view(facts={"is_enabled": True})),
    path("alert-channels/<uuid:pk>/disable/", ChannelSwitch.as_view(facts={"is_enabled": False})),
    path("alert-channels/<uuid:pk>/remove/", ChannelAct.as_view()),
    path("alert-deliveries/", Deliveries.as_view()),
]
