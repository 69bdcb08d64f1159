"""Last prices as far as the platform still knows them: in the read model, the newest of each instrument."""

from __future__ import annotations

from collections.abc import Iterable

from alphapanda.push import readmodel
from marketdata.selectors import specs_by_key

Mark = tuple[int, int]  # price in 1/10,000 rupee, and its event time


def marks_before(keys: Iterable[str], at_ms: int) -> dict[str, Mark]:
    """The last price before a time of each EXCHANGE:TRADINGSYMBOL of which one is known; others are absent."""
    try:
        newest = readmodel.marks()
    except readmodel.ReadModelUnavailable:
        newest = {}
    tokens = {key: spec.token for key, spec in specs_by_key(keys).items()}
    found = {key: newest[token] for key, token in tokens.items() if token in newest}
    return {key: mark for key, mark in found.items() if mark[1] < at_ms}
