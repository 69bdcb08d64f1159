"""Snapshots of the market from Kite: shown, not kept, but for the circuit limits of their day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db import transaction

from alphapanda.kite.reading import Read
from marketdata.domain.kite_quotes import Quote, quotes_of
from marketdata.models import CircuitLimit
from marketdata.selectors import primary_keys
from marketdata.services.rules import rules_changed

KEYS_MAX = 500  # of one request


def quotes(read: Read, keys: Sequence[str]) -> dict[str, Quote]:
    """The quotes of EXCHANGE:TRADINGSYMBOL keys. Kite leaves out what it does not know or has expired: so do we.
    Raises KiteProblem, BadQuote."""
    found: dict[str, Quote] = {}
    for start in range(0, len(keys), KEYS_MAX):
        found |= quotes_of(read("market.quote", params={"i": list(keys[start : start + KEYS_MAX])}))
    return found


@transaction.atomic
def circuits_note(found: Mapping[str, Quote]) -> int:
    """Take over the circuit limits of quotes for the day that each is of: decisions take them from now on. Quotes
    without limits (indices) or without a day are passed over; how many limits were written."""
    known = primary_keys(found)
    rows = [
        CircuitLimit(
            instrument_id=known[key],
            date=quote.day,
            lower=quote.lower_circuit_limit,
            upper=quote.upper_circuit_limit,
        )
        for key, quote in found.items()
        if key in known and quote.day and 0 < quote.lower_circuit_limit < quote.upper_circuit_limit
    ]
    CircuitLimit.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["instrument", "date"], update_fields=["lower", "upper"]
    )
    rules_changed(row.instrument_id for row in rows)
    return len(rows)
