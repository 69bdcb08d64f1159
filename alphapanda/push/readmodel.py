"""The read model of live state (stand-in: nothing is projected yet)."""

from __future__ import annotations

from typing import Any


class ReadModelUnavailable(Exception):
    """Live state cannot be read now."""


def positions() -> list[dict[str, Any]]:
    raise ReadModelUnavailable("The read model is not projected yet.")


def portfolios() -> list[dict[str, Any]]:
    raise ReadModelUnavailable("The read model is not projected yet.")


def recent(kind: str, limit: int) -> list[dict[str, Any]]:
    raise ReadModelUnavailable(f"The read model has no {kind} ({limit} asked for) yet.")
