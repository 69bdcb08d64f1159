"""What a stored error says in one line, and in as much room as there is."""

from __future__ import annotations

TRACEBACK = "Traceback"
FRAME = '  File "'


def in_short(error: str) -> str:
    """The line that says what was wrong: of a traceback the one with the type and message, the first of whatever else,
    where a stack may follow."""
    lines = error.strip().splitlines() or [""]
    line = _raised(lines) if lines[0].startswith(TRACEBACK) else lines[0]
    return line.partition("; it was at")[0]


def _raised(lines: list[str]) -> str:
    """The first line behind the last frame of a traceback: a message of many lines goes on after it."""
    frames = [number for number, line in enumerate(lines) if line.startswith(FRAME)]
    behind = lines[frames[-1] :] if frames else []
    return next((line for line in behind if not line.startswith(" ")), lines[-1])


def shortened(error: str, room: int) -> str:
    """An error in `room` characters at most: all of it, or what was wrong, then as many of its last lines as fit."""
    if len(error) <= room:
        return error
    said = in_short(error)[: room // 2]
    tail = error[-(room - len(said) - len("\n…\n")) :]
    whole_lines = tail.partition("\n")[2]
    return f"{said}\n…\n{whole_lines or tail}"
