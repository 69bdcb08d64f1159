"""Splits, bonuses, dividends: `corporate_action` lists; `corporate_action add|apply NSE:INFY BONUS 2018-09-04`."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError
from django.utils import timezone

from alphapanda.web.console import ActCommand
from execution.services.corporate import corporate_action_apply
from portfolio.corporate import action_add
from portfolio.domain.corporate import ActionKind
from portfolio.selectors import corporate_actions
from portfolio.statements import day_of

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from portfolio.models import CorporateAction


class Command(ActCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("act", nargs="?", default="list", choices=["list", "add", "apply"])
        parser.add_argument("instrument", nargs="?", default="", help="EXCHANGE:TRADINGSYMBOL")
        parser.add_argument("kind", nargs="?", default="", choices=["", *ActionKind])
        parser.add_argument("ex_date", nargs="?", default="", help="YYYY-MM-DD")
        parser.add_argument("--new", type=int, default=0, help="split: shares that come; bonus: shares given")
        parser.add_argument(
            "--old", type=int, default=0, help="split: shares that go; bonus: for so many held"
        )
        parser.add_argument("--amount", default="0", help="dividend: rupees a share")
        super().add_arguments(parser)

    def handle(self, *, act: str, as_json: bool, **options: Any) -> None:
        if act == "add":
            self._add(options)
        elif act == "apply":
            self._apply(options)
        self.show([_shown(row) for row in corporate_actions()], as_json=as_json)

    def _add(self, options: dict[str, Any]) -> None:
        try:
            amount = Decimal(options["amount"])
        except InvalidOperation:
            raise CommandError(f"--amount {options['amount']!r} is no amount in rupees.") from None
        facts = {name: options[name] for name in ("instrument", "kind", "new", "old")}
        ex_date = self.act(day_of, text=options["ex_date"])
        self.act(action_add, **facts, ex_date=ex_date, amount=amount, note=options["reason"])

    def _apply(self, options: dict[str, Any]) -> None:
        exchange, _, symbol = options["instrument"].partition(":")
        named = {"instrument__exchange": exchange, "instrument__tradingsymbol": symbol}
        ex_date = self.act(day_of, text=options["ex_date"])
        row = corporate_actions().filter(**named, kind=options["kind"], ex_date=ex_date).first()
        if row is None:
            raise CommandError("There is no such corporate action; `corporate_action` lists those there are.")
        self.act(
            corporate_action_apply,
            action_id=row.pk,
            actor=options["actor"],
            reason=options["reason"],
            now=timezone.now(),
        )


def _shown(row: CorporateAction) -> dict[str, Any]:
    return {
        "instrument": str(row.instrument),
        "kind": row.kind,
        "ex_date": row.ex_date,
        "new": row.new,
        "old": row.old,
        "amount": f"{row.amount:f}",
        "applied_at": row.applied_at,
    }
