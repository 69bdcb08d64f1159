"""`manage.py restarts`: interrupt the session that ships, go on, and compare every row with the backtest."""

from __future__ import annotations

import json
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import msgspec
from django.core.management import BaseCommand, CommandError
from rich.console import Console

from alphapanda.management.commands.parity import show
from alphapanda.proof import parity, restarts, sessions
from alphapanda.stack import StackFailed
from alphapanda.web.console import screen

SECONDS = 20.0
TIMEOUT_S = 600.0  # a bound, no measure


class Command(BaseCommand):
    help = "Stop and start all, lose the log, stop one deployment, in mid-session: no row may differ."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        console = screen(stderr=options["json"])
        try:
            outcome = _run(console)
        except (StackFailed, restarts.BooksDiffer) as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(msgspec.to_builtins(outcome)))
        else:
            show(console, outcome)
        if not outcome.is_good:
            raise SystemExit(1)


def _run(console: Console) -> parity.Outcome:
    recording = sessions.shipped()
    source = recording.source()
    expected = parity.of_accounts([run.account for run in recording.backtest(source)])
    with tempfile.TemporaryDirectory(prefix="alphapanda-") as folder, console.status("playing") as status:
        return parity.run(
            label="interrupted",
            environment={
                **recording.environment(Path(folder) / "deployments.json"),
                "ALPHAPANDA_FEED_SPEED": str(sessions.speed_for(source, seconds=SECONDS)),
            },
            last_seq=source.last_seq,
            expected=expected,
            timeout_s=TIMEOUT_S,
            during=lambda stack: restarts.interrupt(stack, source.last_seq, status.update),
        )
