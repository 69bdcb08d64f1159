"""Snapshots of the market from Kite; they are shown, not kept."""

from __future__ import annotations

from collections.abc import Sequence

from alphapanda.kite.reading import Read
from marketdata.domain.kite_quotes import Quote, quotes_of

KEYS_MAX = 500  # of one request


def quotes(read: Read, keys: Sequence[str]) -> dict[str, Quote]:
    """The quotes of EXCHANGE:TRADINGSYMBOL keys. Kite leaves out what it does not know or has expired: so do we.
    Raises KiteProblem, BadQuote."""
    found: dict[str, Quote] = {}
    for start in range(0, len(keys), KEYS_MAX):
        found |= quotes_of(read("market.quote", params={"i": list(keys[start : start + KEYS_MAX])}))
    return found
