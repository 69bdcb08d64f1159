"""Logs: who did what, what was configured before, and the newest lines of the processes."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from accounts.models import AuditEntry
from alphapanda import log_files, logs
from alphapanda.core.clock import DAY_MS, ist_midnight_ms, to_datetime, to_ms
from alphapanda.dashboard import frame, moment, screen
from alphapanda.dashboard.access import broker_of, page_view
from alphapanda.dashboard.days import Day
from alphapanda.dashboard.lists import BAD_REQUEST, PAGE, with_query
from alphapanda.log_files import LEVELS, Line

SHOWN = (("", "audit trail"), ("config", "configuration"), ("log", "log of the processes"))
CONFIGURED = r"(\.(add|change|delete)|^limits\.|approval_mode)$"  # acts that change what is configured
LINES = 200


class AuditForm(forms.Form):
    """Who did what to what, and when."""

    actor = forms.CharField(required=False, max_length=150, label="Who")
    action = forms.CharField(required=False, max_length=60, label="What")
    target = forms.CharField(required=False, max_length=200, label="To what")
    first = Day(label="From")
    last = Day(label="To")
    below = forms.IntegerField(required=False, min_value=1, max_value=2**62, widget=forms.HiddenInput)

    def narrow(self, found: QuerySet) -> QuerySet:
        given = self.cleaned_data
        for name in ("actor", "action", "target"):
            if given[name]:
                found = found.filter(**{f"{name}__icontains": given[name]})
        if given["first"]:
            found = found.filter(at__gte=to_datetime(ist_midnight_ms(given["first"])))
        if given["last"]:
            found = found.filter(at__lt=_end_of(given["last"]))
        return found.filter(pk__lt=given["below"]) if given["below"] else found


def _end_of(day: date) -> Any:
    return to_datetime(ist_midnight_ms(day) + DAY_MS)


class LogForm(forms.Form):
    """Which lines."""

    file = forms.ChoiceField(required=False, label="Process")
    level = forms.ChoiceField(
        required=False, label="At least", choices=[("", "any"), *((name, name) for name in LEVELS)]
    )
    words = forms.CharField(required=False, max_length=200, label="With the words")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.fields["file"].choices = [("", "all"), *((name, name) for name in log_files.names())]


@page_view
def page(request: HttpRequest) -> HttpResponse:
    """One of three lists, each with its filters."""
    live, view = frame.Reading(broker_of(request.GET.get("broker", ""))), request.GET.get("show", "")
    form = LogForm(request.GET) if view == "log" else AuditForm(request.GET)
    is_good = form.is_valid() and view in dict(SHOWN)
    kind = "loglines" if view == "log" else "audits"
    read = _lines if view == "log" else _entries
    rows, older = read(request, form) if is_good else ([], "")
    html = screen.rendered({kind: {row["id"]: row for row in rows}})
    if frame.wants_json(request):
        return frame.snapshot(live, html, is_stored=True)
    context = {
        "form": form,
        "view": view,
        "views": [(name, title, with_show(request, name)) for name, title in SHOWN],
        "kind": kind,
        "rows": list(html[kind].values()),
        "older": older,
        "newest": with_query(request, below="") if request.GET.get("below") else "",
        "folder_is_there": log_files.folder().is_dir(),
    }
    status = 200 if is_good else BAD_REQUEST
    return frame.shown(
        request,
        "logs",
        "dashboard/logs.html",
        context,
        live=live,
        hints=[kind, *(["news"] if kind == "audits" else [])],
        status=status,
    )


def with_show(request: HttpRequest, view: str) -> str:
    """Another of the lists, without the filters of this one."""
    broker = broker_of(request.GET.get("broker", ""))
    parts = [f"broker={broker}" if broker != "paper" else "", f"show={view}" if view else ""]
    return "?" + "&".join(filter(None, parts))


def _entries(request: HttpRequest, form: AuditForm) -> tuple[list[screen.Row], str]:
    """The rows of a page, and the address of the next one."""
    found = moment.known(AuditEntry.objects.order_by("-pk"), "at")
    if request.GET.get("show") == "config":
        found = found.filter(action__regex=CONFIGURED)
    rows = [_entry(one) for one in form.narrow(found)[: PAGE + 1]]
    is_more = len(rows) > PAGE
    return rows[:PAGE], with_query(request, below=rows[PAGE - 1]["id"]) if is_more else ""


def _entry(one: AuditEntry) -> screen.Row:
    details = logs.redacted(one.details)
    changes = details.get("changes") if isinstance(details, dict) else None
    return {
        "id": str(one.pk),
        "order": one.pk,
        "at_ms": to_ms(one.at),
        "actor": one.actor,
        "action": one.action,
        "target": one.target,
        "reason": logs.redacted(one.reason),
        "ip": one.ip or "",
        "changes": [[name, *map(str, pair)] for name, pair in changes.items()] if changes else [],
        "details": json.dumps(details, ensure_ascii=False, indent=1, sort_keys=True) if details else "",
    }


def _lines(_request: HttpRequest, form: LogForm) -> tuple[list[screen.Row], str]:
    if moment.current() is not None:
        return [], ""
    return [line_row(one) for one in log_files.tail(**form.cleaned_data, count=LINES)], ""


def line_row(one: Line) -> screen.Row:
    """A line as its row."""
    return {
        "id": f"{one.file}-{one.offset}",
        "order": one.at_ms or 0,
        "at_ms": one.at_ms,
        "file": one.file,
        "level": one.level,
        "logger": one.logger,
        "event": one.event,
        "rest": one.rest,
    }
