"""Every page of the cockpit by name: those of the rail, and one of each thing that has a page of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse

from alphapanda import journal
from alphapanda.core.vocabulary import Broker
from alphapanda.dashboard.rail import ELSEWHERE, FIRST, RAIL
from execution.models import Fill, Order
from strategies.models import BacktestRun, Deployment, Signal

ON_A_PHONE = ("overview", "positions", "strategies", "journal", "risk", "health")


def _address(name: str, found: Any, query: str = "") -> str:
    """The page of a thing; nothing where there is no such thing yet."""
    return reverse(name, args=[found.pk]) + query if found else ""


def _order() -> Order | None:
    return Order.objects.filter(fills_count__gt=0).order_by("created_at").first()


def _signal() -> Signal | None:
    """One that was denied, where there is one: an order's page shows what becomes of the others."""
    return Signal.objects.order_by("decision__is_approved", "created_at").first()


def _runs() -> QuerySet[BacktestRun]:
    return BacktestRun.objects.filter(state=BacktestRun.State.DONE).order_by("created_at")


def _comparison() -> str:
    runs = _runs()[:2]
    chosen = "&".join(f"run={run.pk}" for run in runs)
    return f"{reverse('backtests-compare')}?{chosen}" if len(runs) > 1 else ""


def _trade() -> str:
    form = journal.Narrowed({})
    form.full_clean()
    found = journal.entries(Broker.PAPER, form.cleaned_data)
    return reverse("trade", args=[found[0].trip.trip_id]) if found else ""


DETAILS: dict[str, Callable[[], str]] = {
    "order": lambda: _address("order", _order()),
    "fill": lambda: _address("fill", Fill.objects.order_by("created_at").first()),
    "order-timeline": lambda: _address("order", _order(), "?view=timeline"),
    "order-raw": lambda: _address("order", _order(), "?view=raw"),
    "signal": lambda: _address("signal", _signal()),
    "strategy": lambda: _address("strategy", Deployment.objects.order_by("name").first()),
    "parameters": lambda: _address("parameters", Deployment.objects.order_by("name").first()),
    "deploy": lambda: reverse("deploy", args=["ema_cross"]),
    "trade": _trade,
    "backtest": lambda: _address("backtest", _runs().first()),
    "backtests-compare": _comparison,
    "logs-tail": lambda: reverse("logs") + "?show=log",
}
OURS = tuple(page.name for pages in RAIL.values() for page in pages if page.name not in ELSEWHERE)
PAGES = (*OURS, *DETAILS)


def address_of(name: str) -> str:
    """Where a page is; nothing where there is no such thing to show."""
    return DETAILS[name]() if name in DETAILS else reverse(FIRST.get(name, name))
