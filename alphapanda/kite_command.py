"""What commands that read Kite share: whose token they use, and how a refusal ends them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError
from django.utils import timezone

from accounts.broker import reader
from accounts.selectors import the_account
from alphapanda.core.refusals import Refusal
from alphapanda.kite.client import KiteProblem
from alphapanda.web.console import ListCommand

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from alphapanda.kite.reading import Reader


class KiteCommand(ListCommand):
    """A command that reads Kite with the token of a broker account."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--account", default="", metavar="NAME", help="of several broker accounts, which")
        super().add_arguments(parser)

    def reader(self, name: str) -> Reader:
        return reader(self.act(the_account, name=name).pk, clock=timezone.now)

    def asked(self, work: Callable[[], Any], *problems: type[Exception]) -> Any:
        """What some work with Kite comes to; what Kite refuses ends the command."""
        try:
            return work()
        except (KiteProblem, Refusal, OSError, *problems) as error:
            raise CommandError(f"{error}") from None
