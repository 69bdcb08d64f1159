"""`manage.py load_instruments`: take over Kite's instrument lists."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone
from rich.console import Console
from rich.table import Table

from alphapanda.web.console import screen
from marketdata.domain.instruments import NotAnInstrumentList
from marketdata.services.calendar import calendars_load_shipped
from marketdata.services.instruments import ListCutShort, LoadReport, load, load_shipped
from marketdata.services.master import in_words

FAULTS_SHOWN = 10
LOST_PERCENT_MAX = 20


class Command(BaseCommand):
    help = "Load instrument lists (Kite's CSV, .gz too); without a file those that ship, and the calendar."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
        parser.add_argument(
            "--delist-many",
            action="store_true",
            help=f"also where more than {LOST_PERCENT_MAX} %% of an exchange are not in the list",
        )
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, *_args: Any, files: list[Path], **options: Any) -> None:
        now = timezone.now()
        lost_max = 100 if options["delist_many"] else LOST_PERCENT_MAX
        try:
            with transaction.atomic():
                reports = {str(path): load(path, now=now, lost_percent_max=lost_max) for path in files}
        except ListCutShort as error:
            raise CommandError(
                f"no instruments loaded: {error}; if that is right, add --delist-many"
            ) from error
        except (OSError, NotAnInstrumentList) as error:
            raise CommandError(f"no instruments loaded: {error}") from error
        if not files:
            calendars_load_shipped()
            reports = {"shipped": load_shipped(now=now)}
        show_reports(self.stdout, reports, as_json=options["json"])


def show_reports(out: Any, reports: dict[str, LoadReport], *, as_json: bool) -> None:
    """Write what lists changed, by the name of the list."""
    if as_json:
        out.write(json.dumps({name: _as_json(report) for name, report in reports.items()}))
    else:
        _show(screen(out), reports)


def _as_json(report: LoadReport) -> dict[str, Any]:
    faulty = [{"line": f.line, "instrument": f.key, "reason": f.reason} for f in report.faulty]
    return {
        "loaded_at": report.loaded_at.isoformat(),
        "added": report.added,
        "changed": report.changed,
        "unchanged": report.unchanged,
        "delisted": report.delisted,
        "faulty": faulty,
        "touched": [
            {
                "instrument": one.instrument,
                "changes": [in_words(change) for change in one.changes],
                "used_by": [{"kind": use.kind, "id": use.id, "name": use.name} for use in one.uses],
            }
            for one in report.touched
        ],
    }


def _show(console: Console, reports: dict[str, LoadReport]) -> None:
    table = Table("File")
    for heading in ("Added", "Changed", "Unchanged", "Delisted", "Faulty"):
        table.add_column(heading, justify="right")
    for name, report in reports.items():
        counts = (report.added, report.changed, report.unchanged, report.delisted, len(report.faulty))
        table.add_row(Path(name).name, *map(str, counts))
    console.print(table)
    for report in reports.values():
        for one in report.touched:
            for change in one.changes:
                users = ", ".join(f"{use.kind} {use.name}" for use in one.uses)
                console.print(
                    f"{one.instrument} {in_words(change)}: used by {users}", style="red", markup=False
                )
    for name, report in reports.items():
        for fault in report.faulty[:FAULTS_SHOWN]:
            console.print(
                f"{Path(name).name} line {fault.line}: {fault.reason}", style="yellow", markup=False
            )
