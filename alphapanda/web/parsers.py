"""How request bodies are read: JSON in the strict sense, and nothing that no column could keep."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class Twice(ValueError):
    """An object that names a field twice: which of the two is meant nobody knows."""


def _once(pairs: list[tuple[str, Any]]) -> None:
    """Nothing of an object but that each of its fields is named once. Raises Twice."""
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise Twice(f"field {name[:40]!r} is named twice")
        seen.add(name)


class StrictJson(JSONParser):
    """JSON without NaN, lone surrogates, characters of code 0, fields named twice, and nesting without end."""

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Raises ParseError."""
        raw = stream.read()
        if NUL.search(raw):
            raise ParseError("JSON parse error: a text holds a character of code 0, which is not accepted.")
        try:
            body = msgspec.json.decode(raw)
            json.loads(raw, object_pairs_hook=_once)  # the other decoder would take the last of two
            return body
        except (Twice, msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise ParseError(f"JSON parse error: {error}") from error
