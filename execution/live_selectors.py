"""Reads of what is traded at a broker outside: its process, calls, orders of others, differences, budgets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Count, Min

from alphapanda.core.clock import to_ms
from alphapanda.core.refusals import NotThere
from alphapanda.core.vocabulary import Broker
from execution.domain.kite import budgets
from execution.domain.kite.reconciling import Kind
from execution.models import BrokerCall, BrokerDesk, BrokerOrder, Difference, ExternalOrder
from execution.services.live.calls import spent_today
from execution.services.live.containing import CODE
from risk.models import Alert

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

WAITING = (BrokerCall.State.READY, BrokerCall.State.SENDING, BrokerCall.State.UNKNOWN)
FAULTS_MAX = 50


class DifferenceNotFound(NotThere):
    """There is no such difference."""


@dataclass(frozen=True, slots=True)
class DeskNow:
    """An account at a broker outside at a moment; `desk` is None where its process has never run."""

    desk: BrokerDesk | None
    waiting: dict[str, int]  # calls by state, of those that are not over
    unknown_since_ms: int | None
    open_orders: int
    external_open: int
    differences: int  # open ones, without orders of others, which are none
    left: tuple[budgets.Left, ...]
    faults: tuple[str, ...] = ()  # what failed and was left alone, that nobody has acknowledged


def desk_now(now: datetime) -> DeskNow:
    """Where the account stands."""
    waiting = BrokerCall.objects.filter(state__in=WAITING)
    unknown = waiting.filter(state=BrokerCall.State.UNKNOWN).aggregate(at=Min("sent_at_ms"))
    return DeskNow(
        desk=BrokerDesk.objects.filter(broker=Broker.ZERODHA).first(),
        waiting={row["state"]: row["n"] for row in waiting.values("state").annotate(n=Count("pk"))},
        unknown_since_ms=unknown["at"],
        open_orders=BrokerOrder.objects.filter(is_open=True).count(),
        external_open=ExternalOrder.objects.filter(is_open=True).count(),
        differences=differences_found().filter(settled_at=None).exclude(kind=Kind.EXTERNAL).count(),
        left=budgets.left(spent_today(to_ms(now)), to_ms(now)),
        faults=tuple(f"{row.subject}: {row.text}" for row in faults_open()),
    )


def faults_open() -> QuerySet[Alert]:
    """What the broker's process could not do and has left alone, each with its reason, the newest first."""
    return Alert.objects.filter(code=CODE, acknowledged_at=None).order_by("-raised_at")[:FAULTS_MAX]


def calls_made() -> QuerySet[BrokerCall]:
    return BrokerCall.objects.select_related("order__order__deployment", "order__order__instrument").defer(
        "order__order__deployment__checkpoint", "order__order__deployment__consequences", "order__state"
    )


def external_orders() -> QuerySet[ExternalOrder]:
    return ExternalOrder.objects.all()


def differences_found() -> QuerySet[Difference]:
    return Difference.objects.select_related("deployment").defer(
        "deployment__checkpoint", "deployment__consequences"
    )
