"""`manage.py kite_faults`: orders at a broker that goes wrong, by processes that die, from a seed. When all has come to
rest, the broker's book and ours must say the same, and nothing may have been sent twice."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec
from django.db import transaction

from alphapanda.core import ids
from alphapanda.core.money import ZERO, value
from alphapanda.core.vocabulary import OrderStatus, Side, SignalKind
from alphapanda.kite_simulator.errors import KiteError
from alphapanda.kite_simulator.faults import Kind
from alphapanda.kite_simulator.listing import load_listing
from alphapanda.kite_simulator.orders import SimOrder
from alphapanda.kite_simulator.script import Step, do
from alphapanda.proof.kite_drawn import Act, Scenario, scenario
from alphapanda.proof.kite_parts import simulator
from alphapanda.proof.kite_served import serving
from alphapanda.proof.kite_world import World
from execution.domain.orders import PaperOrder
from execution.live_selectors import desk_now
from execution.models import (
    ENDED,
    BrokerCall,
    BrokerDesk,
    BrokerOrder,
    Difference,
    ExternalOrder,
    Fill,
    Order,
)
from execution.services.live import killing
from portfolio.models import Book, Position
from risk.domain.review import EXIT
from risk.models import Alert, KillSwitch
from risk.services import halts

ENDS_MS = 900_000  # a scenario that has not come to rest by then never will
DEEP_EVERY = (
    5  # seconds between those in which large orders are filled; in the others they are in small parts
)
WHOLE_LOOKS = 2  # of the book, after all is quiet
NEVER = ("order_doubled", "order_overfilled", "order_contradicted")


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
        wrong += [*Comparison(world).wrong(), *self._forsaken(), *self._hasty()]
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
            world.is_killed = True
            world.touch()
            halts.halt_throw(level="GLOBAL", step="CANCEL", reason="drill", actor="alice", now=world.now())
            world.is_shard_rung = True
        elif act.kind == "leave":
            self._leave(act)
        elif act.kind == "other":
            self._other(act)
        elif act.kind == "logged out":
            world.broker.sessions.end()
        else:
            world.access = world.logged_in()

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
        if act.kind == "modify" and order.limit_price_e4:
            price = {"limit_price_e4": act.fields["limit_price_e4"]}
            fields |= {"trigger_price_e4": order.trigger_price_e4, **price}
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
        if {"kill", "other"} & {act.kind for act in self.told.acts}:
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
        for resting, _, order in self.left:
            beside, left = self._at_broker(resting), self._at_broker(order)
            if beside and left and beside.updated_at_ms > left.placed_at_ms:
                yield f"{order.id}: sent before what was cancelled beside it was over"

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
        for number in (at for at, order in enumerate(self.orders) if order.id in world.held_up()):
            self._change(Act(0, "cancel", number))  # else it waits until a person comes
        if not world.work(until=world.is_quiet, ends_ms=ENDS_MS):
            return False
        world.broker.market.close()
        for _ in range(WHOLE_LOOKS):
            before = world.reconciled_at()
            world.desk.look_soon()
            world.work(until=lambda before=before: world.reconciled_at() != before, ends_ms=60_000)
        return world.work(until=world.is_quiet, ends_ms=ENDS_MS)

    def _unrest(self) -> str:
        calls = BrokerCall.objects.exclude(state__in=("DONE", "REFUSED", "DROPPED"))
        return ", ".join(f"{call.kind} {call.state} {call.reason}" for call in calls) or "reports or updates"


def _is_killed(order: Order) -> bool:
    """Whether a kill switch covers an order: all but exits that were decided after it."""
    since = KillSwitch.objects.filter(released_at=None, step__in=killing.CANCELLING)
    if order.decision.rule == EXIT:
        since = since.filter(reached_at__gte=order.decision.created_at)
    return since.exists()


def _total(order: SimOrder) -> int:
    """Its units, of an iceberg those of all its legs."""
    return order.wanted.quantity if order.wanted.legs else order.core.quantity


def _terms(order: Order | PaperOrder, quantity: int) -> tuple[Any, ...]:
    return quantity, order.order_type, order.limit_price_e4 or 0, order.trigger_price_e4 or 0


# ---- what must hold ------------------------------------------------------------------------------------------


class Comparison:
    """The broker's whole book against ours."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.theirs = [one for one in world.broker.book.orders.values() if one.app]
        self.others = [one for one in world.broker.book.orders.values() if not one.app]
        self.tags = dict(BrokerCall.objects.exclude(tag=None).values_list("tag", "order_id"))

    def wrong(self) -> Iterator[str]:
        yield from self._sent_once()
        yield from self._orders()
        yield from self._trades()
        yield from self._money()
        yield from self._told()
        yield from self._outside()
        yield from (f"left alone: {fault}" for fault in desk_now(self.world.now()).faults)

    def _sent_once(self) -> Iterator[str]:
        for tag, times in self.world.posts().items():
            if times > 1:
                yield f"sent {times} times: {tag}"
        for one in self.theirs:
            if one.wanted.tag not in self.tags:
                yield f"nobody's: {one.order_id} with tag {one.wanted.tag}"
        firsts = Counter(self.tags.get(one.wanted.tag or "") for one in self.theirs if one.leg == 1)
        for order_id, count in firsts.items():
            if count > 1:
                yield f"{count} orders at the broker of one intent: {order_id}"

    def _orders(self) -> Iterator[str]:
        by_order: dict[Any, list[SimOrder]] = {}
        for one in self.theirs:
            by_order.setdefault(self.tags.get(one.wanted.tag or ""), []).append(one)
        for order in Order.objects.all():
            theirs = by_order.get(order.id, [])
            filled = sum(one.core.filled_quantity for one in theirs)
            if order.filled_quantity != filled:
                yield f"{order.id}: filled {order.filled_quantity} here, {filled} there"
            if filled > order.decision.signal.quantity:
                yield f"{order.id}: {filled} units of {order.decision.signal.quantity} have traded"
            yield from self._status(order, theirs)
            yield from self._revived(order)

    def _revived(self, order: Order) -> Iterator[str]:
        """What a deployment heard to be over stays so; only what was given up unseen may come to light."""
        told = [OrderStatus(one) for one in order.events.order_by("number").values_list("status", flat=True)]
        for before, after in pairwise(told):
            if before.is_final and before is not OrderStatus.REJECTED and not after.is_final:
                yield f"{order.id}: {after} after it was {before}"

    def _status(self, order: Order, theirs: list[SimOrder]) -> Iterator[str]:
        here = OrderStatus(order.status)
        known = BrokerOrder.objects.get(order=order)
        if known.is_open == here.is_final:
            yield f"{order.id}: {here} for its deployment, open {known.is_open} for its process"
        if not theirs:
            if here is not OrderStatus.REJECTED:
                yield f"{order.id}: {here} here, not at the broker"
            return
        there = theirs[-1].core.status
        if theirs[-1].leg < (theirs[-1].wanted.legs or 1) and there is OrderStatus.COMPLETE:
            yield f"{order.id}: an iceberg between its legs"
        if here.is_final != there.is_final or (here.is_final and here is not there):
            yield f"{order.id}: {here} here ({order.reason}), {there} there"
        if not there.is_final and _is_killed(order):
            yield f"{order.id}: works in spite of the kill switch"
        if (ours := _terms(order, order.quantity)) != (told := _terms(theirs[-1].core, _total(theirs[-1]))):
            yield f"{order.id}: {ours} here, {told} there"

    def _trades(self) -> Iterator[str]:
        there = Counter(
            (f"NSE:{trade.trade_id}:{one.order_id}", trade.fill.quantity, trade.fill.price_e4)
            for one in self.theirs
            for trade in one.trades
        )
        here = Counter(Fill.objects.values_list("trade_key", "quantity", "price_e4"))
        for trade in there - here:
            yield f"not booked: {trade}"
        for trade in here - there:
            yield f"booked and not there: {trade}"

    def _money(self) -> Iterator[str]:
        fills = [trade.fill for one in self.theirs for trade in one.trades]
        held = sum(fill.side.sign * fill.quantity for fill in fills)
        ours = sum(Position.objects.values_list("quantity", flat=True))
        if held != ours:
            yield f"position {ours} here, {held} there"
        paid = sum((fill.side.sign * value(fill.price_e4, fill.quantity) for fill in fills), ZERO)
        charged = sum((sum(fill.charges.values(), ZERO) for fill in fills), ZERO)
        cash = Book.objects.get(deployment_id=self.world.deployment.id).cash
        if cash != -paid - charged:
            yield f"cash {cash} here, {-paid - charged} there"

    def _told(self) -> Iterator[str]:
        """Nothing is left that differs, and nobody was called for nothing. Others who trade the same share may have
        closed what is ours: that is a difference."""
        taken = ["TAKEN"] if any(one.core.filled_quantity for one in self.others) else []
        for row in Difference.objects.filter(settled_at=None).exclude(kind__in=taken):
            yield f"differs: {row.kind} {row.key}, {row.ours} here, {row.theirs} there"
        codes = set(Alert.objects.values_list("code", flat=True))
        yield from sorted(f"alarm {code}" for code in codes & set(NEVER))
        fired = {one.kind for one in self.world.broker.faults.fired}
        if "broker_differs" in codes and Kind.STUCK not in fired:
            rows = Difference.objects.filter(halted_at__isnull=False).exclude(kind__in=taken)
            if found := ", ".join(f"{row.kind} {row.ours} / {row.theirs}" for row in rows):
                yield f"halted for a difference that was none: {found}"

    def _outside(self) -> Iterator[str]:
        here = {row.broker_order_id: row.is_open for row in ExternalOrder.objects.all()}
        there = {one.order_id: not one.core.status.is_final for one in self.others}
        if here != there:
            yield f"orders of others: {here} here, {there} there"
        known = sum(BrokerDesk.objects.get().outside.get("units", {}).values())
        held = sum(one.wanted.side.sign * one.core.filled_quantity for one in self.others)
        if known != held:
            yield f"what others hold: {known} here, {held} there"
