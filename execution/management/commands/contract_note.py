"""What contract notes of a day would say, beside what is booked: `contract_note --portfolio NAME --day YYYY-MM-DD`."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from rich.table import Table

from alphapanda.core.money import ZERO
from alphapanda.core.refusals import Refusal
from alphapanda.web.console import screen
from alphapanda.web.formats import plain
from execution.contract_notes import DayNote, day_note
from execution.domain.charges import NoChargeCard
from marketdata.domain.instruments import NoSegment
from portfolio.statements import day_of, portfolios_of

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--portfolio", default="", help="name of one portfolio")
        parser.add_argument("--broker", default="", help="all portfolios of a broker, as one client")
        parser.add_argument("--day", required=True, help="trading date in India, YYYY-MM-DD")
        parser.add_argument("--json", action="store_true", dest="as_json", help="for scripts")

    def handle(self, *, portfolio: str, broker: str, day: str, as_json: bool, **_options: Any) -> None:
        try:
            when = day_of(day)
            found = day_note(list(portfolios_of(portfolio=portfolio, broker=broker)), when)
        except (Refusal, NoChargeCard, NoSegment) as error:
            raise CommandError(str(error)) from error
        if as_json:
            self.stdout.write(json.dumps(_object(found)))
        else:
            self._show(found)

    def _show(self, found: DayNote) -> None:
        notes = {note.exchange: note.lines for note in found.notes}
        columns = {**notes, "depository": found.depository, "booked": found.booked}
        lines = sorted({line for amounts in columns.values() for line in amounts})
        table = Table("line", title=f"{found.day:%A, %d %B %Y}", title_justify="left")
        for name in columns:
            table.add_column(name, justify="right")
        for line in lines:
            table.add_row(line, *(_text(amounts.get(line)) for amounts in columns.values()))
        table.add_section()
        table.add_row("total", *(plain(sum(amounts.values(), ZERO)) for amounts in columns.values()))
        console = screen(self.stdout, width=None if self.stdout.isatty() else 200)
        console.print(table)
        console.print(f"Notes and depository take {plain(found.difference)} rupees more than is booked.")
        if found.is_assumed:
            console.print("Rates of this day are not known: those of the oldest card stand in for them.")


def _text(amount: Decimal | None) -> str:
    return "" if amount is None else plain(amount)


def _object(found: DayNote) -> dict[str, Any]:
    def texts(amounts: dict[str, Decimal]) -> dict[str, str]:
        return {line: plain(amount) for line, amount in amounts.items()}

    return {
        "day": found.day.isoformat(),
        "is_assumed": found.is_assumed,
        "notes": [
            {
                "exchange": note.exchange,
                "bought": plain(note.bought),
                "sold": plain(note.sold),
                "lines": texts(note.lines),
                "charged": plain(note.charged),
            }
            for note in found.notes
        ],
        "depository": texts(found.depository),
        "booked": texts(found.booked),
        "charged": plain(found.charged),
        "difference": plain(found.difference),
    }
