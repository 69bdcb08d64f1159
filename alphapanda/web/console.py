"""What commands show: a table for people, JSON for scripts."""

from __future__ import annotations

import getpass
import json
import sys
from argparse import ArgumentTypeError
from typing import IO, TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from alphapanda.core.refusals import Refusal
from alphapanda.core.strict_json import BadJson, decoded

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.core.management.base import CommandParser

ACTOR_MAX = 150  # characters: what the audit trail keeps


def json_object(option: str, text: str) -> dict[str, Any]:
    """The object that an option holds. Raises CommandError."""
    try:
        return decoded(text, dict[str, Any])
    except BadJson as error:
        raise CommandError(f"{option} wants a JSON object such as '{{\"quantity\": 10}}': {error}") from None


def asked_for(what: str) -> str:
    """A secret from the keyboard without echo, or the first line of a pipe: as an argument everybody on the machine
    would see it. Raises CommandError where none is given, or what no page would take."""
    try:
        given = getpass.getpass(f"{what}: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
        given.encode()
    except EOFError:
        given = ""
    except UnicodeError:  # its words would tell of the secret
        raise CommandError(f"No text in UTF-8 was given where this was asked for: {what}.") from None
    if not given or "\0" in given:
        raise CommandError(f"{'No text' if given else 'Nothing'} was given where this was asked for: {what}.")
    return given


def screen(
    file: IO[str] | None = None, *, stderr: bool = False, width: int | None = None, quiet: bool = False
) -> Console:
    """The one way to write for people: texts stand as they are, for a name may hold brackets. Style is given
    by `style=` or by Text."""
    return Console(
        file=file, stderr=stderr, width=width, quiet=quiet, markup=False, emoji=False, highlight=False
    )


class ListCommand(BaseCommand):
    """A command that shows something; a refusal ends it with its message and exit code 1."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", dest="as_json", help="for scripts")

    def act(self, service: Callable[..., Any], **arguments: Any) -> Any:
        """Call a service; its refusal is the command's."""
        try:
            return service(**arguments)
        except Refusal as error:
            raise CommandError(str(error)) from error

    def show(self, rows: list[dict[str, Any]], *, as_json: bool, nothing: str = "None.") -> None:
        """Write rows that have the same columns."""
        if as_json:
            self.stdout.write(json.dumps(rows, default=str))
        elif not rows:
            self.stdout.write(nothing)
        else:
            table = Table(*rows[0])
            for row in rows:
                table.add_row(*("" if value is None else str(value) for value in row.values()))
            width = None if self.stdout.isatty() else 200
            screen(self.stdout, width=width).print(table)


class ActCommand(ListCommand):
    """A command that acts or lists."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--reason", default="", help="why; it goes to the audit trail")
        parser.add_argument("--actor", default=f"shell:{getpass.getuser()}", type=_actor, help="who acts")
        super().add_arguments(parser)


def _actor(text: str) -> str:
    if not 0 < len(text) <= ACTOR_MAX:
        raise ArgumentTypeError(f"a name of 1 to {ACTOR_MAX} characters, not of {len(text)}")
    return text
