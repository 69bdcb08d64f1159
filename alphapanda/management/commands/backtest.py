"""`manage.py backtest`: strategies over recorded files, in this process: no database (but for --store), no Celery."""

from __future__ import annotations

import gc
import json
from argparse import ArgumentParser
from collections.abc import Callable
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

from django.core.management import BaseCommand, CommandError
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from alphapanda import deploying
from alphapanda.core.refusals import Refusal
from alphapanda.core.vocabulary import Product
from alphapanda.engine.costs import Costs, costs_of
from alphapanda.research import console
from alphapanda.research.places import absolute
from alphapanda.research.plan import (
    CASH_MAX,
    FILL_MODELS,
    Opened,
    Plan,
    definition_of,
    execution_of,
    is_cash,
    one_for_each,
    opened,
)
from alphapanda.research.running import Outcome, carried_out
from alphapanda.web.console import json_object, screen

WIDTH = 110  # on a pipe
Came = TypeVar("Came")
# Options of a strategy's one deployment, with what they are where not given; a file of deployments has its own.
OF_A_STRATEGY = {
    "params": "{}",
    "execution": "{}",
    "limits": "{}",
    "fills": "paper",
    "product": Product.MIS.value,
    "each": False,
}


class Command(BaseCommand):
    help = "Run strategies over recorded files in this process and show trades, equity, figures and doubts."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("strategy", nargs="?", help="the name of a strategy, such as ema_cross")
        parser.add_argument(
            "--deployments", type=Path, metavar="FILE", help="JSON: a portfolio of deployments"
        )
        add_plan_arguments(parser)
        parser.add_argument("--params", help="JSON: the strategy's parameters")
        parser.add_argument("--store", metavar="NAME", help="keep the result in the database")
        parser.add_argument("--tear-sheet", type=Path, metavar="FILE", help="write one HTML file")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        outcome = self._outcome(options)
        if options["tear_sheet"]:
            self._write_sheet(options["tear_sheet"], outcome)
        if options["json"]:
            timing = {"seconds": round(outcome.seconds, 3), "items_per_s": _speed(outcome)}
            self.stdout.write(json.dumps(outcome.result | {"timing": timing}))
        else:
            width = None if self.stdout.isatty() else WIDTH
            console.show(screen(self.stdout, width=width), outcome)
        if outcome.errors:
            self.stderr.write(f"The strategy raised or hung; what is shown ends there.\n{outcome.errors}")
            raise SystemExit(1)

    def _outcome(self, options: dict[str, Any]) -> Outcome:
        try:
            plan = plan_of(options)
            if options["store"]:
                from alphapanda.research import stored  # needs the database, which nothing else here does

                plan = absolute(plan)
                return watched(lambda tell: stored.run_here(plan, name=options["store"], tell=tell))
            found = opened(plan)
            return watched(lambda tell: carried_out(found, tell), found)
        except Refusal as error:
            raise CommandError(str(error)) from None

    def _write_sheet(self, path: Path, outcome: Outcome) -> None:
        from alphapanda.research.tear_sheet import tear_sheet

        try:
            path.write_text(tear_sheet(outcome.result), encoding="utf-8")
        except OSError as error:
            raise CommandError(f"--tear-sheet: cannot write: {error}") from None
        self.stderr.write(f"tear sheet: {path}")


def add_plan_arguments(parser: ArgumentParser) -> None:
    """What backtests and tuning have in common."""
    parser.add_argument("--data", nargs="+", required=True, metavar="FILE", help="FILE[=EXCHANGE:SYMBOL]")
    parser.add_argument(
        "--warm-up",
        nargs="*",
        default=[],
        metavar="FILE",
        help="files that end before, whose bars are seen first",
    )
    parser.add_argument("--from", dest="first_day", metavar="DATE", help="first day, IST, such as 2023-04-03")
    parser.add_argument("--to", dest="last_day", metavar="DATE", help="last day, IST, included")
    parser.add_argument("--each", action="store_true", default=None, help="a deployment for each instrument")
    parser.add_argument("--fills", help=f"a fill model: {', '.join(FILL_MODELS)}; paper by default")
    parser.add_argument("--execution", help="JSON: the rule of execution, over the fill model")
    products = [product.value for product in Product]
    parser.add_argument("--product", choices=products, help="of the orders; MIS by default")
    parser.add_argument("--costs", default="zerodha", help="zerodha, none, order:RUPEES or bps:BASIS_POINTS")
    parser.add_argument("--limits", help="JSON: risk limits")
    parser.add_argument("--instruments", nargs="*", default=[], metavar="LIST", help="further Kite lists")
    parser.add_argument(
        "--rules",
        nargs="*",
        default=[],
        metavar="FILE",
        help="rules of instruments by date, as `manage.py instrument_rules` writes them",
    )
    parser.add_argument("--cash", default="1000000", help="rupees to start with, the base of percentages")


def plan_of(options: dict[str, Any]) -> Plan:
    """The plan of a command line. Raises CommandError, BadPlan."""
    return Plan(
        files=tuple(options["data"]),
        warm_up=tuple(options["warm_up"]),
        definitions=_definitions(options),
        instruments=tuple(options["instruments"]),
        rules=tuple(options["rules"]),
        first_day=day_of("--from", options["first_day"]),
        last_day=day_of("--to", options["last_day"]),
        cash=cash_of(options["cash"]),
        costs=_costs(options["costs"]),
    )


def _definitions(options: dict[str, Any]) -> tuple[deploying.Definition, ...]:
    if bool(options["strategy"]) == bool(options["deployments"]):
        raise CommandError("give the name of a strategy, or --deployments FILE, and not both")
    given = [name for name in OF_A_STRATEGY if options[name] is not None]
    if options["deployments"]:
        if given:
            raise CommandError(
                f"--{given[0]} goes with the name of a strategy; the file of --deployments says it for each of its own"
            )
        return tuple(deploying.read(options["deployments"]))
    options = options | {name: OF_A_STRATEGY[name] for name in OF_A_STRATEGY.keys() - given}
    definition = definition_of(
        options["strategy"],
        files=options["data"],
        params=json_object("--params", options["params"]),
        execution=execution_of(options["fills"], json_object("--execution", options["execution"])),
        limits=json_object("--limits", options["limits"]),
        product=Product(options["product"]),
    )
    return one_for_each(definition) if options["each"] else (definition,)


def day_of(option: str, text: str | None) -> date | None:
    """A day of the command line. Raises CommandError."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise CommandError(f"{option} wants a day such as 2023-04-03, not {text!r}") from None


def cash_of(text: str) -> Decimal:
    """Rupees to start with. Raises CommandError."""
    try:
        cash = Decimal(text)
    except InvalidOperation:
        cash = Decimal("NaN")
    if not is_cash(cash):
        raise CommandError(f"--cash wants rupees from 1 to {CASH_MAX}, not {text!r}")
    return cash


def _costs(text: str) -> Costs:
    try:
        return costs_of(text)
    except ValueError as error:
        raise CommandError(f"--costs: {error}") from None


def _speed(outcome: Outcome) -> int | None:
    return round(outcome.result["meta"]["items"] / outcome.seconds) if outcome.seconds > 0 else None


def watched(work: Callable[[Callable[[int, int], None]], Came], found: Opened | None = None) -> Came:
    """Work with a bar of progress and the time left, where somebody looks."""
    gc.freeze()  # the collector would look through all of Django and the stream again and again
    terminal = screen(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as progress:
        items = f"{len(found.excerpt):,} items" if found else "items"
        task = progress.add_task(items, total=None)
        return work(lambda done, total: progress.update(task, completed=done, total=total))
