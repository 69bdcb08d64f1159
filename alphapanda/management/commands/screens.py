"""`manage.py screens`: pictures of every page of the cockpit, and what a page must not do."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import msgspec
from django.core.management import BaseCommand, CommandError

from alphapanda import logs
from alphapanda.proof import screens
from alphapanda.stack import StackFailed
from alphapanda.web.console import screen


class Command(BaseCommand):
    help = "Play a recorded session, open every page in Chromium in both themes and on a phone, keep the pictures."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--into", type=Path, default=Path(".run/screens"), help="folder of the pictures")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        console = screen(stderr=options["json"])
        logs.warnings_only("audit")
        try:
            with console.status("starting") as status:
                result = screens.run(options["into"], status.update)
        except StackFailed as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(msgspec.to_builtins(result) | {"good": result.is_good}))
        else:
            console.print(f"{len(result.shots)} pictures in {options['into']}")
            for fault in result.faults:
                console.print(f"! {fault}", markup=False)
        if not result.is_good:
            raise SystemExit(1)
