"""Last prices as far as the platform still knows them: in the read model the newest of each instrument, and in
the stored bars of a minute what came before."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import QuerySet

from alphapanda import logs
from alphapanda.push import readmodel
from marketdata.models import Bar
from marketdata.selectors import primary_keys, specs_by_key

log = logs.channel("application")
Mark = tuple[int, int]  # price in 1/10,000 rupee, and its event time
MINUTE_MS = 60_000


def marks_before(keys: Iterable[str], at_ms: int) -> dict[str, Mark]:
    """The last price before a time of each EXCHANGE:TRADINGSYMBOL of which one is known; others are absent.

    A bar's price stands at the end of its minute: when in the minute it was paid is not stored.
    """
    names = list(keys)
    found = marks_of_bars(names, at_ms)
    for key, mark in _live(names).items():
        if found.get(key, (0, -1))[1] < mark[1] < at_ms:
            found[key] = mark
    return found


def marks_forget(tokens: Iterable[int]) -> None:
    """Let go of the live prices of tokens that have another owner: they are of the one before. Never raises for a
    Redis that is away, which has forgotten them."""
    try:
        readmodel.marks_forget(tokens)
    except readmodel.ReadModelUnavailable as error:
        log.warning("push.readmodel.unavailable", error=str(error))


def marks_of_bars(keys: Iterable[str], at_ms: int, *, stored: QuerySet[Bar] | None = None) -> dict[str, Mark]:
    """The close of the last bar of a minute that had ended by a time, by EXCHANGE:TRADINGSYMBOL, out of all bars or
    these."""
    names = {pk: key for key, pk in primary_keys(keys).items()}
    known = Bar.objects.all() if stored is None else stored
    bars = known.filter(instrument_id__in=names, minutes=1, starts_ms__lte=at_ms - MINUTE_MS)
    last = bars.order_by("instrument_id", "-starts_ms").distinct("instrument_id")
    rows = last.values_list("instrument_id", "close_e4", "starts_ms")
    return {names[pk]: (price_e4, starts_ms + MINUTE_MS - 1) for pk, price_e4, starts_ms in rows}


def _live(keys: list[str]) -> dict[str, Mark]:
    try:
        newest = readmodel.marks()
    except readmodel.ReadModelUnavailable:
        return {}
    tokens = {key: spec.token for key, spec in specs_by_key(keys).items()}
    return {key: newest[token] for key, token in tokens.items() if token in newest}
