"""A shadow: another version or other parameters decide beside a deployment, on paper, on the same items of the log.
`shadow_diff NAME` shows how they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils import timezone

from alphapanda.shadows import shadow_create
from alphapanda.web.console import ActCommand, json_object
from strategies.selectors import deployment_id_of, deployments_as_rows, deployments_detailed

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(ActCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="of the deployment to go beside")
        parser.add_argument(
            "--code", default="", metavar="VERSION", help="or the start of a hash; else the installed"
        )
        parser.add_argument("--params", default="", help="JSON; without it those of the deployment")
        parser.add_argument("--as", default="", dest="shadow_name", help="name of the shadow")
        super().add_arguments(parser)

    def handle(self, *, name: str, as_json: bool, **options: Any) -> None:
        shadow = self.act(
            shadow_create,
            deployment_id=self.act(deployment_id_of, name=name),
            version=options["code"],
            params=json_object("--params", options["params"]) if options["params"] else None,
            name=options["shadow_name"],
            reason=options["reason"],
            actor=options["actor"],
            now=timezone.now(),
        )
        shown = deployments_detailed().filter(pk=shadow.pk)
        self.show(deployments_as_rows(shown), as_json=as_json)
