"""What a stored backtest says, in words and units: its result has money as text, shares and ratios as numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import PurePath
from typing import Any

from alphapanda.core.clock import to_ms
from alphapanda.web.formats import UNKNOWN, age, number, rupees, rupees_signed

SIGNED = ("gross_pnl", "net_pnl", "expectancy", "best", "worst")
FIRST = (
    *("net_pnl", "gross_pnl", "charges", "cost_share_percent", "annual_return_percent", "max_drawdown"),
    *("max_drawdown_percent", "sharpe", "sortino", "calmar", "profit_factor", "trades", "win_rate_percent"),
    *("expectancy", "average_win", "average_loss", "best", "worst"),
)
WORDS = {
    "gross_pnl": "profit before charges",
    "net_pnl": "profit",
    "expectancy": "a trade, on average",
    "best": "best trade",
    "worst": "worst trade",
    "win_rate_percent": "trades won",
    "cost_share_percent": "charges of the profit before them",
    "max_drawdown": "deepest drawdown",
    "max_drawdown_percent": "deepest drawdown, share",
    "closed_drawdown": "deepest drawdown of closed trades",
    "sharpe": "Sharpe, a year",
    "sortino": "Sortino, a year",
    "calmar": "Calmar",
    "annual_return_percent": "return, a year",
    "annual_volatility_percent": "volatility, a year",
    "downside_risk_percent": "downside risk, a year",
    "exposure_percent": "time in the market",
    "average_minutes": "a trade is held, on average",
    "trade_deviation": "deviation of trades",
    "trade_sharpe": "Sharpe of trades",
    "bps_of_turnover": "charges in basis points of turnover",
    "share_of_profit_percent": "charges of the profit before them",
}


def in_order(names: Iterable[str]) -> list[str]:
    """What decides first, the rest as it comes."""
    places = {name: place for place, name in enumerate(FIRST)}
    return sorted(names, key=lambda name: places.get(name, len(FIRST)))


def words_of(name: str) -> str:
    """What a figure is called."""
    return WORDS.get(name, name.removesuffix("_percent").replace("_", " "))


def figure(name: str, value: Any) -> str:
    """A figure in its unit; a dash where it is not known."""
    if value is None:
        return UNKNOWN
    if isinstance(value, str):
        return rupees_signed(value) if name in SIGNED else rupees(value)
    if name.endswith("_minutes"):
        return age(value * 60)
    if name.endswith("_percent"):
        return f"{value:.2f} %"
    return number(value) if isinstance(value, int) else f"{value:.2f}"


def figures(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each with what it is called."""
    return [(words_of(name), figure(name, found[name])) for name in in_order(found)]


def costs(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Charges by line, then against what was traded and earned."""
    return figures(found.get("by_line", {})) + figures({k: v for k, v in found.items() if k != "by_line"})


def trade(found: Mapping[str, Any]) -> dict[str, Any]:
    """A closed trade with its times in milliseconds."""
    opened, closed = (to_ms(datetime.fromisoformat(found[name])) for name in ("entered_at", "exited_at"))
    side = str(found["direction"]).lower()
    return {**found, "side": side, "opened_ms": opened, "closed_ms": closed, "held_ms": closed - opened}


def without_folders(value: Any) -> Any:
    """A plan with files by their names: where they lie on the server is nobody's business."""
    if isinstance(value, dict):
        return {name: without_folders(part) for name, part in value.items()}
    if isinstance(value, list):
        return [without_folders(part) for part in value]
    return PurePath(value).name if isinstance(value, str) and value.startswith("/") else value
