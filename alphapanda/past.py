"""The overview as a person would have seen it at an earlier moment of the wall's clock, out of facts alone.

A fact is known from when it was written. Rows are made by the functions that make those of the read model, and added up
by the same ones. Decisions: docs/decisions/2026-11-28-a-moment.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from django.db.models import Max, Model, QuerySet

from alphapanda import projection_rows as rows
from alphapanda import projections
from alphapanda.closes import closes_of
from alphapanda.core.clock import ist_date, to_datetime, to_ms
from alphapanda.core.money import written
from alphapanda.push import totals
from alphapanda.push.readmodel import OWN_CLOCKS, kept
from execution.models import Fill, Order
from execution.past import orders_known, orders_then
from marketdata.marks import MINUTE_MS, marks_of_bars
from marketdata.models import Bar
from marketdata.selectors import feed_told
from portfolio.audit import one_snapshot
from portfolio.models import Book, Portfolio, Snapshot
from portfolio.past import books_then, snapshots_newest
from risk.models import Decision
from risk.past import alerts_then, halts_then
from risk.selectors import silences_in_force
from strategies.domain.signals import Mark
from strategies.models import Deployment, Signal
from strategies.past import deployments_then

Row = dict[str, Any]
Rows = dict[str, list[Row]]
Marks = dict[int, tuple[int, int]]


def overview(at_ms: int) -> dict[str, Any]:
    """What `readmodel.overview` gave at a moment, with no number: nothing is pushed to who looks at the past. What
    nobody wrote down (the rate of ticks, the last price within a minute) is not known."""
    moment = to_datetime(at_ms)
    with one_snapshot():
        tables = tables_then(moment)
        lists = lists_then(moment)
        session, marks, last_at_ms = _market(moment, tables)
        told = {"sequence": 0, "revision": 0, "session": session}
        told["stream"] = feed_told() | ({"last_at_ms": last_at_ms} if last_at_ms else {})
    return told | totals.derived(tables, lists, marks, last_at_ms=last_at_ms)


def tables_then(moment: datetime) -> Rows:
    """Deployments, portfolios, books and positions as they stood at a moment."""
    deployments = deployments_then(Deployment.objects.all(), moment)
    opened = Book.objects.filter(deployment_id__in=[deployment.pk for deployment in deployments])
    books, positions = books_then(opened, moment)
    newest = snapshots_newest(books, moment)
    before = _net_before(moment)
    return {
        "deployments": list(map(rows.deployment, deployments)),
        "portfolios": [rows.portfolio(one) for one in Portfolio.objects.filter(created_at__lte=moment)],
        "books": [rows.book(book, newest.get(book.pk), before) for book in books],
        "positions": list(map(rows.position, positions)),
    }


def lists_then(moment: datetime) -> Rows:
    """The newest rows of each kind at a moment, newest first."""
    return {
        "signals": signal_rows(_newest(Signal, "signals", moment), moment),
        "decisions": _sorted(rows.decisions(_newest(Decision, "decisions", moment))),
        "orders": order_rows(_newest(Order, "orders", moment), moment),
        "fills": _sorted(rows.fills(_newest(Fill, "fills", moment))),
        "snapshots": _sorted(rows.snapshots(_newest(Snapshot, "snapshots", moment))),
    }


def order_rows(found: QuerySet[Order], moment: datetime) -> list[Row]:
    """Orders as they stood at a moment, newest first."""
    return _sorted(map(rows.order, orders_then(found, moment)))


def signal_rows(found: QuerySet[Signal], moment: datetime) -> list[Row]:
    """Signals with the verdict as far as it was known at a moment, newest first."""
    signals = list(found.filter(created_at__lte=moment).select_related("deployment", "instrument"))
    decided = Decision.objects.filter(signal__in=[one.pk for one in signals], created_at__lte=moment)
    verdicts = {decision.signal_id: decision for decision in decided}
    return _sorted(rows.signal(one, verdicts.get(one.pk)) for one in signals)


def _sorted(found: Iterable[Row]) -> list[Row]:
    return sorted(found, key=lambda row: (row["order"], row["id"]), reverse=True)


def _newest(model: type[Model], kind: str, moment: datetime) -> QuerySet:
    known = model._default_manager.filter(created_at__lte=moment).order_by("-created_at", "-pk")
    return model._default_manager.filter(pk__in=list(known.values_list("pk", flat=True)[: kept(kind)]))


def _net_before(moment: datetime) -> Callable[[UUID, int], str]:
    def net_before(book_id: UUID, day_start_ms: int) -> str:
        known = Snapshot.objects.filter(book_id=book_id, at_ms__lt=day_start_ms, created_at__lte=moment)
        snapshot = known.order_by("-created_at", "-id").first()
        return written(snapshot.realised - snapshot.charges) if snapshot else "0"

    return net_before


# ---- the market then -----------------------------------------------------------------------------------------


def clock_then(moment: datetime) -> int:
    """The event time of a moment, in epoch ms; 0: nothing was known. Where ticks have a clock of their own it is not
    written down: it was that of the newest fact at least."""
    return heard_then(moment) if feed_told()["source"] in OWN_CLOCKS else to_ms(moment)


def heard_then(moment: datetime) -> int:
    """The event time of the newest fact that was known at a moment; 0: none was."""
    columns = {Signal: "at_ms", Order: "placed_at_ms", Fill: "at_ms"}
    facts = [
        model._default_manager.filter(created_at__lte=moment)
        .order_by("-created_at")
        .values_list(column)
        .first()
        for model, column in columns.items()
    ]
    bars = Bar.objects.filter(minutes=1, stored_at__lte=moment).order_by("-stored_at")
    closed = [starts_ms + MINUTE_MS for starts_ms in bars.values_list("starts_ms", flat=True)[:1]]
    read = Deployment.objects.filter(checkpointed_at__lte=moment).aggregate(at=Max("at_ms"))["at"]
    return max([read or 0, *closed, *(fact[0] for fact in facts if fact)])


def _market(moment: datetime, tables: Rows) -> tuple[Row, Marks, int]:
    """Phase and halts, last prices by token, and the event time of the newest thing known."""
    clock_ms = clock_then(moment)
    marks = _marks(moment, clock_ms, tables)
    phase = projections.phase_at(clock_ms)
    session = {
        "phase": phase,
        "turn": projections.turn_at(phase, clock_ms),
        "alerts": rows.alerts(alerts_then(moment), silences_in_force(moment)),
        "halts": [rows.halt(switch, moment) for switch in halts_then(moment)],
        "orders_today": projections.orders_of_day(orders_known(moment), clock_ms or to_ms(moment)),
    }
    last_at_ms = max([heard_then(moment), *(marked_ms for _, marked_ms in marks.values())])
    if last_at_ms:
        held = {row["instrument"] for row in tables["positions"] if row["quantity"]}
        bars = Bar.objects.filter(stored_at__lte=moment)
        session["closes"] = closes_of(held, ist_date(last_at_ms), stored=bars)
    return session, marks, last_at_ms


def _marks(moment: datetime, clock_ms: int, tables: Rows) -> Marks:
    """Last prices by token: of bars that had ended, and those that signals saw."""
    tokens = {
        item["instrument"]: item["token"] for row in tables["deployments"] for item in row["instruments"]
    }
    tokens |= {row["instrument"]: row["token"] for row in tables["positions"] if row["quantity"]}
    bars = Bar.objects.filter(stored_at__lte=moment)
    marks = {tokens[name]: mark for name, mark in marks_of_bars(tokens, clock_ms, stored=bars).items()}
    for told in _newest(Signal, "signals", moment).values_list("marks", flat=True):
        for token, mark in msgspec.convert(told, dict[int, Mark], strict=False).items():
            if token in tokens.values() and mark.at_ms > marks.get(token, (0, 0))[1]:
                marks[token] = (mark.price_e4, mark.at_ms)
    return marks
