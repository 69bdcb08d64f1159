"""`manage.py replay NAME`: a deployment folded anew from the log, at paper or at a broker, row by row."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from alphapanda.eventlog import incarnation
from alphapanda.eventlog.client import LogReader
from alphapanda.eventlog.records import LogError
from alphapanda.replaying import NoReplay, Replay, replay


class Command(BaseCommand):
    help = "Fold a deployment anew from the log and what people and brokers did; compare every row."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="of the deployment; those that share limits with it are folded too")
        parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object")

    def handle(self, *, name: str, as_json: bool, **_options: Any) -> None:
        try:
            with LogReader("replay") as reader:
                found = replay(name, reader=reader, incarnation=incarnation.current())
        except (NoReplay, LogError) as error:
            raise CommandError(str(error)) from None
        self.stdout.write(json.dumps(msgspec.to_builtins(found)) if as_json else _text(found))
        if found.differences:
            raise SystemExit(1)


def _text(found: Replay) -> str:
    counts = ", ".join(f"{count:,} {kind}" for kind, count in found.rows.items())
    lines = [f"{', '.join(found.deployments)}: {found.items:,} items, {counts}"]
    lines.append(f"{found.differences} rows differ")
    lines += [
        f"first: {one.deployment}, {one.kind} {one.number}: stored {one.found.row}, folded {one.expected.row}"
        for one in found.first
    ]
    return "\n".join(lines)
