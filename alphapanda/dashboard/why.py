"""Why: from a fill, an order or a signal all the way back to its tick and on to its ledger entries, on one page."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from alphapanda.dashboard import frame, moment, seen
from alphapanda.dashboard.access import page_view
from alphapanda.dashboard.hops import hops
from alphapanda.dashboard.tracing import Held, traced
from alphapanda.dashboard.verdicts import rules_of
from alphapanda.projection_rows import is_asked
from alphapanda.version import build
from alphapanda.web.formats import pretty
from execution.domain.kite.budgets import MODIFICATIONS_MAX
from execution.models import BrokerCall, Fill, Order, OrderEvent
from marketdata.domain.ticks import Clock, Item, Tick, tick_from_json
from portfolio.models import LedgerEntry, Posting
from risk.domain.config import config_version
from risk.models import Decision, LimitVersion
from strategies.domain.basis import Basis, Place
from strategies.loading import signal_row
from strategies.models import Due, Signal, StrategyVersion

VIEWS = ("compact", "timeline", "raw")
SECRET = (
    "access_token", "api_key", "api_secret", "authorization", "checksum", "enctoken", "password", "pin",
    "public_token", "request_token", "totp",
)  # fmt: skip
REDACTED = "redacted"


class Seen(NamedTuple):
    """An item of the log: as it was stored with what it caused, and as the log holds it."""

    item: Item | None
    held: Held | None
    differs: bool = False

    @property
    def is_tick(self) -> bool:
        return isinstance(self.item, Tick)


class Traded(NamedTuple):
    """A fill with the tick that filled it, its charges by line and its entries of the ledger, which add up to 0."""

    fill: Fill
    seen: Seen
    charges: list[tuple[str, Decimal]]
    charged: Decimal
    entries: list[LedgerEntry]
    left: Decimal


@page_view
def of_order(request: HttpRequest, order_id: UUID) -> HttpResponse:
    """An order with all that led to it and all that came of it."""
    order = seen.order(id=order_id)
    if order is None:
        raise Http404(f"There is no order {order_id}.")
    return _shown(request, "orders", order.decision.signal_id, order)


@page_view
def of_fill(request: HttpRequest, fill_id: UUID) -> HttpResponse:
    """The order of a fill, with the fill marked."""
    fill = get_object_or_404(seen.fills(), id=fill_id)
    order = seen.order(id=fill.order_id)
    assert order is not None, "what is filled has been placed"
    return _shown(request, "fills", order.decision.signal_id, order, marked=fill)


@page_view
def of_signal(request: HttpRequest, signal_id: UUID) -> HttpResponse:
    """A signal with its verdict and, where it was approved, what came of it."""
    order = seen.order(decision__signal_id=signal_id)
    return _shown(request, "signals", signal_id, order)


def _shown(
    request: HttpRequest, page: str, signal_id: UUID, order: Order | None, *, marked: Fill | None = None
) -> HttpResponse:
    related = seen.signals().select_related("instrument", "deployment__strategy_version__strategy")
    signal = get_object_or_404(related, id=signal_id)
    live, stands = frame.Reading(signal.broker), _stands(signal, order)
    if frame.wants_json(request):
        return frame.snapshot(live, {}, is_stored=True, stands=stands)
    chain = _chain(signal, order)
    view = request.GET.get("view", VIEWS[0])
    found = hops(chain)
    context = chain | {
        "stands": stands,
        "view": view if view in VIEWS else VIEWS[0],
        "views": VIEWS,
        "marked": marked,
        "hops": found,
        "whole_ms": found[-1].at_ms - found[0].at_ms if found else 0,
        "raw": [(title, pretty(rows)) for title, rows in _raw(chain)] if view == "raw" else [],
    }
    hints = ["signals", "orders", "fills", "news"]
    return frame.shown(
        request, page, "dashboard/why.html", context, live=live, hints=hints, broker=signal.broker
    )


def _stands(signal: Signal, order: Order | None) -> str:
    """A word that is another after each step of what follows from a signal: a page that shows another is shown anew.
    It is read before what the page tells, so that a step between the two is seen at the next look."""
    asked = Decision.objects.filter(signal=signal).count(), Signal.objects.filter(approves=signal).count()
    told: list[Any] = [*asked]
    if order is not None:
        calls = BrokerCall.objects.filter(order__order=order).order_by("queued_at_ms", "attempt")
        fills = order.fills.values_list("pk", flat=True)
        entries = LedgerEntry.objects.filter(fill_id__in=list(fills)).count()
        told += [
            order.status,
            order.events.count(),
            len(fills),
            entries,
            *calls.values_list("state", flat=True),
        ]
    return "-".join(map(str, told))


# ---- what belongs to it --------------------------------------------------------------------------------------


def _chain(signal: Signal, order: Order | None) -> dict[str, Any]:
    decision = moment.known(Decision.objects.filter(signal=signal)).first()
    fills = list(moment.known(order.fills.order_by("number"))) if order else []
    basis, row = msgspec.convert(signal.basis, Basis), signal_row(signal)
    dues = _dues(signal, fills)
    items = _items(signal, basis, dues)
    return {
        "signal": signal,
        "again": seen.signals().filter(approves=signal).first(),
        "basis": basis,
        "mark": row.marks.get(row.token),
        "seen": items[signal.step],
        "decision": decision,
        "asked": decision is not None and is_asked(signal, decision),
        "rules": rules_of(decision, row) if decision else [],
        "versions": _versions(signal, basis, decision),
        "order": order,
        "history": _history(order) if order else [],
        "changes_max": MODIFICATIONS_MAX,
        "calls": _calls(order) if order else [],
        "at_broker": _at_broker(order) if order else None,
        "fills": fills,
        "traded": _traded(fills, items),
        "postings": {one.fill_id: one for one in _postings(fills)},
        "neighbours": _neighbours(order) if order else {},
    }


def _history(order: Order) -> list[OrderEvent]:
    return list(moment.known(order.events.select_related("decision").order_by("number")))


def _dues(signal: Signal, fills: list[Fill]) -> dict[int, Due]:
    """The items that were matched against the order, and the one that raised the signal where it was matched too."""
    steps = {signal.step, *(fill.step for fill in fills)}
    found = Due.objects.filter(deployment_id=signal.deployment_id, step__in=steps).select_related("report")
    return {due.step: due for due in found}


def _items(signal: Signal, basis: Basis, dues: dict[int, Due]) -> dict[int, Seen]:
    """The items by step: as stored, and as the log holds them."""
    places = {step: msgspec.convert(due.place, Place) for step, due in dues.items() if due.place}
    if basis.place is not None:
        places[signal.step] = basis.place
    held = traced(places.values())
    return {step: _one(dues.get(step), held.get(places[step]) if step in places else None)
            for step in {signal.step, *dues}}  # fmt: skip


def _one(due: Due | None, held: Held | None) -> Seen:
    stored = tick_from_json(due.item) if due and due.item else None
    found = held.item if held else None
    return Seen(stored or found, held, differs=bool(stored and found) and stored != found)


def _postings(fills: list[Fill]) -> QuerySet[Posting]:
    return moment.known(Posting.objects.filter(fill_id__in=[fill.id for fill in fills]))


def _traded(fills: list[Fill], items: dict[int, Seen]) -> list[Traded]:
    entries: dict[UUID, list[LedgerEntry]] = {fill.id: [] for fill in fills}
    for entry in moment.known(LedgerEntry.objects.filter(fill_id__in=entries).order_by("at_ms", "number")):
        entries[entry.fill_id].append(entry)
    found = []
    for fill in fills:
        lines = [(line, Decimal(amount)) for line, amount in sorted(fill.charges.items())]
        left = sum((entry.amount for entry in entries[fill.id]), Decimal(0))
        charged = sum((amount for _, amount in lines), Decimal(0))
        found.append(
            Traded(fill, items.get(fill.step, Seen(None, None)), lines, charged, entries[fill.id], left)
        )
    return found


def _calls(order: Order) -> list[BrokerCall]:
    calls = seen.calls(order)
    for call in calls:
        call.form = redacted(call.form)
    return calls


def _at_broker(order: Order) -> dict[str, Any] | None:
    """What is known of the order at the broker, by all news of it; what was known then is not kept."""
    row = getattr(order, "at_broker", None) if moment.current() is None else None
    return redacted(row.state) if row else None


def redacted(value: Any) -> Any:
    """The same without what would let its reader in at the broker."""
    if isinstance(value, dict):
        return {k: REDACTED if str(k).lower() in SECRET else redacted(v) for k, v in value.items()}
    return [redacted(one) for one in value] if isinstance(value, list) else value


def _versions(signal: Signal, basis: Basis, decision: Decision | None) -> dict[str, Any]:
    """Which code, parameters and limits decided, and by which build."""
    now = signal.deployment.strategy_version
    of_then = StrategyVersion.objects.filter(strategy_id=now.strategy_id, source_hash=basis.code).first()
    numbers = decision.numbers if decision else {}
    config = config_version(signal.deployment.params, signal.deployment.execution)
    limits = LimitVersion.objects.filter(version=numbers.get("version", "")).first()
    return {
        "strategy": of_then or now,
        "is_noted": of_then is not None,
        "build": basis.build,
        "build_now": build(),
        "config": numbers.get("config", ""),
        "params": signal.deployment.params if config == numbers.get("config") else None,
        "version": numbers.get("version", ""),
        "terms": limits.terms if limits else None,
    }


def _neighbours(order: Order) -> dict[str, UUID | None]:
    """The orders of the same deployment just before and after."""
    own = seen.orders().filter(deployment=order.deployment_id)
    before = own.filter(created_at__lt=order.created_at).order_by("-created_at").values_list("id", flat=True)
    after = own.filter(created_at__gt=order.created_at).order_by("created_at").values_list("id", flat=True)
    return {"before": before.first(), "after": after.first()}


# ---- the same as it is stored --------------------------------------------------------------------------------


def _raw(chain: dict[str, Any]) -> list[tuple[str, Any]]:
    """Every row of the chain as it stands in the database, after the items of the log that caused it."""
    items = [chain["seen"], *(one.seen for one in chain["traded"])]
    groups: list[tuple[str, list[Any]]] = [
        ("signal", [chain["signal"]]),
        ("decision", [chain["decision"]] if chain["decision"] else []),
        ("order", [chain["order"]] if chain["order"] else []),
        ("history", chain["history"]),
        ("calls", chain["calls"]),
        ("fills", chain["fills"]),
        ("postings", list(chain["postings"].values())),
        ("ledger", [entry for one in chain["traded"] for entry in one.entries]),
    ]
    told = [("items of the log", [_item(one) for one in items if one.item or one.held])]
    if chain["at_broker"]:
        told.append(("at the broker", [chain["at_broker"]]))
    return [
        (title, rows)
        for title, rows in [*told, *((title, [_columns(row) for row in rows]) for title, rows in groups)]
        if rows
    ]


def _item(one: Seen) -> dict[str, Any]:
    told: dict[str, Any] = {"item": one.item._asdict() if one.item else None}
    if isinstance(one.item, Clock):
        told["kind"] = "clock"
    if one.held:
        told |= {"place": msgspec.to_builtins(one.held.place), "bytes": one.held.raw.hex()}
        told |= {"words": one.held.words} if one.held.words else {}
    return told


def _columns(row: Any) -> dict[str, Any]:
    return {field.attname: _plain(getattr(row, field.attname)) for field in row._meta.concrete_fields}


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | dict | list | bool | None) else str(value)
