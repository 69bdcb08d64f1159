"""Halt entries: `halt` lists what is halted, `halt global|broker|deployment [NAME] --reason WHY` halts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils import timezone

from alphapanda.web.console import ActCommand
from risk.selectors import halt_target, halts_active, halts_as_rows
from risk.services.halts import halt_throw

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(ActCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("level", nargs="?", choices=["global", "broker", "deployment"])
        parser.add_argument("name", nargs="?", default="", help="paper, zerodha, or a deployment's name")
        super().add_arguments(parser)

    def handle(self, *, level: str | None, name: str, as_json: bool, **options: Any) -> None:
        if level is not None:
            self.act(
                halt_throw,
                **self.act(halt_target, level=level, name=name),
                reason=options["reason"],
                actor=options["actor"],
                now=timezone.now(),
            )
        self.show(halts_as_rows(halts_active()), as_json=as_json, nothing="Nothing is halted.")
