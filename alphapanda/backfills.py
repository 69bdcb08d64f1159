"""Candles that a person asks for on the page Data: stored, fetched by the research worker, told of as they come.

The row is the truth and a Celery message only a doorbell: one that nobody took, or whose worker has died, is found by
the next look, and goes on where it broke off, for files that are whole are not fetched again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.broker import reader
from accounts.selectors import access_token, the_account
from accounts.services import act_record
from alphapanda.core import ids
from alphapanda.core.clock import ist_date, to_ms
from alphapanda.core.refusals import BadRequest, Refusal
from alphapanda.eventlog import doorbell
from alphapanda.kite.client import KiteProblem
from alphapanda.kite.reading import Read
from marketdata.domain.kite_candles import BadCandles, Interval, Span
from marketdata.models import CandleFetch, Instrument
from marketdata.selectors import primary_keys
from marketdata.services.kite_candles import DaysRefused, candles_fetch, folder_of

TASK, QUEUE = "alphapanda.backfills", "research"
SILENT_AFTER = timedelta(minutes=5)  # one request takes seconds
State = CandleFetch.State


class NoSuchInstrument(BadRequest):
    """The list of instruments has no such name."""


@transaction.atomic
def backfill_ask(
    *,
    instrument: str,
    interval: Interval,
    first: date,
    last: date,
    actor: str,
    reason: str,
    now: datetime,
    ip: str | None = None,
) -> CandleFetch:
    """Ask for candles; asked again before they are there it is the same. Raises NoSuchInstrument, DaysRefused, and
    NoAccount or NoToken while nobody is logged in to Kite."""
    key = primary_keys([instrument]).get(instrument)
    if key is None:
        raise NoSuchInstrument(
            f"There is no instrument {instrument!r}; expected EXCHANGE:SYMBOL, such as NSE:INFY."
        )
    today = ist_date(to_ms(now))
    if not first <= last <= today:
        raise DaysRefused(
            f"From {first} to {last}: expected a first day not after the last, which is {today} or before."
        )
    access_token(the_account().pk, now=now)
    facts = {"instrument_id": key, "interval": interval.value, "first": first, "last": last}
    fetch, is_new = CandleFetch.objects.get_or_create(
        **facts,
        state__in=[State.QUEUED, State.RUNNING],
        defaults={"id": _id(facts, now), "state": State.QUEUED, "asked_by": actor, "created_at": now},
    )
    if is_new:
        act_record(
            actor=actor, action="candles.fetch", target=f"candles:{fetch}", reason=reason, now=now, ip=ip
        )
        transaction.on_commit(lambda: doorbell.ring(TASK, queue=QUEUE))
    return fetch


def _id(facts: dict[str, Any], now: datetime) -> UUID:
    return ids.derived("candles", *map(str, facts.values()), to_ms(now))


def run_next(clock: Callable[[], datetime] = timezone.now) -> bool:
    """Fetch what was asked for first, or what a dead worker left; False: there is nothing."""
    fetch = _taken(clock())
    if fetch is None:
        return False
    words, files = "", []
    try:
        files = _fetched(fetch, reader(the_account().pk, clock=clock), clock)
    except (KiteProblem, Refusal, BadCandles, OSError) as error:
        words = str(error)
    CandleFetch.objects.filter(pk=fetch.pk).update(
        state=State.FAILED if words else State.DONE, error=words, files=files, finished_at=clock()
    )
    return True


def _taken(now: datetime) -> CandleFetch | None:
    silent = Q(state=State.RUNNING, progressed_at__lt=now - SILENT_AFTER)
    with transaction.atomic():
        waiting = CandleFetch.objects.filter(Q(state=State.QUEUED) | silent).order_by("created_at")
        fetch = waiting.select_for_update(skip_locked=True, of=("self",)).first()
        if fetch is not None:
            fetch.state, fetch.progressed_at = State.RUNNING, now
            fetch.save(update_fields=["state", "progressed_at"])
    return fetch


def _fetched(fetch: CandleFetch, read: Read, clock: Callable[[], datetime]) -> list[str]:
    def progress(done: int, total: int) -> None:
        CandleFetch.objects.filter(pk=fetch.pk).update(done=done, total=total, progressed_at=clock())

    return candles_fetch(
        read,
        list(Instrument.objects.filter(pk=fetch.instrument_id)),
        interval=Interval(fetch.interval),
        days=Span(fetch.first, fetch.last),
        folder=folder_of(None),
        now=clock(),
        progress=progress,
    )
