"""`manage.py settings_table`: the table of settings, as README and docs show it; `--write` renews them."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand

from alphapanda import env

BEGIN, END = "<!-- settings:begin -->", "<!-- settings:end -->"
PAGES = ("README.md", "docs/operations.md")


class Command(BaseCommand):
    help = "Print the table of settings, or write it into README.md, docs/operations.md and .env.example."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--write", action="store_true", help="renew the pages and .env.example")

    def handle(self, *_args: Any, **options: Any) -> None:
        if not options["write"]:
            self.stdout.write(table())
            return
        for name in PAGES:
            page = env.ROOT / name
            page.write_text(with_table(page.read_text()))
        Path(env.ROOT, ".env.example").write_text(example())


def table() -> str:
    """The table in Markdown."""
    rows = ["| Setting | Value | Default | Meaning |", "| --- | --- | --- | --- |"]
    return "\n".join(
        rows + [f"| `{s.variable}` | {s.kind.expected} | {_default(s)} | {s.meaning} |" for s in env.SETTINGS]
    )


def with_table(page: str) -> str:
    """The page with the table between its markers made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def example() -> str:
    """The text of .env.example: every setting, commented out, at its default."""
    head = "# Copy to .env and take the # off what you change. The environment wins over this file.\n"
    return head + "".join(
        f"\n# {s.meaning} ({s.kind.expected})\n# {s.variable}={s.default}\n" for s in env.SETTINGS
    )


def _default(setting: env.Setting) -> str:
    if setting.required:
        return "generated when embedded, else required"
    return f"`{setting.default}`" if setting.default else "empty"
