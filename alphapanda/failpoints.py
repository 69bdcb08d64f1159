"""Named places where a test may make a process die (stand-in until the platform's own)."""

from __future__ import annotations

NAMES: frozenset[str] = frozenset({"portfolio.before_commit", "portfolio.after_commit"})


def hit(name: str) -> None:
    """Pass a failpoint. Raises KeyError for a name that is not registered."""
    if name not in NAMES:
        raise KeyError(name)
