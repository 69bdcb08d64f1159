"""Exits that waited through an outage, of the login, the network, the database or our own process: they leave after a
look at the book, for a person may have closed by hand meanwhile what they close."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from alphapanda.core.clock import to_datetime, to_ms
from alphapanda.core.vocabulary import Broker, SignalKind
from execution.domain.kite.budgets import Lane
from execution.models import BrokerCall, BrokerDesk
from execution.services.live import calls

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from execution.services.live.looking import Book

LOOK_MS = 5_000  # in which the book is read once an outage is over; no exit waits longer for that
PROBE_MS = 30_000  # between tries of an exit that cannot leave, where no look tells that it can
LATELY = timedelta(seconds=45)  # idle looks are half a minute apart
STILL_MS = 60_000  # between two rounds of a process that stood still: others may have acted


class Outage:
    """The last outage, as the account's process met it."""

    def __init__(self) -> None:
        self._met_ms = 0  # 0: a look that began since has been compared
        self._until_ms = 0  # exits wait for a look until then
        self._worked_ms = 0
        self._reached_ms = 0  # when the last look came to its end that could read the account

    def begin(self, worked_at: datetime | None, now: datetime) -> None:
        """A process begins; the one before was last at work at a time (None: there was none)."""
        self._worked_ms = self._reached_ms = to_ms(now)
        if worked_at is not None and to_ms(now) - to_ms(worked_at) > LOOK_MS:
            self.over(now)

    def worked(self, now: datetime) -> None:
        """A round has come to its end, and the database has taken down when."""
        self._worked_ms = to_ms(now)

    def at_work(self, now: datetime) -> bool:
        """Calls are about to leave: exits that were decided while a look is waited for wait for it too, and so does
        each once that is decided after none could read. Whether a look is to begin at once: also where no round came
        to its end for long before, as the process stood still or the database was away."""
        stood_still = to_ms(now) - self._worked_ms > STILL_MS
        if stood_still:
            self.over(now)
            self.worked(now)
        elif to_ms(now) < self._until_ms:
            self._hold_up()
        elif now - to_datetime(self._reached_ms) > LATELY and calls.is_waiting(now):
            return self._hold_up_once(now)
        return stood_still

    def over(self, now: datetime) -> None:
        """Exits that wait leave after the next look."""
        self._until_ms = to_ms(now) + LOOK_MS
        self._hold_up()
        self.met(now)

    def _hold_up(self) -> None:
        _exits().filter(not_before_ms__lt=self._until_ms).update(not_before_ms=self._until_ms)

    def _hold_up_once(self, now: datetime) -> bool:
        """Hold up those that nothing has held up yet; whether there are any."""
        held = _exits().filter(not_before_ms=0).update(not_before_ms=to_ms(now) + LOOK_MS)
        if held and not self._met_ms:
            self.met(now)
        return held > 0

    def met(self, now: datetime) -> None:
        """An outage was met; what a look showed that began before says nothing of it."""
        self._met_ms = to_ms(now)

    def looked(self, book: Book, now: datetime, *, is_compared: bool) -> None:
        """A look has ended; one that was compared and shows the account lets exits go that waited for it."""
        if book.positions is not None or book.moved:  # where orders moved, no positions are told
            self._reached_ms = to_ms(now)
        is_whole = None not in (book.positions, book.whole_orders, book.whole_trades)
        if is_compared and is_whole and 0 < self._met_ms <= book.began_ms:
            _exits().filter(not_before_ms__gt=to_ms(now)).update(not_before_ms=to_ms(now))
            self._met_ms = self._until_ms = 0


def pause_ms(default_ms: int, now: datetime) -> int:
    """How long an exit rests that could not leave: where the books were compared lately, it is tried again soon."""
    compared_at = BrokerDesk.objects.get(broker=Broker.ZERODHA).reconciled_at
    return default_ms if compared_at is not None and now - compared_at <= LATELY else PROBE_MS


def _exits() -> QuerySet[BrokerCall]:
    return BrokerCall.objects.filter(state=BrokerCall.State.READY, kind=SignalKind.ORDER, lane=Lane.EXIT)
