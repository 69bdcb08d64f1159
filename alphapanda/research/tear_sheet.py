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
BUCKETS, BUCKETS_MIN = 24, 9
EDGE = 1e-9  # an edge belongs to the bucket above it, however floats are rounded
DATES_SHOWN = 6
SECONDS = 60
LAKH, CRORE = 100_000, 10_000_000
NOT_DEFINED = "–"  # noqa: RUF001 (a dash, as everywhere where a number is not known)
LINES = {
    "brokerage": "Brokerage",
    "stt": "STT",
    "ctt": "CTT",
    "exchange": "Exchange",
    "ipft": "IPFT",
    "gst": "GST",
    "sebi": "SEBI",
    "stamp": "Stamp duty",
    "square_off": "Square-off",
    "dp": "Depository",
}
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def tear_sheet(result: Object, *, name: str = "") -> str:
    """The page of a result of `docs/backtest.md`."""
    named = name or ", ".join(one["name"] for one in result["deployments"])
    return render_to_string("research/tear_sheet.html", _page(result) | {"name": named, "is_backtest": True})


def booked_sheet(result: Object, *, name: str, mode: str) -> str:
    """The page of what was booked: an object as that of a backtest, as far as the books say it. `mode` is PAPER or
    LIVE."""
    page = _page(result) | {"name": name, "mode": mode}
    unsaid = ("Time in the market", "Signals denied by risk", "Orders not filled")
    page["figures"] = [figure for figure in page["figures"] if figure[0] not in unsaid]
    page["charts"] = page["charts"][:2]  # how much was held through a day is not kept
    return render_to_string("research/tear_sheet.html", page)


def _page(result: Object) -> Object:
    points = [
        (_ms(point["time"]), Decimal(point["equity"]), Decimal(point["exposure"]))
        for point in result["equity"]
    ]
    trades = result["trades"]
    return {
        "meta": result["meta"],
        "deployments": [_deployment(one) for one in result["deployments"]],
        "code": {
            (one["strategy"], one["version"], one["source_sha256"]): None for one in result["deployments"]
        },
        "findings": result["findings"],
        "tiles": _tiles(result),
        "figures": _figures(result),
        "charts": _charts(points, Decimal(result["meta"]["starting_cash"])),
        "histogram": charts.bars(histogram([Decimal(one["net"]) for one in trades]), count_of),
        "years": years(result["monthly"]),
        "months": MONTHS,
        "drawdowns": result["drawdowns"],
        "costs": _cost_lines(result["costs"]),
        "trades": trades[:TRADES_SHOWN],
        "trades_left": max(0, len(trades) - TRADES_SHOWN),
        "period": _period(result["meta"]),
    }


def _ms(iso: str) -> int:
    return to_ms(datetime.fromisoformat(iso))


def _period(meta: Object) -> str:
    if not meta["starts"]:
        return "no minute of a session"
    starts, ends = (meta[name][:16].replace("T", " ") for name in ("starts", "ends"))
    return f"{starts} to {ends} IST"


def percent(value: float | None, *, signed: bool = False) -> str:
    """Two places; a dash where it is not defined."""
    return NOT_DEFINED if value is None else f"{_rounded(value, signed=signed)} %"


def _rounded(value: float, places: int = 2, *, signed: bool = False) -> str:
    """Nought has no sign, whatever was rounded to it."""
    text = f"{value:{'+' if signed else ''}.{places}f}"
    return text if float(text) else text.lstrip("+-")


def ratio(value: float | None) -> str:
    return NOT_DEFINED if value is None else _rounded(value)


def short_rupees(value: float) -> str:
    """An amount on an axis: ₹9,500, -₹9.95 L, ₹1.2 Cr."""
    sign, value = "-" if value < 0 else "", abs(value)
    for size, unit in ((CRORE, "Cr"), (LAKH, "L")):
        if value >= size:
            return f"{sign}₹{value / size:,.3f}".rstrip("0").rstrip(".") + f" {unit}"
    return f"{sign}₹{number(Decimal(round(value)))}"


def whole_rupees(value: float) -> str:
    """An amount on an axis whose ticks are near each other: ₹9,99,950."""
    return rupees(round(value)).removesuffix(".00")


def count_of(value: float) -> str:
    """How many, whether they are drawn above the line or below; nothing for a part of one."""
    return number(abs(round(value))) if value == round(value) else ""


RUPEES = (short_rupees, whole_rupees, rupees)
PERCENT = (percent, lambda value: f"{_rounded(value, 4)} %", lambda value: f"{_rounded(value, 8)} %")


def _tiles(result: Object) -> list[Object]:
    figures, cash = result["statistics"], Decimal(result["meta"]["starting_cash"])
    net = Decimal(figures["net_pnl"])
    gained = float(net / cash) * 100 if cash > 0 else None  # a portfolio may begin with nothing
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
            "note": "no profit before them"
            if figures["cost_share_percent"] is None
            else f"{percent(figures['cost_share_percent'])} of the profit before",
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


def _deployment(one: Object) -> Object:
    """A deployment with its settings in words."""
    limits = {name: limit for name, limit in one["limits"].items() if limit not in (None, [], {})}
    execution = {"product": one["product"]} | one["execution"]
    return one | {
        "settings": settings_text(execution),
        "limits_text": settings_text(limits),
        "params_text": settings_text(one["params"]),
    }


def settings_text(settings: Object) -> str:
    """Names and values beside each other; what is not set is a dash."""
    return ", ".join(f"{name} {_plainly(value)}" for name, value in settings.items())


def _plainly(value: Any) -> str:
    if value is None:
        return NOT_DEFINED
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


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
        {"title": "Equity", "svg": charts.line(equity, axis.labels(), RUPEES, kind="equity")},
        {
            "title": "Drawdown",
            "svg": charts.line(fallen, axis.labels(), PERCENT, kind="fall"),
        },
        {
            "title": "Exposure, long and short added up",
            "svg": charts.line(exposure, axis.labels(), RUPEES, kind="exposure"),
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
            "text": NOT_DEFINED if one["return_percent"] is None else _rounded(gained, signed=True),
            "tone": "up" if gained > 0 else "down" if gained < 0 else "",
            "strength": round(8 + 47 * abs(gained) / largest) if largest else 0,
        }
        found.setdefault(year, [None] * 12)[int(month) - 1] = cell
    return [{"year": year, "cells": cells, "sum": _sum(cells)} for year, cells in found.items()]


def _sum(cells: Sequence[Object | None]) -> str:
    return rupees_signed(sum((Decimal(cell["net_pnl"]) for cell in cells if cell), Decimal(0)))


def histogram(nets: Sequence[Decimal]) -> list[tuple[str, float]]:
    """How many trades made or lost how much, in buckets with round edges of which nought is one: a losing bucket counts
    down, so that it shows as one."""
    if not nets:
        return []
    edges = charts.ticks_of(float(min(nets)), float(max(nets)), BUCKETS)
    width, short = edges[1] - edges[0], max(0, BUCKETS_MIN - len(edges))
    low, buckets = edges[0] - width * (short // 2), len(edges) + short
    counts = [0] * buckets
    for net in nets:
        counts[int((float(net) - low) / width + EDGE)] += 1
    lows = [low + place * width for place in range(buckets)]
    write = charts.apart(lows, (whole_rupees, rupees))
    return [
        (write(lows[place]), float(count if lows[place] + width / 2 >= 0 else -count))
        for place, count in enumerate(counts)
    ]


def _cost_lines(costs: Object) -> Object:
    total = Decimal(costs["charges"])
    lines = [
        {
            "line": LINES.get(line, line),
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
