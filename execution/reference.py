"""Reference data that execution ships with."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from execution.domain.charges import Cards, cards_from_json

CHARGES_FILE = Path(__file__).parent / "data" / "charges.json"


@cache
def charge_cards() -> Cards:
    """The dated rate cards in `data/charges.json`, read once. Raises BadChargeCards."""
    return cards_from_json(CHARGES_FILE.read_bytes())
