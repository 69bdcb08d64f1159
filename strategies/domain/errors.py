"""What a stored error says in one line."""

from __future__ import annotations

TRACEBACK = "Traceback"


def in_short(error: str) -> str:
    """The line that says what was wrong: the last one of a traceback, the first of whatever else, where a stack may
    follow."""
    lines = error.strip().splitlines() or [""]
    return lines[-1 if lines[0].startswith(TRACEBACK) else 0].partition("; it was at")[0]
