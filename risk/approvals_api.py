"""Entries that wait for a person over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from django.urls import path
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.response import Response

from alphapanda.web.fields import InstantField, PriceField
from alphapanda.web.roles import RequiredRole
from alphapanda.web.views import KEY_PARAMETER, ApiView, DetailView, ListView, Reason, actor_of, key_of
from marketdata import selectors as markets
from risk import selectors
from risk.services.approvals import approvals_answer
from risk.services.outlook import approval_outlooks
from strategies.models import Approval

if TYPE_CHECKING:
    from uuid import UUID

    from rest_framework.request import Request

AT_ONCE_MAX = 200


class ApprovalSerializer(serializers.ModelSerializer):
    """`verdict` is what risk said when the entry was let pass and judged anew; none before."""

    signal = serializers.UUIDField(source="pk", read_only=True)
    deployment_name = serializers.CharField(source="deployment.name", read_only=True)
    broker = serializers.CharField(source="deployment.broker", read_only=True)
    instrument = serializers.CharField(source="signal.instrument", read_only=True)
    side = serializers.CharField(source="signal.side", read_only=True)
    quantity = serializers.IntegerField(source="signal.quantity", read_only=True)
    order_type = serializers.CharField(source="signal.order_type", read_only=True)
    limit_price = PriceField(source="signal.limit_price_e4", allow_null=True)
    wanted_because = serializers.CharField(source="signal.reason", read_only=True)
    at = InstantField(source="signal.at_ms")
    expires = InstantField(source="expires_at_ms")
    verdict = serializers.SerializerMethodField()

    class Meta:
        model = Approval
        fields = (
            "signal",
            "deployment",
            "deployment_name",
            "broker",
            "instrument",
            "side",
            "quantity",
            "order_type",
            "limit_price",
            "wanted_because",
            "at",
            "state",
            "expires",
            "asked_at",
            "answered_by",
            "answered_at",
            "reason",
            "verdict",
        )

    @extend_schema_field({"type": "object", "nullable": True, "additionalProperties": True})
    def get_verdict(self, approval: Approval) -> dict[str, Any] | None:
        return selectors.approval_verdict(approval)


class ApprovalWithOutlook(ApprovalSerializer):
    """With what risk would say now: exposures before and after, limits, the rule that would decide."""

    outlook = serializers.SerializerMethodField()

    class Meta(ApprovalSerializer.Meta):
        fields = (*ApprovalSerializer.Meta.fields, "outlook")

    @extend_schema_field({"type": "object", "nullable": True, "additionalProperties": True})
    def get_outlook(self, approval: Approval) -> dict[str, Any] | None:
        if "outlooks" not in self.context:  # of a whole page at once
            page = self.parent.instance if self.parent else [approval]
            waiting = [one for one in page if one.state == Approval.State.WAITING]
            now = timezone.now()
            self.context["outlooks"] = approval_outlooks(waiting, calendar=markets.calendars(), now=now)
        outlooks: dict[UUID, dict[str, Any]] = self.context["outlooks"]
        return outlooks.get(approval.pk)


class Answers(Reason):
    """One answer for several entries, named by their signals."""

    signals = serializers.ListField(
        child=serializers.UUIDField(), min_length=1, max_length=AT_ONCE_MAX, source="signal_ids"
    )


class AnswerSerializer(serializers.Serializer):
    """What became of one; `problem` says why nothing was done."""

    signal = serializers.UUIDField()
    state = serializers.CharField()
    problem = serializers.CharField()


@extend_schema(tags=["approvals"])
class Approvals(ListView):
    """Entries that wait or waited for a person, newest first; those that wait with what they would do."""

    queryset = selectors.approvals_asked()
    serializer_class = ApprovalWithOutlook
    filterset_fields = ("state", "deployment", "deployment__broker")
    page_ordering = ("-asked_at", "-pk")


@extend_schema(tags=["approvals"])
class ApprovalDetail(DetailView):
    """One entry, by its signal."""

    queryset = selectors.approvals_asked()
    serializer_class = ApprovalWithOutlook


class ApprovalsAnswer(ApiView):
    """Approve or deny; each by itself, so one that is over keeps out none of the others."""

    required_role = RequiredRole()
    is_approved = False

    @extend_schema(
        request=Answers,
        responses=AnswerSerializer(many=True),
        parameters=[KEY_PARAMETER],
        tags=["approvals"],
    )
    def post(self, request: Request) -> Response:
        """The same answer again changes nothing; with the same Idempotency-Key also when it is over since."""
        form = Answers(data=request.data)
        form.is_valid(raise_exception=True)
        answers = approvals_answer(
            is_approved=self.is_approved,
            now=timezone.now(),
            key=key_of(request),
            **form.validated_data,
            **actor_of(request),
        )
        return Response([msgspec.structs.asdict(one) for one in answers])


urlpatterns = [
    path("approvals/", Approvals.as_view()),
    path("approvals/approve/", ApprovalsAnswer.as_view(is_approved=True)),
    path("approvals/deny/", ApprovalsAnswer.as_view(is_approved=False)),
    path("approvals/<uuid:pk>/", ApprovalDetail.as_view()),
]
