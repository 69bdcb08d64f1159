"""Strategies: every version that is installed or deployed, with the hash of its file, and every file that does not
load, by line. Looks at the folder, at installed packages and at what ships, and tries again what failed."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from rich.table import Table

from alphapanda.web.console import screen
from strategies.domain.base import Strategy
from strategies.domain.codes import SHIPPED
from strategies.domain.parameters import described
from strategies.registry import files, find
from strategies.selectors import faults_as_rows, versions_as_rows
from strategies.services.catalogue import catalogue_refresh


def parameters_in_markdown() -> str:
    """The parameters of every strategy that ships, a table each."""
    shipped = [file for file in files() if file.code.origin == SHIPPED]
    return "\n".join(_table(find(offer.name)) for file in shipped for offer in file.offers)


def _table(strategy: type[Strategy]) -> str:
    rows = [f"### `{strategy.name}`: {strategy.title}", "", (strategy.Params.__doc__ or "").strip(), ""]
    rows[2] = " ".join(rows[2].split())
    rows += ["| Parameter | Default | Accepted | Meaning |", "| --- | --- | --- | --- |"]
    for one in described(strategy.Params):
        default = "required" if one.is_required else f"`{json.dumps(one.default)}`"
        rows.append(f"| `{one.name}` | {default} | {one.accepted} | {one.description} |")
    return "\n".join([*rows, ""])


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--markdown", action="store_true", help="parameters of what ships, as in docs")
        parser.add_argument("--json", action="store_true", dest="as_json", help="for scripts")

    def handle(self, *, as_json: bool, markdown: bool, **_options: Any) -> None:
        if markdown:
            self.stdout.write(parameters_in_markdown())
            return
        catalogue_refresh(again=True)
        versions, faults = versions_as_rows(), faults_as_rows()
        if as_json:
            self.stdout.write(json.dumps({"strategies": versions, "faults": faults}))
            return
        table = Table("strategy", "version", "hash", "file", "origin", "installed", "deployments")
        for row in versions:
            shown = row | {"hash": row["hash"][:8], "installed": "yes" if row["installed"] else "no"}
            table.add_row(*map(str, shown.values()))
        screen(self.stdout, width=None if self.stdout.isatty() else 160).print(table)
        for row in faults:
            self.stdout.write(f"{row['file']}:{row['line']}: {row['fault']}")
