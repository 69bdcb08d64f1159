"""The state of everything in one line: market, strategies, risk, health; and what a new installation still lacks."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from django.conf import settings
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone

from accounts.selectors import accounts_now
from alphapanda.core.clock import to_ms
from alphapanda.core.vocabulary import Broker, Phase
from alphapanda.dashboard import control, frame, screen
from alphapanda.dashboard.pace import with_pace
from alphapanda.health import registry
from alphapanda.health.registry import Level
from alphapanda.web.formats import age, ist_time
from execution.models import Fill
from marketdata.domain.calendar import Calendar
from marketdata.domain.markets import UnknownMarket
from marketdata.models import Instrument
from marketdata.selectors import calendar
from risk import selectors
from risk.services.foresight import headroom_now
from strategies.models import Deployment, StrategyVersion

KEPT_S = 3  # many look; the database is asked for one of them
NAMED = 3  # checks that are named
SHUT = (Phase.CLOSED, Phase.POST_CLOSE)


def glance(broker: str, live: frame.Reading) -> screen.Row:
    """The row of a namespace: what is of the database is up to three seconds old."""
    strip = live.rows.get("strip", {}).get(broker, {})
    states = Counter(row["status"] for row in live.rows.get("deployments", {}).values())
    slow = cache.get_or_set(f"glance:{broker}", lambda: _slow(broker), KEPT_S)
    return {
        "id": broker,
        "broker": broker,
        "market": _market(strip),
        "states": dict(states.most_common()),
    } | slow


def _market(strip: screen.Row) -> dict[str, str]:
    """The phase, and when it ends: by the ticks' own clock in a recorded session."""
    at_ms = strip.get("at_ms") if strip.get("session") else to_ms(timezone.now())
    words = strip.get("phase_words") or "Market unknown"
    if not at_ms:
        return {"phase": words, "next": "no ticks yet"}
    try:
        hours = calendar("NSE")
        return {"phase": words, "next": _next(hours, strip.get("phase"), at_ms)}
    except (UnknownMarket, LookupError):
        return {"phase": words, "next": "no session hours are stored"}


def _next(hours: Calendar, phase: str | None, at_ms: int) -> str:
    is_shut = phase is None or phase in SHUT
    then, verb = (hours.next_open_ms(at_ms), "opens") if is_shut else (hours.closes_ms(at_ms), "closes")
    return f"{verb} {ist_time(then)[:5]}, in {age(max(then - at_ms, 0) / 1000)}"


def _slow(broker: str) -> dict[str, Any]:
    results = registry.run()
    bad = [result for result in results if result.status.level is not Level.OK]
    return {
        "health": registry.worst(results),
        "checks": len(results),
        "bad": [{"name": one.name, "words": one.status.words, "level": one.status.level} for one in bad][
            :NAMED
        ],
        "bad_count": len(bad),
        "tightest": _tightest(broker),
        "halts": sum(one.broker in ("", broker) for one in selectors.halts_active()),
        "alerts": selectors.alerts_open().count(),
    }


def _tightest(broker: str) -> screen.Row | None:
    now = timezone.now()
    found = [(one, rows) for one, rows in headroom_now(now=now) if one.broker == broker]
    rows = with_pace(control.limits_of(found), key=broker)
    known = [row for row in rows.values() if row["percent"] is not None]
    return known[0] if known else None


class Step(NamedTuple):
    """Something that a new installation needs before it trades."""

    name: str
    is_done: bool
    way: str  # the address
    words: str  # of what to do


def steps_missing(broker: str) -> list[Step]:
    """All steps while one is missing; nothing afterwards."""
    steps = [*_login(broker), *_paper(broker)]
    return steps if any(not step.is_done for step in steps) else []


def _login(broker: str) -> list[Step]:
    """Only where ticks or orders are Zerodha's."""
    if broker != Broker.ZERODHA and settings.FEED != "kite":
        return []
    is_alive = any(found.is_alive for found in accounts_now(now=timezone.now()))
    return [Step("Broker login", is_alive, reverse("broker"), "Log in to Kite")]


def _paper(broker: str) -> list[Step]:
    gallery = reverse("strategies") + "#gallery"
    own = Deployment.objects.filter(broker=broker)
    running = own.filter(status="RUNNING")
    fills = Fill.objects.filter(broker=broker)
    return [
        Step("Instruments", Instrument.objects.exists(), reverse("health"), "manage.py load_instruments"),
        Step("Strategies", _is_installed(), gallery, "Look at what is installed"),
        Step(f"A {broker} deployment", own.exists(), gallery, "Choose a strategy and deploy it"),
        Step("It runs", running.exists(), reverse("strategies"), "Press Start"),
        Step("Its first fill", fills.exists(), reverse("strategies"), "See why it has not traded yet"),
    ]


def _is_installed() -> bool:
    return StrategyVersion.objects.filter(is_installed=True).exists()
