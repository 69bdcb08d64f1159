"""Reference data that ships: dated charge cards."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from execution.domain.charges import Cards, cards_from_json


@cache
def charge_cards() -> Cards:
    """The charge cards of `execution/data/charges.json`."""
    return cards_from_json((Path(__file__).parent / "data" / "charges.json").read_bytes())
