"""Triggers at the broker that close what is held: `gtt` lists; `gtt place --instrument NSE:INFY --quantity 10
--stop 1400 --target 1600`, `gtt modify ID --quantity 10 --stop 1420`, `gtt delete ID`."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from django.core.management.base import CommandError
from django.utils import timezone

from alphapanda.web.console import ActCommand
from execution.live_selectors import gtts_as_rows, gtts_known
from execution.services.live.gtt import Asked, Wanted, gtt_delete, gtt_modify, gtt_place

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

PRICES = {
    "stop": "where a loss is ended",
    "stop_limit": "the limit of its order; else a percent beyond the stop",
    "target": "where a profit is taken",
    "target_limit": "the limit of its order; else the target",
    "last_price": "the price now, where the platform does not know it",
}


class Command(ActCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("act", nargs="?", default="list", choices=["list", "place", "modify", "delete"])
        parser.add_argument("gtt", nargs="?", default="", help="modify, delete: the id that the list shows")
        parser.add_argument("--instrument", default="", help="place: EXCHANGE:TRADINGSYMBOL of what is held")
        parser.add_argument("--quantity", type=int, default=0, help="units to close")
        for name, told in PRICES.items():
            parser.add_argument(f"--{name.replace('_', '-')}", metavar="RUPEES", help=told)
        parser.add_argument("--key", default="", help="asked again with it, nothing is done twice")
        parser.add_argument("--all", action="store_true", help="list: also what cannot fire any more")
        super().add_arguments(parser)

    def handle(self, *, act: str, as_json: bool, **options: Any) -> None:
        if act != "list":
            asked = Asked(
                key=options["key"] or str(uuid4()),
                actor=options["actor"],
                reason=options["reason"],
                now=timezone.now(),
            )
            self._ask(act, asked, options)
        rows = gtts_as_rows(gtts_known(is_all=options["all"]))
        self.show(rows, as_json=as_json, nothing="No GTT stands.")

    def _ask(self, act: str, asked: Asked, options: dict[str, Any]) -> None:
        if act == "place":
            self.act(gtt_place, instrument=options["instrument"], wanted=_wanted(options), asked=asked)
        elif act == "modify":
            self.act(gtt_modify, gtt_id=_id(options["gtt"]), wanted=_wanted(options), asked=asked)
        else:
            self.act(gtt_delete, gtt_id=_id(options["gtt"]), asked=asked)


def _wanted(options: dict[str, Any]) -> Wanted:
    prices = {name: _rupees(name, options[name]) for name in PRICES}
    return Wanted(quantity=options["quantity"], **prices)


def _rupees(name: str, text: str | None) -> Decimal | None:
    try:
        return None if text is None else Decimal(text)
    except InvalidOperation:
        raise CommandError(f"--{name.replace('_', '-')} {text!r} is no price in rupees.") from None


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise CommandError(f"{text!r} is no id of a GTT: `gtt` lists them.") from None
