"""`manage.py kite_candles`: historical candles from Kite into files that `backtest --data` reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import CommandError
from django.utils import timezone

from alphapanda.kite_command import KiteCommand
from alphapanda.management.commands.backtest import day_of, watched
from marketdata.domain.kite_candles import BadCandles, Interval, Span
from marketdata.models import Instrument
from marketdata.selectors import primary_keys
from marketdata.services.kite_candles import WHY_NOT_KEPT, candles_fetch, folder_of

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(KiteCommand):
    help = "Fetch historical candles from Kite; asked again it goes on where it broke off."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("keys", nargs="+", metavar="EXCHANGE:SYMBOL")
        parser.add_argument("--interval", choices=list(Interval), default=Interval.MINUTE, type=str)
        parser.add_argument("--from", dest="first", required=True, metavar="DATE", help="the first day, IST")
        parser.add_argument("--to", dest="last", required=True, metavar="DATE", help="the last day, included")
        parser.add_argument("--folder", type=Path, help="of what may be kept (ALPHAPANDA_KITE_ARCHIVE)")
        super().add_arguments(parser)

    def handle(self, *_args: Any, keys: list[str], as_json: bool, **options: Any) -> None:
        instruments = _instruments(keys)
        read = self.reader(options["account"])
        folder = self.act(folder_of, wanted=options["folder"])
        days = Span(day_of("--from", options["first"]), day_of("--to", options["last"]))
        if not settings.KITE_ARCHIVE:
            self.stderr.write(f"Gone at 06:00 IST: {WHY_NOT_KEPT}.")
        found = self.asked(
            lambda: watched(
                lambda progress: candles_fetch(
                    read,
                    instruments,
                    interval=Interval(options["interval"]),
                    days=days,
                    folder=folder,
                    now=timezone.now(),
                    progress=progress,
                )
            ),
            BadCandles,
        )
        if as_json:
            self.stdout.write(json.dumps(found))
        else:  # to be copied, so not in a table, which may break a line
            self.stdout.write("\n".join(found) or "Kite has no candles of these days.")


def _instruments(keys: list[str]) -> list[Instrument]:
    known = primary_keys(keys)
    if unknown := [key for key in keys if key not in known]:
        raise CommandError(
            f"no instrument {unknown[0]}; expected EXCHANGE:SYMBOL as the instrument list has it"
        )
    return list(Instrument.objects.filter(pk__in=known.values()).order_by("exchange", "tradingsymbol"))
