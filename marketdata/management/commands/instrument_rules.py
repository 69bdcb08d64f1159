"""`manage.py instrument_rules`: the rules by date that the database keeps, as a file that backtests read."""

from __future__ import annotations

import csv
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from marketdata import selectors
from marketdata.domain.dated import COLUMNS, as_rows


class Command(BaseCommand):
    help = "Write rules of instruments by date as CSV: what `manage.py backtest --rules FILE` reads."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "instruments", nargs="*", metavar="EXCHANGE:SYMBOL", help="default: all with rules"
        )

    def handle(self, *_args: Any, instruments: list[str], **_options: Any) -> None:
        found = selectors.dated_rules(instruments)
        if unknown := sorted(set(instruments) - found.keys()):
            raise CommandError(f"no instrument {unknown[0]}: load its list with `manage.py load_instruments`")
        writer = csv.DictWriter(self.stdout, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for key in sorted(found):
            writer.writerows(as_rows(key, found[key]))
