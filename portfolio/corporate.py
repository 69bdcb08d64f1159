"""Applying a corporate action to all books that hold its instrument: once, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

import msgspec
from django.db import transaction
from django.db.models import Max

from alphapanda.core import ids
from alphapanda.core.clock import ist_date, to_ms
from alphapanda.core.envelope import Envelope
from alphapanda.core.money import ZERO
from alphapanda.core.refusals import BadRequest, Conflict, NotThere
from alphapanda.eventlog import outbox
from marketdata.domain.instruments import NoSegment, Segment, segment_of
from marketdata.models import Instrument
from portfolio.booking import holding_of, positions_of, snapshot_event, total_of
from portfolio.domain.books import FLAT, BookedFill, Entry, Holding, cash_moved
from portfolio.domain.corporate import (
    Action,
    ActionKind,
    BadAction,
    BookedAction,
    FractionLeft,
    act,
    booked_actions,
)
from portfolio.domain.history import rebuild
from portfolio.models import ActionPosting, Book, CorporateAction, LedgerEntry, Position, Posting, Snapshot
from portfolio.selectors import events_booked

NOTE_MAX = 200  # characters


class ActionNotFound(NotThere):
    """There is no such corporate action."""


class ActionRefused(BadRequest):
    """The figures of a corporate action, or its instrument, do not fit."""


class ActionTooLate(Conflict):
    """A book cannot take the action any more, or not yet."""


def action_locked(action_id: UUID) -> CorporateAction:
    """The row of an action, locked. Raises ActionNotFound."""
    try:
        return (
            CorporateAction.objects.select_for_update(of=("self",))
            .select_related("instrument")
            .get(pk=action_id)
        )
    except CorporateAction.DoesNotExist as error:
        raise ActionNotFound(f"There is no corporate action {action_id}.") from error


@transaction.atomic
def action_add(
    *,
    instrument: str,
    kind: str,
    ex_date: date,
    new: int = 0,
    old: int = 0,
    amount: Decimal = ZERO,
    note: str = "",
) -> CorporateAction:
    """An action of EXCHANGE:TRADINGSYMBOL, entered once; entered again before it is applied, it is changed.
    Raises ActionRefused, ActionTooLate."""
    if kind not in set(ActionKind):
        raise ActionRefused(f"{kind!r} is no corporate action; accepted are {', '.join(ActionKind)}.")
    if len(note) > NOTE_MAX:
        raise ActionRefused(f"A note has {NOTE_MAX} characters at most, not {len(note)}.")
    exchange, _, symbol = instrument.partition(":")
    found = Instrument.objects.filter(exchange=exchange, tradingsymbol=symbol).first()
    if found is None:
        raise ActionRefused(f"There is no instrument {instrument!r}.")
    row = CorporateAction.objects.filter(instrument=found, kind=kind, ex_date=ex_date).first()
    row = row or CorporateAction(instrument=found, kind=kind, ex_date=ex_date)
    if row.applied_at is not None:
        raise ActionTooLate(f"{row} was applied and cannot be changed.")
    row.new, row.old, row.amount, row.note = new, old, amount, note
    try:
        _ = row.action
    except BadAction as error:
        raise ActionRefused(f"{row}: {error}.") from error
    row.save()
    return row


@transaction.atomic
def action_apply(*, action_id: UUID, now: datetime) -> list[ActionPosting]:
    """Apply an action to every book that held its instrument before the ex-date; what it did to each.

    Applied before, it does nothing and tells what it did then. Splits and bonuses must come before the fills
    of the ex-date; a dividend may come late. Raises ActionNotFound, ActionRefused, ActionTooLate.
    """
    row = action_locked(action_id)
    if row.applied_at is not None:
        return list(row.postings.select_related("book").order_by("sequence"))
    action = _checked(row, now)
    books = Book.objects.select_for_update(no_key=True).filter(positions__instrument=row.instrument_id)
    done = [_apply(row, book, booked) for book, booked in _booked(row, action, books.order_by("pk"))]
    row.applied_at = now
    row.save(update_fields=["applied_at"])
    return done


def _booked(row: CorporateAction, action: Action, books: Iterable[Book]) -> list[tuple[Book, BookedAction]]:
    """What the action is to each book that held its instrument. The books of a broker namespace are one account."""
    entitled = {book: units for book in books if (units := _entitled(row, action, book))}
    found: dict[UUID, BookedAction] = {}
    for broker in {book.broker for book in entitled}:
        own = {book.pk: units for book, units in entitled.items() if book.broker == broker}
        found |= {one.deployment_id: one for one in booked_actions(action, own)}
    return [(book, found[book.pk]) for book in entitled]


def _checked(row: CorporateAction, now: datetime) -> Action:
    instrument = row.instrument
    try:
        segment = segment_of(instrument.exchange, instrument.instrument_type)
        action = row.action
    except (BadAction, NoSegment) as error:
        raise ActionRefused(f"{row}: {error}.") from error
    if segment is not Segment.EQUITY:
        raise ActionRefused(f"{row}: only shares are adjusted here; exchanges adjust contracts themselves.")
    if action.ex_date > ist_date(to_ms(now)):
        raise ActionTooLate(f"{row}: the ex-date has not come.")
    return action


def _entitled(row: CorporateAction, action: Action, book: Book) -> int:
    """Units that a book held before the ex-date. Raises ActionTooLate."""
    if book.postings.filter(state=Posting.State.NEW).exists():
        raise ActionTooLate(f"{row}: fills of {book} wait to be booked; try again.")
    events = [event for event in events_booked(book) if event.instrument == action.instrument]
    entitled = rebuild(event for event in events if event.at_ms < action.at_ms).get(action.instrument, FLAT)
    traded = any(isinstance(event, BookedFill) and event.at_ms >= action.at_ms for event in events)
    if entitled.quantity and traded and action.kind is not ActionKind.DIVIDEND:
        raise ActionTooLate(f"{row}: {book} has traded {action.instrument} since; its profits would change.")
    return entitled.quantity


def _apply(row: CorporateAction, book: Book, booked: BookedAction) -> ActionPosting:
    position = Position.objects.get(book=book, instrument=row.instrument_id)
    before = holding_of(position)
    try:
        after, entries = act(before, booked)
    except FractionLeft as error:
        raise ActionRefused(f"{row} in {book}: {error}; trade the odd shares first.") from error
    _write_books(row, book, position, after, entries)
    outbox.publish([_snapshot(book, booked, after)])
    return _posting(row, book, booked, before, after)


def _write_books(
    row: CorporateAction, book: Book, position: Position, after: Holding, entries: Sequence[Entry]
) -> None:
    at_ms = row.action.at_ms
    position.quantity, position.realised = after.quantity, after.realised
    position.updated_at_ms = max(position.updated_at_ms, at_ms)
    position.save(update_fields=["quantity", "realised", "updated_at_ms"])
    LedgerEntry.objects.bulk_create(
        LedgerEntry(
            id=entry.id,
            book=book,
            portfolio_id=book.portfolio_id,
            instrument=row.instrument,
            fill_id=entry.fill_id,
            number=entry.number,
            account=entry.account,
            amount=entry.amount,
            at_ms=at_ms,
        )
        for entry in entries
    )
    book.cash += cash_moved(entries)
    book.save(update_fields=["cash"])


def _snapshot(book: Book, booked: BookedAction, after: Holding) -> Envelope:
    total = total_of(map(holding_of, positions_of(book.pk)))
    snapshot = Snapshot.objects.create(
        id=ids.derived("snapshot", booked.posting_id),
        book=book,
        portfolio_id=book.portfolio_id,
        cash=book.cash,
        cost=total.cost,
        realised=total.realised,
        charges=total.charges,
        at_ms=booked.at_ms,
    )
    return snapshot_event(
        snapshot,
        instrument=booked.instrument,
        quantity=after.quantity,
        correlation_id=booked.action.action_id,
        causation_id=booked.action.action_id,
    )


def _posting(
    row: CorporateAction, book: Book, booked: BookedAction, before: Holding, after: Holding
) -> ActionPosting:
    last = book.postings.filter(state=Posting.State.BOOKED).aggregate(last=Max("sequence"))["last"]
    return ActionPosting.objects.create(
        posting_id=booked.posting_id,
        book=book,
        corporate_action=row,
        booked=msgspec.to_builtins(booked),
        after_sequence=last or 0,
        quantity_before=before.quantity,
        quantity_after=after.quantity,
    )
