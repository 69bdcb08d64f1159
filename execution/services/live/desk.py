"""The process of an account: it owns every call to the broker. One round sends what may be sent, reads the book where
it is due, and goes on; a second process of the same account waits for its lock."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from secrets import token_hex
from threading import Event
from typing import NamedTuple
from uuid import UUID

from accounts.broker import session_died
from alphapanda import logs
from alphapanda.core.clock import to_datetime, to_ms
from alphapanda.core.vocabulary import Broker
from alphapanda.kite.client import FORBIDDEN, Access
from execution.domain.kite import budgets
from execution.domain.kite.budgets import Spent
from execution.domain.kite.outcomes import Outcome, Stage, Verdict, of_failure
from execution.models import BrokerDesk
from execution.services.live import (
    answers,
    billing,
    calls,
    containing,
    dayend,
    evidence,
    external,
    gtt_calls,
    gtt_looking,
    killing,
    looking,
    pushes,
    reconciling,
)
from execution.services.live.answers import Said
from execution.services.live.containing import contained
from execution.services.live.http import KiteHttp, NotLoggedIn
from execution.services.live.looking import Wanted
from execution.services.live.outages import Outage
from execution.services.live.states import Remembered
from execution.services.live.under_way import under_way
from risk.services.terms import kill_lock_shared

BUSY_MS, IDLE_MS = 5_000, 30_000  # between looks at the book, with something in flight and without
SENDERS = 8  # calls under way at a time: a slow one holds up no other
BEGIN_S = 1.0  # a thread that does not begin in this time holds up no kill switch: the call waits
LOOK_MIN_MS = 1_000  # a whole look is seven reads, and two of them in one second more than Kite answers
TRADES_MS = 1_000
READ_GAP_S = 0.5  # two reads and eight writes a second
TIDY_MS = 500
STOOD_STILL = timedelta(seconds=2)  # between a claim and its request: a kill switch waits no longer for it
log = logs.channel("trading")


class Flying(NamedTuple):
    """A call under way, and with which login it left."""

    call: budgets.Call
    access: Access | None
    is_gtt: bool = False


class Desk:
    """Calls in flight, budgets, and when the book is to be read next. `access` finds what opens the account now (None:
    nobody has logged in), `clock` gives aware times."""

    def __init__(
        self,
        root: str,
        access: Callable[[], Access | None],
        clock: Callable[[], datetime],
        *,
        pool: Executor | None = None,
        http: Callable[[str, Callable[[], Access]], KiteHttp] = KiteHttp,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._sleep = sleep
        self._door = partial(http, root)
        self._find_access = access
        self._access: Access | None = None
        self._dead: Access | None = None  # what Kite has refused
        self._clock = clock
        self._pool = pool or ThreadPoolExecutor(SENDERS, thread_name_prefix="broker")
        self._readers = pool or ThreadPoolExecutor(1, thread_name_prefix="broker-book")
        self._flying: dict[Future[Outcome], Flying] = {}
        self._looking: tuple[Future[looking.Book], Access] | None = None
        self._spent = Spent()
        self._looked_ms = 0  # when a look began that is as new as can be; 0: what it showed is old
        self._began_ms = 0  # when the last look began
        self._missed_ms = 0  # what a look showed that began before is no comparison for entries
        self._whole_ms = 0  # when a look last read holdings and funds too
        self._remembered = Remembered()
        self._unread = billing.Unread()
        self._outage = Outage()
        self._gtts_looked_ms = 0
        self._tidied_ms = 0
        self._is_begun = False

    def begin(self) -> None:
        """Take up the account: what was under way when a process died is unknown, and no entry leaves before the book
        has been compared."""
        now = self._clock()
        containing.forget()
        row, _ = BrokerDesk.objects.get_or_create(broker=Broker.ZERODHA, defaults={"house": token_hex(8)})
        self._outage.begin(row.seen_at, now)
        BrokerDesk.objects.filter(broker=Broker.ZERODHA).update(
            reconciled_at=None, gtts_read_at=None, seen_at=now
        )
        self._take_access()
        lost = answers.recover(now) + gtt_calls.recover(now)
        self._spent = calls.spent_today(to_ms(now))
        self._is_begun = True
        log.info("execution.broker.begun", unknown=lost, placed_today=self._spent.placed)

    def round(self) -> bool:
        """One round; whether anything was done. What takes time, the broker's answers, is waited for elsewhere."""
        assert self._is_begun, "begin first"
        did = self._alone("gather", self._gather)
        did |= self._alone("pushes", self._take_pushes)
        did |= self._alone("send", self._send)
        did |= self._alone("send triggers", self._send_gtts)
        did |= self._alone("look", self._look_if_due)
        return self._alone("tidy", self._tidy) or did

    def _alone(self, name: str, act: Callable[[], object]) -> bool:
        """One part of a round: what nobody has foreseen in it keeps the other parts from nothing."""
        now = self._clock()
        if not containing.rests(containing.PART, name, now):
            with contained(containing.PART, name, now):
                return bool(act())
        return False

    def _take_pushes(self) -> bool:
        return pushes.take_all(self._clock(), look_soon=self.missed)

    def end(self) -> None:
        """Wait for what is under way, and write it down."""
        self._pool.shutdown(wait=True)
        self._readers.shutdown(wait=True)
        self._gather()

    def _gather(self) -> bool:
        """Write down the answers that have come."""
        did, done = False, [future for future in self._flying if future.done()]
        for future in done:
            flying = self._flying[future]
            outcome = self._outcome(future, flying.call)
            if outcome.verdict is Verdict.TOKEN_DEAD:
                self._refused(flying.access)
            with contained("answer", flying.call.id, self._clock()) as held:
                self._hear(flying, outcome)
            if held.fault != containing.BUSY:
                del self._flying[future]  # not before it is written down: the database may be away
                did = True
        if self._looking is not None and self._looking[0].done():
            (reading, access), self._looking = self._looking, None
            if (book := self._seen(reading)) is not None:
                if book.is_refused:
                    self._refused(access)
                self._compare(book)
            return True
        return did

    def _outcome(self, future: Future[Outcome], call: budgets.Call) -> Outcome:
        """What came of a request; of one that failed in a way of its own nothing is known."""
        try:
            return future.result()
        except Exception as error:
            log.exception("execution.broker.request_failed", call=call.id)
            words = containing.park("request", call.id, error, self._clock())
            return Outcome(Verdict.UNKNOWN, words)

    def _hear(self, flying: Flying, outcome: Outcome) -> None:
        said = (gtt_calls if flying.is_gtt else answers).record(UUID(flying.call.id), outcome, self._clock())
        if outcome.verdict is Verdict.REFUSED and outcome.http_status == FORBIDDEN:
            reconciling.forbidden(outcome.reason, self._clock())
        if said is Said.TOO_MANY:
            self._spent = budgets.told_too_many(self._spent, to_ms(self._clock()))
        elif said is Said.FINE:
            self._spent = budgets.told_fine(self._spent)
        elif outcome.never_left:
            self._spent = budgets.never_left(self._spent, flying.call)
            self._outage.met(self._clock())
            self._looked_ms = 0

    def _seen(self, reading: Future[looking.Book]) -> looking.Book | None:
        """What a look has shown; one that failed is no information."""
        try:
            return reading.result()
        except Exception as error:
            log.exception("execution.broker.look_failed")
            containing.park("book", "reading", error, self._clock())
            return None

    def _send(self) -> bool:
        did = False
        while self._is_sender_free():
            now = self._clock()
            if self._outage.at_work(now):
                self.missed()
            if budgets.is_shut(self._spent, to_ms(now)) or not calls.is_waiting(now):
                return did
            with kill_lock_shared():
                found = calls.claim(self._spent, now)
                if found.call is not None and found.said is not None:
                    self._spent = budgets.sent(self._spent, found.call, to_ms(now))
                    self._let_go(found.call, found.said, now)
            did |= found.call is not None or found.halted > 0
            if found.call is None:
                return did
        return did

    def _is_sender_free(self) -> bool:
        """Whether a call may leave; an answer that waits to be written down takes no sender."""
        return sum(not future.done() for future in self._flying) < SENDERS

    def _send_gtts(self) -> bool:
        """What operators want of triggers, after all orders: a kill switch has no say in it."""
        did = False
        while self._is_sender_free() and gtt_calls.is_waiting(now := self._clock()):
            claimed = gtt_calls.claim(self._spent, now)
            if claimed is None:
                return did
            self._spent = budgets.sent(self._spent, claimed.call, to_ms(now))
            future = self._pool.submit(gtt_calls.send, claimed, self._signed())
            self._flying[future] = Flying(claimed.call, self._access, is_gtt=True)
            did = True
        return did

    def _let_go(self, call: budgets.Call, said: calls.Claimed, claimed_at: datetime) -> None:
        """Send a call, and wait until its request begins: no kill switch commits between. What no thread has begun in
        time is taken back, and counts as not sent; so does what a process that stood still had claimed before."""
        begun, is_late = Event(), self._clock() - claimed_at > STOOD_STILL
        future = self._pool.submit(answers.send, said, self._signed(), begun) if not is_late else Future()
        if is_late:
            future.set_result(of_failure(Stage.NOT_SENT, "this process stood still before it was sent"))
        elif not begun.wait(BEGIN_S) and future.cancel():
            future = Future()
            future.set_result(of_failure(Stage.NOT_SENT, "no thread was free to send it"))
        self._flying[future] = Flying(call, self._access)

    # ---- what opens the account

    def _signed(self) -> KiteHttp:
        """Requests with what opens the account now; threads have no connection to the database."""
        access = self._access

        def credentials() -> Access:
            if access is None:
                raise NotLoggedIn("nobody has logged in to the broker")
            return access

        return self._door(credentials)

    def _take_access(self) -> None:
        """Take up a new login, which mends what an old token stopped."""
        now = self._clock()
        if containing.rests("login", "token", now):
            return
        with contained("login", "token", now):
            self._use(self._find_access())

    def _use(self, found: Access | None) -> None:
        if found is not None and found == self._dead:  # its session could not be ended when Kite refused it
            session_died(found, answers.TOKEN_DEAD, now=self._clock())
            found = None
        if found is not None and found != self._access:
            stopped = BrokerDesk.objects.filter(broker=Broker.ZERODHA, stopped=answers.TOKEN_DEAD)
            if stopped.update(stopped="", reconciled_at=None) or self._is_begun:
                self._outage.over(self._clock())
                log.info("execution.broker.logged_in_again")
            self.missed()
        self._access = found

    def _refused(self, access: Access | None) -> None:
        """Kite does not know a token any more: nothing more is asked with it. What was asked with one that a login has
        replaced meanwhile says nothing of the new one."""
        if access != self._access:
            return
        now = self._clock()
        self._dead, self._access = access or self._dead, None
        answers.stop(answers.TOKEN_DEAD, now)
        if access is not None:
            with contained("login", "session", now):
                session_died(access, answers.TOKEN_DEAD, now=now)

    # ---- the book

    def look_soon(self) -> None:
        """Read all of the book at the next chance."""
        self._looked_ms = self._whole_ms = 0

    def missed(self) -> None:
        """Nobody told us what happened for a while (a new login, a gap in the stream of updates): no entry leaves
        before a look that begins now has been compared."""
        self._missed_ms = to_ms(self._clock())
        reconciling.let_entries_wait()
        self.look_soon()

    def _look_if_due(self) -> bool:
        now = self._clock()
        if self._access is None or self._looking is not None or containing.rests("book", "reading", now):
            return False
        if to_ms(now) < self._began_ms + LOOK_MIN_MS or to_ms(now) < self.due_ms():
            return False
        self._looked_ms = self._began_ms = to_ms(now)
        pause = partial(self._sleep, READ_GAP_S if self._is_writing(now) else 0.0)
        look, wanted = looking.look, self._wanted(now)
        if gtt_looking.is_due(self._gtts_looked_ms, now):
            self._gtts_looked_ms, look = to_ms(now), gtt_looking.look
        self._looking = self._readers.submit(look, self._signed(), now, pause, wanted), self._access
        return True

    def _wanted(self, now: datetime) -> Wanted:
        """What this look reads: holdings, funds and charges change seldom."""
        if to_ms(now) < self._whole_ms + IDLE_MS:
            return looking.NOTHING_MORE
        self._whole_ms = to_ms(now)
        with contained("book", "charges", now):
            return Wanted(is_whole=True, bills=billing.due(now))
        return Wanted(is_whole=True)

    def _is_writing(self, now: datetime) -> bool:
        """Whether writes leave now: Kite counts cancellations and changes together with reads, ten a second."""
        was_ms = max(self._spent.times[-1:], default=0)
        return bool(self._flying) or was_ms > to_ms(now) - budgets.SECOND_MS or calls.is_waiting(now)

    def due_ms(self) -> int:
        if not self._looked_ms:
            return self._began_ms + LOOK_MIN_MS
        found, now = under_way(to_datetime(self._looked_ms)), self._clock()
        is_busy = found.is_busy or bool(self._flying)
        due_ms = self._looked_ms + (BUSY_MS if is_busy else IDLE_MS)
        if is_busy and found.wants_trades:
            due_ms = min(due_ms, self._looked_ms + TRADES_MS)  # more has traded than is booked
        if found.are_others_new:
            due_ms = self._looked_ms + LOOK_MIN_MS
        for search_ms in self._searches_ms(now) if found.is_searched else ():
            due_ms = min(due_ms, max(search_ms, self._looked_ms + LOOK_MIN_MS))
        return due_ms

    def _searches_ms(self, now: datetime) -> list[int]:
        searches = looking.searches_due_ms(now), gtt_looking.searches_due_ms(now)
        return [at_ms for at_ms in searches if at_ms is not None]

    def _compare(self, book: looking.Book) -> None:
        now = self._clock()
        with contained("book", "merging", now) as merging:
            looking.take_book(book, now, self._remembered)
            self._spent = budgets.seen_elsewhere(self._spent, external.placed_on_day(to_ms(now)), to_ms(now))
        with contained("book", "triggers", now):  # what ours have closed is not to be taken for a difference
            gtt_looking.take(book, now)
        if not merging.fault:  # what was not merged would look like an end, and like a difference
            with contained("book", "ending days", now):
                dayend.end_days(book, now)
            with contained("book", "comparing", now) as merging:
                reconciling.compare(book, now, self._remembered)
        if merging.fault or book.began_ms < self._missed_ms:  # entries wait until it can be compared again
            reconciling.let_entries_wait()
        self._outage.looked(book, now, is_compared=not merging.fault)
        with contained("book", "cover", now):
            gtt_looking.watch(book, now)
        with contained("book", "charges", now):
            self._unread.count(book, now)
        if book.asked.is_whole and (book.holdings is None or book.whole_orders is None):
            self._whole_ms = 0  # read again what could not be read
        if book.has_gtts and book.gtts is None:
            self._gtts_looked_ms = 0  # the next look tries again

    # ---- what others left

    def _tidy(self) -> bool:
        now = self._clock()
        if to_ms(now) - self._tidied_ms < TIDY_MS:
            return False
        self._tidied_ms = to_ms(now)
        BrokerDesk.objects.filter(broker=Broker.ZERODHA).update(seen_at=now)
        self._outage.worked(now)
        self._take_access()
        chores: dict[str, Callable[[datetime], object]] = {
            "recover": self._recover,
            "reports": evidence.book_what_is_left,
            "sweep": killing.sweep,
            "triggers": gtt_looking.tell_standing,
        }
        for name, chore in chores.items():
            self._alone(name, partial(chore, now))
        return False

    def _recover(self, now: datetime) -> None:
        flying = [UUID(one.call.id) for one in self._flying.values()]
        answers.recover(now, flying=flying)
        gtt_calls.recover(now, flying=flying)
