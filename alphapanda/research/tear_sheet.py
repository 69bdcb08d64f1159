"""The tear sheet of a result: one HTML file that needs nothing else, made from the documented object alone.

Our own template rather than a library's: quantstats draws daily returns only, would bring matplotlib and yfinance,
links a favicon of another host, and knows neither charges nor findings, rupees nor IST."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.template.loader import render_to_string

from alphapanda.core.clock import DAY_MS, IST_OFFSET_MS, ist_date, to_ms
from alphapanda.research import charts
from alphapanda.web.formats import age, number, rupees, rupees_signed

Object = dict[str, Any]
SESSION_MS = (6 * 60 + 15) * 60_000
OPENS_MS = (9 * 60 + 15) * 60_000
TRADES_SHOWN = 200
BUCKETS = 24
DATES_SHOWN = 6
SECONDS = 60
LAKH, CRORE = 100_000, 10_000_000
NOT_DEFINED = "–"  # noqa: RUF001 (a dash, as everywhere where a number is not known)
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def tear_sheet(result: Object, *, name: str = "") -> str:
    """The page of a result of `docs/backtest.md`."""
    points = [
        (_ms(point["time"]), Decimal(point["equity"]), Decimal(point["exposure"]))
        for point in result["equity"]
    ]
    trades = result["trades"]
    page = {
        "name": name or ", ".join(one["name"] for one in result["deployments"]),
        "meta": result["meta"],
        "deployments": result["deployments"],
        "findings": result["findings"],
        "tiles": _tiles(result),
        "figures": _figures(result),
        "charts": _charts(points, Decimal(result["meta"]["starting_cash"])),
        "histogram": charts.bars(histogram([Decimal(one["net"]) for one in trades]), number_of),
        "years": years(result["monthly"]),
        "months": MONTHS,
        "drawdowns": result["drawdowns"],
        "costs": _cost_lines(result["costs"]),
        "trades": trades[:TRADES_SHOWN],
        "trades_left": max(0, len(trades) - TRADES_SHOWN),
        "period": _period(result["meta"]),
    }
    return render_to_string("research/tear_sheet.html", page)


def _ms(iso: str) -> int:
    return to_ms(datetime.fromisoformat(iso))


def _period(meta: Object) -> str:
    if not meta["starts"]:
        return "no minute of a session"
    starts, ends = (meta[name][:16].replace("T", " ") for name in ("starts", "ends"))
    return f"{starts} to {ends} IST"


def percent(value: float | None, *, signed: bool = False) -> str:
    """Two places; a dash where it is not defined."""
    if value is None:
        return NOT_DEFINED
    return f"{value:+.2f} %" if signed else f"{value:.2f} %"


def ratio(value: float | None) -> str:
    return NOT_DEFINED if value is None else f"{value:.2f}"


def short_rupees(value: float) -> str:
    """An amount on an axis: ₹9,500, -₹9.95 L, ₹1.2 Cr."""
    sign, value = "-" if value < 0 else "", abs(value)
    for size, unit in ((CRORE, "Cr"), (LAKH, "L")):
        if value >= size:
            return f"{sign}₹{value / size:,.3f}".rstrip("0").rstrip(".") + f" {unit}"
    return f"{sign}₹{number(Decimal(round(value)))}"


def number_of(value: float) -> str:
    return number(Decimal(round(value)))


def _tiles(result: Object) -> list[Object]:
    figures, cash = result["statistics"], Decimal(result["meta"]["starting_cash"])
    net = Decimal(figures["net_pnl"])
    gained = float(net / cash) * 100
    return [
        {"label": "Profit after charges", "text": rupees_signed(net), "note": percent(gained, signed=True)},
        {
            "label": "Deepest drawdown",
            "text": rupees(figures["max_drawdown"]),
            "note": percent(figures["max_drawdown_percent"]),
        },
        {
            "label": "Sharpe, a year",
            "text": ratio(figures["sharpe"]),
            "note": f"Sortino {ratio(figures['sortino'])}",
        },
        {
            "label": "Closed trades",
            "text": number(figures["trades"]),
            "note": f"{percent(figures['win_rate_percent'])} won",
        },
        {
            "label": "Profit factor",
            "text": ratio(figures["profit_factor"]),
            "note": f"{rupees_signed(figures['expectancy'])} a trade",
        },
        {
            "label": "Charges",
            "text": rupees(figures["charges"]),
            "note": f"{percent(figures['cost_share_percent'])} of the profit before",
        },
    ]


def _figures(result: Object) -> list[tuple[str, str]]:
    f = result["statistics"]
    minutes = f["average_minutes"]
    return [
        ("Profit before charges", rupees_signed(f["gross_pnl"])),
        ("Return, a year", percent(f["annual_return_percent"])),
        ("Volatility, a year", percent(f["annual_volatility_percent"])),
        ("Downside risk, a year", percent(f["downside_risk_percent"])),
        ("Calmar", ratio(f["calmar"])),
        ("Value at risk, a day in twenty", percent(f["value_at_risk_percent"])),
        ("Tail ratio", ratio(f["tail_ratio"])),
        ("Time in the market", percent(f["exposure_percent"])),
        ("Best trade", rupees_signed(f["best"])),
        ("Worst trade", rupees_signed(f["worst"])),
        ("Average winner", rupees_signed(f["average_win"])),
        ("Average loser", rupees_signed(f["average_loss"])),
        ("Most wins, losses in a row", f"{f['longest_wins']}, {f['longest_losses']}"),
        ("Time in a trade", NOT_DEFINED if minutes is None else age(minutes * SECONDS)),
        ("Signals denied by risk", number(len(result["denied"]))),
        ("Orders not filled", number(len(result["unfilled"]))),
    ]


def _charts(points: Sequence[tuple[int, Decimal, Decimal]], cash: Decimal) -> list[Object]:
    if not points:
        return []
    axis = Axis([at_ms for at_ms, _, _ in points])
    equity = [(axis.place(at_ms), float(equity)) for at_ms, equity, _ in points]
    exposure = [(axis.place(at_ms), float(exposure)) for at_ms, _, exposure in points]
    fallen, peak = [], cash
    for at_ms, worth, _ in points:
        peak = max(peak, worth)
        fallen.append((axis.place(at_ms), -100 * float((peak - worth) / peak) if peak > 0 else 0.0))
    return [
        {"title": "Equity", "svg": charts.line(equity, axis.labels(), short_rupees, kind="equity")},
        {"title": "Drawdown", "svg": charts.line(fallen, axis.labels(), percent, kind="fall")},
        {
            "title": "Exposure, long and short added up",
            "svg": charts.line(exposure, axis.labels(), short_rupees, kind="exposure"),
        },
    ]


class Axis:
    """Time without nights: each day with a point is as wide as any other, from 09:15 to 15:30."""

    def __init__(self, times_ms: Sequence[int]) -> None:
        self._days = {day: place for place, day in enumerate(sorted({_day(at_ms) for at_ms in times_ms}))}

    def place(self, at_ms: int) -> float:
        """From 0 to 1."""
        of_day = (at_ms + IST_OFFSET_MS) % DAY_MS
        part = min(max((of_day - OPENS_MS) / SESSION_MS, 0.0), 1.0)
        return (self._days[_day(at_ms)] + part) / len(self._days)

    def labels(self) -> list[tuple[float, str]]:
        """A few dates."""
        days = list(self._days)
        every = max(1, -(-len(days) // DATES_SHOWN))
        return [(place / len(days), _date(day)) for place, day in enumerate(days) if place % every == 0]


def _day(at_ms: int) -> int:
    return (at_ms + IST_OFFSET_MS) // DAY_MS


def _date(day: int) -> str:
    moment = ist_date(day * DAY_MS)
    return f"{moment.day} {MONTHS[moment.month - 1]} {moment.year}"


def years(monthly: Sequence[Object]) -> list[Object]:
    """A row for each year: its twelve months (None where there was none) and their sum."""
    found: dict[str, list[Object | None]] = {}
    largest = max((abs(one["return_percent"] or 0.0) for one in monthly), default=0.0)
    for one in monthly:
        year, month = one["month"].split("-")
        gained = one["return_percent"] or 0.0
        cell = one | {
            "text": NOT_DEFINED if one["return_percent"] is None else f"{gained:+.2f}" if gained else "0.00",
            "tone": "up" if gained > 0 else "down" if gained < 0 else "",
            "strength": round(8 + 47 * abs(gained) / largest) if largest else 0,
        }
        found.setdefault(year, [None] * 12)[int(month) - 1] = cell
    return [{"year": year, "cells": cells, "sum": _sum(cells)} for year, cells in found.items()]


def _sum(cells: Sequence[Object | None]) -> str:
    return rupees_signed(sum((Decimal(cell["net_pnl"]) for cell in cells if cell), Decimal(0)))


def histogram(nets: Sequence[Decimal], buckets: int = BUCKETS) -> list[tuple[str, float]]:
    """How many trades made or lost how much: a losing bucket counts down, so that it shows as one."""
    if not nets:
        return []
    ticks = charts.ticks_of(float(min(nets)), float(max(nets)))
    low, high = ticks[0], ticks[-1]
    width = (high - low) / buckets
    counts = [0] * buckets
    for net in nets:
        counts[min(int((float(net) - low) / width), buckets - 1)] += 1
    return [
        (short_rupees(low + place * width), float(count if low + (place + 0.5) * width >= 0 else -count))
        for place, count in enumerate(counts)
    ]


def _cost_lines(costs: Object) -> Object:
    total = Decimal(costs["charges"])
    lines = [
        {
            "line": line,
            "amount": amount,
            "share": round(float(Decimal(amount) / total) * 100, 1) if total else 0,
        }
        for line, amount in sorted(costs["by_line"].items(), key=lambda pair: -Decimal(pair[1]))
        if Decimal(amount)
    ]
    bps = costs["bps_of_turnover"]
    return {
        "lines": lines,
        "turnover": costs["turnover"],
        "bps": NOT_DEFINED if bps is None else f"{bps:.2f}",
        "share": percent(costs["share_of_profit_percent"]),
    }
