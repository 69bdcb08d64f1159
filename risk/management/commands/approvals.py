"""Entries that wait for a person: `approvals` lists them, `approvals approve|deny SIGNAL … --reason WHY` answers;
`--all` lists those that are over too."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from django.core.management.base import CommandError
from django.utils import timezone

from alphapanda.web.console import ActCommand
from marketdata.selectors import calendars
from risk.selectors import approval_row, approvals_asked
from risk.services.approvals import approvals_answer
from risk.services.outlook import approval_outlooks
from strategies.models import Approval
from strategies.services.approvals import approvals_expire

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

SHOWN_MAX = 200
TOLD = ("would_pass", "rule", "gross_exposure_before")


class Command(ActCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("act", nargs="?", choices=["approve", "deny"])
        parser.add_argument("signals", nargs="*", type=UUID, help="of the entries")
        parser.add_argument("--key", default="", help="idempotency key: the same answer is given once")
        parser.add_argument("--all", action="store_true", dest="everything", help="those that are over too")
        super().add_arguments(parser)

    def handle(
        self, *, act: str | None, signals: list[UUID], everything: bool, as_json: bool, **options: Any
    ) -> None:
        if not act:
            self._list(everything, as_json=as_json)
            return
        if not signals:
            raise CommandError(f"Name the entries by their signals: `approvals {act} ID … --reason …`.")
        answers = self.act(
            approvals_answer,
            signal_ids=signals,
            is_approved=act == "approve",
            actor=options["actor"],
            reason=options["reason"],
            key=options["key"],
            now=timezone.now(),
        )
        self.show([msgspec.structs.asdict(one) for one in answers], as_json=as_json)
        if any(one.problem for one in answers):
            sys.exit(1)

    def _list(self, everything: bool, *, as_json: bool) -> None:
        now, hours = timezone.now(), calendars()
        approvals_expire(now=now)
        found = approvals_asked() if everything else approvals_asked().filter(state=Approval.State.WAITING)
        shown = list(found[:SHOWN_MAX])
        waiting = [one for one in shown if one.state == Approval.State.WAITING]
        outlooks = approval_outlooks(waiting, calendar=hours, now=now)
        rows = []
        for approval in shown:
            outlook = outlooks.get(approval.pk, {})
            told = outlook if as_json else {name: outlook.get(name) for name in TOLD}
            rows.append(approval_row(approval) | told)
        self.show(rows, as_json=as_json, nothing="No entry waits for a person.")
