"""What came of a backtest as one plain object: the JSON of `manage.py backtest`, described in docs/backtest.md."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from alphapanda.core.clock import ist_text
from alphapanda.core.money import to_rupees
from alphapanda.core.vocabulary import OrderStatus
from alphapanda.deploying import Definition
from alphapanda.engine.backtest import Run
from alphapanda.engine.rows import amount
from alphapanda.engine.statistics import EquityPoint, Performance, Statistics, Trade
from execution.domain.paper import PaperOrder, PaperSettings
from execution.domain.settlement import FillRow
from marketdata.feeds.files import FileReport, RecordedFile
from risk.domain.limits import Limits
from strategies.domain.base import build
from strategies.registry import find, source_hash

FORMAT = 1  # of the object; it changes when a name or a meaning does
Object = dict[str, Any]


def reported(
    run: Run,
    performance: Performance,
    *,
    definition: Definition,
    files: Sequence[tuple[RecordedFile, FileReport]],
    items: int,
    seconds: float,
) -> Object:
    """The whole object; `seconds` is what the fold took."""
    journal = run.account.journal
    curve = performance.curve
    return {
        "format": FORMAT,
        "meta": _what(definition)
        | {
            "starting_cash": amount(run.starting_cash),
            "instruments": [instrument.key for instrument in run.account.spec.instruments],
            "files": [_file(file, report) for file, report in files],
            "starts": ist_text(curve[0].at_ms) if curve else None,
            "ends": ist_text(curve[-1].at_ms) if curve else None,
            "items": items,
            "seconds": round(seconds, 3),
            "items_per_s": round(items / seconds) if seconds > 0 else None,
        },
        "statistics": _figures(performance.statistics),
        "trades": [_trade(trade) for trade in performance.trades],
        "fills": [_fill(row) for row in journal.fills],
        "denied": list(_denied(run)),
        "unfilled": [_unfilled(order) for order in journal.orders.values() if _has_failed(order)],
        "equity": [_point(point) for point in _changes(curve)],
        "tick_faults": dict(
            sorted((str(reason), n) for reason, n in run.account.machine.state.faults.items())
        ),
        "error": run.error or None,
    }


def _what(definition: Definition) -> Object:
    """What ran, with every default spelt out."""
    strategy = find(definition.strategy)
    return {
        "strategy": strategy.name,
        "version": strategy.version,
        "source_sha256": source_hash(strategy.name),
        "params": msgspec.to_builtins(build(strategy, definition.params).params),
        "product": definition.product.value,
        "execution": msgspec.to_builtins(msgspec.convert(definition.execution, PaperSettings)),
        "limits": msgspec.to_builtins(msgspec.convert(definition.limits, Limits, strict=False)),
    }


def _file(file: RecordedFile, report: FileReport) -> Object:
    return {
        "path": str(file.path),
        "instrument": file.key,
        "sha256": sha256_of(file.path),
        "rows": report.rows,
        "unreadable_rows": report.faulty,
    }


def sha256_of(path: Path) -> str:
    """Of the file's bytes as they lie there. Raises OSError."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _figures(figures: Statistics) -> Object:
    return {
        name: amount(value) if isinstance(value, Decimal) else value
        for name, value in msgspec.structs.asdict(figures).items()
    }


def _trade(trade: Trade) -> Object:
    return {
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


def _fill(row: FillRow) -> Object:
    fill = row.fill
    return {
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
                "time": ist_text(verdict.at_ms),
                "instrument": signal.instrument,
                "side": signal.side.value,
                "quantity": signal.quantity,
                "rule": verdict.rule,
                "reason": verdict.reason,
            }


def _has_failed(order: PaperOrder) -> bool:
    return order.status is not OrderStatus.COMPLETE


def _unfilled(order: PaperOrder) -> Object:
    return {
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
