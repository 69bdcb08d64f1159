"""Kite's published answers, and whether one of ours has their shape."""

from __future__ import annotations

import json
from typing import Any

from tests.shared_data import SHARED

OPTIONAL = {"terminal_id", "auction_number", "tags", "validity_ttl", "account_id", "status_message_raw"}


def sample(name: str) -> Any:
    """The data of a published answer; a postback is data itself."""
    body = json.loads((SHARED / "kite" / "rest" / f"{name}.json").read_text())
    return body.get("data", body)


def differences(ours: Any, theirs: Any, path: str = "") -> list[str]:
    """Where two answers differ in shape: names of objects, and types of values. Lists of objects are held against the
    first of theirs, others (such as candles) place by place."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return _of_objects(ours, theirs, path)
    if isinstance(theirs, list) and isinstance(ours, list):
        is_row = len(ours) == len(theirs) and not any(isinstance(one, dict | list) for one in theirs)
        pairs = zip(ours, theirs, strict=True) if is_row else ((one, theirs[0]) for one in ours if theirs)
        return [fault for one, other in pairs for fault in differences(one, other, f"{path}[]")]
    if ours is None or theirs is None or _kind(ours) == _kind(theirs):
        return []
    return [f"{path}: {_kind(ours)} instead of {_kind(theirs)}"]


def _of_objects(ours: dict[str, Any], theirs: dict[str, Any], path: str) -> list[str]:
    wrong = (ours.keys() ^ theirs.keys()) - OPTIONAL
    found = [f"{path}.{name}: {'only ours' if name in ours else 'missing'}" for name in sorted(wrong)]
    for name in ours.keys() & theirs.keys():
        found += differences(ours[name], theirs[name], f"{path}.{name}")
    return found


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else type(value).__name__
