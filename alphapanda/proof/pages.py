"""Every page of the cockpit by name: those of the rail, and one of each thing that has a page of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse

from alphapanda.dashboard.rail import ELSEWHERE, FIRST, RAIL
from execution.models import Order
from strategies.models import BacktestRun, Deployment, Signal

ON_A_PHONE = ("overview", "positions", "risk")


def _address(name: str, found: Any, query: str = "") -> str:
    """The page of a thing; nothing where there is no such thing yet."""
    return reverse(name, args=[found.pk]) + query if found else ""


def _order() -> Order | None:
    return Order.objects.filter(fills_count__gt=0).order_by("created_at").first()


def _denied() -> Signal | None:
    return Signal.objects.filter(decision__is_approved=False).order_by("created_at").first()


def _runs() -> QuerySet[BacktestRun]:
    return BacktestRun.objects.filter(state=BacktestRun.State.DONE).order_by("created_at")


def _comparison() -> str:
    runs = _runs()[:2]
    chosen = "&".join(f"run={run.pk}" for run in runs)
    return f"{reverse('backtests-compare')}?{chosen}" if len(runs) > 1 else ""


DETAILS: dict[str, Callable[[], str]] = {
    "order": lambda: _address("order", _order()),
    "order-timeline": lambda: _address("order", _order(), "?view=timeline"),
    "order-raw": lambda: _address("order", _order(), "?view=raw"),
    "signal": lambda: _address("signal", _denied()),
    "strategy": lambda: _address("strategy", Deployment.objects.order_by("name").first()),
    "backtest": lambda: _address("backtest", _runs().first()),
    "backtests-compare": _comparison,
}
OURS = tuple(page.name for pages in RAIL.values() for page in pages if page.name not in ELSEWHERE)
PAGES = (*OURS, *DETAILS)


def address_of(name: str) -> str:
    """Where a page is; nothing where there is no such thing to show."""
    return DETAILS[name]() if name in DETAILS else reverse(FIRST.get(name, name))
