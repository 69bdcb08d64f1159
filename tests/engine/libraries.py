"""A strategy as a user brings it: a file dropped into the folder of own strategies."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings


def drop(name: str, code: str) -> Path:
    """Put a file into the folder; `taken_away` undoes it."""
    folder = Path(settings.STRATEGIES)
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.py"
    path.write_text(code)
    return path


def taken_away(path: Path) -> None:
    path.unlink(missing_ok=True)
