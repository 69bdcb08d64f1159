"""What happened to books, in order: fills and corporate actions, folded into holdings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from portfolio.domain.books import FLAT, BookedFill, Entry, Holding, book
from portfolio.domain.corporate import BookedAction, act

Event = BookedFill | BookedAction


def booked(holding: Holding, event: Event) -> tuple[Holding, list[Entry]]:
    """The holding after an event, and its ledger entries. Raises FractionLeft."""
    if isinstance(event, BookedAction):
        return act(holding, event)
    return book(holding, event)


def ledger_of(events: Iterable[Event]) -> Iterator[Entry]:
    """The ledger entries of one book's events, in the order in which they were booked."""
    holdings: dict[str, Holding] = {}
    for event in events:
        holdings[event.instrument], entries = booked(holdings.get(event.instrument, FLAT), event)
        yield from entries


def rebuild(events: Iterable[Event]) -> dict[str, Holding]:
    """Holdings of one book by instrument, from its events alone, in the order in which they were booked."""
    holdings: dict[str, Holding] = {}
    for event in events:
        holdings[event.instrument], _ = booked(holdings.get(event.instrument, FLAT), event)
    return holdings
