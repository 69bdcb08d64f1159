"""The process of an account: it owns every call to the broker. One round sends what may be sent, reads the book where
it is due, and goes on; a second process of the same account waits for its lock."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from datetime import datetime
from secrets import token_hex
from uuid import UUID

from accounts.broker import session_died
from alphapanda import logs
from alphapanda.core.clock import to_ms
from alphapanda.core.vocabulary import Broker
from alphapanda.kite.client import Access
from execution.domain.kite import budgets
from execution.domain.kite.budgets import Spent
from execution.domain.kite.outcomes import Outcome, Verdict
from execution.models import BrokerCall, BrokerDesk, BrokerOrder
from execution.services.live import answers, calls, evidence, killing, looking, pushes, reconciling
from execution.services.live.answers import Said
from execution.services.live.http import KiteHttp, NotLoggedIn

BUSY_MS, IDLE_MS = 5_000, 30_000  # between looks at the book, with something in flight and without
SENDERS = 8  # calls under way at a time: a slow one holds up no other
LOOK_MIN_MS = 500
TIDY_MS = 500
WAITING = (BrokerCall.State.READY, BrokerCall.State.SENDING, BrokerCall.State.UNKNOWN)
log = logs.channel("trading")


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
    ) -> None:
        self._http = http(root, self._credentials)
        self._find_access = access
        self._access: Access | None = None
        self._clock = clock
        self._pool = pool or ThreadPoolExecutor(SENDERS, thread_name_prefix="broker")
        self._flying: dict[Future[Outcome], budgets.Call] = {}
        self._looking: Future[looking.Book] | None = None
        self._spent = Spent()
        self._looked_ms = 0
        self._tidied_ms = 0
        self._is_begun = False

    def begin(self) -> None:
        """Take up the account: what was under way when a process died is unknown, and no entry leaves before the book
        has been compared."""
        now = self._clock()
        BrokerDesk.objects.get_or_create(broker=Broker.ZERODHA, defaults={"house": token_hex(8)})
        BrokerDesk.objects.filter(broker=Broker.ZERODHA).update(reconciled_at=None, seen_at=now)
        self._take_access()
        lost = answers.recover(now)
        self._spent = calls.spent_today(to_ms(now))
        self._is_begun = True
        log.info("execution.broker.begun", unknown=lost, placed_today=self._spent.placed)

    def round(self) -> bool:
        """One round; whether anything was done. What takes time, the broker's answers, is waited for elsewhere."""
        assert self._is_begun, "begin first"
        did = self._gather()
        did |= pushes.take_all(self._clock())
        did |= self._send()
        did |= self._look_if_due()
        return self._tidy() or did

    def end(self) -> None:
        """Wait for what is under way, and write it down."""
        self._pool.shutdown(wait=True)
        self._gather()

    def _gather(self) -> bool:
        """Write down the answers that have come."""
        done = [future for future in self._flying if future.done()]
        for future in done:
            call, outcome = self._flying.pop(future), future.result()
            said = answers.record(UUID(call.id), outcome, self._clock())
            if outcome.verdict is Verdict.TOKEN_DEAD:
                self._refused()
            if said is Said.TOO_MANY:
                self._spent = budgets.told_too_many(self._spent, to_ms(self._clock()))
            elif said is Said.FINE:
                self._spent = budgets.told_fine(self._spent)
        if self._looking is not None and self._looking.done():
            book, self._looking = self._looking.result(), None
            if book.is_refused:
                self._refused()
            self._compare(book)
            return True
        return bool(done)

    def _send(self) -> bool:
        did = False
        while len(self._flying) < SENDERS:
            now = self._clock()
            found = calls.claim(self._spent, now)
            if found.call is None:
                return did
            did = True
            if found.said is None:
                continue  # it was dropped, or waits
            self._spent = budgets.sent(self._spent, found.call, to_ms(now))
            self._flying[self._pool.submit(answers.send, found.said, self._http)] = found.call
        return did

    # ---- what opens the account

    def _credentials(self) -> Access:
        """Asked by threads that have no connection to the database. Raises NotLoggedIn."""
        if self._access is None:
            raise NotLoggedIn("nobody has logged in to the broker")
        return self._access

    def _take_access(self) -> None:
        """Take up a new login, which mends what an old token stopped."""
        found = self._find_access()
        if found is not None and found != self._access:
            stopped = BrokerDesk.objects.filter(broker=Broker.ZERODHA, stopped=answers.TOKEN_DEAD)
            if stopped.update(stopped=""):
                log.info("execution.broker.logged_in_again")
            self.look_soon()
        self._access = found

    def _refused(self) -> None:
        """Kite does not know the token any more: nothing more is asked with it."""
        now = self._clock()
        if self._access is not None:
            session_died(self._access, answers.TOKEN_DEAD, now=now)
        self._access = None
        answers.stop(answers.TOKEN_DEAD, now)

    # ---- the book

    def look_soon(self) -> None:
        """Read the book at the next chance: the stream of updates had a gap."""
        self._looked_ms = 0

    def _look_if_due(self) -> bool:
        now = self._clock()
        if self._access is None or self._looking is not None:
            return False
        if to_ms(now) < self._looked_ms + LOOK_MIN_MS or to_ms(now) < self.due_ms():
            return False
        self._looked_ms = to_ms(now)
        self._looking = self._pool.submit(looking.look, self._http, now)
        return True

    def due_ms(self) -> int:
        if not self._looked_ms:
            return 0
        waiting = BrokerCall.objects.filter(state__in=WAITING).exists()
        is_busy = waiting or bool(self._flying) or BrokerOrder.objects.filter(is_open=True).exists()
        due_ms = self._looked_ms + (BUSY_MS if is_busy else IDLE_MS)
        search_ms = looking.searches_due_ms()
        if search_ms is not None:
            due_ms = min(due_ms, max(search_ms, self._looked_ms + LOOK_MIN_MS))
        return due_ms

    def _compare(self, book: looking.Book) -> None:
        now = self._clock()
        looking.take_book(book, now)
        reconciling.compare(book, now)

    # ---- what others left

    def _tidy(self) -> bool:
        now = self._clock()
        if to_ms(now) - self._tidied_ms < TIDY_MS:
            return False
        self._tidied_ms = to_ms(now)
        BrokerDesk.objects.filter(broker=Broker.ZERODHA).update(seen_at=now)
        self._take_access()
        evidence.book_what_is_left(now)
        killing.sweep(now)
        return False
