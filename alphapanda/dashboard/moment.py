"""Time travel: `?at=2026-11-28T10:15:30` puts a page at that moment (IST), and every link on it too.

The moment belongs to the request that is being answered, as Django's own time zone does: whatever builds the page asks
here, so that none can forget to pass it on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone

from alphapanda.core.clock import IST, to_datetime, to_ms

View = Callable[..., HttpResponse]
BAD_REQUEST = 400
SAFE = ("GET", "HEAD")
STEP = timedelta(minutes=1)
FIRST_YEAR = 1990  # before it nobody can have known anything of these markets' screens
WANTED = "2026-11-28T10:15:30, a time in India that is over, to the second or the millisecond"
# Pages by the name of their address that are of then, with what of them is not; all others are of now, and say so.
FOLLOWS = {
    "overview": "Health, steps that were missing and the use of limits are not kept.",
    "positions": "How far stops were is not kept.",
    **dict.fromkeys(("orders", "signals", "fills", "performance", "performance-sheet", "chart-first"), ""),
    "alerts": "Where alerts went is not kept: none is shown.",
    "order": "",
    "signal": "",
    "fill": "",
    "chart": "Prices move on bars: the newest is the last that had ended.",
    "strategies": "Why one did not trade, and what could be deployed, are not kept.",
    "strategy": "Why it did not trade is not kept.",
    "approvals": "What an approval would have done is not kept.",
    "reconciliation": "The account's desk is of now, and of orders of others those that are there now. What a "
    "difference was is known where it has not been looked at since.",
    "journal": "",
    "trade": "Of a picture that was removed since, only its name is left.",
    "logs": "Who did what then. Lines of the processes are not found by a moment: none are shown.",
    "risk": "Halts are those of then. Limits and their use are not kept: none are shown.",
}
OF_NOW = "This page has no past: it shows what is known now."

_current: ContextVar[int | None] = ContextVar("moment", default=None)


class BadMoment(ValueError):
    """What was asked for is no moment that has been."""


class Travel(NamedTuple):
    """What the frame says of the moment: the words for it, and the addresses one step before and after."""

    at_ms: int
    text: str
    before: str
    after: str
    now: str
    words: str
    follows: bool


def current() -> int | None:
    """The moment of the request that is being answered, in epoch ms; None: now."""
    return _current.get()


def until() -> datetime | None:
    """The same as a time."""
    at_ms = current()
    return None if at_ms is None else to_datetime(at_ms)


def known(found: QuerySet, column: str = "created_at") -> QuerySet:
    """Those of the rows that had been written by the moment that is looked at."""
    at_ms = current()
    return found if at_ms is None else found.filter(**{f"{column}__lte": to_datetime(at_ms)})


def unended(found: QuerySet, column: str) -> QuerySet:
    """Those of the rows that had not ended by the moment that is looked at; `column` says when a row ended."""
    still = Q(**{column: None})
    at_ms = current()
    return found.filter(still if at_ms is None else still | Q(**{f"{column}__gt": to_datetime(at_ms)}))


def ended(found: QuerySet, column: str) -> QuerySet:
    """The others: those that had ended by then."""
    at_ms = current()
    return (
        found.exclude(**{column: None})
        if at_ms is None
        else found.filter(**{f"{column}__lte": to_datetime(at_ms)})
    )


def ended_at(end: datetime | None) -> int | None:
    """When something ended, in epoch ms, as far as it was known at the moment that is looked at."""
    at_ms = None if end is None else to_ms(end)
    then_ms = current()
    return None if at_ms is None or (then_ms is not None and at_ms > then_ms) else at_ms


def parsed(text: str, now: datetime) -> int:
    """A moment out of an address, in epoch ms; a time without a zone is India's. Raises BadMoment."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadMoment(f"{text[:40]!r} is no moment: {WANTED}.") from None
    if found.year < FIRST_YEAR:
        raise BadMoment(f"{text[:40]!r} is before the year {FIRST_YEAR}: {WANTED}.")
    if found.tzinfo is None:
        found = found.replace(tzinfo=IST)
    if found > now:
        raise BadMoment(f"{text[:40]} is still to come: {WANTED}.")
    return to_ms(found)


def written(at_ms: int) -> str:
    """A moment as addresses and fields have it: with milliseconds only where it has some."""
    found = to_datetime(at_ms).astimezone(IST).replace(tzinfo=None)
    return found.isoformat(timespec="milliseconds" if at_ms % 1000 else "seconds")


@contextmanager
def looking(at_ms: int | None) -> Iterator[None]:
    """Whatever is built inside is of that moment."""
    token = _current.set(at_ms)
    try:
        yield
    finally:
        _current.reset(token)


def travelling(view: View) -> View:
    """A page that may be asked for at a moment: its rows are of then, and its links lead to pages of then."""

    @wraps(view)
    def travels(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        text = request.GET.get("at", "")
        if not text:
            return view(request, *args, **kwargs)
        if request.method not in SAFE:
            return _refused(request, "Nothing can be done at a moment that is over. Go to now.")
        try:
            at_ms = parsed(text, timezone.now())
        except BadMoment as error:
            return _refused(request, str(error))
        with looking(at_ms):
            answer = view(request, *args, **kwargs)
        return _carried(answer, written(at_ms))

    return travels


def _refused(request: HttpRequest, words: str) -> HttpResponse:
    if request.get_preferred_type(["text/html", "application/json"]) == "application/json":
        return JsonResponse({"type": "unavailable", "words": words}, status=BAD_REQUEST)
    return render(request, "dashboard/no_moment.html", {"words": words}, status=BAD_REQUEST)


def travel(request: HttpRequest) -> Travel | None:
    """What the frame of a page says of the moment; None: the page is of now."""
    at_ms = current()
    if at_ms is None:
        return None
    step = STEP // timedelta(milliseconds=1)
    after = at_ms + step
    name = request.resolver_match.url_name if request.resolver_match else ""
    return Travel(
        at_ms=at_ms,
        text=written(at_ms),
        before=_at(request, at_ms - step),
        after=_at(request, after) if after <= to_ms(timezone.now()) else "",
        now=_at(request, None),
        words=FOLLOWS.get(name or "", OF_NOW),
        follows=name in FOLLOWS,
    )


def kept(request: HttpRequest) -> list[tuple[str, str]]:
    """What an address asks for beside a moment: the form that asks for another one keeps it."""
    return [(name, value) for name in request.GET if name != "at" for value in request.GET.getlist(name)]


def _at(request: HttpRequest, at_ms: int | None) -> str:
    query = request.GET.copy()
    query.pop("at", None)
    if at_ms is not None:
        query["at"] = written(at_ms)
    return f"?{query.urlencode(safe=':')}" if query else request.path


# ---- links ---------------------------------------------------------------------------------------------------

NO_PAGES = (b"/static/", b"/api/", b"/admin/", b"/login/", b"/logout/")
_LINK = re.compile(rb'<(?:a|li)\b[^>]*?\s(?:href|data-address)="([^"]*)"[^>]*>')
_FORM = re.compile(rb'<form\b[^>]*\bmethod="get"[^>]*>')
_HAS_MOMENT = re.compile(rb"[?&;]at=")


def _carried(answer: HttpResponse, text: str) -> HttpResponse:
    """The answer with the moment in every link and form of it that leads to a page of ours. What leads to another time
    says so by `data-time`."""
    if answer.get("Content-Type", "").startswith("text/html"):
        said = b"at=" + text.encode()
        field = b'<input type="hidden" name="at" value="' + text.encode() + b'">'
        led = _LINK.sub(lambda link: _led(link, said), answer.content)
        answer.content = _FORM.sub(lambda form: form[0] if _is_free(form[0]) else form[0] + field, led)
    return answer


def _led(link: re.Match[bytes], said: bytes) -> bytes:
    tag, address = link[0], link[1]
    is_page = address.startswith(b"?") or (address.startswith(b"/") and not address.startswith(NO_PAGES))
    if not is_page or _is_free(tag) or _HAS_MOMENT.search(address):
        return tag
    base, mark, place = address.partition(b"#")
    led = (
        base + (b"?" if b"?" not in base else b"" if base.endswith(b"?") else b"&amp;") + said + mark + place
    )
    return tag.replace(b'"' + address + b'"', b'"' + led + b'"', 1)


def _is_free(tag: bytes) -> bool:
    return b" data-time" in tag
