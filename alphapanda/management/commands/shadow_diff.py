"""How a shadow has decided otherwise than its original, item by item of the log, and what each has made since."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.table import Table

from alphapanda.core.clock import ist_text
from alphapanda.shadows import SAME, Comparison, NoShadow, shadow_compare
from alphapanda.web.console import screen
from alphapanda.web.formats import rupees_signed


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="of the shadow, or of a deployment that has one")
        parser.add_argument("--all", action="store_true", dest="is_all", help="also what is the same")
        parser.add_argument("--json", action="store_true", dest="as_json", help="for scripts; everything")

    def handle(self, *, name: str, is_all: bool, as_json: bool, **_options: Any) -> None:
        try:
            found = shadow_compare(name)
        except NoShadow as error:
            raise CommandError(str(error)) from None
        if as_json:
            self.stdout.write(json.dumps(msgspec.to_builtins(found)))
            return
        console = screen(self.stdout, width=None if self.stdout.isatty() else 160)
        console.print(_differences(found, is_all=is_all))
        counts = ", ".join(f"{verdict} {count}" for verdict, count in found.counts.items())
        console.print(f"{found.since} to {found.until}: {counts}")
        console.print(
            f"profit here {rupees_signed(found.profit_here)}, there {rupees_signed(found.profit_there)}, "
            f"difference {rupees_signed(found.profit_difference)}"
        )


def _differences(found: Comparison, *, is_all: bool) -> Table:
    table = Table("time", "instrument", "verdict", f"here: {found.original}", f"there: {found.shadow}")
    for row in found.differences:
        if is_all or row.verdict != SAME:
            here, there = ", ".join(row.here), ", ".join(row.there)
            table.add_row(ist_text(row.at_ms), row.instrument, row.verdict, here, there)
    return table
