"""Release a halt: `release global|broker|deployment [NAME] --reason WHY`; lists what is still halted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError
from django.utils import timezone

from alphapanda.web.console import ActCommand
from risk.selectors import halt_target, halts_active, halts_as_rows
from risk.services.halts import halt_release

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(ActCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("level", choices=["global", "broker", "deployment"])
        parser.add_argument("name", nargs="?", default="", help="paper, zerodha, or a deployment's name")
        super().add_arguments(parser)

    def handle(self, *, level: str, name: str, as_json: bool, **options: Any) -> None:
        halt = halts_active().filter(**self.act(halt_target, level=level, name=name)).first()
        if halt is None:
            raise CommandError(f"There is no active halt: {level} {name}".rstrip())
        self.act(
            halt_release,
            halt_id=halt.pk,
            reason=options["reason"],
            actor=options["actor"],
            now=timezone.now(),
        )
        self.show(halts_as_rows(halts_active()), as_json=as_json, nothing="Nothing is halted any more.")
