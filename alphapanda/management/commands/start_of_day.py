"""`manage.py start_of_day`: the checks before the first entry of a day; exit 1 where one does not pass."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from alphapanda import start_of_day
from alphapanda.web.console import ListCommand
from risk.services.gates import start_of_day_record

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from risk.models import StartOfDay


class Command(ListCommand):
    help = "Check clock, calendar, instruments, limits, books, dead letters and disk before a day of trading."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--actor", default="shell", help="who asks")
        super().add_arguments(parser)

    def handle(self, *, actor: str, as_json: bool, **_options: Any) -> None:
        findings = [asdict(finding) for finding in start_of_day.run()]
        row = start_of_day_record(findings=findings, actor=actor, now=timezone.now())
        is_good = all(finding["is_good"] for finding in findings)
        if as_json:
            told = {"day": str(row.day), "passed": is_good, "day_passed": row.is_passed, "findings": findings}
            self.stdout.write(json.dumps(told))
        else:
            self.show(findings, as_json=False)
            self.stdout.write(f"{row.day}: {'passed' if is_good else 'not passed'}{_earlier(row, is_good)}")
        if not is_good:
            sys.exit(1)


def _earlier(row: StartOfDay, is_good: bool) -> str:
    return "; it had passed before, which is what counts for entries" if row.is_passed and not is_good else ""
