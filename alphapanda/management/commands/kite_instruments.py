"""`manage.py kite_instruments`: take over Kite's instrument lists of today."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from alphapanda.kite_command import KiteCommand
from marketdata.domain.instruments import NotAnInstrumentList
from marketdata.domain.markets import EXCHANGES
from marketdata.management.commands.load_instruments import LOST_PERCENT_MAX, show_reports
from marketdata.services.kite_instruments import instruments_load

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(KiteCommand):
    help = "Load the instrument lists of the day from Kite (a new one about 08:30 IST), all or those of exchanges."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("exchanges", nargs="*", metavar="EXCHANGE", help=f"of {', '.join(EXCHANGES)}")
        parser.add_argument(
            "--delist-many",
            action="store_true",
            help=f"also where more than {LOST_PERCENT_MAX} %% of an exchange are not in the list",
        )
        super().add_arguments(parser)

    def handle(self, *_args: Any, exchanges: list[str], as_json: bool, **options: Any) -> None:
        read, now = self.reader(options["account"]), timezone.now()
        lost_max = 100 if options["delist_many"] else LOST_PERCENT_MAX
        reports = {}
        with transaction.atomic():
            for exchange in exchanges or [""]:
                reports[f"Kite {exchange or 'all'}"] = self.asked(
                    lambda exchange=exchange: instruments_load(
                        read, exchange=exchange, now=now, lost_percent_max=lost_max
                    ),
                    NotAnInstrumentList,
                )
        show_reports(self.stdout, reports, as_json=as_json)
