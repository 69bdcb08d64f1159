"""A strategy as a user brings it: a file dropped into the library, found there like any other."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from strategies.domain import library, registry


def drop(monkeypatch: pytest.MonkeyPatch, folder: Path, *, name: str, code: str) -> None:
    """Put a module into the library for one test."""
    (folder / f"{name}.py").write_text(code)
    monkeypatch.setattr(library, "__path__", [*library.__path__, str(folder)])
    monkeypatch.delitem(sys.modules, f"{library.__name__}.{name}", raising=False)
    registry.known.cache_clear()


def forget(name: str) -> None:
    """Leave the library as it was."""
    sys.modules.pop(f"{library.__name__}.{name}", None)
    registry.known.cache_clear()
