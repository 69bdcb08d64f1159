"""Reads of what is traded at a broker outside: its process, calls, orders of others, differences, budgets."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
from django.db.models import Count, Min

from alphapanda.core.clock import to_ms
from alphapanda.core.money import ZERO
from alphapanda.core.refusals import NotThere
from alphapanda.core.vocabulary import Broker
from execution.domain.kite import budgets
from execution.domain.kite.answers import Funds
from execution.models import BrokerCall, BrokerDesk, BrokerOrder, Difference, ExternalOrder
from execution.services.live.calls import spent_today
from portfolio.selectors import cash_claimed

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

WAITING = (BrokerCall.State.READY, BrokerCall.State.SENDING, BrokerCall.State.UNKNOWN)


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
    differences: int  # open ones
    funds: Decimal | None  # rupees that Kite says the account has at most; None: not told yet
    books: Decimal  # rupees that our books at the broker may spend at most
    left: tuple[budgets.Left, ...]


def desk_now(now: datetime) -> DeskNow:
    """Where the account stands."""
    waiting = BrokerCall.objects.filter(state__in=WAITING)
    unknown = waiting.filter(state=BrokerCall.State.UNKNOWN).aggregate(at=Min("sent_at_ms"))
    desk = BrokerDesk.objects.filter(broker=Broker.ZERODHA).first()
    return DeskNow(
        desk=desk,
        waiting={row["state"]: row["n"] for row in waiting.values("state").annotate(n=Count("pk"))},
        unknown_since_ms=unknown["at"],
        open_orders=BrokerOrder.objects.filter(is_open=True).count(),
        external_open=ExternalOrder.objects.filter(is_open=True).count(),
        differences=differences_found().filter(settled_at=None).count(),
        funds=None if desk is None else funds_of(desk),
        books=cash_claimed(Broker.ZERODHA),
        left=budgets.left(spent_today(to_ms(now)), to_ms(now)),
    )


def funds_of(desk: BrokerDesk) -> Decimal | None:
    """Rupees of all segments as Kite told them last: what the day began with, or what is free where that is more."""
    told = msgspec.convert(desk.funds, dict[str, Funds], strict=False)
    return sum((max(one.opening, one.net) for one in told.values()), ZERO) if told else None


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
