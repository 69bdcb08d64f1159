"""The journal: every trade from entry to flat, what it cost, what people say of it, and the days as a heat map."""

from __future__ import annotations

from calendar import Calendar
from datetime import date
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from alphapanda import journal
from alphapanda.core.refusals import Refusal
from alphapanda.dashboard import frame, moment, screen
from alphapanda.dashboard.access import broker_of, may_act, page_view, viewer_required
from alphapanda.dashboard.lists import BAD_REQUEST, PAGE, with_query
from alphapanda.journal import Entry, Sums
from alphapanda.journal_api import picture_answer
from portfolio import journal as notes
from portfolio.domain.pictures import ACCEPTED, BYTES_MAX
from portfolio.domain.trips import Trip
from portfolio.models import Book

MONTHS = 6
STRONG, CLEAR = 0.66, 0.33  # of the day that earned or lost most
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class JournalForm(journal.Narrowed):
    """Also from which row of them on."""

    skip = forms.IntegerField(required=False, min_value=0, widget=forms.HiddenInput)


class NoteForm(forms.Form):
    """What a person says of a trade."""

    tags = forms.CharField(required=False, max_length=500, help_text=f"commas between; {notes.TAG_WORDS}")
    text = forms.CharField(
        required=False, max_length=notes.TEXT_MAX, label="Note", widget=forms.Textarea(attrs={"rows": 5})
    )
    revision = forms.IntegerField(min_value=0, widget=forms.HiddenInput)


@page_view
def page(request: HttpRequest) -> HttpResponse:
    """Sums, days and trades that the filters leave."""
    broker = broker_of(request.GET.get("broker", ""))
    live, form = frame.Reading(broker), JournalForm(request.GET)
    is_good = form.is_valid()
    found = journal.entries(broker, form.cleaned_data, moment.until()) if is_good else []
    skip = form.cleaned_data.get("skip") or 0
    rows = {
        "trips": {row["id"]: row for row in map(trade_row, found[skip : skip + PAGE])},
        "tripdays": {"all": _days(found, _query(request))},
        "triptiles": {"all": _tiles(found)},
        "tripsums": {"all": _sums(found)},
    }
    html = screen.rendered(rows)
    if frame.wants_json(request):
        return frame.snapshot(live, html, is_stored=True)
    context = {
        "form": form,
        "rows": list(html["trips"].values()),
        "days": html["tripdays"]["all"],
        "tiles": html["triptiles"]["all"],
        "sums": html["tripsums"]["all"],
        "older": with_query(request, skip=str(skip + PAGE)) if len(found) > skip + PAGE else "",
        "newest": with_query(request, skip="") if skip else "",
    }
    status = 200 if is_good else BAD_REQUEST
    hints = [*rows, "news", "fills"]
    return frame.shown(
        request, "journal", "dashboard/journal.html", context, live=live, hints=hints, status=status
    )


def _query(request: HttpRequest) -> str:
    """The filters but for the days, to go before those of a day."""
    query = request.GET.copy()
    for name in ("first", "last", "skip"):
        query.pop(name, None)
    return query.urlencode()


def trade_row(entry: Entry) -> screen.Row:
    """A trade as its row shows it."""
    trip = entry.trip
    return {
        "id": str(trip.trip_id),
        "order": trip.opened_at_ms,
        "instrument": trip.instrument,
        "side": "long" if trip.side == "BUY" else "short",
        "units": trip.most,
        "opened_ms": trip.opened_at_ms,
        "closed_ms": trip.closed_at_ms,
        "held_ms": trip.held_ms,
        "entry": _text(trip.average(is_entry=True)),
        "exit": _text(trip.average(is_entry=False)),
        "gross": str(trip.gross),
        "charged": str(trip.charged),
        "charges": {line: str(amount) for line, amount in trip.charges.items()},
        "slipped": _text(entry.slipped),
        "net": str(trip.net),
        "tags": entry.tags,
        "text": entry.note.text if entry.note else "",
        "deployment": entry.book,
    }


def _text(amount: Any) -> str | None:
    return None if amount is None else str(amount)


# ---- sums ----------------------------------------------------------------------------------------------------


def _tiles(found: list[Entry]) -> screen.Row:
    is_open = [entry.trip.closed_at_ms is None for entry in found]
    return {"id": "all", "open": sum(is_open), "total": _sum(journal.total(found))}


def _sums(found: list[Entry]) -> screen.Row:
    total = journal.total(found)
    lines = sorted(total.lines.items(), key=lambda pair: -pair[1])
    return {
        "id": "all",
        "total": _sum(total),
        "tags": [[tag, _sum(sums)] for tag, sums in journal.by_tag(found).items()],
        "strategies": [[name, _sum(sums)] for name, sums in journal.by_strategy(found).items()],
        "lines": [[line, str(amount)] for line, amount in lines],
    }


def _sum(sums: Sums) -> dict[str, Any]:
    return {
        "count": sums.count,
        "wins": sums.wins,
        "gross": str(sums.gross),
        "charges": str(sums.charges),
        "slipped": str(sums.slipped),
        "net": str(sums.net),
        "held_ms": sums.held_on_average_ms if sums.count else None,
    }


# ---- days ----------------------------------------------------------------------------------------------------


def _days(found: list[Entry], query: str) -> screen.Row:
    """The newest months in which trades ended, week by week; each day with what it made."""
    days = journal.by_day(found)
    months = sorted({(day.year, day.month) for day in days}, reverse=True)[:MONTHS]
    shown = {day: sums for day, sums in days.items() if (day.year, day.month) in months}
    most = max((abs(sums.net) for sums in shown.values()), default=0)
    width = 7 if any(day.weekday() >= 5 for day in shown) else 5
    return {
        "id": "all",
        "query": query,
        "names": WEEKDAYS[:width],
        "months": [
            {"title": f"{date(*month, 1):%B %Y}", "weeks": _weeks(month, width, shown, float(most))}
            for month in months
        ],
    }


def _weeks(month: tuple[int, int], width: int, days: dict[date, Sums], most: float) -> list[list[Any]]:
    weeks = Calendar().monthdatescalendar(*month)
    cells = [[_cell(day, days.get(day), most) for day in week[:width]] for week in weeks]
    inside = [[cell if day.month == month[1] else None for cell, day in zip(row, week, strict=False)]
              for row, week in zip(cells, weeks, strict=True)]  # fmt: skip
    return [row for row in inside if any(row)]


def _cell(day: date, sums: Sums | None, most: float) -> dict[str, Any]:
    cell = {"day": day.day, "date": day.isoformat(), "net": None, "level": "", "count": 0}
    if sums is None:
        return cell
    share = float(abs(sums.net)) / most if most else 0
    level = 3 if share > STRONG else 2 if share > CLEAR else 1
    word = "gain" if sums.net > 0 else "loss" if sums.net < 0 else "even"
    return cell | {"net": str(sums.net), "level": f"{word}-{level}", "count": sums.count}


# ---- one trade -----------------------------------------------------------------------------------------------


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@viewer_required
def trade(request: HttpRequest, trade_id: UUID) -> HttpResponse:
    """A trade with every fill, and the forms of what a person adds to it."""
    try:
        entry, book = journal.entry_of(trade_id, moment.until())
    except notes.UnknownTrade as error:
        raise Http404(str(error)) from error
    if request.method != "POST":
        return _trade(request, entry, book, _form(entry))
    if not may_act(request.user):
        raise PermissionDenied("Only an operator writes in the journal.")
    if "picture" in request.POST:
        return _add_picture(request, entry, book)
    return _write_note(request, entry, book)


def _form(entry: Entry) -> NoteForm:
    note = entry.note
    return NoteForm(
        initial={
            "tags": ", ".join(entry.tags),
            "text": note.text if note else "",
            "revision": note.revision if note else 0,
        }
    )


def _actor(request: HttpRequest) -> dict[str, Any]:
    return {
        "actor": request.user.get_username(),
        "ip": request.META.get("REMOTE_ADDR"),
        "now": timezone.now(),
    }


def _write_note(request: HttpRequest, entry: Entry, book: Book) -> HttpResponse:
    form, trade_id = NoteForm(request.POST), entry.trip.trip_id
    if form.is_valid():
        given = form.cleaned_data | {"tags": form.cleaned_data["tags"].split(",")}
        try:
            notes.note_write(trade_id=trade_id, **given, **_actor(request))
        except Refusal as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, "The note is kept.")
            return redirect("trade", trade_id)
    return _trade(request, entry, book, form, status=BAD_REQUEST)


def _add_picture(request: HttpRequest, entry: Entry, book: Book) -> HttpResponse:
    file, trade_id = request.FILES.get("file"), entry.trip.trip_id
    try:
        if file is None:
            raise notes.BadNote(f"Choose a file: {ACCEPTED}.")
        notes.picture_add(
            trade_id=trade_id, name=file.name or "", data=file.read(BYTES_MAX + 1), **_actor(request)
        )
    except Refusal as refusal:
        return _trade(request, entry, book, _form(entry), status=BAD_REQUEST, problem=str(refusal))
    messages.success(request, "The picture is kept.")
    return redirect("trade", trade_id)


def _trade(
    request: HttpRequest, entry: Entry, book: Book, form: NoteForm, *, status: int = 200, problem: str = ""
) -> HttpResponse:
    live, pictures = frame.Reading(book.broker), list(notes.pictures_of([entry.trip.trip_id], moment.until()))
    stands = f"{len(entry.trip.legs)}-{len(pictures)}"
    if frame.wants_json(request):
        return frame.snapshot(live, {}, is_stored=True, stands=stands)
    marks = journal.marks_known(book)
    context = {
        "stands": stands,
        "row": trade_row(entry),
        "trip": entry.trip,
        "entry": entry,
        "legs": [(leg, journal.slipped_of(leg, marks)) for leg in entry.trip.legs],
        "lines": sorted(entry.trip.charges.items(), key=lambda pair: -pair[1]),
        "pictures": pictures,
        "form": form,
        "problem": problem,
        "accepted": ACCEPTED,
        "neighbours": _neighbours(entry.trip, book),
    }
    return frame.shown(
        request, "journal", "dashboard/trade.html", context,
        live=live, hints=["fills", "news"], broker=book.broker, status=status,
    )  # fmt: skip


def _neighbours(trip: Trip, book: Book) -> dict[str, UUID | None]:
    """The trades of the same deployment opened just before and after."""
    ids = [one.trip_id for one in notes.trades_by_book([book], moment.until())[book.pk].trips]
    at = ids.index(trip.trip_id)
    return {"before": ids[at - 1] if at else None, "after": ids[at + 1] if at + 1 < len(ids) else None}


@page_view
def picture(_request: HttpRequest, picture_id: UUID) -> HttpResponse:
    """A picture as its bytes."""
    try:
        return picture_answer(notes.picture_shown(picture_id))
    except notes.UnknownPicture as error:
        raise Http404(str(error)) from error
