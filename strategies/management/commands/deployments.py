"""Deployments: `deployments` lists, `deployments start|pause|stop|release NAME --reason WHY` acts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError
from django.utils import timezone

from alphapanda.web.console import ActCommand
from strategies.models import Deployment
from strategies.selectors import deployments_as_rows, deployments_detailed
from strategies.services.lifecycle import ACTS

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

WORDS = {
    "start": "start",
    "pause": "pause",
    "flatten": "flatten",
    "stop": "stop",
    "release": "release_quarantine",
}


class Command(ActCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("act", nargs="?", default="list", choices=["list", *WORDS])
        parser.add_argument("name", nargs="?", default="")
        super().add_arguments(parser)

    def handle(self, *, act: str, name: str, as_json: bool, **options: Any) -> None:
        shown = deployments_detailed().order_by("name")
        if act != "list":
            self.act(
                ACTS[WORDS[act]],
                deployment_id=self._named(name),
                reason=options["reason"],
                actor=options["actor"],
                now=timezone.now(),
            )
            shown = shown.filter(name=name)
        self.show(deployments_as_rows(shown), as_json=as_json)

    def _named(self, name: str) -> object:
        found = Deployment.objects.filter(name=name).values_list("pk", flat=True).first()
        if found is None:
            raise CommandError(f"There is no deployment named {name!r}.")
        return found
