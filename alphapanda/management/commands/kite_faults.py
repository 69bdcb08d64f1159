"""`manage.py kite_faults`: a broker that goes wrong, processes that die, and the books at the Kite simulator."""

from __future__ import annotations

import os
import random
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from django.core.management import BaseCommand, CommandError
from rich.console import Console
from rich.progress import track

from alphapanda import logs
from alphapanda.proof import kite_faults, kite_kills, kite_outage
from alphapanda.proof.kite_world import set_up
from alphapanda.proof.private import copied_database, private_database
from alphapanda.web.console import screen

OPEN_ORDERS = 200
TRADES, CUT_MS = 300, 60_000


class Command(BaseCommand):
    help = (
        "Prove that our books equal the broker's whatever goes wrong there, and whoever dies here. Prints the seed; "
        "--seed with --only plays one scenario again. Exit 1 where something does not hold."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--scenarios", type=int, default=2_000)
        parser.add_argument("--seed", type=int, help="default: drawn, and printed")
        parser.add_argument(
            "--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time; default: one a core"
        )
        parser.add_argument("--only", type=int, metavar="K", help="one scenario of the seed")
        parser.add_argument(
            "--kill-race", action="store_true", help="the kill switch against orders on their way"
        )
        parser.add_argument(
            "--outage", action="store_true", help="no updates for a minute in which 300 trades are made"
        )
        parser.add_argument("--kills", type=int, default=200, help="runs of the race")
        parser.add_argument("--orders", type=int, default=500, help="of each run of the race")

    def handle(self, *_args: Any, **options: Any) -> None:
        console = screen()
        seed = options["seed"] if options["seed"] is not None else random.SystemRandom().randrange(1 << 31)
        console.print(f"seed {seed}")
        if options["orders"] < 2:
            raise CommandError("--orders: at least 2, for the kill falls between them")
        if options["jobs"] < 1:
            raise CommandError("--jobs: at least 1")
        logs.warnings_only("trading")
        numbers = [options["only"]] if options["only"] is not None else list(range(options["scenarios"]))
        is_good = not numbers or _play(console, seed, numbers, jobs=options["jobs"])
        if options["kill_race"] or options["outage"]:
            with private_database():
                set_up()
                if options["kill_race"]:
                    is_good &= _race(console, seed, kills=options["kills"], orders=options["orders"])
                if options["outage"]:
                    is_good &= _outage(console, seed)
        if not is_good:
            raise SystemExit(1)


def _outage(console: Console, seed: int) -> bool:
    found = kite_outage.run(seed, fills=TRADES, cut_ms=CUT_MS)
    console.print(
        f"outage: {found.fills} trades in {CUT_MS // 1000} s without updates; the books were right "
        f"{found.right_ms / 1000:.1f} s after their return"
    )
    return found.is_good


def _play(console: Console, seed: int, numbers: Sequence[int], *, jobs: int) -> bool:
    """Scenarios, each process its share of them, with a database of its own."""
    tally: Counter[str] = Counter()
    jobs = min(jobs, len(numbers))
    with ProcessPoolExecutor(jobs, mp_context=get_context("fork")) as pool:
        for share in [pool.submit(_share, seed, numbers[one::jobs]) for one in range(jobs)]:
            tally += share.result()
    failed = tally["failed"]
    console.print(
        f"{len(numbers):,} scenarios, {failed} failed: {tally['order']:,} orders, {tally['trade']:,} trades, "
        f"{tally['fault']:,} faults, {tally['death']:,} deaths"
    )
    for name, count in sorted(tally.items()):
        if name.startswith(("fault ", "death at ")):
            console.print(f"  {name}: {count:,}")
    return failed == 0


def _share(seed: int, numbers: Sequence[int]) -> Counter[str]:
    """What happened in scenarios; those that failed are told at once."""
    console, tally = screen(), Counter[str]()
    with private_database():
        set_up()
        for number in numbers:
            run = kite_faults.run(seed, number)
            tally.update(fault=len(run.fired), death=len(run.died), order=run.orders, trade=run.fills)
            tally.update(f"fault {kind}" for kind in run.fired)
            tally.update(f"death at {place}" for place in run.died)
            if run.wrong:
                tally["failed"] += 1
                console.print(f"--seed {seed} --only {number}: {run.scenario.told()}", markup=False)
                for one in run.wrong:
                    console.print(f"    {one}", markup=False)
    return tally


def _race(console: Console, seed: int, *, kills: int, orders: int) -> bool:
    races = []
    for number in track(range(kills), "kill race", console=console):
        with copied_database():  # what one run leaves would be in the way of the next
            races.append(kite_kills.race(seed, number, orders=orders, kill_within=orders))
    late = sum(race.late for race in races)
    sent = sum(race.sent for race in races)
    nearest = min((race.margin_ms for race in races), default=0.0)
    console.print(
        f"kill race: {kills} kills among {sent:,} orders that left, {late} requests began after a kill had "
        f"committed; the nearest began {nearest:.2f} ms before"
    )
    with copied_database():
        swept = kite_kills.cancelled(seed, orders=OPEN_ORDERS)
    console.print(
        f"kill sweep: {swept.orders} open orders, {swept.left} left after {swept.took_ms / 1000:.1f} s; our rate alone "
        f"takes {swept.floor_ms / 1000:.1f} s"
    )
    return late == 0 and swept.is_good
