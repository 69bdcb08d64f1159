"""`manage.py changepassword NAME`: give a person another password; Django's command of that name audits nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError
from django.utils import timezone

from accounts.services import password_change
from alphapanda.web.console import ActCommand, asked_for

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(ActCommand):
    help = (
        "Give a person another password, which ends their sessions and tokens. It is asked for, or piped in."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", help="whose password")
        super().add_arguments(parser)

    def handle(
        self, *_args: Any, username: str, actor: str, reason: str, as_json: bool, **_options: Any
    ) -> None:
        password = asked_for(f"New password of {username}")
        if sys.stdin.isatty() and asked_for("The same again") != password:
            raise CommandError("The two are not the same; nothing was changed.")
        facts = {"username": username, "password": password, "actor": actor, "reason": reason}
        self.act(password_change, now=timezone.now(), **facts)
        done = {"user": username, "password": "changed", "sessions": "ended", "tokens": "ended"}
        self.show([done], as_json=as_json)
