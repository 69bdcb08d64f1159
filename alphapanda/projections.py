"""From facts in PostgreSQL to live state: an event only says which rows changed, the rows say what is true.

So the read model is the same whether it saw every event, saw some twice, or was rebuilt from nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db.models import Max, QuerySet
from django.utils import timezone

from accounts.models import AuditEntry
from alphapanda import exits, logs
from alphapanda import projection_rows as rows
from alphapanda.closes import closes_of
from alphapanda.core.clock import ist_date, ist_midnight_ms, to_ms
from alphapanda.core.envelope import (
    AlertRaised,
    BarClosed,
    DeploymentQuarantined,
    Envelope,
    FeedGap,
    InstrumentsChanged,
    LogGap,
    OperatorActed,
    OrderChanged,
    OrderFailed,
    OrderFilled,
    OrderSubmitted,
    Payload,
    PnlSnapshot,
    SignalDecided,
    SignalRaised,
)
from alphapanda.core.money import written
from alphapanda.core.vocabulary import Phase
from alphapanda.push import readmodel
from alphapanda.push.readmodel import ReadModelUnavailable
from execution.models import Difference, ExternalOrder, Fill, Order
from marketdata.domain.calendar import NoSession
from marketdata.domain.markets import UnknownMarket
from marketdata.selectors import calendar
from portfolio.models import Book, Portfolio, Position, Snapshot
from risk.models import Decision, KillSwitch
from risk.selectors import alerts_open, silences_in_force
from strategies.models import Approval, Deployment, Signal

log = logs.channel("application")
Rows = dict[str, list[dict[str, Any]]]

EXCHANGE = "NSE"
SHUT = (Phase.CLOSED, Phase.POST_CLOSE)
TOLD_BY_REFRESH = (
    OperatorActed,
    AlertRaised,
    DeploymentQuarantined,
)  # no row of the read model is theirs alone
_heeded: dict[str, Any] = {}  # what `heed` has told last
_is_behind = False  # this process could not write an event's rows: only a rebuild makes good


def project(events: Sequence[tuple[Envelope, Payload]]) -> None:
    """Bring the read model up to events that the relay published. Never raises for a Redis that is away:
    it rebuilds when Redis is back."""
    global _is_behind
    try:
        if _is_behind or not readmodel.is_built():
            rebuild()
            return
        with readmodel.writing():
            readmodel.upsert(_changed(payload for _, payload in events))
        if any(isinstance(payload, TOLD_BY_REFRESH) for _, payload in events):
            refresh()
    except ReadModelUnavailable as error:
        _is_behind = True
        log.warning("push.readmodel.unavailable", error=str(error))


def rebuild() -> dict[str, int]:
    """Build the read model from PostgreSQL alone; the answer is how many rows of each kind it has."""
    global _is_behind
    _net_before.cache_clear()
    with readmodel.writing():
        everything = _everything()
        readmodel.replace(everything)
        _is_behind = False
    refresh()
    return {kind: len(found) for kind, found in everything.items()}


def ensure_built() -> bool:
    """Rebuild where Redis has lost the read model or this process fell behind; says whether it did."""
    if readmodel.is_built() and not _is_behind:
        return False
    rebuild()
    return True


def refresh() -> None:
    """Bring in what no event tells: checkpoints of deployments with the exits that wait, active halts, open alerts, the
    phase of the market."""
    with readmodel.writing():
        readmodel.upsert({"deployments": rows.deployments(Deployment.objects.all())})
    switches = KillSwitch.objects.filter(released_at=None).select_related("deployment").order_by("id")
    stats = readmodel.stream()
    now_ms = to_ms(timezone.now())
    has_own_clock = stats.get("source") in readmodel.OWN_CLOCKS
    at_ms = int(stats.get("last_at_ms") or 0) if has_own_clock else now_ms
    phase = phase_at(at_ms)
    readmodel.session_write(
        phase=phase,
        turn=turn_at(phase, at_ms),
        alerts=rows.alerts(alerts_open(), silences_in_force(timezone.now())),
        **_written(),
        halts=[rows.halt(switch) for switch in switches],
        orders_today=orders_of_day(Order.objects.all(), at_ms or now_ms),
        closes=_closes(int(stats.get("last_at_ms") or 0)),
        exits=exits.waiting(set(Position.objects.exclude(quantity=0).values_list("book_id", flat=True))),
    )


def heed() -> None:
    """While somebody looks, tell of what was written that no event tells of in time, as soon as it differs."""
    global _heeded
    if readmodel.is_watched() and (found := _written()) != _heeded:
        readmodel.session_write(**found)
        _heeded = found


def _written() -> dict[str, Any]:
    """The newest act of a person, and what waits for one: entries, differences from the broker, orders of others."""
    waits = (
        Approval.objects.filter(state=Approval.State.WAITING),
        Difference.objects.filter(settled_at=None),
        ExternalOrder.objects.filter(is_open=True),
    )
    return {
        "act": AuditEntry.objects.aggregate(newest=Max("pk"))["newest"],
        "waits": [sorted(map(str, found.values_list("pk", flat=True))) for found in waits],
    }


def _closes(last_at_ms: int) -> dict[str, Any]:
    """The prices from which open positions' changes of the day of the newest tick are counted."""
    if not last_at_ms:
        return {}
    day = ist_date(last_at_ms)
    held = Position.objects.exclude(quantity=0).select_related("instrument")
    return closes_of({str(one.instrument) for one in held}, day)


def phase_at(at_ms: int) -> Phase | None:
    """The phase of the market; None before the first tick and where no hours are known."""
    try:
        return calendar(EXCHANGE).phase_at(at_ms) if at_ms else None
    except UnknownMarket:
        return None


def turn_at(phase: Phase | None, at_ms: int) -> dict[str, Any] | None:
    """When trading ends, or begins where it has not or is over; None where no hours are known."""
    if phase is None:
        return None
    try:
        hours = calendar(EXCHANGE)
        if phase in SHUT or hours.closes_ms(at_ms) <= at_ms:
            return {"verb": "opens", "at_ms": hours.next_open_ms(at_ms)}
        return {"verb": "closes", "at_ms": hours.closes_ms(at_ms)}
    except (UnknownMarket, NoSession):
        return None


def orders_of_day(orders: QuerySet[Order], at_ms: int) -> dict[str, int]:
    """Those of the orders that were placed on the trading date of a time, counted by broker."""
    start = ist_midnight_ms(ist_date(at_ms))
    counts: dict[str, int] = {}
    for broker in orders.filter(placed_at_ms__gte=start).values_list("broker", flat=True):
        counts[broker] = counts.get(broker, 0) + 1
    return counts


def _everything() -> Rows:
    kept = readmodel.kept
    return {
        "deployments": rows.deployments(Deployment.objects.all()),
        "portfolios": [rows.portfolio(found) for found in Portfolio.objects.all()],
        "books": _books(Book.objects.all()),
        "positions": rows.positions(Position.objects.all()),
        "signals": rows.signals(Signal.objects.order_by("-created_at", "-id")[: kept("signals")]),
        "decisions": rows.decisions(Decision.objects.order_by("-created_at", "-id")[: kept("decisions")]),
        "orders": rows.orders(Order.objects.order_by("-created_at", "-id")[: kept("orders")]),
        "fills": rows.fills(Fill.objects.order_by("-created_at", "-id")[: kept("fills")]),
        "snapshots": rows.snapshots(Snapshot.objects.order_by("-created_at", "-id")[: kept("snapshots")]),
    }


def _changed(payloads: Iterable[Payload]) -> Rows:
    told = list(payloads)
    ids = _ids(told)
    signals = Signal.objects.filter(id__in=ids["signals"])
    decisions = Decision.objects.filter(signal_id__in=ids["signals"])
    changed: Rows = {}
    if ids["signals"]:
        changed |= {"signals": rows.signals(signals), "decisions": rows.decisions(decisions)}
    if ids["orders"]:
        changed["orders"] = rows.orders(Order.objects.filter(id__in=ids["orders"]))
    if ids["fills"]:
        changed["fills"] = rows.fills(Fill.objects.filter(id__in=ids["fills"]))
    if ids["books"]:
        changed |= _booked(ids["books"], ids["snapshots"])
    if any(isinstance(payload, InstrumentsChanged) and payload.touched for payload in told):
        changed["positions"] = rows.positions(Position.objects.all())  # their tokens may be others now
    if ids["deployments"]:
        changed["deployments"] = rows.deployments(Deployment.objects.filter(id__in=ids["deployments"]))
    return changed


def _booked(books: set[UUID], snapshots: set[UUID]) -> Rows:
    return {
        "books": _books(Book.objects.filter(deployment_id__in=books)),
        "portfolios": [rows.portfolio(p) for p in Portfolio.objects.filter(books__in=books).distinct()],
        "positions": rows.positions(Position.objects.filter(book_id__in=books)),
        "snapshots": rows.snapshots(Snapshot.objects.filter(id__in=snapshots)),
    }


def _ids(payloads: Iterable[Payload]) -> dict[str, set[UUID]]:
    """Which rows the events tell of."""
    kinds = ("signals", "orders", "fills", "books", "snapshots", "deployments")
    ids: dict[str, set[UUID]] = {kind: set() for kind in kinds}
    for payload in payloads:
        match payload:
            case SignalRaised() | SignalDecided():
                ids["signals"].add(payload.signal_id)
            case OrderSubmitted() | OrderChanged() | OrderFailed():
                ids["orders"].add(payload.order_id)
            case OrderFilled():
                ids["orders"].add(payload.order_id)
                ids["fills"].add(payload.fill_id)
            case PnlSnapshot():
                ids["books"].add(payload.deployment_id)
                ids["snapshots"].add(payload.snapshot_id)
            case DeploymentQuarantined():
                ids["deployments"].add(payload.deployment_id)
            case OperatorActed() | LogGap() | FeedGap() | AlertRaised():
                pass  # halts and changes of deployments come with the next refresh
            case InstrumentsChanged():
                pass  # it names instruments, not rows: see `_changed`
            case BarClosed():
                pass  # no screen shows them live
    return ids


def _books(found: Any) -> list[dict[str, Any]]:
    books = list(found)
    latest = Snapshot.objects.filter(book__in=books).order_by("book_id", "-created_at", "-id")
    newest = {snapshot.book_id: snapshot for snapshot in latest.distinct("book_id")}
    return [rows.book(book, newest.get(book.deployment_id), _net_before) for book in books]


@lru_cache(maxsize=4096)
def _net_before(book_id: UUID, day_start_ms: int) -> str:
    """Realised profit after charges of a book when a day began. Immutable, so asked for once."""
    before = Snapshot.objects.filter(book_id=book_id, at_ms__lt=day_start_ms).order_by("-created_at", "-id")
    snapshot = before.first()
    return written(snapshot.realised - snapshot.charges) if snapshot else "0"
