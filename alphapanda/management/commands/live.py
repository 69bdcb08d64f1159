"""Trading with real money: `live` tells what stands in the way; `live terms|acknowledge|unlock|check --actor NAME`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest
from django.utils import timezone

from accounts import live
from alphapanda.readiness import readiness_check
from alphapanda.web.console import ListCommand, asked_for

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(ListCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        acts = ["why", "terms", "acknowledge", "unlock", "check"]
        parser.add_argument("act", nargs="?", default="why", choices=acts)
        parser.add_argument("--actor", required=True, help="the user who is to trade")
        parser.add_argument(
            "--terms", default="", metavar="VERSION", help="acknowledge: of the terms that were read"
        )
        super().add_arguments(parser)

    def handle(self, *, act: str, actor: str, terms: str, as_json: bool, **_options: Any) -> None:
        now = timezone.now()
        if act == "terms":
            self.stdout.write(f"{live.TERMS}(version {live.TERMS_VERSION})")
            return
        if act == "acknowledge":
            self.act(live.terms_acknowledge, version=terms, actor=actor, now=now)
        if act == "unlock":
            password = asked_for(f"Password of {actor}")
            self.act(live.unlock, password=password, request=HttpRequest(), actor=actor, now=now)
        if act == "check":
            self._check(actor, as_json=as_json)
            return
        missing = live.why_not_live(actor=actor, now=timezone.now())
        self.show(
            [{"missing": one} for one in missing], as_json=as_json, nothing="Nothing stands in the way."
        )

    def _check(self, actor: str, *, as_json: bool) -> None:
        found = readiness_check(actor=actor, now=timezone.now())
        self.show(found.data, as_json=as_json)
        if not found.is_passed:
            sys.exit(1)
