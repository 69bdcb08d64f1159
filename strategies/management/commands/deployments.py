"""`deployments` lists, `deployments start|pause|flatten|exit|stop|release|upgrade NAME --reason WHY` acts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils import timezone

from alphapanda.web.console import ActCommand, json_object
from strategies.selectors import deployment_id_of, deployments_as_rows, deployments_detailed
from strategies.services.lifecycle import ACTS, deployment_exit
from strategies.services.upgrades import deployment_upgrade

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
        parser.add_argument("act", nargs="?", default="list", choices=["list", *WORDS, *MORE])
        parser.add_argument("name", nargs="?", default="")
        parser.add_argument("--instrument", default="", metavar="EXCHANGE:SYMBOL", help="exit: what to close")
        parser.add_argument("--code", default="", metavar="VERSION", help="upgrade: or the start of a hash")
        parser.add_argument("--params", default="", help="upgrade: JSON; without it as they are")
        parser.add_argument("--fresh", action="store_true", help="upgrade: begin the strategy's memory anew")
        super().add_arguments(parser)

    def handle(self, *, act: str, name: str, as_json: bool, **options: Any) -> None:
        shown = deployments_detailed().order_by("name")
        if act != "list":
            self.act(
                ACTS[WORDS[act]] if act in WORDS else MORE[act][0],
                deployment_id=self.act(deployment_id_of, name=name),
                reason=options["reason"],
                actor=options["actor"],
                now=timezone.now(),
                **(MORE[act][1](options) if act in MORE else {}),
            )
            shown = shown.filter(name=name)
        self.show(deployments_as_rows(shown), as_json=as_json)


def _upgrade(options: dict[str, Any]) -> dict[str, Any]:
    params = json_object("--params", options["params"]) if options["params"] else None
    return {"version": options["code"], "params": params, "is_fresh": options["fresh"]}


def _exit(options: dict[str, Any]) -> dict[str, Any]:
    return {"instrument": options["instrument"]}


# acts that want to know more, and what
MORE = {"exit": (deployment_exit, _exit), "upgrade": (deployment_upgrade, _upgrade)}
