"""What a chart without bars says: when the market opens, or how candles come here."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.utils import timezone

from alphapanda.core.clock import ist_date, to_ms
from alphapanda.dashboard import data, frame, idle, moment, screen
from alphapanda.research.candles import files_fetched
from marketdata.domain.kite_candles import Interval
from marketdata.models import CandleFetch, Instrument

DAYS = 30  # of candles that the button asks for
State = CandleFetch.State
UNDER_WAY = (State.QUEUED, State.RUNNING)


def fetched(instrument: Instrument) -> dict[str, screen.Row]:
    """The newest candles that were asked for; none of a past moment."""
    if moment.current() is not None:
        return {}
    newest = CandleFetch.objects.filter(instrument=instrument, interval=Interval.MINUTE)
    return {str(one.pk): data.fetch_row(one) for one in newest.order_by("-created_at")[:1]}


def has_candles(instrument: Instrument) -> bool:
    """Whether there are files of candles to draw instead; those of then are not kept."""
    return moment.current() is None and bool(files_fetched(instrument))


def is_over(fetches: dict[str, screen.Row]) -> bool:
    """Whether there are candles to draw by now."""
    return any(row["state"] == State.DONE and row["files"] for row in fetches.values())


def told(instrument: Instrument, live: frame.Reading, broker: str) -> dict[str, Any]:
    """When trading begins, where it has not; why candles cannot be fetched, else what to ask for."""
    if moment.current() is not None:
        return {}
    now = timezone.now()
    today = ist_date(to_ms(now))
    days = {"first": str(today - timedelta(days=DAYS)), "last": str(today)}
    return {
        "opens_ms": idle.hours(idle.clock_ms(live, broker)).get("opens_ms"),
        "no_session": data.no_session(now),
        "facts": json.dumps({"instrument": str(instrument), "interval": Interval.MINUTE.value} | days),
        "days": DAYS,
    }
