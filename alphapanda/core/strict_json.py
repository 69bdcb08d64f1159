"""JSON that somebody wrote: an object that names a field twice is refused, for the last one would count silently."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec

Read = TypeVar("Read")


class BadJson(ValueError):
    """No JSON, not of the kind that was asked for, or a field named twice."""


def decoded(raw: bytes | str, kind: type[Read]) -> Read:
    """What was written. Raises BadJson."""
    try:
        found = msgspec.json.decode(raw, type=kind)
        json.loads(raw, object_pairs_hook=_once, parse_int=str, parse_float=str)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise BadJson(str(error)) from error
    return found


def _once(pairs: list[tuple[str, Any]]) -> None:
    """Nothing of an object but that each of its fields is named once. Raises BadJson."""
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise BadJson(f"field {name[:40]!r} is named twice")
        seen.add(name)
