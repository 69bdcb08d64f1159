"""What stands around every page: rail, strip, halts, and where its live state comes from."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from accounts.models import Look
from alphapanda import past, projections
from alphapanda.core.clock import to_ms
from alphapanda.core.vocabulary import Broker
from alphapanda.dashboard import moment, screen
from alphapanda.dashboard.access import broker_of, may_act
from alphapanda.dashboard.rail import rail
from alphapanda.push import readmodel
from alphapanda.push.readmodel import ReadModelUnavailable

HTML, JSON = "text/html", "application/json"
Html = dict[str, dict[str, str | None]]


class Reading:
    """The read model as one broker namespace sees it: `rows` by kind and id; made of facts where an earlier moment is
    looked at. Where it cannot be read, `error` says why, and there are no rows."""

    def __init__(self, broker: str) -> None:
        self.rows: screen.Rows = {}
        self.sequence, self.day, self.error = 0, None, ""
        at_ms = moment.current()
        try:
            overview = _overview() if at_ms is None else past.overview(at_ms)
        except ReadModelUnavailable as error:
            self.error = str(error)
            return
        self.rows = screen.of_broker(screen.rows(overview), broker)
        self.sequence, self.day = overview["sequence"], overview["day"]


def _overview() -> dict[str, Any]:
    projections.ensure_built()
    return readmodel.overview()


def look_of(user: Any) -> Look:
    """How a person wants pages to look."""
    return Look.objects.filter(user=user).first() or Look(user=user)


def wants_json(request: HttpRequest) -> bool:
    """Whether a page is asked for its rows alone."""
    return request.get_preferred_type([HTML, JSON]) == JSON


def snapshot(live: Reading, rows: Html, *, is_stored: bool = False, **more: Any) -> JsonResponse:
    """The rows of a page and of its frame as HTML by kind and id, with the sequence number that they stand for.
    Those that are out of the database stand also where the read model does not."""
    now_ms = to_ms(timezone.now())
    if live.error and not is_stored:
        return JsonResponse({"type": "unavailable", "words": live.error, "now_ms": now_ms} | more, status=503)
    around = screen.rendered({kind: live.rows[kind] for kind in screen.FRAME if kind in live.rows})
    told = {"type": "snapshot", "sequence": live.sequence, "rows": around | rows, "now_ms": now_ms}
    return JsonResponse(told | more)


def shown(
    request: HttpRequest,
    page: str,
    template: str,
    context: dict[str, Any],
    *,
    live: Reading,
    kinds: Collection[str] = (),
    hints: Collection[str] = (),
    broker: str = "",
    status: int = 200,
) -> HttpResponse:
    """A page in its frame. Changes of `kinds` are pushed to it as they stand; on a change of `hints` it reads itself
    again. `broker` is given where the thing that is shown has one, else it is the one that was asked for."""
    is_of_one = bool(broker)
    broker = broker or broker_of(request.GET.get("broker", ""))
    suffix = _suffix(broker_of(broker))
    frame = screen.rendered({kind: live.rows.get(kind, {}) for kind in screen.FRAME})
    travel = moment.travel(request)
    around = {
        "page": page,
        "travel": travel,
        "travel_kept": moment.kept(request),
        "look": look_of(request.user),
        "broker": broker,
        "suffix": suffix,
        "rail": rail(request.user, suffix),
        "may_act": travel is None and may_act(request.user),
        "has_live": Broker.ZERODHA in settings.BROKERS,
        "halted_first": broker_of(broker),
        "switch": _switch(request, broker, is_of_one),
        "sequence": live.sequence,
        "unavailable": live.error,
        "frame": {kind: frame[kind].get(broker, "") for kind in screen.FRAME},
        "kinds": " ".join(kinds),
        "hints": " ".join(hints),
        "deployments": live.rows.get("deployments", {}).values(),
    }
    return render(request, template, around | context, status=status)


def _suffix(broker: str) -> str:
    return "" if broker == Broker.PAPER else f"?broker={broker}"


def _switch(request: HttpRequest, broker: str, is_of_one: bool) -> str:
    """Where the other namespace is looked at: this page of it, or the overview where this is of one thing. Always a way
    back to paper; none to live where the settings do not enable it."""
    other = Broker.PAPER if broker == Broker.ZERODHA else Broker.ZERODHA
    if other not in settings.BROKERS:
        return ""
    return (reverse("overview") if is_of_one else request.path) + _suffix(other)
