"""List, show, send again and put away what could not be handled."""

from __future__ import annotations

import base64
import getpass
import json
import time
from argparse import ArgumentTypeError
from collections.abc import Callable
from functools import reduce
from math import inf
from operator import or_
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet
from django.utils import timezone
from rich.table import Table

from alphapanda.eventlog import dead_letters
from alphapanda.eventlog.models import DeadLetter
from alphapanda.web.console import screen

SHOWN_MAX = 200
WIDTH = 200  # of what is not a terminal
ID_DIGITS_MAX = 18  # what the database can look for
RATE_MIN = 0.01
COLUMNS = (
    "id",
    "state",
    "topic",
    "partition",
    "offset",
    "consumer",
    "reason",
    "redrives",
    "failed at, IST",
    "error",
)


class Command(BaseCommand):
    help = "Dead letters: list, show ID, redrive (with --yes), discard (with --yes and --because)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("act", choices=("list", "show", "redrive", "discard"))
        parser.add_argument(
            "ids", nargs="*", help="ids, or ranges such as 10-20; none: all that fit the filters"
        )
        parser.add_argument("--topic", default="")
        parser.add_argument("--reason", default="")
        parser.add_argument("--consumer", default="")
        parser.add_argument("--state", default="", choices=("", *DeadLetter.State.values))
        parser.add_argument("--json", action="store_true", dest="as_json")
        parser.add_argument(
            "--yes", action="store_true", help="do it; without this, only show what would be done"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="only show what would be done, as without --yes"
        )
        parser.add_argument("--because", default="", help="why, for the audit trail")
        parser.add_argument("--actor", default="", help="who; the user of this shell by default")
        parser.add_argument("--rate", type=_rate, default=20.0, help="messages a second at most (redrive)")
        parser.add_argument("--file", type=Path, metavar="DIR", help="folder of repaired bodies named by id")

    def handle(self, *_args: object, act: str, **options: Any) -> None:
        letters = _chosen(options)
        if act == "list":
            self._list(letters, as_json=options["as_json"])
        elif act == "show":
            self._show(letters, options)
        else:
            self._settle(act, letters, options)

    def _list(self, letters: QuerySet[DeadLetter], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps([_fields(letter) for letter in letters], indent=2))
            return
        if not letters:
            self.stdout.write("no dead letters")
            return
        table = Table(*COLUMNS)
        for letter in letters[:SHOWN_MAX]:
            table.add_row(*_cells(letter))
        console = screen(self.stdout, width=None if self.stdout.isatty() else WIDTH)
        console.print(table)
        console.print(f"{letters.count()} dead letters, {min(letters.count(), SHOWN_MAX)} shown")

    def _show(self, letters: QuerySet[DeadLetter], options: dict[str, Any]) -> None:
        if not options["ids"]:
            raise CommandError("show needs an id")
        if not letters:
            raise CommandError("no dead letter fits")
        shown = [_fields(letter) | _contents(letter) for letter in letters]
        if options["as_json"]:
            self.stdout.write(json.dumps(shown, indent=2))
            return
        for fields in shown:
            table = Table(show_header=False)
            for name, value in fields.items():
                table.add_row(name, str(value))
            screen(self.stdout).print(table)

    def _settle(self, act: str, letters: QuerySet[DeadLetter], options: dict[str, Any]) -> None:
        if not options["ids"] and not options["state"]:
            letters = letters.filter(state=DeadLetter.State.NEW)
        if not letters:
            raise CommandError("no dead letter fits")
        if act == "discard" and not options["because"].strip():
            raise CommandError("discard needs --because with a reason")
        if options["dry_run"] or not options["yes"]:
            self._list(letters, as_json=options["as_json"])
            self.stderr.write(f"nothing done: {act} of {letters.count()} needs --yes")
            return
        for letter in list(letters):
            self._settle_one(act, letter.id, options)

    def _settle_one(self, act: str, letter_id: int, options: dict[str, Any]) -> None:
        who = {"actor": options["actor"] or getpass.getuser(), "reason": options["because"]}
        try:
            if act == "discard":
                dead_letters.discard([letter_id], now=timezone.now(), **who)
            else:
                repair = _repair(options["file"], letter_id)
                dead_letters.redrive([letter_id], repair=repair, now=timezone.now(), **who)
                time.sleep(1 / options["rate"])
        except dead_letters.DeadLetterRefused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{act} {letter_id}: done")


def _chosen(options: dict[str, Any]) -> QuerySet[DeadLetter]:
    names = ("topic", "reason", "consumer", "state")
    letters = dead_letters.find(**{name: options[name] for name in names})
    if not options["ids"]:
        return letters
    wanted = [_of(text) for text in options["ids"]]
    if unknown := [text for text, one in zip(options["ids"], wanted, strict=True) if not one.exists()]:
        raise CommandError(f"no dead letter {', '.join(unknown)}")
    return letters & reduce(or_, wanted)


def _of(text: str) -> QuerySet[DeadLetter]:
    """The letters of an id or a range of ids."""
    first, _, last = text.partition("-")
    if not all(part.isdecimal() and len(part) <= ID_DIGITS_MAX for part in (first, last or first)):
        raise CommandError(f"{text!r} is no id and no range of ids")
    return DeadLetter.objects.filter(id__gte=int(first), id__lte=int(last or first))


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not RATE_MIN <= rate < inf:
        raise ArgumentTypeError(f"{text} is no rate; a number of messages a second from {RATE_MIN} up")
    return rate


def _repair(folder: Path | None, letter_id: int) -> Callable[[bytes], bytes] | None:
    if folder is None:
        return None
    path = folder / str(letter_id)
    if not path.is_file():
        raise CommandError(f"no repaired body at {path}")
    body = path.read_bytes()
    return lambda _original: body


def _fields(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "state": letter.state,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "incarnation": str(letter.incarnation),
        "consumer": letter.consumer,
        "reason": letter.reason,
        "redrive_count": letter.redrive_count,
        "failed_at": letter.failed_at.isoformat(),
        "settled_at": letter.settled_at and letter.settled_at.isoformat(),
        "error": letter.error,
    }


def _contents(letter: DeadLetter) -> dict[str, str]:
    body, key = bytes(letter.body), bytes(letter.key or b"")
    return {
        "key_base64": base64.b64encode(key).decode(),
        "body_base64": base64.b64encode(body).decode(),
        "body_text": body.decode(errors="replace"),
    }


def _cells(letter: DeadLetter) -> list[str]:
    fields = _fields(letter)
    names = ("id", "state", "topic", "partition", "offset", "consumer", "reason", "redrive_count")
    failed = f"{timezone.localtime(letter.failed_at):%Y-%m-%d %H:%M:%S}"
    return [*(str(fields[n]) for n in names), failed, letter.error]
