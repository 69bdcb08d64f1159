"""What came of a backtest for a terminal: tables, a line of equity, and the findings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from alphapanda.engine.statistics import EquityPoint
from alphapanda.engine.trades import Trade
from alphapanda.research.running import Object, Outcome
from alphapanda.web.formats import average, ist_stamp, number, rupees, rupees_signed

BLOCKS = "▁▂▃▄▅▆▇█"
LINE_WIDTH = 72
YEAR = len("2019-")  # the period tells it; without it the table fits a terminal
TRADES_SHOWN = 5  # from the beginning, and from the end
UNDEFINED = "not defined"


def show(console: Console, outcome: Outcome) -> None:
    """Write all of it."""
    result, performance = outcome.result, outcome.performance
    console.print(_header(result, outcome.seconds))
    if len(result["deployments"]) > 1:
        console.print(_deployments(result["deployments"]))
    console.print(_figures(result))
    if performance.trades:
        console.print(_trades(performance.trades))
    console.print(_line(performance.curve, result["meta"]))
    console.print(_findings(result["findings"]))


def _header(result: Object, seconds: float) -> Table:
    meta = result["meta"]
    grid = Table(box=None, show_header=False, pad_edge=False)
    for one in result["deployments"][:1] if len(result["deployments"]) == 1 else []:
        grid.add_row("strategy", Text.assemble((one["strategy"], "bold"), f", version {one['version']}"))
        grid.add_row("parameters", pairs(one["params"]))
        grid.add_row("execution", pairs(one["execution"]))
        limits = {name: limit for name, limit in one["limits"].items() if limit}
        grid.add_row("limits", pairs(limits) or "none")
    for file in meta["files"]:
        said = f"{Path(file['path']).name}, {number(file['rows'])} rows of {file['instrument']}"
        grid.add_row("file", said)
    grid.add_row("period", f"{_minute(meta['starts'])} to {_minute(meta['ends'])}")
    grid.add_row("costs", pairs({name: value for name, value in meta["costs"].items() if value != "0"}))
    a_second = f", {number(round(meta['items'] / seconds))} a second" if seconds > 0 else ""
    grid.add_row("folded", f"{number(meta['items'])} items in {seconds:.3f} s{a_second}")
    return grid


def pairs(values: dict[str, Any]) -> str:
    """Names and values in one line."""
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _minute(iso: str | None) -> str:
    return iso[:16].replace("T", " ") if iso else UNDEFINED


def _deployments(deployments: Sequence[Object]) -> Table:
    table = Table(title="\ndeployments", title_justify="left")
    for heading in ("deployment", "strategy", "parameters"):
        table.add_column(heading)
    for heading in ("trades", "profit", "drawdown", "Sharpe"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in deployments:
        figures = one["statistics"]
        table.add_row(
            one["name"],
            one["strategy"],
            pairs(one["params"]),
            number(figures["trades"]),
            rupees_signed(figures["net_pnl"]),
            rupees(figures["max_drawdown"]),
            _ratio(figures["sharpe"]),
        )
    return table


def _figures(result: Object) -> Table:
    figures = result["statistics"]
    faults: dict[str, int] = {}
    for one in result["deployments"]:
        for reason, count in one["tick_faults"].items():
            faults[reason] = faults.get(reason, 0) + count
    table = Table(title="\nfigures", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, shown in {
        "trades": f"{figures['trades']} ({figures['winners']} won, {figures['losers']} lost)",
        "profit before charges": rupees_signed(figures["gross_pnl"]),
        "charges": rupees(figures["charges"]),
        "profit": rupees_signed(figures["net_pnl"]),
        "a trade, on average": rupees_signed(figures["expectancy"]),
        "best trade": rupees_signed(figures["best"]),
        "worst trade": rupees_signed(figures["worst"]),
        "trades won": _percent(figures["win_rate_percent"]),
        "profit factor": _ratio(figures["profit_factor"]),
        "deepest drawdown": f"{rupees(figures['max_drawdown'])}, {_percent(figures['max_drawdown_percent'])}",
        "Sharpe, a year": _ratio(figures["sharpe"]),
        "Sortino, a year": _ratio(figures["sortino"]),
        "return, a year": _percent(figures["annual_return_percent"]),
        "time in the market": _percent(figures["exposure_percent"]),
        "signals denied": number(len(result["denied"])),
        "orders not filled": number(len(result["unfilled"])),
        "ticks refused": pairs(faults) or "none",
    }.items():
        table.add_row(name, shown)
    return table


def _percent(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.2f} %"


def _ratio(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.2f}"


def _trades(trades: Sequence[Trade]) -> Table:
    table = Table(title="\ntrades", title_justify="left")
    for heading in ("instrument", "entered", "exited"):
        table.add_column(heading, no_wrap=True)
    for heading in ("quantity", "entry", "exit", "charges", "profit"):
        table.add_column(heading, justify="right", no_wrap=True)
    hidden = len(trades) - 2 * TRADES_SHOWN
    shown = trades if hidden <= 0 else [*trades[:TRADES_SHOWN], *trades[-TRADES_SHOWN:]]
    for place, trade in enumerate(shown):
        if hidden > 0 and place == TRADES_SHOWN:
            table.add_row(f"… {number(hidden)} more")
        table.add_row(*_cells(trade))
    return table


def _cells(trade: Trade) -> tuple[str, ...]:
    return (
        trade.instrument.partition(":")[2],
        ist_stamp(trade.entered_at_ms)[YEAR:],
        ist_stamp(trade.exited_at_ms)[YEAR:],
        f"{trade.size:+,}",
        average(trade.entry_price),
        average(trade.exit_price),
        rupees(trade.charges),
        rupees_signed(trade.net),
    )


def _line(curve: Sequence[EquityPoint], meta: Object) -> str:
    """Equity as a line of blocks, lowest to highest."""
    if not curve:
        return "\nno minute of a session in the files: no equity"
    values = [curve[round(place)].equity for place in _places(len(curve))]
    low, high = min(point.equity for point in curve), max(point.equity for point in curve)
    step = (high - low) / len(BLOCKS)
    line = "".join(BLOCKS[min(int((value - low) / step), len(BLOCKS) - 1) if step else 0] for value in values)
    ends = f"{rupees(meta['starting_cash'])} to {rupees(curve[-1].equity)}"
    return f"\nequity {ends}, from {rupees(low)} to {rupees(high)}\n{line}"


def _places(points: int) -> list[float]:
    width = min(points, LINE_WIDTH)
    return [place * (points - 1) / max(width - 1, 1) for place in range(width)]


def _findings(findings: Sequence[Object]) -> Table | str:
    if not findings:
        return "\nfindings: none (look-ahead, warm-up, fills, trades, costs and data were checked)"
    table = Table(title="\nfindings: reasons to doubt this result", title_justify="left")
    table.add_column("code", no_wrap=True)
    table.add_column("what was found")
    for one in findings:
        colour = "red" if one["weight"] == "fault" else "yellow"
        where = f"{one['deployment']}: " if one["deployment"] else ""
        table.add_row(Text(one["code"], style=colour), where + one["text"])
    return table
