"""`manage.py bench_peers`: our engine and others at the same task on the same files, in turn."""

from __future__ import annotations

import json
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

import msgspec
from django.conf import settings
from django.core.management import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from alphapanda.proof.peers import work
from alphapanda.proof.peers.race import (
    APART_MAX,
    PEERS,
    Load,
    Memory,
    Peer,
    RaceFailed,
    Standing,
    loads,
    memory,
    prepare,
    race,
)
from alphapanda.stack import ROOT
from alphapanda.web.console import screen

FOLDER = ROOT / ".run" / "peers"


class Command(BaseCommand):
    help = "Run our engine and its peers in turn on the same bars and ticks; show medians and ratios."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        names = ", ".join(_name(peer) for peer in PEERS)
        parser.add_argument("--runs", type=_positive, default=5, help="of each engine, one after the other")
        parser.add_argument("--bars", type=_positive, default=work.BARS)
        parser.add_argument("--ticks", type=_positive, default=work.TICKS)
        parser.add_argument("--peers", default=names, help=f"which of {names}; none but ours: ''")
        parser.add_argument(
            "--orders", action="store_true", help="also our own speed with more and more orders"
        )
        parser.add_argument(
            "--memory", action="store_true", help="also our own memory at more and more ticks"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        console = screen(stderr=True)
        peers = _chosen(options["peers"])
        runs = options["runs"]
        try:
            with console.status("data") as status:
                files = _files("work", options["bars"], options["ticks"])
                prepare(FOLDER, peers, status.update)
                standings = [
                    standing
                    for kind in ("bars", "ticks")
                    for standing in race(FOLDER, peers, files, kind, runs, status.update)
                ]
                busier = loads(FOLDER, files, runs, status.update) if options["orders"] else []
                longer = _longer(options["ticks"], status.update) if options["memory"] else []
        except RaceFailed as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(_json(files.origin, standings, busier, longer))
        else:
            _show(screen(self.stdout, width=110), files.origin, standings)
            _show_loads(screen(self.stdout, width=110), busier, longer)
        apart = [f"{one.peer} at the {one.kind}" for one in standings if not one.agrees]
        if apart:
            raise CommandError(
                f"not the same task: the money at the end of {', '.join(apart)} is more than {APART_MAX:.2%} from ours"
            )


def _positive(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise ArgumentTypeError(f"a whole number above 0, not {text!r}")
    return int(text)


def _name(peer: Peer) -> str:
    return peer.module.rpartition("_")[2]


def _chosen(text: str) -> list[Peer]:
    known = {_name(peer): peer for peer in PEERS}
    names = [name.strip() for name in text.split(",") if name.strip()]
    if strange := [name for name in names if name not in known]:
        raise CommandError(f"--peers: no {', '.join(strange)}; there are {', '.join(known)}")
    return [known[name] for name in names]


def _files(name: str, bars: int, ticks: int) -> work.Work:
    return work.write(FOLDER / name, Path(settings.DATA), bars=bars, ticks=ticks)


def _longer(ticks: int, tell: Any) -> list[Memory]:
    """A quarter, one, and two times the ticks."""
    works = [_files(f"work_{size}", 375, size) for size in (ticks // 4, ticks, 2 * ticks)]
    return memory(FOLDER, works, tell)


def _json(origin: str, standings: list[Standing], busier: list[Load], longer: list[Memory]) -> str:
    rows = [
        msgspec.to_builtins(one) | {"items_per_s": one.items_per_s, "items_per_cpu_s": one.items_per_cpu_s}
        for one in standings
    ]
    found = {"data": origin, "standings": rows, "orders": busier, "memory": longer}
    return json.dumps(msgspec.to_builtins(found))


def _show(console: Console, origin: str, standings: list[Standing]) -> None:
    for kind in ("bars", "ticks"):
        found = [one for one in standings if one.kind == kind]
        ours = found[0]
        table = Table(title=f"{ours.items:,} {kind}: {origin}", title_justify="left")
        for heading in ("engine", "version"):
            table.add_column(heading)
        for heading in (f"{kind}/s", f"{kind}/CPU s", "of ours", "orders", "equity at the end"):
            table.add_column(heading, justify="right")
        for one in found:
            name = one.peer if one.is_event_driven else f"{one.peer} (vectorised)"
            table.add_row(
                name,
                one.version,
                f"{one.items_per_s:,.0f}",
                f"{one.items_per_cpu_s:,.0f}",
                f"{one.items_per_cpu_s / ours.items_per_cpu_s:.2f}",
                f"{one.orders:,}",
                f"{one.equity:,.2f} ({one.apart_percent:+.5f} %)",
            )
        console.print(table)


def _show_loads(console: Console, busier: list[Load], longer: list[Memory]) -> None:
    if busier:
        table = Table(title="Ours with more and more orders", title_justify="left")
        for heading in ("orders", "CPU s", "bars/CPU s", "us an order", "last fifth slower by"):
            table.add_column(heading, justify="right")
        for one in busier:
            each = "" if one.order_us is None else f"{one.order_us:.0f}"
            table.add_row(
                f"{one.orders:,}",
                f"{one.cpu_s:.2f}",
                f"{one.items_per_cpu_s:,.0f}",
                each,
                "" if one.slower_percent is None else f"{one.slower_percent:+.1f} %",
            )
        console.print(table)
    if longer:
        table = Table(title="Ours with more and more ticks", title_justify="left")
        for heading in ("ticks", "peak memory, MB"):
            table.add_column(heading, justify="right")
        for one in longer:
            table.add_row(f"{one.ticks:,}", f"{one.memory_mb}")
        console.print(table)
