"""The newest lines of the log, out of the files that `manage.py up` writes, without what looks like a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from alphapanda import logs
from alphapanda.core.clock import to_ms

TAIL_BYTES = 256 * 1024  # of each file
LEVELS = ("debug", "info", "warning", "error", "critical")
ERRORS = "error"  # the file into which every process writes what went wrong, beside its own
SAME_MS = 50  # each file has a time of its own
KNOWN = ("event", "level", "logger", "timestamp")


@dataclass(frozen=True, slots=True)
class Line:
    """One line; `at_ms` is None and `level` empty where a server or a library wrote it in a form of its own."""

    file: str
    offset: int
    at_ms: int | None
    level: str
    logger: str
    event: str
    rest: str


def folder() -> Path:
    """Where the processes write what they have to say."""
    return Path(settings.RUN_DIR, "logs")


def names() -> list[str]:
    """The files that there are, by their role."""
    return sorted(path.stem for path in folder().glob("*.log"))


def tail(
    *,
    file: str = "",
    level: str = "",
    words: str = "",
    count: int,
    is_meant: Callable[[str], bool] = lambda _text: True,
) -> list[Line]:
    """The newest lines of a file or of all, the newest first: of a least level, with some words in them, and of whose
    text `is_meant` says so. What a process also wrote into the file of errors stands once. Unreadable files are passed
    over; a name that is no file gives no line."""
    chosen = [name for name in names() if file in ("", name)]
    lines = (line for name in chosen for line in _lines(name) if _fits(line, level, words.lower()))
    found = _once([line for line in lines if is_meant(f"{line.event} {line.rest}")])
    found.sort(key=lambda line: (line.at_ms or 0, line.offset), reverse=True)
    return found[:count]


def _once(lines: list[Line]) -> list[Line]:
    """Without those of the file of errors that the file of their process has."""
    own: dict[tuple[str, ...], list[int]] = {}
    for line in lines:
        if line.file != ERRORS:
            own.setdefault(_said(line), []).append(line.at_ms or 0)
    return [
        line
        for line in lines
        if line.file != ERRORS
        or not any(abs(at_ms - (line.at_ms or 0)) <= SAME_MS for at_ms in own.get(_said(line), ()))
    ]


def _said(line: Line) -> tuple[str, ...]:
    return line.level, line.logger, line.event, line.rest


def naming(name: str, others: Iterable[str], *ids: str) -> Callable[[str], bool]:
    """Whether a text has one of some ids or a name in it; a name inside a longer one of others is another."""
    longer = [one for one in others if name in one]
    known = re.compile("|".join(map(re.escape, sorted({name, *longer}, key=len, reverse=True))))
    return lambda text: any(one in text for one in ids) or name in known.findall(text)


def _fits(line: Line, level: str, words: str) -> bool:
    is_grave = not level or (line.level in LEVELS and LEVELS.index(line.level) >= LEVELS.index(level))
    return is_grave and (not words or words in f"{line.event} {line.rest} {line.logger}".lower())


def _lines(name: str) -> Iterator[Line]:
    try:
        with (folder() / f"{name}.log").open("rb") as file:
            start = max(file.seek(0, 2) - TAIL_BYTES, 0)
            file.seek(start)
            text = file.read(TAIL_BYTES)
    except OSError:
        return
    at_ms, offset = None, start
    for number, raw in enumerate(text.splitlines(keepends=True)):
        if raw.strip() and not (start and number == 0):  # the first is a part of one
            line = _line(name, offset, raw.decode(errors="replace").rstrip(), at_ms)
            at_ms = line.at_ms
            yield line
        offset += len(raw)


def _line(name: str, offset: int, text: str, before_ms: int | None) -> Line:
    """Text without a form of ours stands where it was written: after the line before."""
    try:
        said = json.loads(text)
        at_ms = to_ms(datetime.fromisoformat(said["timestamp"]))
    except (ValueError, TypeError, KeyError):
        return Line(name, offset, before_ms, "", "", logs.redacted(text), "")
    said = logs.redacted(said)
    rest = " ".join(f"{key}={_text(value)}" for key, value in said.items() if key not in KNOWN)
    level, logger = str(said.get("level", "")), str(said.get("logger", "")).removeprefix("alphapanda.")
    return Line(name, offset, at_ms, level, logger, str(said.get("event", "")), rest)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
