"""`manage.py backtest`: a strategy over recorded files, in this process: no database, Celery or Kafka."""

from __future__ import annotations

import gc
import json
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import msgspec
from django.conf import settings
from django.core.management import BaseCommand, CommandError
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from alphapanda import deploying
from alphapanda.deploying import BadDefinition, Definition
from alphapanda.engine.backtest import Run
from alphapanda.engine.recorded import Recording
from alphapanda.engine.report import Object, reported
from alphapanda.engine.statistics import EquityPoint, Performance, Trade
from alphapanda.web.formats import average, ist_stamp, number, rupees, rupees_signed
from execution.domain.charges import NoChargeCard
from execution.domain.paper import PaperSettings
from marketdata.domain.instruments import NoSegment, NotAnInstrumentList
from marketdata.feeds.files import UnknownFormat, recorded_file
from marketdata.feeds.recorded import RecordedSource, UnknownInstrument
from risk.domain.limits import Limits
from strategies.domain.base import BadParameters, UnknownStrategy, build
from strategies.registry import find

BLOCKS = "▁▂▃▄▅▆▇█"
WIDTH = 110  # on a pipe
LINE_WIDTH = 72
YEAR = len("2019-")  # the period tells it; without it the table fits a terminal
TRADES_SHOWN = 5  # from the beginning, and from the end
UNDEFINED = "not defined"


class Command(BaseCommand):
    help = "Run a strategy over recorded files in this process and show trades, equity and figures."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("strategy", help="the name of a strategy, such as ema_cross")
        parser.add_argument("--data", nargs="+", required=True, metavar="FILE", help="FILE[=EXCHANGE:SYMBOL]")
        parser.add_argument("--params", default="{}", help="JSON: the strategy's parameters")
        parser.add_argument("--execution", default="{}", help="JSON: the rule of execution")
        parser.add_argument("--limits", default="{}", help="JSON: risk limits")
        parser.add_argument(
            "--instruments", nargs="*", default=[], type=Path, metavar="LIST", help="further Kite lists"
        )
        parser.add_argument("--cash", default="1000000", help="rupees to start with, the base of percentages")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        definition = _definition(options)
        recording = Recording(options["data"], [definition], options["instruments"])
        source = _opened(recording)
        run, seconds = _folded(recording, source, starting_cash=_cash(options["cash"]))
        performance = run.performance()
        files = list(zip(map(recorded_file, recording.files), source.reports, strict=True))
        report = reported(
            run, performance, definition=definition, files=files, items=len(source), seconds=seconds
        )
        if options["json"]:
            self.stdout.write(json.dumps(report))
        else:
            width = None if self.stdout.isatty() else WIDTH
            _show(Console(file=self.stdout, highlight=False, width=width), report, performance)
        if run.error:
            self.stderr.write(f"The strategy raised; what is shown ends there.\n{run.error}")
            raise SystemExit(1)


def _definition(options: dict[str, Any]) -> Definition:
    """What to deploy, checked. Raises CommandError."""
    try:
        strategy = find(options["strategy"])
    except UnknownStrategy as error:
        raise CommandError(f"{error}; your own go into {settings.STRATEGIES}") from None
    params = _object("--params", options["params"])
    try:
        build(strategy, params)
        keys = {recorded_file(name).key for name in options["data"]}
        definition = Definition(
            name="backtest",
            strategy=strategy.name,
            instruments=tuple(sorted(keys)),
            params=params,
            execution=_object("--execution", options["execution"]),
            limits=_object("--limits", options["limits"]),
        )
        deploying.check(definition)
    except BadParameters as error:
        raise CommandError(f"--params: {error}; there are: {_names(strategy.Params)}") from None
    except BadDefinition as error:
        there_are = f"--execution knows {_names(PaperSettings)}, --limits {_names(Limits)}"
        raise CommandError(f"{error}; {there_are}") from None
    except UnknownFormat as error:
        raise CommandError(str(error)) from None
    return definition


def _names(options: type[msgspec.Struct]) -> str:
    return ", ".join(options.__struct_fields__)


def _object(option: str, text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise CommandError(f"{option} wants a JSON object such as '{{\"quantity\": 10}}': {error}") from None


def _cash(text: str) -> Decimal:
    try:
        cash = Decimal(text)
    except InvalidOperation:
        cash = Decimal("NaN")
    if not cash.is_finite() or cash <= 0:
        raise CommandError(f"--cash wants rupees above zero, not {text!r}")
    return cash


def _opened(recording: Recording) -> RecordedSource:
    """The stream of the files. Raises CommandError."""
    try:
        source = recording.source()
        recording.specs()
    except (UnknownInstrument, BadDefinition) as error:
        raise CommandError(
            f"{error}; name it as FILE=EXCHANGE:SYMBOL or add its list with --instruments"
        ) from None
    except (UnknownFormat, NotAnInstrumentList, OSError, EOFError, UnicodeDecodeError) as error:
        raise CommandError(f"cannot read: {error}") from None
    if not len(source):
        raise CommandError("the files hold no tick that can be read")
    return source


def _folded(recording: Recording, source: RecordedSource, *, starting_cash: Decimal) -> tuple[Run, float]:
    """The run and the seconds that its fold took. Raises CommandError."""
    console = Console(stderr=True)
    gc.freeze()  # the collector would look through all of Django and the stream again and again
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"{len(source):,} items", total=len(source))
        started = time.perf_counter()
        try:
            [run] = recording.backtest(
                source, lambda items: progress.update(task, completed=items), starting_cash=starting_cash
            )
        except (NoChargeCard, NoSegment) as error:
            raise CommandError(f"a fill cannot be charged: {error}") from None
        return run, time.perf_counter() - started


def _show(console: Console, report: Object, performance: Performance) -> None:
    console.print(_header(report))
    console.print(_figures(report["statistics"], faults=report["tick_faults"], report=report))
    if performance.trades:
        console.print(_trades(performance.trades))
    console.print(_line(performance.curve, report["meta"]))


def _header(report: Object) -> Table:
    meta = report["meta"]
    grid = Table(box=None, show_header=False, pad_edge=False)
    grid.add_row("strategy", f"[bold]{meta['strategy']}[/], version {meta['version']}")
    grid.add_row("parameters", _pairs(meta["params"]))
    for file in meta["files"]:
        grid.add_row(
            "file", f"{Path(file['path']).name}, {number(file['rows'])} rows of {file['instrument']}"
        )
    grid.add_row("period", f"{_minute(meta['starts'])} to {_minute(meta['ends'])}")
    grid.add_row("execution", _pairs(meta["execution"]))
    grid.add_row("limits", _pairs({name: limit for name, limit in meta["limits"].items() if limit}) or "none")
    speed = f"{number(meta['items'])} items in {meta['seconds']} s, {number(meta['items_per_s'])} a second"
    grid.add_row("folded", speed)
    return grid


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _minute(iso: str | None) -> str:
    return iso[:16].replace("T", " ") if iso else UNDEFINED


def _figures(figures: Object, *, faults: dict[str, int], report: Object) -> Table:
    table = Table(title="\nfigures", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    counts = f"{figures['trades']} ({figures['winners']} won, {figures['losers']} lost)"
    for name, shown in {
        "trades": counts,
        "profit before charges": rupees_signed(figures["gross_pnl"]),
        "charges": rupees(figures["charges"]),
        "profit": rupees_signed(figures["net_pnl"]),
        "best trade": rupees_signed(figures["best"]),
        "worst trade": rupees_signed(figures["worst"]),
        "trades won": _percent(figures["win_rate_percent"]),
        "profit factor": _ratio(figures["profit_factor"]),
        "deepest drawdown": f"{rupees(figures['max_drawdown'])}, {_percent(figures['max_drawdown_percent'])}",
        "Sharpe, a year": _ratio(figures["sharpe"]),
        "Sortino, a year": _ratio(figures["sortino"]),
        "time in the market": _percent(figures["exposure_percent"]),
        "signals denied": number(len(report["denied"])),
        "orders not filled": number(len(report["unfilled"])),
        "ticks refused": _pairs(faults) or "none",
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
