"""Write the JSON Schema of every event to docs/schemas, or check that what is there is true."""

from __future__ import annotations

import json
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from alphapanda.core.envelope import schemas


class Command(BaseCommand):
    help = "Write the JSON Schema of the envelope and of every event to docs/schemas."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing, fail where a file differs")

    def handle(self, *_args: object, check: bool, **_options: object) -> None:
        folder = Path(settings.BASE_DIR) / "docs" / "schemas"
        wanted = {f"{stem}.json": _text(schema) for stem, schema in schemas().items()}
        found = {path.name: path.read_text() for path in folder.glob("*.json")}
        different = sorted(n for n in wanted.keys() | found.keys() if wanted.get(n) != found.get(n))
        if check:
            if different:
                raise CommandError(f"docs/schemas differs from the code: {', '.join(different)}")
            return
        folder.mkdir(parents=True, exist_ok=True)
        for name in different:
            if name in wanted:
                (folder / name).write_text(wanted[name])
            else:
                (folder / name).unlink()
        self.stdout.write(f"{len(different)} files written, {len(wanted) - len(different)} unchanged")


def _text(schema: dict[str, object]) -> str:
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"
