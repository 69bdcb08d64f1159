"""Portfolios, positions and the ledger over REST. Live state comes from the read model only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import APIException
from rest_framework.response import Response

from alphapanda.push import readmodel
from alphapanda.web.fields import InstantField, MoneyField
from alphapanda.web.filters import EventTimeFilter
from alphapanda.web.formats import presentable
from alphapanda.web.roles import ROLE_TO_READ
from alphapanda.web.views import AnyObject, ApiView, DetailView, ListView
from portfolio import selectors
from portfolio.models import TRADING_BROKERS, LedgerEntry, Portfolio
from portfolio.statement_files import as_object
from portfolio.statements import day_of, statement_named, statement_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from rest_framework.request import Request

BROKER_PARAMETER = OpenApiParameter("broker", enum=[value for value, _ in TRADING_BROKERS])


class LiveStateUnavailable(APIException):
    """The read model cannot be read; what is booked can be, by `portfolios/<id>/`."""

    status_code = 503
    default_detail = "Live state cannot be read now."
    default_code = "live_state_unavailable"


class LiveRows(serializers.Serializer):
    """Rows of the read model: amounts as decimal text in rupees, times in IST."""

    results = serializers.ListField(child=AnyObject())


class Totals(serializers.Serializer):
    cash = MoneyField()
    cost = MoneyField()
    realised = MoneyField()
    charges = MoneyField()
    open_positions = serializers.IntegerField(read_only=True)


class PortfolioSerializer(serializers.ModelSerializer):
    starting_cash = MoneyField()
    totals = serializers.SerializerMethodField()

    class Meta:
        model = Portfolio
        fields = ("id", "name", "broker", "starting_cash", "created_at", "totals")

    @extend_schema_field(Totals)
    def get_totals(self, portfolio: Portfolio) -> dict[str, Any]:
        return Totals(selectors.portfolio_booked_totals(portfolio)).data


class LedgerSerializer(serializers.ModelSerializer):
    book_name = serializers.CharField(source="book.name", read_only=True)
    portfolio_name = serializers.CharField(source="portfolio.name", read_only=True)
    instrument = serializers.StringRelatedField()
    amount = MoneyField()
    at = InstantField(source="at_ms")

    class Meta:
        model = LedgerEntry
        fields = (
            "id",
            "book",
            "book_name",
            "portfolio",
            "portfolio_name",
            "instrument",
            "fill_id",
            "number",
            "account",
            "amount",
            "at",
        )


class LedgerFilter(EventTimeFilter):
    class Meta:
        model = LedgerEntry
        fields = ("portfolio", "book", "fill_id", "account", "book__broker")


class Positions(ApiView):
    required_role = ROLE_TO_READ
    query_names = ("broker",)

    @extend_schema(
        parameters=[BROKER_PARAMETER], responses=LiveRows, operation_id="positions_live", tags=["live"]
    )
    def get(self, request: Request) -> Response:
        """Live positions with marks; 503 while the read model cannot be read."""
        return Response(_live(readmodel.positions, request))


class Portfolios(ApiView):
    required_role = ROLE_TO_READ
    query_names = ("broker",)

    @extend_schema(
        parameters=[BROKER_PARAMETER], responses=LiveRows, operation_id="portfolios_live", tags=["live"]
    )
    def get(self, request: Request) -> Response:
        """Live portfolios with totals; 503 while the read model cannot be read."""
        return Response(_live(readmodel.portfolios, request))


@extend_schema(tags=["portfolios"])
class PortfolioDetail(DetailView):
    """What is booked on one portfolio; its live value is in the list."""

    queryset = selectors.portfolios_recorded()
    serializer_class = PortfolioSerializer


class PortfolioStatement(ApiView):
    required_role = ROLE_TO_READ
    query_names = ("day",)

    @extend_schema(
        parameters=[OpenApiParameter("day", OpenApiTypes.DATE, required=True, description="IST date")],
        responses=OpenApiTypes.OBJECT,
        operation_id="portfolio_statement",
        tags=["portfolios"],
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """The statement of a day: opening, trades, charges, positions, closing, and whether it adds up."""
        portfolio = get_object_or_404(selectors.portfolios_recorded(), pk=pk)
        day = day_of(request.query_params.get("day", ""))
        return Response(as_object(statement_of([portfolio], day)))


class BrokerStatement(ApiView):
    required_role = ROLE_TO_READ
    query_names = ("broker", "day")

    @extend_schema(
        parameters=[
            OpenApiParameter("broker", enum=[value for value, _ in TRADING_BROKERS], required=True),
            OpenApiParameter("day", OpenApiTypes.DATE, required=True, description="IST date"),
        ],
        responses=OpenApiTypes.OBJECT,
        operation_id="broker_statement",
        tags=["portfolios"],
    )
    def get(self, request: Request) -> Response:
        """The statement of a day of all portfolios of a broker, as of one of them."""
        asked = {name: request.query_params.get(name, "") for name in ("broker", "day")}
        return Response(as_object(statement_named(**asked)))


@extend_schema(tags=["ledger"])
class Ledger(ListView):
    """Ledger entries, newest first; those of a fill add up to zero."""

    queryset = selectors.ledger_recorded()
    serializer_class = LedgerSerializer
    filterset_class = LedgerFilter
    page_ordering = ("-at_ms", "-id")


def _live(read: Callable[[], list[dict[str, Any]]], request: Request) -> dict[str, Any]:
    broker = request.query_params.get("broker")
    if broker not in (None, *dict(TRADING_BROKERS)):
        known = ", ".join(dict(TRADING_BROKERS))
        raise serializers.ValidationError({"broker": [f"{broker!r:.40} is no broker; there are {known}."]})
    try:
        rows = read()
    except readmodel.ReadModelUnavailable as error:
        raise LiveStateUnavailable(str(error) or None) from error
    return {"results": [presentable(row) for row in rows if broker in (None, row.get("broker"))]}


urlpatterns = [
    path("positions/", Positions.as_view()),
    path("portfolios/", Portfolios.as_view()),
    path("portfolios/<uuid:pk>/", PortfolioDetail.as_view()),
    path("portfolios/<uuid:pk>/statement/", PortfolioStatement.as_view()),
    path("statement/", BrokerStatement.as_view()),
    path("ledger/", Ledger.as_view()),
]
