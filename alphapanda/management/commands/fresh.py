"""`manage.py fresh`: forget what RUN_DIR holds, so that the next start is the first one; asks before."""

from __future__ import annotations

import shutil
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError

from alphapanda import embedded


class Command(BaseCommand):
    help = (
        "Forget RUN_DIR: embedded data, secrets and logs. Asks, and is refused while `manage.py up` uses it."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *_args: Any, **options: Any) -> None:
        run_dir: Path = settings.RUN_DIR
        if not (run_dir / embedded.LOCK).is_file():  # nor is a folder emptied that was named by mistake
            raise CommandError(f"no stack has run in {run_dir}: there is nothing to forget")
        try:
            with embedded.lock(run_dir):
                if not options["yes"] and not self._is_wanted(run_dir):
                    raise CommandError("nothing is forgotten")
                _empty(run_dir)
        except embedded.RunDirTaken as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{run_dir} is empty")

    def _is_wanted(self, run_dir: Path) -> bool:
        names = ", ".join(sorted(path.name for path in run_dir.iterdir()))
        self.stdout.write(f"{run_dir} holds {names}\nForget all of it, for good? Type yes: ", ending="")
        self.stdout.flush()
        try:
            return input().strip() == "yes"
        except EOFError:
            return False


def _empty(folder: Path) -> None:
    for path in sorted(
        folder.iterdir(), key=lambda path: path.name == embedded.LOCK
    ):  # the lock last: it keeps `up` out
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
