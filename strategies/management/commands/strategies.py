"""Strategies: every version that is installed or deployed, with the hash of its file, and every file that does not
load, by line. Looks at the folder, at installed packages and at what ships, and tries again what failed. Where the
database does not answer it says of the files alone which load, and ends with code 1."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError
from rich.table import Table

from alphapanda.web.console import screen
from strategies.domain.base import Strategy
from strategies.domain.codes import SHIPPED
from strategies.domain.parameters import described
from strategies.registry import files, find
from strategies.selectors import faults_as_rows, versions_as_rows
from strategies.services.catalogue import catalogue_refresh, files_tried


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
        try:
            catalogue_refresh(again=True)
            versions, faults = versions_as_rows(), faults_as_rows()
        except OperationalError as error:
            self._tell_files(as_json=as_json)
            raise CommandError(f"the database does not answer; looked at the files alone: {error}") from error
        if as_json:
            self.stdout.write(json.dumps({"strategies": versions, "faults": faults}))
            return
        table = Table("strategy", "version", "hash", "file", "origin", "installed", "deployments")
        for row in versions:
            shown = row | {"hash": row["hash"][:8], "installed": "yes" if row["installed"] else "no"}
            table.add_row(*map(str, shown.values()))
        screen(self.stdout, width=None if self.stdout.isatty() else 160).print(table)
        self._tell_faults(faults)

    def _tell_files(self, *, as_json: bool) -> None:
        """What can be said without a database: which files load, and what is wrong with the others."""
        results = files_tried()
        loading = sorted(one.name for _, result in results if not result.faults for one in result.strategies)
        faults = [
            {"file": file.code.file, "line": fault.line, "fault": fault.text}
            for file, result in results
            for fault in result.faults
        ]
        if as_json:
            self.stdout.write(json.dumps({"loading": loading, "faults": faults}))
            return
        self.stdout.write(f"these load: {', '.join(loading)}")
        self._tell_faults(faults)

    def _tell_faults(self, faults: Sequence[Mapping[str, Any]]) -> None:
        for row in faults:
            self.stdout.write(f"{row['file']}:{row['line']}: {row['fault']}")
