"""`manage.py kite_quotes`: what instruments stand at, from Kite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alphapanda.kite_command import KiteCommand
from marketdata.domain.kite_quotes import BadQuote
from marketdata.models import Instrument
from marketdata.services.kite_quotes import circuits_note, quotes
from marketdata.users import uses

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(KiteCommand):
    help = "Show quotes from Kite; what Kite does not know, or has expired, is named."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "keys", nargs="*", metavar="EXCHANGE:SYMBOL", help="default: what deployments and positions use"
        )
        parser.add_argument(
            "--circuits", action="store_true", help="take over the circuit limits of the day, for decisions"
        )
        super().add_arguments(parser)

    def handle(self, *_args: Any, keys: list[str], as_json: bool, **options: Any) -> None:
        read = self.reader(options["account"])
        keys = keys or _in_use()
        found = self.asked(lambda: quotes(read, keys), BadQuote)
        rows = [
            {
                "instrument": key,
                "last": quote.last_price,
                "open": quote.ohlc.open,
                "high": quote.ohlc.high,
                "low": quote.ohlc.low,
                "close before": quote.ohlc.close,
                "volume": quote.volume,
                "circuits": f"{quote.lower_circuit_limit} to {quote.upper_circuit_limit}",
                "at": quote.timestamp,
            }
            for key, quote in found.items()
        ]
        self.show(rows, as_json=as_json, nothing="Kite knows none of them.")
        if options["circuits"]:
            self.stderr.write(f"Circuit limits of {circuits_note(found)} instruments taken over.")
        if rows and (missing := [key for key in keys if key not in found]):
            self.stderr.write(f"Kite knows nothing of {', '.join(missing)}.")


def _in_use() -> list[str]:
    """The instruments that somebody above has, by name."""
    used = {use.instrument_id for use in uses()}
    return [str(one) for one in Instrument.objects.filter(pk__in=used).order_by("exchange", "tradingsymbol")]
