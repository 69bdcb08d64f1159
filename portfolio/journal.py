"""The journal: the trades of a book out of what was booked on it, and what people note on them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import Max, Q, QuerySet

from accounts.models import AuditEntry
from accounts.services import audit
from alphapanda.core import ids
from alphapanda.core.refusals import BadRequest, Conflict, NotThere, reason_problem
from portfolio.domain.pictures import BadPicture, picture_of
from portfolio.domain.trips import Trip, trips_of
from portfolio.models import ActionPosting, Book, Posting, TradeNote, TradePicture
from portfolio.selectors import Newest, events_booked

TAG = re.compile(r"[a-z0-9][a-z0-9 _-]{0,29}")
TAG_WORDS = "small letters, digits, spaces, dashes and underscores, 30 characters at most"
TAGS_MAX, TEXT_MAX, PICTURES_MAX, NAME_MAX = 12, 4_000, 12, 120
BOOKS_REMEMBERED = 128
NOTED, TARGET = "journal.note", "trade:"  # as the audit trail names it


class UnknownTrade(NotThere):
    """No trade was opened by a fill of that id."""


class UnknownPicture(NotThere):
    """There is no picture of that id, or it was removed."""


class BadNote(BadRequest):
    """A note, tag or picture that cannot be kept; the text says why."""


class NoteChanged(Conflict):
    """Somebody wrote the note since it was read."""


# ---- trades --------------------------------------------------------------------------------------------------


class Traded(NamedTuple):
    """The trades of a book, each by the time at which it was opened; `newest` numbers the last fill that is in them."""

    trips: tuple[Trip, ...]
    newest: int


def trades_by_book(books: Iterable[Book], until: datetime | None = None) -> dict[UUID, Traded]:
    """The trades of those of some books that have any, as far as they had been booked by a moment (None: now)."""
    chosen = [book.pk for book in books]
    booked = Posting.objects.filter(book__in=chosen, state=Posting.State.BOOKED)
    acted = ActionPosting.objects.filter(book__in=chosen)
    if until is not None:
        booked, acted = booked.filter(booked_at__lte=until), acted.filter(created_at__lte=until)
    newest = dict(booked.values("book").annotate(at=Max("sequence")).values_list("book", "at"))
    actions = dict(acted.values("book").annotate(at=Max("sequence")).values_list("book", "at"))
    return {pk: Traded(_trips(pk, Newest(at, actions.get(pk, 0))), at) for pk, at in newest.items()}


@lru_cache(maxsize=BOOKS_REMEMBERED)
def _trips(book_id: UUID, newest: Newest) -> tuple[Trip, ...]:
    """What was booked never changes, so trades are folded again only when more was."""
    return tuple(trips_of(events_booked(Book(pk=book_id), newest)))


def trade_of(trade_id: UUID, until: datetime | None = None) -> Trip:
    """A trade by the fill that opened it. Raises UnknownTrade, also where it was opened after the moment."""
    posting = Posting.objects.filter(fill_id=trade_id).select_related("book").first()
    found = trades_by_book([posting.book], until) if posting else {}
    for trade in (trade for traded in found.values() for trade in traded.trips):
        if trade.trip_id == trade_id:
            return trade
    raise UnknownTrade(f"No trade was opened by fill {trade_id}.")


# ---- what people note ----------------------------------------------------------------------------------------


def notes_of(books: Iterable[Book], until: datetime | None = None) -> dict[UUID, TradeNote]:
    """Notes by their trade; those of a moment are what the audit trail had of them then."""
    found = {note.trade_id: note for note in TradeNote.objects.filter(book__in=books)}
    return found if until is None else _written_by(found, until)


def _written_by(notes: dict[UUID, TradeNote], until: datetime) -> dict[UUID, TradeNote]:
    """The same notes as they stood at a moment, without those that nobody had written yet."""
    late = [trade_id for trade_id, note in notes.items() if note.changed_at > until]
    then = {trade_id: note for trade_id, note in notes.items() if note.changed_at <= until}
    said = AuditEntry.objects.filter(action=NOTED, at__lte=until).order_by("at", "id")
    for entry in said.filter(_targets(late)) if late else ():
        trade_id = UUID(entry.target.partition(" ")[0].removeprefix(TARGET))
        revision = then[trade_id].revision + 1 if trade_id in then else 1
        facts = {"revision": revision, "changed_by": entry.actor, "changed_at": entry.at}
        then[trade_id] = TradeNote(
            trade_id=trade_id, book_id=notes[trade_id].book_id, **entry.details["after"], **facts
        )
    return then


def _targets(trade_ids: Iterable[UUID]) -> Q:
    found = Q(pk=None)
    for trade_id in trade_ids:
        found |= Q(target__startswith=f"{TARGET}{trade_id} ")
    return found


def pictures_of(trade_ids: Iterable[UUID], until: datetime | None = None) -> QuerySet[TradePicture]:
    """The pictures of trades without their bytes, in the order in which they were added; at a moment also those that
    were removed after it, whose bytes are gone."""
    still = Q(removed_at=None) if until is None else Q(removed_at=None) | Q(removed_at__gt=until)
    found = TradePicture.objects.filter(still, trade_id__in=trade_ids)
    if until is not None:
        found = found.filter(added_at__lte=until)
    return found.defer("data").order_by("added_at", "id")


def picture_shown(picture_id: UUID) -> TradePicture:
    """A picture with its bytes. Raises UnknownPicture."""
    found = TradePicture.objects.filter(id=picture_id, removed_at=None).first()
    if found is None:
        raise UnknownPicture(f"There is no picture {picture_id}, or it was removed.")
    return found


def note_write(
    *,
    trade_id: UUID,
    text: str,
    tags: Iterable[str],
    revision: int,
    actor: str,
    now: datetime,
    ip: str | None = None,
) -> TradeNote:
    """What a person says of a trade from now on, over what was read as `revision` (0: there was none). The same said
    again changes nothing. Raises UnknownTrade, BadNote, NoteChanged."""
    trade, text, chosen = trade_of(trade_id), text.strip().replace("\r\n", "\n"), _tags(tags)
    if len(text) > TEXT_MAX:
        raise BadNote(f"The note has {len(text)} characters; {TEXT_MAX} are accepted at most.")
    note = TradeNote.objects.filter(pk=trade_id).first()
    if (note.text, note.tags) == (text, chosen) if note else not (text or chosen):
        return note or TradeNote(trade_id=trade_id, book_id=trade.deployment_id)
    with transaction.atomic():
        note = _locked(trade, actor=actor, now=now)
        if note.revision != revision:
            raise NoteChanged(f"{note.changed_by} has changed the note meanwhile: read it again.")
        before = {"text": note.text, "tags": note.tags}
        note.text, note.tags, note.revision = text, chosen, revision + 1
        note.changed_by, note.changed_at = actor, now
        note.save()
        details = {"before": before, "after": {"text": text, "tags": chosen}}
        _audit(NOTED, trade, actor=actor, ip=ip, details=details)
    return note


def _locked(trade: Trip, *, actor: str, now: datetime) -> TradeNote:
    """The note of a trade, locked; the book stays free, for trading writes there."""
    facts = {"book_id": trade.deployment_id, "changed_by": actor, "changed_at": now}
    TradeNote.objects.get_or_create(trade_id=trade.trip_id, defaults=facts)
    return TradeNote.objects.select_for_update().get(pk=trade.trip_id)


def _tags(found: Iterable[str]) -> list[str]:
    """In order, each once. Raises BadNote."""
    tags = sorted({tag.strip().lower() for tag in found} - {""})
    if bad := [tag for tag in tags if not TAG.fullmatch(tag)]:
        raise BadNote(f"{bad[0][:40]!r} is no tag; accepted are {TAG_WORDS}.")
    if len(tags) > TAGS_MAX:
        raise BadNote(f"{len(tags)} tags are too many; {TAGS_MAX} are accepted at most.")
    return tags


def picture_add(
    *, trade_id: UUID, name: str, data: bytes, actor: str, now: datetime, ip: str | None = None
) -> TradePicture:
    """Keep a picture on a trade; the same bytes once more are the same picture. Raises UnknownTrade, BadNote."""
    trade = trade_of(trade_id)
    try:
        picture = picture_of(data)
    except BadPicture as error:
        raise BadNote(f"The picture cannot be kept: {error}.") from error
    pk = ids.derived("picture", trade_id, sha256(data).hexdigest())
    if found := pictures_of([trade_id]).filter(pk=pk).first():
        return found
    with transaction.atomic():
        if pictures_of([trade_id]).count() >= PICTURES_MAX:
            raise BadNote(f"A trade has {PICTURES_MAX} pictures at most: remove one before.")
        row, _ = TradePicture.objects.update_or_create(
            id=pk,
            defaults={
                "trade_id": trade_id,
                "book_id": trade.deployment_id,
                "name": name[-NAME_MAX:],
                "kind": picture.kind,
                "width": picture.width,
                "height": picture.height,
                "size": len(data),
                "data": data,
                "added_by": actor,
                "added_at": now,
                "removed_at": None,
            },
        )
        _audit("journal.picture", trade, actor=actor, ip=ip, details={"picture": str(pk), "name": row.name})
    return row


def picture_remove(
    *, picture_id: UUID, reason: str, actor: str, now: datetime, ip: str | None = None
) -> TradePicture:
    """Take a picture off a trade, for good. Raises UnknownPicture, BadNote."""
    if problem := reason_problem(reason):
        raise BadNote(problem)
    with transaction.atomic():
        found = TradePicture.objects.select_for_update().filter(pk=picture_id, removed_at=None).first()
        if found is None:
            raise UnknownPicture(f"There is no picture {picture_id}, or it was removed before.")
        found.data, found.removed_at = b"", now
        found.save(update_fields=["data", "removed_at"])
        details = {"picture": str(picture_id), "name": found.name}
        trade = trade_of(found.trade_id)
        _audit("journal.picture_removed", trade, actor=actor, ip=ip, reason=reason, details=details)
    return found


def _audit(action: str, trade: Trip, **facts: Any) -> None:
    audit(action=action, target=f"{TARGET}{trade.trip_id} {trade.instrument}", **facts)
