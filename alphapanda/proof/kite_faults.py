"""`manage.py kite_faults`: orders at a broker that goes wrong, by processes that die, from a seed. When all has come to
rest, the broker's book and ours must say the same, and nothing may have been sent twice."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import msgspec
from django.db import transaction

from alphapanda.core import ids
from alphapanda.core.vocabulary import (
    CommandKind,
    DeploymentStatus,
    OrderStatus,
    OrderType,
    Side,
    SignalKind,
    Validity,
    Variety,
)
from alphapanda.kite_simulator.errors import KiteError
from alphapanda.kite_simulator.faults import AFTER_ACCEPT, REFUSALS, Kind
from alphapanda.kite_simulator.listing import load_listing
from alphapanda.kite_simulator.script import Step, do
from alphapanda.proof.kite_compared import NEVER, Comparison
from alphapanda.proof.kite_drawn import Act, Scenario, scenario
from alphapanda.proof.kite_parts import INFY, PRICE_E4, simulator
from alphapanda.proof.kite_served import serving
from alphapanda.proof.kite_world import World
from execution.domain.kite.budgets import Lane
from execution.domain.orders import STOPS, PaperOrder
from execution.models import (
    ENDED,
    BrokerCall,
    BrokerOrder,
    Fill,
    Order,
    OrderEvent,
)
from execution.services.live.killing import CANCELLING
from portfolio.models import Position
from risk.models import Alert, KillSwitch
from risk.services import halts
from strategies.domain.signals import Mark
from strategies.models import Command, Deployment
from strategies.services import lifecycle

ENDS_MS = 900_000  # a scenario that has not come to rest by then never will
DEEP_EVERY = (
    5  # seconds between those in which large orders are filled; in the others they are in small parts
)
STILL_LOOKS, LOOKS_MAX = 2, 20  # at the book, after all is quiet
# What an alert may be raised for, at least one of: acts, faults, deaths.
LOST = {Kind.LOST, Kind.UNAVAILABLE, Kind.BURST_200, Kind.GARBAGE, Kind.LATE, *AFTER_ACCEPT, "death"}
ENDS = {"exit", "flatten", "kill", "leave", "other", *LOST, *REFUSALS, "logged out", "login"}
REASONS: dict[str, set[str]] = {
    "broker_stopped": {"logged out", "login"},
    "broker_differs": {"other", Kind.STUCK},
    "order_not_placed": LOST,
    "outcome_unknown": LOST,
    "order_revived": {Kind.LATE, Kind.STUCK},
    "order_will_not_die": {Kind.LATE, Kind.STUCK, *LOST},
    "exit_held_up": {"other"},
    "exit_dropped": {"leave", "exit", "flatten", "kill"},
    "exit_refused": ENDS,
}


class Run(msgspec.Struct):
    """What came of a scenario: what does not hold, and what happened."""

    scenario: Scenario
    wrong: list[str]
    orders: int = 0
    fills: int = 0
    fired: list[str] = []
    died: list[str] = []
    alerts: list[str] = []


# ---- what is done --------------------------------------------------------------------------------------------


def run(seed: int, number: int) -> Run:
    """One scenario, from a fresh broker to rest; the database is afterwards as it was before."""
    told = scenario(seed, number)
    chance = random.Random(f"kite world {seed} {number}")
    broker = simulator(load_listing(), chance, deep_every=DEEP_EVERY, seed=chance.randrange(1 << 31))
    with serving(broker) as served, transaction.atomic():
        try:
            with World(served, chance, is_pushed=told.is_pushed, looks_ms=told.looks_ms) as world:
                return _Play(world, told).run()
        finally:
            transaction.set_rollback(True)


def leave_beside(world: World, resting: Order, units: int) -> Order:
    """A strategy cancels an exit that rests and leaves at the market, in one step."""
    world.is_shard_rung = True
    world.pipeline()
    left = resting.quantity - resting.filled_quantity
    facts = {"side": resting.side, "quantity": left, "replaces": left, "order_type": resting.order_type}
    row = world.signal(kind="CANCEL", target=resting.id, **facts)
    row.id, row.ordinal = ids.signal_id(row.deployment_id, row.step, 1), 1
    row.kind, row.target, row.replaces, row.order_type, row.quantity = "ORDER", None, 0, "MARKET", units
    row.save(force_insert=True)
    world.ring_signals([str(world.deployment.id)])
    world.pipeline()
    return Order.objects.get(decision__signal=row)


def see(world: World) -> None:
    """Let the deployment know time and price, as a tick would: an act of a person is worth nothing without."""
    world.is_shard_rung = True
    world.pipeline()
    machine = world.shard.runners[world.deployment.id].machine
    mark, state = world.broker.market.last(INFY), machine.state
    state.at_ms = world.broker.clock.now_ms()
    state.marks[INFY] = Mark(price_e4=mark.price_e4 if mark else PRICE_E4, at_ms=state.at_ms)
    Deployment.objects.filter(id=world.deployment.id).update(
        at_ms=state.at_ms, checkpoint=machine.checkpoint()
    )


class _Play:
    """One scenario on its way."""

    def __init__(self, world: World, told: Scenario) -> None:
        self.world, self.told = world, told
        self.orders: list[Order] = []
        self.left: list[tuple[Order, int, Order]] = []  # exits, each with what was cancelled beside it
        self.began_ms = world.broker.clock.now_ms()

    def run(self) -> Run:
        world = self.world
        world.work(until=lambda: world.reconciled_at() is not None, ends_ms=60_000)
        self.began_ms = world.broker.clock.now_ms()
        world.broker.clock.skew_ms = self.told.skew_ms
        world.broker.faults.arm(list(self.told.faults))
        world.deaths = list(self.told.deaths)
        for act in self.told.acts:
            world.work(until_ms=self.began_ms + act.at_ms)
            self._do(act)
        wrong = [] if self._rests() else [f"not at rest after {ENDS_MS // 1000} s: {self._unrest()}"]
        wrong += [
            *Comparison(world).wrong(),
            *self._forsaken(),
            *self._hasty(),
            *self._held_on(),
            *self._called(),
        ]
        return Run(
            self.told,
            wrong,
            orders=len(self.orders),
            fills=Fill.objects.count(),
            fired=[one.kind.value for one in world.broker.faults.fired],
            died=world.died,
            alerts=list(Alert.objects.values_list("code", flat=True)),
        )

    def _do(self, act: Act) -> None:
        world = self.world
        if act.kind == "order":
            order = world.want(**act.fields)
            self.orders += [order] if order is not None else []
        elif act.kind in ("cancel", "modify"):
            self._change(act)
        elif act.kind == "kill":
            self._kill(act)
        elif act.kind in ("exit", "flatten"):
            self._close(act)
        elif act.kind == "release":
            self._release()
        elif act.kind == "change":
            self._change_newest(act)
        elif act.kind == "leave":
            self._leave(act)
        elif act.kind == "other":
            self._other(act)
        elif act.kind == "logged out":
            world.broker.sessions.end()
        else:
            world.access = world.logged_in()

    def _kill(self, act: Act) -> None:
        world, level = self.world, act.fields.get("level", "GLOBAL")
        target: dict[str, Any] = {"BROKER": {"broker": "zerodha"}, "GLOBAL": {}}.get(
            level, {"deployment_id": world.deployment.id}
        )
        step = act.fields.get("step", "CANCEL")
        world.is_killed = True
        world.touch()
        see(world)
        halts.halt_throw(level=level, step=step, reason="drill", actor="alice", now=world.now(), **target)
        world.is_shard_rung = True

    def _close(self, act: Act) -> None:
        see(self.world)
        who = {"deployment_id": self.world.deployment.id, "actor": "alice", "reason": "drill"}
        if act.kind == "exit":
            lifecycle.deployment_exit(**who, instrument="NSE:INFY", now=self.world.now())
        else:
            lifecycle.deployment_flatten(**who, now=self.world.now())
        self.world.is_shard_rung = True

    def _release(self) -> None:
        for halt in KillSwitch.objects.filter(released_at=None):
            halts.halt_release(halt_id=halt.pk, reason="drill", actor="alice", now=self.world.now())
        self.world.is_killed = False
        self.world.touch()

    def _change_newest(self, act: Act) -> None:
        self.world.is_shard_rung = True
        self.world.pipeline()
        working = set(Order.objects.exclude(status__in=ENDED).values_list("id", flat=True))
        newest = [at for at, order in enumerate(self.orders) if order.id in working]
        if newest:
            self._change(Act(act.at_ms, "modify", newest[-1], act.fields))

    def _change(self, act: Act) -> None:
        """An act on an order that works still, as a strategy sees it."""
        if act.order >= len(self.orders):
            return
        self.world.is_shard_rung = True
        self.world.pipeline()  # what is decided stands on what has traded
        order = self.orders[act.order]
        order.refresh_from_db()
        left = order.quantity - order.filled_quantity
        if OrderStatus(order.status).is_final or left <= 0:
            return
        fields: dict[str, Any] = {
            "kind": SignalKind(act.kind.upper()),
            "target": order.id,
            "side": order.side,
            "quantity": left,
            "replaces": left,
            "order_type": order.order_type,
            "variety": order.variety,
        }
        if act.kind == "modify":
            fields |= _changed(order, left, act.fields)
        self.world.want(**fields)

    def _leave(self, act: Act) -> None:
        """What is held, at the market, beside the cancellation of the newest exit that rests."""
        side = Side(act.fields["side"])
        self.world.is_shard_rung = True
        self.world.pipeline()  # what is decided stands on what is held
        rests = Order.objects.filter(side=side, order_type="LIMIT").exclude(status__in=ENDED)
        held = Position.objects.filter(book_id=self.world.deployment.id).first()
        resting = rests.order_by("placed_at_ms").last()
        if resting is None or held is None or held.quantity * side.sign >= 0:
            return
        self.orders.append(leave_beside(self.world, resting, abs(held.quantity)))
        self.left.append((resting, resting.filled_quantity, self.orders[-1]))

    def _forsaken(self) -> Iterator[str]:
        """Exits that were dropped though nothing but what was cancelled beside them could have closed their units, and
        that is gone: else it stands, and closes them still."""
        if {"kill", "other", "exit", "flatten"} & {act.kind for act in self.told.acts}:
            return
        for resting, filled, order in self.left:
            for one in (resting, order):
                one.refresh_from_db()
            was_dropped = order.status == OrderStatus.REJECTED and "are being closed" in order.reason
            is_gone = resting.status == OrderStatus.CANCELLED and resting.filled_quantity == filled
            is_alone = (
                not Order.objects.filter(side=order.side).exclude(pk__in=(resting.pk, order.pk)).exists()
            )
            if is_alone and was_dropped and is_gone:
                yield f"{order.id}: dropped ({order.reason}), and what was cancelled beside it never traded"

    def _hasty(self) -> Iterator[str]:
        """Exits that reached the broker while what was cancelled beside them might still trade: both would."""
        exits = BrokerCall.objects.filter(kind=SignalKind.ORDER, lane=Lane.EXIT)
        sent = set(exits.values_list("order_id", flat=True))
        for resting, _, order in self.left:
            if order.id not in sent:
                continue  # beside other exits at work it would close what they close: an entry to risk
            beside, left = self._at_broker(resting), self._at_broker(order)
            if beside and left and beside.updated_at_ms > left.placed_at_ms:
                yield f"{order.id}: sent before what was cancelled beside it was over"

    def _held_on(self) -> Iterator[str]:
        """What was to be closed is closed, an exit works, or a person was told why not. A kill switch calls off exits
        too that were decided before it: whoever threw it knows."""
        flattened = Command.objects.filter(kind=CommandKind.FLATTEN).exists()
        is_over = Deployment.objects.get(id=self.world.deployment.id).status == DeploymentStatus.PAUSED
        told = Alert.objects.filter(
            code__in=("exit_refused", "exit_dropped", "exit_held_up", "broker_differs")
        )
        held = Position.objects.filter(book_id=self.world.deployment.id).exclude(quantity=0).first()
        if not (flattened and is_over and held) or told.exists() or _is_called_off():
            return
        side = Side.SELL if held.quantity > 0 else Side.BUY
        if not Order.objects.filter(side=side).exclude(status__in=ENDED).exists():
            yield f"{held.quantity} units are held on after a flatten, nothing closes them, and nobody was told"

    def _called(self) -> Iterator[str]:
        """Alerts that nothing in the scenario calls for."""
        happened = {one.kind.value for one in self.world.broker.faults.fired}
        happened |= {act.kind for act in self.told.acts} | ({"death"} if self.world.died else set())
        for code in sorted(set(Alert.objects.values_list("code", flat=True)) - set(NEVER)):
            if not REASONS.get(code, set()) & happened:
                yield f"an alert {code} for nothing"

    def _at_broker(self, order: Order) -> PaperOrder | None:
        names = BrokerOrder.objects.get(order=order).state["parts"]
        return next(
            (one.core for one in self.world.broker.book.orders.values() if one.order_id in names), None
        )

    def _other(self, act: Act) -> None:
        order = {
            "variety": "regular",
            "exchange": "NSE",
            "tradingsymbol": "INFY",
            "transaction_type": act.fields["side"],
            "quantity": act.fields["quantity"],
            "order_type": "MARKET",
            "market_protection": -1,
            "product": "MIS",
            "validity": "DAY",
        }
        try:
            do(self.world.broker, Step(place=order))
        except KiteError:
            return  # it has no money for it, as anybody

    def _rests(self) -> bool:
        """Whether all came to rest; faults that are armed still are put off first, and dead processes are begun."""
        world = self.world
        world.work(until_ms=self.began_ms + max([25_000, *(one.at_ms for one in self.told.acts)]))
        world.broker.faults.clear()
        world.deaths.clear()
        if not world.work(until=lambda: bool(world.held_up()) or world.is_quiet(), ends_ms=ENDS_MS):
            return False
        for order in Order.objects.filter(id__in=world.held_up()):
            self.orders.append(order)
            self._change(Act(0, "cancel", len(self.orders) - 1))  # else it waits until a person comes
        if not world.work(until=world.is_quiet, ends_ms=ENDS_MS):
            return False
        world.broker.market.close()
        return self._is_still()

    def _is_still(self) -> bool:
        """Whether looks at the whole book bring nothing new in the end: an exit may have waited for one, and leave."""
        world, told, still = self.world, self._told_so_far(), 0
        for _ in range(LOOKS_MAX):
            before = world.reconciled_at()
            world.desk.look_soon()
            world.work(until=lambda before=before: world.reconciled_at() != before, ends_ms=60_000)
            if not world.work(until=world.is_quiet, ends_ms=ENDS_MS):
                return False
            now = self._told_so_far()
            told, still = now, still + 1 if now == told else 0
            if still == STILL_LOOKS:
                return True
        return False

    def _told_so_far(self) -> tuple[int, int]:
        """Grows with each order and with each row of its history."""
        return Order.objects.count(), OrderEvent.objects.count()

    def _unrest(self) -> str:
        calls = BrokerCall.objects.exclude(state__in=("DONE", "REFUSED", "DROPPED"))
        return ", ".join(f"{call.kind} {call.state} {call.reason}" for call in calls) or "reports or updates"


def _is_called_off() -> bool:
    flattened_at = Command.objects.filter(kind=CommandKind.FLATTEN).latest("created_at").created_at
    return KillSwitch.objects.filter(step__in=CANCELLING, reached_at__gte=flattened_at).exists()


def _changed(order: Order, left: int, fields: dict[str, Any]) -> dict[str, Any]:
    """The terms of an order as a strategy changes them: its price, and what else is drawn. Of an iceberg only the price
    changes; a stop moves as a whole."""
    is_iceberg = order.variety == Variety.ICEBERG
    kind = OrderType(order.order_type if is_iceberg else fields.get("order_type", order.order_type))
    units = left if is_iceberg else max(left + fields.get("more", 0), 1)
    terms: dict[str, Any] = {
        "order_type": kind,
        "quantity": units,
        "validity": order.validity if is_iceberg else fields.get("validity", order.validity),
        "disclosed_quantity": min(order.disclosed_quantity, units),
    }
    if terms["validity"] == Validity.TTL:
        terms["validity_minutes"] = order.validity_minutes
    if kind is OrderType.LIMIT:
        terms["limit_price_e4"] = fields["limit_price_e4"]
    elif kind in STOPS:
        up = fields["limit_price_e4"] - PRICE_E4
        terms["trigger_price_e4"] = (order.trigger_price_e4 or 0) + up
        terms["limit_price_e4"] = (order.limit_price_e4 or 0) + up if kind is OrderType.SL else None
    return terms
