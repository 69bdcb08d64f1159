"""`manage.py optimise`: tune a strategy's parameters, walk forward, and look once at what was held out."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from alphapanda.core.refusals import Refusal
from alphapanda.management.commands.backtest import WIDTH, add_plan_arguments, plan_of, watched
from alphapanda.research.console import pairs
from alphapanda.research.optimising import Object, optimised, parts_of
from alphapanda.research.places import absolute
from alphapanda.research.plan import checked, opened
from alphapanda.research.search import search_of
from alphapanda.research.tuning import OBJECTIVES, value_text
from alphapanda.web.console import json_object, screen
from alphapanda.web.formats import number, rupees_signed
from strategies.registry import find


class Command(BaseCommand):
    help = "Tune parameters with Optuna: walk-forward windows, a hold-out, a heat map, and how much is luck."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("strategy", help="the name of a strategy, such as ema_cross")
        add_plan_arguments(parser)
        parser.add_argument("--params", help="JSON: parameters that are not tuned")
        parser.add_argument(
            "--space", required=True, help='JSON: {"fast": [3, 20], "short": {"of": [true, false]}}'
        )
        parser.add_argument("--objective", default="sharpe", help=f"made large: {', '.join(OBJECTIVES)}")
        parser.add_argument("--trials", type=int, default=100, help="sets of parameters for each study")
        parser.add_argument("--seed", type=int, default=1, help="of every random choice")
        parser.add_argument("--walk-forward", type=int, default=4, metavar="K", help="windows; 0: none")
        parser.add_argument(
            "--rolling", action="store_true", help="train on the block before, not on all before"
        )
        parser.add_argument(
            "--hold-out", type=float, default=0.2, help="share of the days that is never tuned on"
        )
        parser.add_argument("--shuffles", type=int, default=100, help="runs on shuffled bars; 0: none")
        parser.add_argument("--store", metavar="NAME", help="keep the result in the database")
        parser.add_argument("--html", type=Path, metavar="FILE", help="write one HTML file")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            result = self._result(options)
        except Refusal as error:
            raise CommandError(str(error)) from None
        if options["html"]:
            self._write(options["html"], result)
        if options["json"]:
            self.stdout.write(json.dumps(result))
        else:
            width = None if self.stdout.isatty() else WIDTH
            _show(screen(self.stdout, width=width), result)

    def _result(self, options: dict[str, Any]) -> Object:
        plan = checked(plan_of(options | {"deployments": None}))
        names = ("objective", "trials", "seed", "walk_forward", "hold_out", "rolling", "shuffles")
        raw = {name: options[name] for name in names}
        raw["space"] = json_object("--space", options["space"])
        search = search_of(raw, find(options["strategy"]))
        if options["store"]:
            from alphapanda.research import stored  # needs the database, which nothing else here does

            where = {"name": options["store"]}
            return watched(lambda tell: stored.search_here(absolute(plan), search, **where, tell=tell))
        found = opened(plan)
        parts_of(found.excerpt, search)  # refuse what cannot be cut before anything is run
        return watched(lambda tell: optimised(found, search, tell), found)

    def _write(self, path: Path, result: Object) -> None:
        from alphapanda.research.tuning_sheet import tuning_sheet

        try:
            path.write_text(tuning_sheet(result), encoding="utf-8")
        except OSError as error:
            raise CommandError(f"--html: cannot write: {error}") from None
        self.stderr.write(f"page: {path}")


def _show(console: Console, result: Object) -> None:
    meta, best = result["meta"], result["best"]
    grid = Table(box=None, show_header=False, pad_edge=False)
    grid.add_row("strategy", Text(meta["strategy"], style="bold"))
    grid.add_row("tuned on", " to ".join(meta["seen"]))
    grid.add_row("held out", " to ".join(meta["held_out"]) if meta["held_out"] else "nothing")
    grid.add_row(
        "trials", f"{number(len(result['trials']))} different ones of {meta['trials']}, seed {meta['seed']}"
    )
    value = f", {meta['objective']} {value_text(best['value'])}"
    grid.add_row("best", Text.assemble((pairs(best["params"]), "bold"), value))
    console.print(grid)
    console.print(_excerpts(result))
    console.print(_luck(result["significance"]))
    console.print(_top(result["trials"], meta["objective"]))
    for one in result["findings"]:
        console.print(Text.assemble((one["code"], "yellow"), f" {one['text']}"))


def _excerpts(result: Object) -> Table:
    table = Table(title=f"\nout of sample: {result['meta']['objective']}", title_justify="left")
    for heading in ("days", "parameters"):
        table.add_column(heading)
    for heading in ("trained", "tested", "trades", "profit"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in result["walk_forward"]:
        table.add_row(*_cells(one["test"], pairs(one["params"]), one["train_value"]))
    if result["hold_out"]:
        best = result["best"]
        table.add_row(*_cells(result["hold_out"], f"held out: {pairs(best['params'])}", best["value"]))
    return table


def _cells(excerpt: Object, params: str, trained: float) -> tuple[str, ...]:
    figures = excerpt["statistics"]
    return (
        " to ".join(excerpt["days"]),
        params,
        value_text(trained),
        value_text(excerpt["value"]),
        number(figures["trades"]),
        rupees_signed(figures["net_pnl"]),
    )


def _luck(found: Object) -> str:
    lines = [f"\nluck, on the {'hold-out' if found['on'] == 'hold_out' else 'days it was tuned on'}"]
    for name, words in (("trades", "trades with random signs"), ("bars", "shuffled bars")):
        if one := found[name]:
            lines.append(
                f"  {words}: p {one['p_value']:.4f} ({number(one['runs'])} runs, seed {one['seed']})"
            )
        else:
            lines.append(f"  {words}: not run{': ' + found['bars_refused'] if found['bars_refused'] else ''}")
    return "\n".join(lines)


def _top(trials: list[Object], objective: str) -> Table:
    table = Table(title="\nbest trials", title_justify="left")
    table.add_column("parameters")
    for heading in (objective, "trades", "profit"):
        table.add_column(heading, justify="right", no_wrap=True)
    valued = sorted((one for one in trials if one["value"] is not None), key=lambda one: -one["value"])
    for one in valued[:8]:
        table.add_row(
            pairs(one["params"]),
            value_text(one["value"]),
            number(one["trades"]),
            rupees_signed(one["net_pnl"]),
        )
    return table
