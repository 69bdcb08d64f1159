"""What keeps trading in bounds: limits with what is left of them, and halts."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from alphapanda.core.clock import to_ms
from alphapanda.dashboard import frame, moment, screen, seen
from alphapanda.dashboard.access import broker_of, page_view
from alphapanda.dashboard.breaches import breaches, idle
from alphapanda.dashboard.halting import progress, scopes
from alphapanda.dashboard.holding import exits_of
from alphapanda.dashboard.open_risk import open_risks, total
from alphapanda.dashboard.pace import with_pace
from alphapanda.dashboard.verdicts import state_of
from marketdata.domain.calendar import NoSession
from marketdata.selectors import calendars, spec
from risk import selectors
from risk.domain.headroom import Headroom
from risk.domain.wording import unit_of
from risk.models import KillSwitch
from risk.past import act_then
from risk.services.foresight import headroom_now
from strategies.models import Deployment

HALTS = 40


@page_view
def risk(request: HttpRequest) -> HttpResponse:
    """Of each limit: used, left, the smallest order that it would refuse; the tightest first. And every halt."""
    broker = broker_of(request.GET.get("broker", ""))
    live = frame.Reading(broker)
    now = timezone.now()
    known = headroom_now(now=now) if moment.current() is None else []  # none is kept
    found = [(one, rows) for one, rows in known if one.broker == broker]
    limits = with_pace(limits_of(found), key=broker)
    rows = {
        "limits": limits,
        "switches": _switches(broker),
        "breaches": breaches(broker, now),
        "idle": {"breaches": idle(limits)},
        "scopes": scopes(broker) if moment.current() is None else {},
        **_open_risk(live),
    }
    html = screen.rendered(rows)
    if frame.wants_json(request):
        return frame.snapshot(live, html, is_stored=True)
    context = {kind: list(html[kind].values()) for kind in rows}
    hints = [*rows, "news", "signals", "orders", "fills"]
    return frame.shown(request, "risk", "dashboard/risk.html", context, live=live, hints=hints)


def _open_risk(live: frame.Reading) -> dict[str, dict[str, screen.Row]]:
    """Nothing where the positions are not known, and of a past moment, for the stops of then are not kept."""
    if live.error or moment.current() is not None:
        return {}
    held = list(live.rows.get("positions", {}).values())
    risks = open_risks(held, exits_of(held))
    return {"openrisks": risks, "openrisk": {"all": total(risks.values())}}


def limits_of(found: Iterable[tuple[Deployment, list[Headroom]]]) -> dict[str, screen.Row]:
    """Rows of limits, the tightest first."""
    rows = [
        _limit(deployment, one) | clock
        for deployment, ones in found
        for clock in [_clock(deployment)]
        for one in ones
    ]
    rows.sort(
        key=lambda row: (row["state"] != "fail", -(row["percent"] or 0), row["deployment"], row["limit"])
    )
    return {row["id"]: row | {"order": f"{place:05}"} for place, row in enumerate(rows)}


def _clock(deployment: Deployment) -> screen.Row:
    """The time of its ticks, and when the last of its markets closes on that day; None where no hours are stored."""
    at_ms, known = deployment.at_ms, calendars().by_market
    markets = {spec(one).market for one in deployment.instruments.all()}
    try:
        ends = [known[market].closes_ms(at_ms) for market in markets]
    except (KeyError, NoSession):
        ends = []
    return {"at_ms": at_ms, "ends_ms": max(ends, default=None)}


def _limit(deployment: Deployment, one: Headroom) -> screen.Row:
    percent = _percent(one)
    named = (str(deployment.id), one.level, one.limit_name, one.instrument, one.side)
    return {
        "id": "-".join(part.replace(":", "_").replace(" ", "_") for part in named if part),
        "deployment": deployment.name,
        "level": one.level,
        "limit": one.limit_name,
        "unit": unit_of(one.limit_name),
        "at": _written(one.limit),
        "used": _written(one.used),
        "left": _written(one.left),
        "what": f"{one.side} {one.instrument}".strip(),
        "smallest": one.smallest_refused,
        "percent": percent,
        "state": "fail" if _is_spent(one) else state_of(percent),
    }


def _is_spent(one: Headroom) -> bool:
    """Whether nothing is left of it for an entry: of what is kept for exits none is."""
    return one.left == 0 and one.smallest_refused is not None


def _percent(one: Headroom) -> float | None:
    """How much of a limit is used; None where that is no share of anything."""
    if one.used is None or not isinstance(one.limit, int | Decimal):
        return None
    if not one.limit:
        return 100.0 if one.used or _is_spent(one) else 0.0
    return round(min(max(float(one.used) / float(one.limit), 0.0), 1.0) * 100, 1)


def _written(value: Any) -> str | None:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, Decimal):
        return f"{value:f}"
    return None if value is None else str(value)


def _switches(broker: str) -> dict[str, screen.Row]:
    """Halts of this namespace, those in force first, then the newest."""
    known = moment.known(selectors.halts_thrown(), "thrown_at").filter(broker__in=["", broker])
    thrown = known.order_by("-thrown_at")[:HALTS]
    own = [one for one in thrown if one.deployment is None or one.deployment.broker == broker]
    own.sort(key=lambda one: moment.ended_at(one.released_at) is not None)
    return {str(one.pk): _switch(one) | {"order": f"{place:05}"} for place, one in enumerate(own)}


def _switch(one: KillSwitch) -> screen.Row:
    """A halt with the newest reason for it: it may have been taken further for another."""
    is_over = moment.ended_at(one.released_at) is not None
    act = None if is_over else act_then(one, moment.until())
    return {
        "id": str(one.pk),
        "target": one.broker or (one.deployment.name if one.deployment else "everything"),
        "step": seen.halt_step(one),
        "progress": "" if one.released_at or moment.current() is not None else progress(one),
        "reason": act.reason if act else one.reason,
        "by": act.actor if act else one.thrown_by,
        "at_ms": to_ms(act.at if act else one.thrown_at),
        "released_by": one.released_by,
        "released_ms": moment.ended_at(one.released_at),
    }
