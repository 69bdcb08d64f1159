"""Reads of what is traded at a broker outside: its process, calls, orders of others, differences, budgets."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
from django.db.models import Count, Min

from alphapanda.core.clock import ist_text, to_ms
from alphapanda.core.money import ZERO, to_rupees
from alphapanda.core.refusals import NotThere
from alphapanda.core.vocabulary import Broker
from alphapanda.web.formats import plain
from execution.domain.kite import budgets
from execution.domain.kite.answers import Funds
from execution.domain.kite.gtt import STANDING, GttStatus
from execution.gtt_models import WAITING, Gtt
from execution.models import BrokerCall, BrokerDesk, BrokerOrder, Difference, ExternalOrder
from execution.services.live.calls import spent_today
from execution.services.live.containing import CODE, OF_ALL
from portfolio.selectors import cash_claimed
from risk.models import Alert

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

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
    gtts: int  # active triggers, ours and others'
    differences: int  # open ones
    funds: Decimal | None  # rupees that Kite says the account has at most; None: not told yet
    books: Decimal  # rupees that our books at the broker may spend at most
    left: tuple[budgets.Left, ...]
    faults: tuple[str, ...] = ()  # what failed and was left alone, that nobody has acknowledged

    @property
    def is_failing(self) -> bool:
        """Whether what all need was among it: a part of the process, the login, the book."""
        return any(one.startswith(tuple(f"{unit} " for unit in OF_ALL)) for one in self.faults)


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
        gtts=Gtt.objects.filter(status=GttStatus.ACTIVE).count(),
        differences=differences_found().filter(settled_at=None).count(),
        funds=None if desk is None else funds_of(desk),
        books=cash_claimed(Broker.ZERODHA),
        left=budgets.left(spent_today(to_ms(now)), to_ms(now)),
        faults=tuple(f"{row.subject}: {row.text}" for row in faults_open()),
    )


def faults_open() -> QuerySet[Alert]:
    """What the broker's process could not do and has left alone, each with its reason, the newest first."""
    return Alert.objects.filter(code=CODE, acknowledged_at=None).order_by("-raised_at")[:FAULTS_MAX]


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


def gtts_known(*, is_all: bool) -> QuerySet[Gtt]:
    """Triggers of the account with what was said of ours, newest first; by default those that may still fire."""
    rows = Gtt.objects.prefetch_related("calls").order_by("-first_seen_at", "-id")
    return rows if is_all else rows.filter(status__in=STANDING)


def gtts_as_rows(found: QuerySet[Gtt]) -> list[dict[str, Any]]:
    """For commands."""
    return [
        {
            "id": row.pk,
            "ours": "yes" if row.is_ours else "no",
            "instrument": row.instrument,
            "product": row.product,
            "side": row.side,
            "quantity": row.quantity,
            "at": " or ".join(_leg(leg) for leg in row.terms["legs"]),
            "status": row.status,
            "under way": ", ".join(call.kind for call in row.calls.all() if call.state in WAITING),
            "expires": ist_text(row.expires_at_ms)[:10] if row.expires_at_ms else None,
            "seen": ist_text(to_ms(row.seen_at))[:19] if row.seen_at else None,
            "told": row.reason or ", ".join(one["order_id"] or one["reason"] for one in row.orders),
        }
        for row in found
    ]


def _leg(leg: dict[str, int]) -> str:
    return f"{plain(to_rupees(leg['trigger_e4']))} limit {plain(to_rupees(leg['limit_e4']))}"


def differences_found() -> QuerySet[Difference]:
    return Difference.objects.select_related("deployment").defer(
        "deployment__checkpoint", "deployment__consequences"
    )
