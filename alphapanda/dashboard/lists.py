"""Lists out of the database: narrowed by a form, newest first, in pages; live by reading themselves again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django import forms
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse

from alphapanda.dashboard import frame, moment, screen
from alphapanda.dashboard.access import broker_of

PAGE = 100  # rows
BAD_REQUEST = 400


class Place(forms.Field):
    """Where a page begins: below the row with this time and id."""

    def to_python(self, value: Any) -> tuple[datetime, UUID] | None:
        if not value:
            return None
        at, _, name = str(value).partition("/")
        try:
            return datetime.fromisoformat(at), UUID(name)
        except ValueError:
            raise forms.ValidationError("no place in this list: begin at its newest row") from None


class Narrowed(forms.Form):
    """What a list is narrowed by. Subclasses say how, in `narrow`."""

    older = Place(required=False, widget=forms.HiddenInput)

    def narrow(self, found: QuerySet) -> QuerySet:
        raise NotImplementedError


@dataclass(frozen=True)
class Listing:
    """A list page: its table is of one kind of row, made of `columns`; it reads itself again on a change of `kind`."""

    page: str
    title: str
    kind: str
    form: type[Narrowed]
    queryset: Callable[[], QuerySet]
    rows: Callable[[QuerySet], list[screen.Row]]
    idle: Callable[[str, frame.Reading], screen.Row]  # what to say where there is no row


def shown(request: HttpRequest, listing: Listing) -> HttpResponse:
    """The page, or its rows alone for who asks for JSON. A filter that makes no sense is told beside its field."""
    broker = broker_of(request.GET.get("broker", ""))
    live = frame.Reading(broker)
    form = listing.form(request.GET)
    is_good = form.is_valid()
    found, older = _page(listing, form, broker) if is_good else ([], "")
    rows = {row["id"]: screen.dated(row, live.day) for row in found}
    bare = {
        listing.kind: {"id": listing.kind}
        | ({} if rows or not is_good else _idle(listing, form, broker, live))
    }
    html = screen.rendered({listing.kind: rows, "idle": bare if moment.current() is None else {}})
    if frame.wants_json(request):
        return frame.snapshot(live, html, is_stored=True)
    context = {
        "listing": listing,
        "form": form,
        "rows": list(html[listing.kind].values()),
        "bare": html["idle"].get(listing.kind, ""),
        "older": with_query(request, older=older) if older else "",
        "newest": with_query(request, older="") if form.data.get("older") else "",
    }
    status = 200 if is_good else BAD_REQUEST
    return frame.shown(
        request,
        listing.page,
        "dashboard/list.html",
        context,
        live=live,
        hints=[listing.kind, "idle"],
        status=status,
    )


def _idle(listing: Listing, form: Narrowed, broker: str, live: frame.Reading) -> screen.Row:
    told = listing.idle(broker, live)
    is_narrowed = bool(told["stored"] and any(form.cleaned_data.values()))
    return {"broker": broker, "is_empty": True, "is_narrowed": is_narrowed} | told


def _page(listing: Listing, form: Narrowed, broker: str) -> tuple[list[screen.Row], str]:
    """The rows of a page, and the place where the next one begins (empty: there is none)."""
    chosen = form.narrow(listing.queryset().filter(broker=broker)).order_by("-created_at", "-id")
    if place := form.cleaned_data["older"]:
        at, name = place
        chosen = chosen.filter(Q(created_at__lt=at) | Q(created_at=at, id__lt=name))
    ids = list(chosen.values_list("created_at", "id")[: PAGE + 1])
    is_more = len(ids) > PAGE
    rows = listing.rows(listing.queryset().filter(id__in=[name for _, name in ids[:PAGE]]))
    at, name = ids[PAGE - 1] if is_more else (None, None)
    ordered = sorted(rows, key=lambda row: row["order"], reverse=True)
    return ordered, f"{at.isoformat()}/{name}" if at else ""


def with_query(request: HttpRequest, **more: str) -> str:
    """This page's query with other values."""
    query = request.GET.copy()
    for name, value in more.items():
        query[name] = value
    return "?" + query.urlencode()
