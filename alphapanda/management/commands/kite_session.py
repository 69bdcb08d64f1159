"""`manage.py kite_session`: a recorded session traded at the Kite simulator and on paper, side by side."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import msgspec
from django.conf import settings
from django.core.management import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from alphapanda.proof import kite_session
from alphapanda.stack import StackFailed
from alphapanda.web.console import screen

SHOWN_MAX = 60


class Command(BaseCommand):
    help = (
        "Trade a recorded session end to end at a Kite simulator of its own and on paper: with lost updates and a new "
        "login in the middle. Every difference is explained, the books equal the broker's, no secret is anywhere."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--speed", type=int, default=60, help="of the session")
        parser.add_argument("--from", dest="at", default="", help='IST time to begin at: "2025-12-15 14:30"')
        parser.add_argument("--keep", type=Path, help="folder for the logs of the run")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        console = screen(stderr=options["json"])
        try:
            with console.status("starting") as status:
                plan = kite_session.Plan(
                    data=Path(settings.DATA), speed=options["speed"], at=options["at"], keep=options["keep"]
                )
                result = kite_session.run(plan, status.update)
        except (StackFailed, FileNotFoundError) as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(msgspec.to_builtins(result) | {"good": not result.faults}))
        else:
            _show(console, result)
        if result.faults:
            raise SystemExit(1)


def _show(console: Console, result: kite_session.Result) -> None:
    table = Table("", "paper", "zerodha", "why")
    for one in result.differences[:SHOWN_MAX]:
        table.add_row(one.what, one.paper, one.live, one.why)
    console.print(table)
    console.print(
        f"{result.signals} signals, {result.orders} orders, {result.trades} trades at the broker "
        f"in {result.seconds} s\n"
        f"{len(result.differences)} differences between the twins, {result.unexplained} unexplained\n"
        f"{result.updates_lost} updates lost in the cut; after the new login ticks came in {result.ticks_after_s} s, "
        f"an order left in {result.order_after_s} s\n"
        f"{result.places} places searched for {result.secrets} secrets"
    )
    for fault in result.faults:
        console.print(f"[red]{fault}[/red]")
