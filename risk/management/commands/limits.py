"""What is left of every limit, and the smallest order that each would refuse: `limits [DEPLOYMENT] [--json]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils import timezone

from alphapanda.web.console import ListCommand
from risk.selectors import deployment_named
from risk.services.foresight import headroom_as_rows, headroom_now

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(ListCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("deployment", nargs="?", default="", help="by name; without one all that run")
        super().add_arguments(parser)

    def handle(self, *, deployment: str, as_json: bool, **_options: Any) -> None:
        chosen = self.act(deployment_named, name=deployment) if deployment else None
        found = headroom_now(deployment_id=chosen, now=timezone.now())
        self.show(headroom_as_rows(found), as_json=as_json, nothing="No limit is set.")
