"""Why: from a signal or an order all the way back to its tick and on to its ledger entries, on one page."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from alphapanda.core.clock import to_ms
from alphapanda.dashboard import frame, moment, seen
from alphapanda.dashboard.access import page_view
from alphapanda.web.formats import pretty
from execution.models import BrokerCall, Order
from portfolio.models import LedgerEntry
from risk.models import Decision
from strategies.loading import signal_row
from strategies.models import Signal

VIEWS = ("compact", "timeline", "raw")
# The figure of a decision that a limit bounds.
FIGURES = {
    "position_quantity": "worst_position",
    "order_value": "order_value",
    "price_age_ms": "price_age_ms",
    "gross_exposure": "gross_exposure",
    "net_exposure": "net_exposure",
    "underlying_exposure": "underlying_exposure",
    "margin": "margin",
    "daily_loss": "day_pnl",
    "drawdown": "drawdown",
    "orders_per_second": "orders_last_second",
    "orders_per_minute": "orders_last_minute",
    "daily_orders": "orders_today",
}


class Hop(NamedTuple):
    """A moment of the wall's clock on the way, and how long after the one before."""

    at_ms: int
    what: str
    words: str
    took_ms: int
    start_percent: float
    width_percent: float


@page_view
def of_order(request: HttpRequest, order_id: UUID) -> HttpResponse:
    """An order with all that led to it and all that came of it."""
    order = seen.order(id=order_id)
    if order is None:
        raise Http404(f"There is no order {order_id}.")
    return _shown(request, "orders", order.decision.signal_id, order)


@page_view
def of_signal(request: HttpRequest, signal_id: UUID) -> HttpResponse:
    """A signal with its verdict and, where it was approved, what came of it."""
    order = seen.order(decision__signal_id=signal_id)
    return _shown(request, "signals", signal_id, order)


def _shown(request: HttpRequest, page: str, signal_id: UUID, order: Order | None) -> HttpResponse:
    related = seen.signals().select_related("instrument", "deployment__strategy_version__strategy")
    signal = get_object_or_404(related, id=signal_id)
    live = frame.Reading(signal.broker)
    chain = _chain(signal, order)
    view = request.GET.get("view", VIEWS[0])
    context = chain | {
        "view": view if view in VIEWS else VIEWS[0],
        "views": VIEWS,
        "hops": hops(chain),
        "raw": [(title, pretty(rows)) for title, rows in _raw(chain)] if view == "raw" else [],
    }
    if frame.wants_json(request):
        return frame.snapshot(live, {}, is_stored=True)
    return frame.shown(request, page, "dashboard/why.html", context, live=live, broker=signal.broker)


def _chain(signal: Signal, order: Order | None) -> dict[str, Any]:
    decision = moment.known(Decision.objects.filter(signal=signal)).first()
    fills = list(moment.known(order.fills.order_by("number"))) if order else []
    entries = moment.known(LedgerEntry.objects.filter(fill_id__in=[fill.id for fill in fills]))
    entries = entries.order_by("at_ms", "number")
    return {
        "signal": signal,
        "mark": signal_row(signal).marks.get(signal.instrument.instrument_token),
        "decision": decision,
        "checks": _checks(decision) if decision else [],
        "order": order,
        "history": list(moment.known(order.events.order_by("number"))) if order else [],
        "calls": seen.calls(order) if order else [],
        "fills": fills,
        "charges": [(fill, sorted(fill.charges.items())) for fill in fills],
        "entries": list(entries),
        "neighbours": _neighbours(order) if order else {},
    }


def _checks(decision: Decision) -> list[dict[str, Any]]:
    """Limits in force, each beside the figure that it bounds, level by level."""
    numbers = decision.numbers
    levels = [("own", numbers), *numbers.get("sums", {}).items()]
    return [
        {"level": level, "limit": name, "bound": bound, "seen": found.get(FIGURES.get(name, ""))}
        for level, found in levels
        for name, bound in sorted((found.get("limits") or {}).items())
    ]


def _neighbours(order: Order) -> dict[str, UUID | None]:
    """The orders of the same deployment just before and after."""
    own = seen.orders().filter(deployment=order.deployment_id)
    before = own.filter(created_at__lt=order.created_at).order_by("-created_at").values_list("id", flat=True)
    after = own.filter(created_at__gt=order.created_at).order_by("created_at").values_list("id", flat=True)
    return {"before": before.first(), "after": after.first()}


# ---- how long each hop took ----------------------------------------------------------------------------------


def hops(chain: dict[str, Any]) -> list[Hop]:
    """From the tick's arrival to the last fill by the clock of the wall, in order, each as a bar of the whole."""
    moments = sorted(_moments(chain))
    if not moments:
        return []
    first, whole = moments[0][0], max(moments[-1][0] - moments[0][0], 1)
    befores = [first, *(at_ms for at_ms, _, _ in moments)]
    return [
        Hop(
            at_ms, what, words, at_ms - before, 100 * (before - first) / whole, 100 * (at_ms - before) / whole
        )
        for (at_ms, what, words), before in zip(moments, befores, strict=False)
    ]


def _moments(chain: dict[str, Any]) -> list[tuple[int, str, str]]:
    signal, decision, order = chain["signal"], chain["decision"], chain["order"]
    found = [(_wall(signal.created_at), "signal", f"{signal.side} {signal.quantity}: {signal.reason}")]
    if signal.received_at_ms:
        found.append((signal.received_at_ms, "tick", "the tick came in"))
    if decision:
        found.append((_wall(decision.created_at), "risk", f"{decision}: {decision.reason}"))
    if order:
        found.append((_wall(order.created_at), "intent", "order written"))
    for call in chain["calls"]:
        found += _call_moments(call)
    found += [(_wall(fill.created_at), "fill", str(fill)) for fill in chain["fills"]]
    return found


def _call_moments(call: BrokerCall) -> list[tuple[int, str, str]]:
    told = [(call.sent_at_ms, "sent", f"{call.kind} left"), (call.answered_at_ms, "answer", str(call))]
    return [(at_ms, what, words) for at_ms, what, words in told if at_ms]


def _wall(moment: datetime) -> int:
    return to_ms(moment)


# ---- the same as it is stored --------------------------------------------------------------------------------


def _raw(chain: dict[str, Any]) -> list[tuple[str, Any]]:
    """Every row of the chain as it stands in the database."""
    groups: list[tuple[str, list[Any]]] = [
        ("signal", [chain["signal"]]),
        ("decision", [chain["decision"]] if chain["decision"] else []),
        ("order", [chain["order"]] if chain["order"] else []),
        ("history", chain["history"]),
        ("calls", chain["calls"]),
        ("fills", chain["fills"]),
        ("ledger", chain["entries"]),
    ]
    return [(title, [_columns(row) for row in rows]) for title, rows in groups if rows]


def _columns(row: Any) -> dict[str, Any]:
    return {field.attname: _plain(getattr(row, field.attname)) for field in row._meta.concrete_fields}


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | dict | list | bool | None) else str(value)
