"""`manage.py chaos`: kill processes and servers during a paced replay and compare every row."""

from __future__ import annotations

import json
import random
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import msgspec
from django.conf import settings
from django.core.management import BaseCommand, CommandError
from rich.console import Console

from alphapanda.management.commands.parity import show
from alphapanda.proof import chaos, parity, sessions
from alphapanda.stack import Stack, StackFailed
from alphapanda.web.console import screen

DRAIN_TIMEOUT_S = 300.0  # a bound, no measure: machines are shared and slow


class Command(BaseCommand):
    help = (
        "Prove that nothing is lost or doubled, whatever dies. Prints the seed; --seed plays it again. "
        "Exit 1 where a row differs or less was hit than planned."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--seed", type=int, help="default: drawn, and printed")
        parser.add_argument("--short", action="store_true", help="20 kills over the session that ships")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        console = screen(stderr=options["json"])
        seed = options["seed"] if options["seed"] is not None else random.SystemRandom().randrange(1 << 31)
        plan = msgspec.structs.replace(chaos.SHORT if options["short"] else chaos.FULL, seed=seed)
        console.print(f"seed {seed}")
        try:
            calm, wild, toll = _run(console, plan, is_short=options["short"])
        except (StackFailed, FileNotFoundError) as error:
            raise CommandError(f"seed {seed}: {error}") from error
        short = toll.shortfalls(plan)
        self._tell(console, calm, wild, toll, short, as_json=options["json"], seed=seed)
        if not (calm.is_good and wild.is_good) or short:
            raise SystemExit(1)

    def _tell(
        self,
        console: Console,
        calm: parity.Outcome,
        wild: parity.Outcome,
        toll: chaos.Toll,
        short: list[str],
        *,
        as_json: bool,
        seed: int,
    ) -> None:
        if as_json:
            found = {"seed": seed, "uninterrupted": calm, "killed": wild, "toll": toll, "kills": toll.killed}
            found["short"] = short
            self.stdout.write(json.dumps(msgspec.to_builtins(found)))
            return
        show(console, calm)
        show(console, wild)
        console.print(f"kills {toll.killed}: " + ", ".join(f"{k} {v}" for k, v in toll.kills.items()))
        console.print(
            f"directed crashes {len(toll.crashes)}; less than planned: {', '.join(short) or 'nothing'}"
        )


def _run(
    console: Console, plan: chaos.Plan, *, is_short: bool
) -> tuple[parity.Outcome, parity.Outcome, chaos.Toll]:
    recording = sessions.shipped() if is_short else sessions.a_month(Path(settings.DATA))
    source = recording.source()
    expected = parity.of_accounts([run.account for run in recording.backtest(source)])
    console.print(f"backtest: {len(source):,} items")
    with tempfile.TemporaryDirectory(prefix="alphapanda-") as folder, console.status("") as status:
        environment = recording.environment(Path(folder) / "deployments.json")
        status.update("the uninterrupted run")
        calm = parity.run(
            label="uninterrupted",
            environment=environment,
            last_seq=source.last_seq,
            expected=expected,
            timeout_s=DRAIN_TIMEOUT_S,
        )
        armed = Path(folder) / "failpoints"
        armed.mkdir()
        toll = chaos.Toll()

        def during(stack: Stack) -> None:
            nonlocal toll
            toll = chaos.havoc(stack, plan, armed, status.update)

        wild = parity.run(
            label=f"killed, seed {plan.seed}",
            environment={
                **environment,
                "ALPHAPANDA_FEED_SPEED": str(sessions.speed_for(source, seconds=plan.seconds)),
                "ALPHAPANDA_FAILPOINT_DIR": str(armed),
            },
            without=("web",),
            last_seq=source.last_seq,
            expected=expected,
            timeout_s=DRAIN_TIMEOUT_S,
            during=during,
        )
        toll.unfired = chaos.unfired(armed)
        toll.crashes = sorted(chaos.FAILPOINTS - set(toll.unfired))
    return calm, wild, toll
