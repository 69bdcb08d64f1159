"""Data: lists of instruments, the calendar, bars of each day, gaps, and what may be kept of a broker's data."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from django import forms
from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts.selectors import access_token, the_account
from alphapanda.core.clock import to_ms
from alphapanda.core.envelope import FeedGap
from alphapanda.core.refusals import Refusal
from alphapanda.dashboard import frame, screen
from alphapanda.dashboard.access import broker_of, page_view
from alphapanda.dashboard.days import Day
from alphapanda.dashboard.lists import BAD_REQUEST
from marketdata import coverage, selectors
from marketdata.coverage import Covered, DayBars, ListState
from marketdata.domain.kite_candles import Interval
from marketdata.domain.master import Change, ChangeKind
from marketdata.models import CandleFetch, MasterChange
from marketdata.services.kite_candles import WHY_NOT_KEPT
from marketdata.services.master import in_words

DAYS = 15
CHANGES = 100
FETCHES = 20
SOON_DAYS = 30  # a calendar that ends sooner is a warning
MOST, SOME = 0.98, 0.5  # share of the minutes of a day


class DataForm(forms.Form):
    """Up to which day bars are shown."""

    until = Day(label="Up to")


class FetchForm(forms.Form):
    """Candles to fetch; the API checks and answers."""

    instrument = forms.CharField(max_length=80, widget=forms.TextInput(attrs={"placeholder": "NSE:INFY"}))
    first = forms.DateField(label="From", widget=forms.DateInput(attrs={"type": "date"}))
    last = forms.DateField(label="To", widget=forms.DateInput(attrs={"type": "date"}))
    interval = forms.ChoiceField(choices=[(one.value, one.value) for one in Interval])


@page_view
def page(request: HttpRequest) -> HttpResponse:
    """Lists, calendar and gaps stay live; bars are counted when the page is opened, and say so."""
    live, form = frame.Reading(broker_of(request.GET.get("broker", ""))), DataForm(request.GET)
    is_good, now = form.is_valid(), timezone.now()
    rows = {
        "masters": {one.exchange: _list(one) for one in coverage.lists_known()},
        "horizons": _horizons(now),
        "gaps": {row["id"]: row for row in map(_gap, coverage.gaps_told())},
        "fetches": {row["id"]: row for row in map(fetch_row, _asked())},
    }
    html = screen.rendered(rows)
    if frame.wants_json(request):
        return frame.snapshot(live, html, is_stored=True)
    found = coverage.coverage(days=DAYS, until=form.cleaned_data["until"]) if is_good else []
    context: dict[str, Any] = {
        **{kind: list(html[kind].values()) for kind in rows},
        "form": form,
        "fetch_form": FetchForm(auto_id="fetch_%s"),
        "no_session": no_session(now),
        "days": [one.day for one in found[0].days] if found else [],
        "covered": [_covered(one) for one in found],
        "as_of": now,
        "changes": _changes(),
        "copies": coverage.copies_kept(),
        "is_archiving": settings.KITE_ARCHIVE,
        "why_not": WHY_NOT_KEPT,
    }
    status = 200 if is_good else BAD_REQUEST
    return frame.shown(
        request, "data", "dashboard/data.html", context, live=live, hints=list(rows), status=status
    )


def _list(one: ListState) -> screen.Row:
    load = one.load
    return {
        "id": one.exchange,
        "order": one.exchange,
        "listed": one.listed,
        "gone": one.gone,
        "source": load.source if load else "",
        "loaded_ms": to_ms(load.loaded_at) if load else None,
        "added": load.added if load else None,
        "left": load.gone if load else None,
        "changed": load.changed if load else None,
        "faulty": load.faulty if load else None,
    }


def _horizons(now: datetime) -> dict[str, screen.Row]:
    left, until = coverage.calendar_left(now=now), selectors.calendar_known_until()
    return {
        exchange: {
            "id": exchange,
            "order": exchange,
            "until": str(until[exchange] or ""),
            "left": days,
            "level": "fail" if days is None or days < 0 else "warn" if days < SOON_DAYS else "ok",
        }
        for exchange, days in left.items()
    }


def _gap(gap: FeedGap) -> screen.Row:
    return {
        "id": f"{gap.source}-{gap.connection}-{gap.from_ms}",
        "order": gap.from_ms,
        "source": gap.source,
        "connection": gap.connection,
        "instruments": gap.instruments,
        "from_ms": gap.from_ms,
        "until_ms": gap.until_ms,
        "lasted_ms": gap.until_ms - gap.from_ms if gap.until_ms else None,
        "reason": gap.reason,
    }


def _asked() -> QuerySet[CandleFetch]:
    return CandleFetch.objects.select_related("instrument").order_by("-created_at", "-id")[:FETCHES]


def no_session(now: datetime) -> str:
    """Why the broker cannot be asked for candles now, in words; empty where it can."""
    try:
        access_token(the_account().pk, now=now)
    except Refusal as refusal:
        return str(refusal)
    return ""


def fetch_row(one: CandleFetch) -> screen.Row:
    """Candles that were asked for, as Data and the chart show them."""
    return {
        "id": str(one.pk),
        "order": to_ms(one.created_at),
        "at_ms": to_ms(one.created_at),
        "what": str(one),
        "state": one.state,
        "done": one.done,
        "total": one.total,
        "files": len(one.files),
        "folder": str(Path(one.files[0]).parent) if one.files else "",
        "error": one.error,
        "by": one.asked_by,
    }


def _changes() -> list[dict[str, Any]]:
    """What the newest list changed, what is in use first."""
    newest = selectors.master_newest()
    rows = MasterChange.objects.filter(load=newest).order_by("-is_touching", "kind", "instrument")[:CHANGES]
    return [
        {
            "instrument": row.instrument,
            "words": in_words(Change(ChangeKind(row.kind), row.instrument, row.field, row.before, row.after)),
            "uses": ", ".join(use["name"] for use in row.uses),
        }
        for row in rows
    ]


# ---- bars of each day ----------------------------------------------------------------------------------------


def _covered(one: Covered) -> dict[str, Any]:
    cells = [_cell(day) for day in one.days]
    lacking = [day.day for day in one.days if day.missing]
    command = ""
    if lacking:
        command = f"manage.py kite_candles {one.instrument} --from {lacking[0]} --to {lacking[-1]}"
    return {"instrument": str(one.instrument), "cells": cells, "command": command}


def _cell(day: DayBars) -> dict[str, Any]:
    if day.expected is None:
        return {"stored": day.stored, "level": "", "words": f"{day.day}: {day.stored} bars"}
    if not day.expected:
        return {"stored": day.stored or "", "level": "", "words": f"{day.day}: no trading"}
    share = day.stored / day.expected
    level = "whole" if share >= MOST else "most" if share >= SOME else "some" if day.stored else "none"
    words = f"{day.day}: {day.stored} of {day.expected} minutes"
    return {
        "stored": day.stored,
        "level": level,
        "words": f"{words}, {day.missing} missing" if day.missing else words,
    }
