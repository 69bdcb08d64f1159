"""`manage.py kite_faults --kill-race`: a kill switch thrown by somebody else while orders go out as fast as they may.
No request for an order begins after it commits, and what works is cancelled as fast as the broker lets us."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from django.db import connection

from alphapanda.core import ids
from alphapanda.kite.client import Access
from alphapanda.kite_simulator.listing import load_listing
from alphapanda.proof.kite_parts import PRICE_E4, simulator
from alphapanda.proof.kite_served import serving
from alphapanda.proof.kite_world import World
from execution.domain.kite.budgets import OURS, SECOND_MS
from execution.domain.kite.orders import LiveOrder
from execution.models import BrokerCall, BrokerOrder, Order
from execution.services.live import states
from execution.services.live.desk import TIDY_MS, Desk
from execution.services.live.http import Answer, KiteHttp
from risk.models import Decision, KillSwitch
from risk.services import halts
from strategies.models import Deployment, Signal

FAR_E4 = PRICE_E4 - 500_000  # a price at which nothing trades
STEP_MS = 100  # our rate lets an order leave each 125
ROUNDS_EACH = 40  # of the desk, for an order to leave: more, and it stands still
CANCEL_STEP_MS = 20  # time is what is measured there
WAITING_MIN = 20  # orders that wait to leave, while there are more to come
ROUNDS_AFTER = 5  # of the desk, after the kill: what was to leave would have left
CANCELS_MS = 120_000


class Race(msgspec.Struct, frozen=True):
    """One kill: how many orders had left, how many began to leave after it had committed, by how many ms at most an
    earlier one came before it."""

    number: int
    sent: int
    late: int
    margin_ms: float


class Cancelled(msgspec.Struct, frozen=True):
    """How long the end of all open orders took, and how long it takes at least at our rate. The desk notices within
    `TIDY_MS` that the kill switch was thrown; the world of the proof lets it look more seldom, and that counts too."""

    orders: int
    left: int
    took_ms: int
    floor_ms: int

    @property
    def is_good(self) -> bool:
        return self.left == 0 and self.took_ms <= 1.1 * self.floor_ms + TIDY_MS


class _Watched(KiteHttp):
    """Notes when each request for an order begins."""

    def __init__(self, root: str, credentials: Callable[[], Access], begun: list[int]) -> None:
        super().__init__(root, credentials)
        self._begun = begun

    def _ask(self, method: str, path: str, **more: Any) -> Answer:
        if method == "POST":
            self._begun.append(time.perf_counter_ns())
        return super()._ask(method, path, **more)


@contextmanager
def _desk(chance: random.Random) -> Iterator[tuple[World, Desk, list[int]]]:
    """A broker, and a process of the account with threads and time of its own; it has compared its books."""
    begun: list[int] = []

    def sleep(seconds: float) -> None:
        until_ms = world.broker.clock.now_ms() + seconds * SECOND_MS
        while world.broker.clock.now_ms() < until_ms and not is_over:
            time.sleep(0.001)

    is_over: list[bool] = []
    with serving(simulator(load_listing(), chance)) as served, World(served, chance) as world:
        desk = Desk(
            served.url,
            world.find_access,
            world.now,
            http=lambda root, signed: _Watched(root, signed, begun),
            sleep=sleep,
        )
        desk.begin()
        while world.reconciled_at() is None:
            _round(world, desk)
        try:
            yield world, desk, begun
        finally:
            is_over.append(True)
            desk.end()


def _round(world: World, desk: Desk, step_ms: int = STEP_MS) -> None:
    world.served.advance(step_ms)
    if not desk.round():
        time.sleep(0.001)


def intents(world: World, count: int) -> list[UUID]:
    """Orders that risk has approved and nobody has sent: copies of one that took the whole way."""
    original = _original(world)
    return [original.order.pk, *_copies(world, original, range(1, count))]


class _Original(NamedTuple):
    """An order that risk has approved, as it is before anybody has sent it."""

    order: Order
    known: LiveOrder
    call: BrokerCall


def _original(world: World) -> _Original:
    order = world.want(order_type="LIMIT", limit_price_e4=FAR_E4, quantity=1)
    assert order is not None, "risk refuses the order that the others are copies of"
    return _Original(order, states.known(order.at_broker), BrokerCall.objects.get(order_id=order.pk))


def _copies(world: World, original: _Original, numbers: range) -> list[UUID]:
    """The same again, as if each had taken a step of its own after the first's."""
    first, known, call = original
    decision, signal = first.decision, first.decision.signal
    rows: dict[type, list[Any]] = {kind: [] for kind in (Signal, Decision, Order, BrokerOrder, BrokerCall)}
    for step in (signal.step + number for number in numbers):
        signal_id = ids.signal_id(signal.deployment_id, step, 0)
        decision_id = ids.decision_id(signal_id)
        order_id = ids.order_id(decision_id, 0)
        rows[Signal].append(_copy(signal, id=signal_id, step=step))
        rows[Decision].append(_copy(decision, id=decision_id, signal_id=signal_id))
        rows[Order].append(_copy(first, id=order_id, decision_id=decision_id, step=step))
        state = states.written(msgspec.structs.replace(known, id=order_id))
        rows[BrokerOrder].append(BrokerOrder(order_id=order_id, state=state))
        call_id = ids.derived("broker call", decision_id, 1)
        rows[BrokerCall].append(_copy(call, id=call_id, order_id=order_id, decision_id=decision_id))
    for kind, made in rows.items():
        kind.objects.bulk_create(made)  # type: ignore[attr-defined]
    last = signal.step + numbers[-1]
    Deployment.objects.filter(id=world.deployment.id).update(step=last)
    world.shard.runners[world.deployment.id].machine.state.step = last
    return [row.id for row in rows[Order]]


def _copy(row: Any, **changed: Any) -> Any:
    fields = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    return type(row)(**fields | changed)


def race(seed: int, number: int, *, orders: int, kill_within: int) -> Race:
    """Orders leave at our rate; when so many have left as is drawn, somebody throws the kill switch."""
    chance = random.Random(f"kite kill race {seed} {number}")
    with _desk(chance) as (world, desk, begun):
        original, made = _original(world), 1
        at = chance.randrange(1, kill_within)
        ready, thrown = Event(), list[int]()
        kill = Thread(target=_throw, args=(ready, thrown, chance.random() * 0.05, world), daemon=True)
        kill.start()
        for _ in range(ROUNDS_EACH * orders):
            if len(begun) >= at:
                ready.set()
            if thrown:
                break
            if made < orders and made - len(begun) < WAITING_MIN:
                more = range(made, min(made + 2 * WAITING_MIN, orders))
                made += len(_copies(world, original, more))
            _round(world, desk)
        else:
            raise RuntimeError(f"race {number} of seed {seed}: after {len(begun)} of {at} orders none left")
        for _ in range(ROUNDS_AFTER):
            _round(world, desk)
        kill.join()
    late = [one for one in begun if one > thrown[0]]
    _forget(world)
    return Race(number, len(begun), len(late), (thrown[0] - max(begun)) / 1e6)


def _throw(ready: Event, thrown: list[int], after_s: float, world: World) -> None:
    """Somebody else, with a connection of their own."""
    ready.wait()
    time.sleep(after_s)
    try:
        halts.halt_throw(level="GLOBAL", reason="race", actor="alice", now=world.now())
        thrown.append(time.perf_counter_ns())
    finally:
        connection.close()


def _forget(world: World) -> None:
    """Put away what is left, so that the next run has a broker and budgets of its own."""
    for halt in KillSwitch.objects.filter(released_at=None):
        halts.halt_release(halt_id=halt.pk, actor="alice", reason="the race is over", now=world.now())
    BrokerCall.objects.exclude(state=BrokerCall.State.DROPPED).update(
        state=BrokerCall.State.DROPPED, sent_at_ms=None
    )
    BrokerOrder.objects.update(is_open=False)


def cancelled(seed: int, *, orders: int) -> Cancelled:
    """So many orders rest at the broker, the kill switch is thrown: when none rests any more."""
    chance = random.Random(f"kite kill sweep {seed}")
    with _desk(chance) as (world, desk, _):
        ours = intents(world, orders)
        book = world.broker.book
        while len(book.working()) < len(ours):
            _round(world, desk)
        world.served.advance(61 * SECOND_MS)  # the minute of the orders is over
        halts.halt_throw(level="GLOBAL", step="CANCEL", reason="race", actor="alice", now=world.now())
        began_ms = world.broker.clock.now_ms()
        while world.served.call(book.working) and world.broker.clock.now_ms() < began_ms + CANCELS_MS:
            _round(world, desk, CANCEL_STEP_MS)
        took_ms = world.broker.clock.now_ms() - began_ms
        left = len(world.served.call(book.working))
        _forget(world)
    floor_ms = (len(ours) - 1) // OURS.second.cancels * SECOND_MS
    return Cancelled(len(ours), left, took_ms, floor_ms)
