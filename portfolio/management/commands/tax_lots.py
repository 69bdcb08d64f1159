"""Tax lots, first in first out: `tax_lots --portfolio NAME` or `--broker paper`, `--year 2026-27` for one year."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from rich.table import Table

from alphapanda.core.refusals import Refusal
from alphapanda.web.console import screen
from marketdata.domain.instruments import NoSegment
from portfolio.statements import portfolios_of
from portfolio.tax_report import closed_row, open_row, sum_row, tax_report

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

COLUMNS = (
    "instrument", "term", "quantity", "opened", "closed", "days_held", "buy_value", "sell_value", "profit",
    "charges",
)  # fmt: skip


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--portfolio", default="", help="name of one portfolio")
        parser.add_argument("--broker", default="", help="all portfolios of a broker")
        parser.add_argument("--year", default="", help="financial year in which lots were closed: 2026-27")
        parser.add_argument("--csv", type=Path, help="write the closed lots to a file")
        parser.add_argument("--json", action="store_true", dest="as_json", help="for scripts")

    def handle(self, *, portfolio: str, broker: str, year: str, as_json: bool, **options: Any) -> None:
        if year and not _is_year(year):
            raise CommandError(f"--year {year!r} is no financial year; write 2026-27.")
        try:
            chosen = list(portfolios_of(portfolio=portfolio, broker=broker))
            found = tax_report(chosen, financial_year=year)
        except (Refusal, NoSegment) as error:
            raise CommandError(str(error)) from error
        parts = {
            "sums": [sum_row(one) for one in found.sums],
            "closed": [closed_row(one) for one in found.closed],
            "open": [open_row(one) for one in found.left],
        }
        if path := options["csv"]:
            _write(path, parts["closed"])
        if as_json:
            self.stdout.write(json.dumps(parts))
        else:
            self._show(parts)

    def _show(self, parts: dict[str, list[dict[str, Any]]]) -> None:
        console = screen(self.stdout, width=None if self.stdout.isatty() else 200)
        for title, rows in parts.items():
            if not rows:
                console.print(f"{title}: none")
                continue
            columns = [name for name in COLUMNS if name in rows[0]] if title == "closed" else list(rows[0])
            table = Table(*columns, title=title, title_justify="left")
            for row in rows:
                table.add_row(*(str(row[name]) for name in columns))
            console.print(table)


def _is_year(text: str) -> bool:
    found = re.fullmatch(r"(\d{4})-(\d\d)", text)
    return found is not None and (int(found[1]) + 1) % 100 == int(found[2])


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    try:
        with path.open("w", newline="") as out:
            writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}.") from error
