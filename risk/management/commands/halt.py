"""Halt entries: `halt` lists what is halted, `halt global|broker|deployment [NAME] --reason WHY` halts;
`--step cancel` also cancels what works, `--step flatten` also closes what is held."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils import timezone

from alphapanda.core.vocabulary import HaltStep
from alphapanda.web.console import ActCommand
from risk.selectors import halt_target, halts_active, halts_as_rows
from risk.services.halts import halt_throw

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

STEPS = [step.value.lower() for step in HaltStep]


class Command(ActCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("level", nargs="?", choices=["global", "broker", "deployment"])
        parser.add_argument("name", nargs="?", default="", help="paper, zerodha, or a deployment's name")
        parser.add_argument(
            "--step", choices=STEPS, default=STEPS[0], type=str.lower, help="how far the halt goes"
        )
        super().add_arguments(parser)

    def handle(self, *, level: str | None, name: str, as_json: bool, **options: Any) -> None:
        if level is not None:
            self.act(
                halt_throw,
                **self.act(halt_target, level=level, name=name),
                step=options["step"].upper(),
                reason=options["reason"],
                actor=options["actor"],
                now=timezone.now(),
            )
        self.show(halts_as_rows(halts_active()), as_json=as_json, nothing="Nothing is halted.")
