"""The pages of the cockpit: one table for the rail, the keys and the palette."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.urls import reverse


class Page(NamedTuple):
    """A page by the name of its address, which is also that of its icon. `key` follows a `g`."""

    name: str
    title: str
    key: str = ""
    is_staff_only: bool = False


RAIL: dict[str, tuple[Page, ...]] = {
    "Trade": (
        Page("overview", "Overview", "o"),
        Page("positions", "Positions", "p"),
        Page("orders", "Orders", "r"),
        Page("fills", "Fills", "f"),
        Page("signals", "Signals", "s"),
        Page("chart", "Chart", "c"),
        Page("approvals", "Approvals", "w"),
    ),
    "Strategies": (
        Page("strategies", "Strategies", "t"),
        Page("performance", "Performance", "e"),
        Page("backtests", "Backtests", "x"),
        Page("journal", "Journal", "j"),
    ),
    "Control": (
        Page("risk", "Risk", "k"),
        Page("reconciliation", "Reconciliation", "n"),
        Page("alerts", "Alerts", "l"),
    ),
    "System": (
        Page("health", "Health", "h"),
        Page("data", "Data", "d"),
        Page("broker", "Broker", "b"),
        Page("logs", "Logs", "u"),
        Page("keys", "API keys", "y"),
        Page("look", "Look", "m"),
        Page("api", "API", "i"),
        Page("admin", "Admin", "a", is_staff_only=True),
    ),
}
ELSEWHERE = {"api": "/api/v1/docs/", "admin": "/admin/"}
FIRST = {"chart": "chart-first"}  # pages of one thing, by the address that finds the first


def rail(user: Any, broker_suffix: str) -> list[dict[str, Any]]:
    """The pages that a user may open, in groups; addresses keep the broker namespace that is looked at."""
    return [
        {"title": title, "pages": [_entry(page, broker_suffix) for page in pages if _is_for(page, user)]}
        for title, pages in RAIL.items()
    ]


def _is_for(page: Page, user: Any) -> bool:
    return user.is_staff or not page.is_staff_only


def _entry(page: Page, suffix: str) -> dict[str, Any]:
    address = ELSEWHERE.get(page.name) or reverse(FIRST.get(page.name, page.name)) + suffix
    return {"name": page.name, "title": page.title, "key": page.key, "address": address}
