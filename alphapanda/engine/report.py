"""What came of a backtest as one plain object: the JSON of `manage.py backtest`, described in docs/backtest.md."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from alphapanda.core.clock import ist_text
from alphapanda.core.money import ZERO, to_rupees, value
from alphapanda.core.vocabulary import OrderStatus
from alphapanda.deploying import Definition
from alphapanda.engine.backtest import Run
from alphapanda.engine.combined import Fall, Month, falls, months
from alphapanda.engine.rows import amount
from alphapanda.engine.statistics import EquityPoint, Performance, Statistics
from alphapanda.engine.trades import Trade, trades_of
from alphapanda.version import engine_sha256, product_version
from execution.domain.paper import PaperSettings
from execution.domain.settlement import FillRow
from marketdata.feeds.files import FileReport, RecordedFile
from risk.domain.limits import Limits
from strategies.domain.base import build
from strategies.registry import find, source_hash

FORMAT = 2  # of the object; it changes when a name or a meaning does
FALLS_MAX = 5
BASIS_POINTS = 10_000
Object = dict[str, Any]


def reported(
    runs: Sequence[Run],
    performance: Performance,
    *,
    definitions: Sequence[Definition],
    files: Sequence[tuple[RecordedFile, FileReport]],
    items: int,
    plan: Object,
    findings: Sequence[Object],
    checks: Object,
) -> Object:
    """The whole object. `performance` is that of all runs together; `plan`, `findings` and `checks` go in as they
    are."""
    curve, cash = performance.curve, runs[0].starting_cash
    return {
        "format": FORMAT,
        "meta": plan
        | {
            "product_version": product_version(),
            "engine_sha256": engine_sha256(),
            "instruments": sorted({one.key for run in runs for one in run.account.spec.instruments}),
            "files": [file_object(file, report) for file, report in files],
            "starts": ist_text(curve[0].at_ms) if curve else None,
            "ends": ist_text(curve[-1].at_ms) if curve else None,
            "items": items,
        },
        "deployments": [_deployment(run, one) for run, one in zip(runs, definitions, strict=True)],
        "statistics": figures_object(performance.statistics),
        "costs": _costs(runs, performance.statistics),
        "monthly": [month_object(month) for month in months(cash, curve)],
        "drawdowns": [drawdown_object(fall) for fall in falls(cash, curve, most=FALLS_MAX)],
        "findings": list(findings),
        "checks": checks,
        "trades": _by_time("exited_at", map(_trades, runs)),
        "fills": _by_time("time", ([_fill(run, row) for row in run.account.journal.fills] for run in runs)),
        "denied": _by_time("time", (list(_denied(run)) for run in runs)),
        "unfilled": _by_time("time", (list(_unfilled_of(run)) for run in runs)),
        "equity": [_point(point) for point in _changes(curve)],
    }


def _by_time(name: str, lists: Iterable[list[Object]]) -> list[Object]:
    """Rows of all deployments in order of time, those of one deployment in their own order."""
    return sorted((row for rows in lists for row in rows), key=lambda row: row[name])


def _deployment(run: Run, definition: Definition) -> Object:
    """What ran, with every default spelt out, and how it did by itself."""
    strategy, performance = find(definition.strategy), run.performance()
    faults = run.account.machine.state.faults
    return {
        "name": definition.name,
        "strategy": strategy.name,
        "version": strategy.version,
        "source_sha256": source_hash(strategy.name),
        "params": msgspec.to_builtins(build(strategy, definition.params).params),
        "product": definition.product.value,
        "execution": msgspec.to_builtins(msgspec.convert(definition.execution, PaperSettings)),
        "limits": msgspec.to_builtins(msgspec.convert(definition.limits, Limits, strict=False)),
        "instruments": [instrument.key for instrument in run.account.spec.instruments],
        "statistics": figures_object(performance.statistics),
        "tick_faults": dict(sorted((str(reason), n) for reason, n in faults.items())),
        "error": run.error or None,
    }


def _costs(runs: Sequence[Run], figures: Statistics) -> Object:
    fills = [row.fill for run in runs for row in run.account.journal.fills]
    lines: dict[str, Decimal] = {}
    for fill in fills:
        for line, charge in fill.charges.items():
            lines[line] = lines.get(line, ZERO) + Decimal(charge)
    turnover = sum((value(fill.price_e4, fill.quantity) for fill in fills), ZERO)
    return costs_object(figures, lines, turnover)


def costs_object(figures: Statistics, lines: dict[str, Decimal], turnover: Decimal) -> Object:
    """Charges by line, and against what was traded and earned."""
    return {
        "charges": amount(figures.charges),
        "by_line": {line: amount(total) for line, total in sorted(lines.items())},
        "turnover": amount(turnover),
        "bps_of_turnover": BASIS_POINTS * float(figures.charges / turnover) if turnover else None,
        "share_of_profit_percent": figures.cost_share_percent,
    }


def month_object(month: Month) -> Object:
    """What a month earned."""
    return {
        "month": month.month,
        "net_pnl": amount(month.net_pnl),
        "return_percent": month.return_percent,
    }


def drawdown_object(fall: Fall) -> Object:
    """A fall of equity."""
    return {
        "since": ist_text(fall.since_ms),
        "deepest": ist_text(fall.deepest_ms),
        "until": ist_text(fall.until_ms) if fall.until_ms else None,
        "depth": amount(fall.depth),
        "depth_percent": fall.depth_percent,
    }


def file_object(file: RecordedFile, report: FileReport) -> Object:
    """What a result says of a file that it was made from. Raises OSError."""
    return named(file) | {
        "minutes": report.minutes,
        "rows": report.rows,
        "unreadable_rows": report.faulty,
    }


def named(file: RecordedFile) -> Object:
    """Which file it is. Raises OSError."""
    return told_of(file.path) | {"instrument": file.key}


def told_of(path: Path) -> Object:
    """A file by its path and what is in it. Raises OSError."""
    return {"path": str(path), "sha256": sha256_of(path)}


def sha256_of(path: Path) -> str:
    """Of the file's bytes as they lie there. Raises OSError."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def figures_object(figures: Statistics) -> Object:
    """Every figure by its name."""
    return {
        name: amount(value) if isinstance(value, Decimal) else value
        for name, value in msgspec.structs.asdict(figures).items()
    }


def _trades(run: Run) -> list[Object]:
    found = trades_of(row.fill for row in run.account.journal.fills)
    return [trade_object(run.account.spec.name, one) for one in found]


def trade_object(deployment: str, trade: Trade) -> Object:
    """A closed trade of a deployment."""
    return {
        "deployment": deployment,
        "instrument": trade.instrument,
        "direction": "LONG" if trade.size > 0 else "SHORT",
        "quantity": abs(trade.size),
        "entered_at": ist_text(trade.entered_at_ms),
        "entry_price": amount(trade.entry_price),
        "exited_at": ist_text(trade.exited_at_ms),
        "exit_price": amount(trade.exit_price),
        "gross": amount(trade.gross),
        "charges": amount(trade.charges),
        "net": amount(trade.net),
    }


def _fill(run: Run, row: FillRow) -> Object:
    fill = row.fill
    return {
        "deployment": run.account.spec.name,
        "time": ist_text(fill.at_ms),
        "instrument": fill.instrument,
        "side": fill.side.value,
        "quantity": fill.quantity,
        "price": amount(to_rupees(fill.price_e4)),
        "charges": {line: amount(Decimal(charge)) for line, charge in sorted(fill.charges.items())},
    }


def _denied(run: Run) -> Iterator[Object]:
    signals = {signal.id: signal for signal in run.account.journal.signals}
    for verdict in run.account.journal.verdicts:
        if not verdict.is_approved:
            signal = signals[verdict.signal_id]
            yield {
                "deployment": run.account.spec.name,
                "time": ist_text(verdict.at_ms),
                "instrument": signal.instrument,
                "side": signal.side.value,
                "quantity": signal.quantity,
                "rule": verdict.rule,
                "reason": verdict.reason,
            }


def _unfilled_of(run: Run) -> Iterator[Object]:
    for order in run.account.journal.orders.values():
        if order.status is not OrderStatus.COMPLETE:
            yield {
                "deployment": run.account.spec.name,
                "time": ist_text(order.placed_at_ms),
                "instrument": order.instrument,
                "side": order.side.value,
                "quantity": order.quantity,
                "filled": order.filled_quantity,
                "status": order.status.value,
                "reason": order.reason,
            }


def _changes(curve: Sequence[EquityPoint]) -> Iterator[EquityPoint]:
    """The points at which something is not as at the point before, and the last one."""
    for number, point in enumerate(curve):
        before = curve[number - 1] if number else None
        is_same = before and (before.equity, before.exposure) == (point.equity, point.exposure)
        if not is_same or number == len(curve) - 1:
            yield point


def _point(point: EquityPoint) -> Object:
    return {
        "time": ist_text(point.at_ms),
        "equity": amount(point.equity),
        "exposure": amount(point.exposure),
    }
