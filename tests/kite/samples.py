"""Kite's published answers, and whether one of ours has their shape."""

from __future__ import annotations

import json
from typing import Any

from tests.shared_data import SHARED

OPTIONAL = {"terminal_id", "auction_number", "tags", "validity_ttl", "account_id", "status_message_raw"}
# maps whose names are data, not shape
FREE = {"authorisation", "meta"}


def sample(name: str) -> Any:
    """The data of a published answer."""
    return json.loads((SHARED / "kite" / "rest" / f"{name}.json").read_text())["data"]


def differences(ours: Any, theirs: Any, path: str = "") -> list[str]:
    """Where two answers differ in shape: names of objects, and types of values. Of lists the first of theirs counts."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return _of_objects(ours, theirs, path)
    if isinstance(theirs, list) and isinstance(ours, list):
        return [fault for one in ours if theirs for fault in differences(one, theirs[0], f"{path}[]")]
    if ours is None or theirs is None or _kind(ours) == _kind(theirs):
        return []
    return [f"{path}: {_kind(ours)} instead of {_kind(theirs)}"]


def _of_objects(ours: dict[str, Any], theirs: dict[str, Any], path: str) -> list[str]:
    if path.rpartition(".")[2] in FREE:
        return []
    wrong = (ours.keys() ^ theirs.keys()) - OPTIONAL
    found = [f"{path}.{name}: {'only ours' if name in ours else 'missing'}" for name in sorted(wrong)]
    for name in ours.keys() & theirs.keys():
        found += differences(ours[name], theirs[name], f"{path}.{name}")
    return found


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else type(value).__name__
