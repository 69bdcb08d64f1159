"""What other limits would have done to the orders of past sessions, before they are saved:
`limits_preview global|broker|portfolio|deployment|instrument [NAME] --limits '{"order_quantity": 100}'`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from alphapanda.web.console import ListCommand, json_object
from risk.selectors import limits_at, limits_target
from risk.services.foresight import SESSIONS, level_proposed, preview_as_json, preview_of

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

LEVELS = ("global", "broker", "portfolio", "deployment", "instrument")


class Command(ListCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("level", choices=LEVELS)
        parser.add_argument(
            "name", nargs="?", default="", help="of what is limited; EXCHANGE:SYMBOL of an instrument"
        )
        parser.add_argument("--limits", required=True, help="JSON: all limits of the level as they would be")
        parser.add_argument("--sessions", type=int, default=SESSIONS, help="how many past sessions")
        super().add_arguments(parser)

    def handle(
        self, *, level: str, name: str, limits: str, sessions: int, as_json: bool, **_options: Any
    ) -> None:
        target = self.act(limits_target, level=level, name=name)
        proposed = self.act(level_proposed, **target, limits=json_object("--limits", limits))
        seen = preview_of(proposed, replaced=limits_at(**target), sessions=sessions)
        found = preview_as_json(seen, proposed)
        if as_json:
            self.stdout.write(json.dumps(found))
            return
        self.show([*found["refused"], *found["let_through"]], as_json=False, nothing="No order would change.")
        self.stdout.write(
            f"{len(found['refused'])} of {found['decisions']} decisions would be refused,"
            f" {len(found['let_through'])} let through: {found['effect']} rupees in {found['sessions']} sessions."
        )
        for limit, count in found["unknown"].items():
            self.stdout.write(f"{limit}: its figure is not on record for {count} decisions.")
        for one in found["unlisted"]:
            self.stdout.write(
                f"{one}: no instrument list that is loaded has it; it restricts, or allows, nothing."
            )
        self.stdout.write(found["cannot_know"])
