"""Alerts: `alerts` lists the open ones, `alerts ack ID --reason WHAT` takes one upon oneself; `--all` lists all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError
from django.utils import timezone

from alphapanda.web.console import ActCommand
from risk.selectors import alerts_as_rows, alerts_open, alerts_raised
from risk.services.alerts import alert_acknowledge

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(ActCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("act", nargs="?", choices=["ack"])
        parser.add_argument("ids", nargs="*", type=int, help="of alerts")
        parser.add_argument("--all", action="store_true", dest="everything", help="acknowledged ones too")
        super().add_arguments(parser)

    def handle(
        self, *, act: str | None, ids: list[int], everything: bool, as_json: bool, **options: Any
    ) -> None:
        if act and not ids:
            raise CommandError("Name the alerts by their ids: `alerts ack 3 4 --reason …`.")
        for alert_id in ids:
            self.act(
                alert_acknowledge,
                alert_id=alert_id,
                reason=options["reason"],
                actor=options["actor"],
                now=timezone.now(),
            )
        found = alerts_raised() if everything else alerts_open()
        self.show(alerts_as_rows(found[:200]), as_json=as_json, nothing="No alert is open.")
