"""A live deployment by hand against the Kite simulator: real services, database and HTTP, and one clock, the
simulator's, which stands until it is moved. What a process loses when it dies is lost here too."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import UUID

import msgspec
from django.conf import settings
from django.contrib.auth.models import Group, Permission
from django.utils import timezone

from accounts import live
from accounts.broker import secret_set
from accounts.models import BrokerAccount, BrokerSession, User
from accounts.services import ensure_roles
from alphapanda import deploying, failpoints
from alphapanda.core import ids
from alphapanda.core.clock import to_datetime
from alphapanda.core.vocabulary import Broker, OrderType, Product, SignalKind, Validity, Waiting
from alphapanda.deploying import Definition
from alphapanda.eventlog import doorbell
from alphapanda.kite.client import Access
from alphapanda.kite_simulator.sessions import checksum
from alphapanda.prepared import ANYBODY, Prepared
from alphapanda.proof.kite_parts import INFY, PRICE_E4, SECOND_MS, LatePool, NoTicks, SlowHttp
from alphapanda.proof.kite_served import Served
from alphapanda.web.roles import Role
from execution.models import BrokerCall, BrokerDesk, BrokerOrder, BrokerPush, Order
from execution.services import chain
from execution.services.live import desk, killing, pushes
from execution.services.live.desk import Desk
from execution.services.live.http import KiteHttp
from marketdata.models import Instrument
from marketdata.reference import load_calendar
from marketdata.services import instruments
from portfolio.services import postings_book
from risk.models import Alert, KillSwitch
from risk.services import decisions
from strategies.models import Deployment, Report, Signal
from strategies.services.limit import TimeLimit
from strategies.services.shard import Shard

NAME = "Live on NSE:INFY"
TRADER = "trader"
# A step where something may leave, the longest while a kill switch wants orders gone, and the longest of all.
STEP_MS, SWEEP_MS, STRIDE_MS = 100, 2_000, 30_000
TIDY_MS = 1_500  # a process that tidies seldom: nobody else writes here
REFRESH_S = 0.25  # by the clock of the shard between two of its questions: it looks for reports at each round
take_all = pushes.take_all
lives = Prepared(lambda one: BrokerSession.objects.filter(pk=one, ended_at=None).values_list("pk"), ANYBODY)
ready = Prepared(lambda: BrokerCall.objects.filter(state=BrokerCall.State.READY).values_list("not_before_ms"))
# The broker has taken the cancellation, and nobody has seen yet what came of it.
cancelled = Prepared(
    lambda: BrokerCall.objects.filter(
        kind=SignalKind.CANCEL, state=BrokerCall.State.DONE, order__is_open=True
    ).values_list("pk")
)


class Died(BaseException):
    """A process ended here."""


def set_up() -> None:
    """The rows that all worlds share: instruments, one deployment, the account."""
    instruments.load_shipped(now=timezone.now())
    portfolio_id = deploying.portfolio_of(Broker.ZERODHA, starting_cash=Decimal(10_000_000))
    definition = Definition(name=NAME, strategy="ema_cross", instruments=("NSE:INFY",), broker=Broker.ZERODHA)
    deploying.deploy([definition], portfolio_id=portfolio_id)
    account = BrokerAccount(name="main", user_id="AB1234", api_key="simulatorapikey")
    secret_set(account, "simulatorapisecret")
    account.save()
    let_run()


def let_run() -> None:
    """Somebody who may trade live has acknowledged the terms and let all deployments run."""
    ensure_roles()
    trader = User.objects.create(username=TRADER)
    trader.groups.add(Group.objects.get(name=Role.OPERATOR))
    trader.user_permissions.add(Permission.objects.get(codename="trade_live"))
    live.terms_acknowledge(version=live.TERMS_VERSION, actor=TRADER, now=timezone.now())
    Deployment.objects.update(started_by=TRADER)


class World:
    """The pipeline and the broker's process, one step after the other."""

    def __init__(
        self,
        served: Served,
        chance: random.Random,
        *,
        is_pushed: bool = True,
        looks_ms: int = desk.BUSY_MS,
    ) -> None:
        self.looks_ms = looks_ms
        self.served, self.chance = served, chance
        self.broker = served.simulator
        self.is_pushed = is_pushed
        self.deployment = Deployment.objects.get(name=NAME)
        self.calendar = load_calendar("NSE")
        self.instrument = Instrument.objects.get(exchange="NSE", tradingsymbol="INFY")
        self.updates = self.broker.book.subscribe(self.broker.account.user_id)
        self.rung: deque[tuple[Callable[[UUID], object], UUID]] = deque()
        self.is_shard_rung = True
        self.deaths: list[tuple[str, int]] = []  # where, and at which passing from now on
        self.died: list[str] = []
        self.is_told = False  # of something pushed, since the last round
        self.is_kept = False  # something pushed that nobody has merged yet
        self.idle = 0  # rounds in which nothing was done, one after the other
        self.restless_ms = 0  # until then something is to be found that nobody rings for
        self.is_killed = False
        self.access: Access | None = self.logged_in()
        self._stack = ExitStack()
        self.slowest_ms = 40

    def __enter__(self) -> World:
        patches: tuple[tuple[Any, str, Any], ...] = (
            (timezone, "now", self.now),
            (doorbell, "ring_signals", self.ring_signals),
            (doorbell, "ring_due", self._ring_due),
            (doorbell, "ring_shard", self._ring_shard),
            (doorbell, "ring", self._ring),
            (failpoints, "hit", self._hit),
            (desk, "BUSY_MS", self.looks_ms),
            (desk, "TIDY_MS", TIDY_MS),
            (pushes, "take_all", self._take_all),
        )
        for where, name, act in patches:
            self._stack.enter_context(mock.patch.object(where, name, act))
        self.shard = self._shard()
        self.desk, self.pool = self._begun()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # ---- processes

    def _begun(self) -> tuple[Desk, LatePool]:
        pool = LatePool(self.broker.clock.now_ms, lambda: self.chance.randint(0, 4 * self.slowest_ms))
        desk = Desk(
            self.served.url, self.find_access, self.now, pool=pool, http=self._http, sleep=self._sleep
        )
        desk.begin()
        return desk, pool

    def _sleep(self, seconds: float) -> None:
        self.advance(int(seconds * SECOND_MS))

    def find_access(self) -> Access | None:
        """The login that lives, as far as is known here."""
        return self.access if self.access and lives(self.access.session_id) else None

    def _http(self, root: str, credentials: Callable[[], Access]) -> KiteHttp:
        return SlowHttp(root, credentials, lambda: self.advance(self.chance.randint(0, self.slowest_ms)))

    def _shard(self) -> Shard:
        rounds = count()
        return Shard(
            self.deployment.shard,
            reader=NoTicks(),  # type: ignore[arg-type]
            calendar=self.calendar,
            incarnation=ids.derived("proof", "incarnation"),
            clock=self.now,
            monotonic=lambda: REFRESH_S * next(rounds),
            limit=TimeLimit(Path(settings.RUN_DIR, "hangs"), 0, seconds=settings.STRATEGY_SECONDS),
        )

    def _take_all(self, now: datetime, *, look_soon: Callable[[], None]) -> bool:
        """Pushes come from here alone: where none was kept, there is none to be read."""
        if self.is_kept:
            self.is_kept = take_all(now, look_soon=look_soon)
            return True
        return False

    def _hit(self, name: str) -> None:
        for number, (place, passings) in enumerate(self.deaths):
            if place == name:
                self.deaths[number] = (place, passings - 1)
                if passings <= 1:
                    del self.deaths[number]
                    self.died.append(name)
                    raise Died(name)
                return

    # ---- doorbells

    def ring_signals(self, deployment_ids: Sequence[str]) -> bool:
        for one in map(UUID, deployment_ids):
            self.rung.extend((act, one) for act in (self._decide, self._submit, self._book, self._settle))
        return True

    def _ring_due(self, deployment_ids: Sequence[str]) -> bool:
        for one in map(UUID, deployment_ids):
            self.rung.extend((act, one) for act in (self._match, self._book, self._settle))
        return True

    def _ring_shard(self, shard: int, *, partition_ends: dict[str, int]) -> bool:
        self.is_shard_rung = True
        return True

    def _ring(self, task_name: str, *, queue: str = "", **named: Any) -> bool:
        if task_name == "portfolio.book":
            self.rung.extend((self._book, UUID(one)) for one in named["deployment_ids"])
        return True

    def _decide(self, one: UUID) -> None:
        decisions.signals_decide(deployment_id=one, calendar=self.calendar)

    def _submit(self, one: UUID) -> None:
        chain.orders_submit(deployment_id=one, calendar=self.calendar)

    def _match(self, one: UUID) -> None:
        chain.dues_match(deployment_id=one, calendar=self.calendar)

    def _book(self, one: UUID) -> None:
        postings_book(deployment_id=one, now=self.now())

    def _settle(self, one: UUID) -> None:
        chain.deployment_settle(deployment_id=one)

    def pipeline(self) -> bool:
        """Strategies, risk, execution and books, until nothing is rung; whether anything was."""
        was_rung = self.is_shard_rung or bool(self.rung)
        while self.is_shard_rung or self.rung:
            self.is_shard_rung = False
            while self.shard.evaluate({}) and not self.rung:
                pass
            while self.rung:
                act, one = self.rung.popleft()
                act(one)
                self.is_shard_rung = True
        return was_rung

    # ---- what happens

    def now(self) -> datetime:
        return to_datetime(self.broker.clock.now_ms())

    def advance(self, ms: int) -> None:
        """Time goes on; nobody else is at work in the simulator's thread meanwhile."""
        self.broker.advance(ms)
        while not self.updates.empty():
            update = self.updates.get_nowait()
            if self.is_pushed:
                pushes.keep(msgspec.json.encode(update), "stream")
                self.is_told = self.is_kept = True

    def round(self) -> None:
        """One round of the broker's process and of the pipeline; a process that dies is begun again."""
        self.pool.deliver()
        try:
            did = self.desk.round()
        except Died:
            did = True
            self.desk, self.pool = self._begun()
            self.touch()
        did |= self.pipeline()
        self.idle = 0 if did else self.idle + 1

    def touch(self) -> None:
        """Something has happened that the broker's process finds by itself, when it tidies."""
        self.restless_ms = self.broker.clock.now_ms() + 2 * TIDY_MS

    def logged_in(self) -> Access:
        """What a login at the simulator gives; the access token of before is dead from here on."""
        sessions, account = self.broker.sessions, self.broker.account
        request_token = sessions.login()
        session = sessions.exchange(
            account.api_key, request_token, checksum(account.api_key, request_token, account.api_secret)
        )
        row = BrokerSession(
            account=BrokerAccount.objects.get(name="main"),
            number=BrokerSession.objects.count() + 1,
            logged_in_at=self.now(),
            logged_in_by="alice",
            dies_at=self.now() + timedelta(hours=20),
            access_token=b"",
        )
        BrokerSession.objects.filter(ended_at=None).update(ended_at=self.now(), ended_by="SUPERSEDED")
        row.save(force_insert=True)
        self.touch()
        return Access(account.api_key, session.access_token, row.pk)

    def want(self, **signal: Any) -> Order | None:
        """A signal that goes through risk and becomes an intent; None where risk refused it."""
        self.is_shard_rung = True
        self.pipeline()
        row = self.signal(**signal)
        self.ring_signals([str(self.deployment.id)])
        self.pipeline()
        return Order.objects.filter(decision__signal=row).first()

    def signal(self, **signal: Any) -> Signal:
        runner = self.shard.runners[self.deployment.id]
        runner.machine.state.step += 1
        step, at_ms = runner.machine.state.step, self.broker.clock.now_ms()
        mark = self.broker.market.last(INFY)
        price_e4 = mark.price_e4 if mark else PRICE_E4
        fields: dict[str, Any] = {
            "side": "BUY",
            "quantity": 10,
            "order_type": OrderType.MARKET,
            "validity": Validity.DAY,
            "product": Product.MIS,
            "reason": "a proof",
            "kind": SignalKind.ORDER,
        }
        row = Signal.objects.create(
            id=ids.signal_id(self.deployment.id, step, 0),
            deployment=self.deployment,
            broker=Broker.ZERODHA,
            step=step,
            ordinal=0,
            instrument=self.instrument,
            at_ms=at_ms,
            marks={str(INFY): {"price_e4": price_e4, "at_ms": at_ms}},
            correlation_id=ids.derived("proof", step),
            **(fields | signal),
        )
        Deployment.objects.filter(id=self.deployment.id).update(
            step=step,
            waiting=Waiting.SIGNALS,
            waiting_since=self.now(),
            at_ms=at_ms,
            checkpoint=runner.machine.checkpoint(),
        )
        runner.waiting = Waiting.SIGNALS
        return row

    # ---- how far things are

    def is_quiet(self) -> bool:
        """Whether nothing is under way that is not a resting order."""
        waiting = (BrokerCall.State.READY, BrokerCall.State.SENDING, BrokerCall.State.UNKNOWN)
        if self.pool.next_ms() is not None or BrokerCall.objects.filter(state__in=waiting).exists():
            return False
        if BrokerOrder.objects.filter(wants_trades=True).exists() or cancelled():
            return False
        if BrokerPush.objects.exists() or Report.objects.filter(told_at=None).exists():
            return False
        sweeps = KillSwitch.objects.filter(released_at=None, step__in=killing.CANCELLING)
        is_swept = any(killing.covered(one).exists() for one in sweeps)  # the next sweep cancels it
        due_ms = self.broker.schedule.next_ms
        return not is_swept and (due_ms is None or due_ms > self.broker.clock.now_ms() + 300_000)

    def held_up(self) -> set[UUID]:
        """Orders that wait for a person, because others have closed what they would close."""
        waiting = BrokerCall.objects.filter(state=BrokerCall.State.READY).values_list("order_id", flat=True)
        return set(waiting) if Alert.objects.filter(code="exit_held_up").exists() else set()

    def reconciled_at(self) -> datetime | None:
        return BrokerDesk.objects.get(broker=Broker.ZERODHA).reconciled_at

    def posts(self) -> Counter[str]:
        """Requests for new orders that got past the door, by tag."""
        return self.broker.posts - self.broker.refused

    def work(self, *, until: Callable[[], bool] | None = None, until_ms: int = 0, ends_ms: int = 0) -> bool:
        """Go on to a time, or until something holds; False where it does not after so long."""
        ends_ms = until_ms or self.broker.clock.now_ms() + ends_ms
        if until is not None and until():
            return True
        while self.broker.clock.now_ms() < ends_ms:
            self._go_on(self._due_ms(ends_ms))
            self.round()
            if until is not None and until():
                return True
        return until is None

    def _go_on(self, due_ms: int) -> None:
        """To a time, or until the broker says something: nothing is waited for in small steps."""
        while (left_ms := due_ms - self.broker.clock.now_ms()) > 0 and not self.is_told:
            nexts = (self.broker.schedule.next_ms, self.broker.market.next_ms)
            ahead = [at_ms - self.broker.clock.now_ms() for at_ms in nexts if at_ms is not None]
            self.advance(max(1, min(left_ms, *ahead)))
        self.is_told = False

    def _due_ms(self, ends_ms: int) -> int:
        """When a process of ours has something to do next, as far as it knows; later each time that there was
        nothing."""
        now_ms = self.broker.clock.now_ms()
        soon_ms = now_ms + min(STEP_MS << min(self.idle, 8), SWEEP_MS)
        due = [max(at_ms, soon_ms) for at_ms in (self.desk.due_ms(), *(at_ms for (at_ms,) in ready()))]
        due += [soon_ms] if now_ms < self.restless_ms else []
        due += [at_ms for at_ms in (self.pool.next_ms(),) if at_ms is not None]
        return min(ends_ms, now_ms + (SWEEP_MS if self.is_killed else STRIDE_MS), *due)
