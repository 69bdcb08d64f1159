"""How request bodies are read: JSON in the strict sense, and nothing that no column could keep."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from alphapanda.core.strict_json import BadJson, decoded

NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


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
            return decoded(raw, object)
        except BadJson as error:
            raise ParseError(f"JSON parse error: {error}") from error
