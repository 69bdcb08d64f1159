"""Approval mode: `approval_mode DEPLOYMENT SECONDS --reason WHY` lets entries wait for a person; with 0 they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils import timezone

from alphapanda.approval_mode import approval_mode_set
from alphapanda.web.console import ActCommand
from strategies.selectors import deployment_id_of

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(ActCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="of a stopped deployment")
        parser.add_argument("seconds", type=int, help="of event time; 0: entries do not wait")
        super().add_arguments(parser)

    def handle(self, *, name: str, seconds: int, as_json: bool, **options: Any) -> None:
        found = self.act(
            approval_mode_set,
            deployment_id=self.act(deployment_id_of, name=name),
            seconds=seconds,
            actor=options["actor"],
            reason=options["reason"],
            now=timezone.now(),
        )
        told = {"deployment": found.name, "approval_s": found.execution.get("approval_s", 0)}
        self.show([told], as_json=as_json)
