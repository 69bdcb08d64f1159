"""Reference data that risk ships with."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from risk.domain.margins import Margins, margins_from_json

MARGINS_FILE = Path(__file__).parent / "data" / "margins.json"


@cache
def margin_tables() -> Margins:
    """The dated margin tables in `data/margins.json`, read once. Raises BadMarginTables."""
    return margins_from_json(MARGINS_FILE.read_bytes())
