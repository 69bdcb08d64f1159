"""`manage.py load_freeze_quantities`: take over NSE's file of the largest orders in derivatives."""

from __future__ import annotations

import json
from argparse import ArgumentParser, ArgumentTypeError
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rich.console import Console

from alphapanda.core.clock import ist_date, to_ms
from alphapanda.web.console import screen
from marketdata.services.master import in_words
from marketdata.services.rules import FreezeReport, NotAFreezeFile, freeze_load

SHOWN_MAX = 20


class Command(BaseCommand):
    help = "Load freeze quantities (NSE's columns SYMBOL and VOL_FRZ_QTY, in units): they change monthly."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--exchange", choices=["NFO", "BFO", "CDS", "MCX"], default="NFO")
        parser.add_argument("--valid-from", type=_day, metavar="YYYY-MM-DD", help="default: today in India")
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, *_args: Any, file: Path, **options: Any) -> None:
        valid_from = options["valid_from"] or ist_date(to_ms(timezone.now()))
        try:
            report = freeze_load(file, exchange=options["exchange"], valid_from=valid_from)
        except (OSError, UnicodeDecodeError, NotAFreezeFile) as error:
            raise CommandError(f"no freeze quantities loaded: {error}") from error
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(report)))
        else:
            _show(screen(self.stdout), report)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a day; write YYYY-MM-DD") from None


def _as_json(report: FreezeReport) -> dict[str, Any]:
    changed = [{"underlying": c.instrument, "before": c.before, "after": c.after} for c in report.changed]
    return {
        "underlyings": report.underlyings,
        "changed": changed,
        "instruments": report.instruments,
        "unknown": report.unknown,
    }


def _show(console: Console, report: FreezeReport) -> None:
    console.print(
        f"{report.underlyings} underlyings, {len(report.changed)} changed, "
        f"{report.instruments} listed derivatives updated"
    )
    for change in report.changed[:SHOWN_MAX]:
        console.print(f"{change.instrument} {in_words(change)}")
    if report.unknown:
        names = ", ".join(report.unknown[:SHOWN_MAX])
        console.print(f"no derivative is listed on {names}", style="yellow")
