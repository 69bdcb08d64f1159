"""The broker's whole book against ours, once all has come to rest: what `manage.py kite_faults` finds wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any

from django.db.models import Count

from alphapanda.core.clock import to_ms
from alphapanda.core.envelope import EventType
from alphapanda.core.money import ZERO, value
from alphapanda.core.vocabulary import CommandKind, DeploymentStatus, OrderStatus, SignalKind
from alphapanda.eventlog.models import OutboxEvent
from alphapanda.kite_simulator.faults import Kind
from alphapanda.kite_simulator.orders import SimOrder
from alphapanda.proof.kite_world import World
from execution.domain.kite.budgets import Lane
from execution.domain.orders import PaperOrder
from execution.live_selectors import desk_now
from execution.models import (
    ENDED,
    BrokerCall,
    BrokerDesk,
    BrokerName,
    BrokerOrder,
    Difference,
    ExternalOrder,
    Fill,
    Order,
)
from execution.services.live import killing
from portfolio.audit import books_differences
from portfolio.models import Book, Position
from risk.domain.review import EXIT
from risk.models import Alert, KillSwitch
from strategies.models import Command, Deployment

NEVER = ("order_doubled", "order_overfilled", "order_contradicted", "broker_fault", "broker_row_unreadable")


def _is_killed(order: Order) -> bool:
    """Whether a kill switch covers an order: all but exits that were decided after it."""
    since = KillSwitch.objects.filter(released_at=None, step__in=killing.CANCELLING)
    if order.decision.rule == EXIT:
        since = since.filter(reached_at__gte=order.decision.created_at)
    return since.exists()


def _total(order: SimOrder) -> int:
    """Its units, of an iceberg those of all its legs."""
    return order.wanted.quantity if order.wanted.legs else order.core.quantity


def _asked(order: Order) -> int:
    """The most units that were ever asked for, of it or of a change of it that left."""
    changes = BrokerCall.objects.filter(order=order.id, kind=SignalKind.MODIFY, sent_at_ms__isnull=False)
    totals = [terms["quantity"] for terms in changes.values_list("terms", flat=True)]
    return max([order.decision.signal.quantity, *totals])


def _terms(order: Order | PaperOrder, quantity: int) -> tuple[Any, ...]:
    """Of what is over no type: an order that goes to the market is shown as a limit order, so nobody is told whether it
    traded before a change of its type."""
    prices = order.limit_price_e4 or 0, order.trigger_price_e4 or 0
    hidden = order.disclosed_quantity, order.validity_minutes
    kind = "" if OrderStatus(order.status).is_final else str(order.order_type)
    return quantity, kind, *prices, str(order.validity), *hidden, str(order.product)


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
        yield from self._calls()
        yield from self._names()
        yield from self._halted()
        yield from self._published()
        yield from self._believed()
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
            if filled > (asked := _asked(order)):
                yield f"{order.id}: {filled} units of {asked} have traded"
            yield from self._status(order, theirs)
            yield from self._history(order)
            yield from self._worth(order, theirs)

    def _history(self, order: Order) -> Iterator[str]:
        """What a deployment heard to be over stays so; only what was given up unseen may come to light. What has traded
        has traded, and the order is what its last row says."""
        rows = list(order.events.order_by("number"))
        told = [OrderStatus(row.status) for row in rows]
        for before, after in pairwise(told):
            if before.is_final and before is not OrderStatus.REJECTED and not after.is_final:
                yield f"{order.id}: {after} after it was {before}"
        filled = [row.filled_quantity for row in rows]
        if filled != sorted(filled):
            yield f"{order.id}: traded units fall in its history, {filled}"
        if [row.number for row in rows] != list(range(1, order.events_count + 1)):
            yield f"{order.id}: rows of its history are missing or too many"
        if (ends := (told[-1], filled[-1])) != (now := (order.status, order.filled_quantity)):
            yield f"{order.id}: {now}, its history ends {ends}"

    def _worth(self, order: Order, theirs: list[SimOrder]) -> Iterator[str]:
        """What its units cost, and each charge by its name."""
        fills = [trade.fill for one in theirs for trade in one.trades]
        there = sum((value(fill.price_e4, fill.quantity) for fill in fills), ZERO)
        if order.turnover != there:
            yield f"{order.id}: worth {order.turnover} here, {there} there"
        lines = _lines(fill.charges for fill in fills)
        if (ours := _lines(Fill.objects.filter(order=order).values_list("charges", flat=True))) != lines:
            yield f"{order.id}: charges {ours} here, {lines} there"

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
        ends = {here, there}
        is_named_so = ends == {
            OrderStatus.CANCELLED,
            OrderStatus.EXPIRED,
        }  # which one, the broker's clock decides
        if here.is_final != there.is_final or (here.is_final and len(ends) > 1 and not is_named_so):
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
        for deployment in Deployment.objects.filter(orders__isnull=False).distinct():
            yield from self._books(deployment)
        audit = books_differences()
        if not audit.adds_up:
            yield f"the books do not add up: {audit}"

    def _books(self, deployment: Deployment) -> Iterator[str]:
        """What a deployment holds and has paid, against what its own orders traded there."""
        own = set(Order.objects.filter(deployment=deployment).values_list("id", flat=True))
        theirs = [one for one in self.theirs if self.tags.get(one.wanted.tag or "") in own]
        fills = [trade.fill for one in theirs for trade in one.trades]
        held = sum(fill.side.sign * fill.quantity for fill in fills)
        ours = sum(Position.objects.filter(book_id=deployment.id).values_list("quantity", flat=True))
        if held != ours:
            yield f"position of {deployment.name} {ours} here, {held} there"
        paid = sum((fill.side.sign * value(fill.price_e4, fill.quantity) for fill in fills), ZERO)
        charged = sum((sum(fill.charges.values(), ZERO) for fill in fills), ZERO)
        cash = Book.objects.get(deployment_id=deployment.id).cash
        if cash != -paid - charged:
            yield f"cash of {deployment.name} {cash} here, {-paid - charged} there"

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

    def _calls(self) -> Iterator[str]:
        """What was called off before it left never left."""
        posts = self.world.posts()
        for call in BrokerCall.objects.filter(kind=SignalKind.ORDER, state=BrokerCall.State.DROPPED):
            if posts[call.tag or ""]:
                yield f"{call.order_id}: left, though it was dropped ({call.reason})"

    def _names(self) -> Iterator[str]:
        """Each order at the broker is known as that of the order which it stands for."""
        named = dict(BrokerName.objects.values_list("name", "order_id"))
        for one in self.theirs:
            if named.get(one.order_id) != self.tags.get(one.wanted.tag or ""):
                yield f"{one.order_id}: stands for {named.get(one.order_id)} here"
        there = {one.order_id: self.tags.get(one.wanted.tag or "") for one in self.theirs}
        for order in Order.objects.exclude(broker_order_id=None):
            if there.get(order.broker_order_id or "") != order.id:
                yield f"{order.id}: is called {order.broker_order_id}, which it is not"

    def _halted(self) -> Iterator[str]:
        """No entry leaves while a kill switch is thrown, and nobody stops a deployment for nothing."""
        for halt in KillSwitch.objects.all():
            left = BrokerCall.objects.filter(lane=Lane.ENTRY, sent_at_ms__gt=to_ms(halt.reached_at))
            if halt.released_at:
                left = left.filter(sent_at_ms__lt=to_ms(halt.released_at))
            for call in left:
                yield f"{call.order_id}: an entry left after the kill switch"
        is_paused = Command.objects.filter(kind=CommandKind.FLATTEN).exists()
        if not is_paused and not Difference.objects.filter(halted_at__isnull=False).exists():
            for one in Deployment.objects.exclude(status=DeploymentStatus.RUNNING):
                yield f"{one.name} is {one.status}: {one.error}"

    def _published(self) -> Iterator[str]:
        """Each order and trade is told to the log once; that an order ended unfilled, as often as it ended."""
        rows = OutboxEvent.objects.filter(type__in=(EventType.ORDER_SUBMITTED, EventType.ORDER_FILLED))
        told = dict(rows.values_list("type").annotate(count=Count("id")))
        are = {EventType.ORDER_SUBMITTED: Order.objects.count(), EventType.ORDER_FILLED: Fill.objects.count()}
        for name, count in are.items():
            if told.get(name, 0) != count:
                yield f"{told.get(name, 0)} events {name} of {count}"
        failed = set(OutboxEvent.objects.filter(type=EventType.ORDER_FAILED).values_list("key", flat=True))
        for order in Order.objects.filter(status__in=ENDED):
            if order.filled_quantity < order.quantity and str(order.id) not in failed:
                yield f"{order.id}: ended unfilled, and nobody was told"

    def _believed(self) -> Iterator[str]:
        """What a strategy believes to hold and to have at work is what is."""
        for deployment_id, runner in self.world.shard.runners.items():
            known, keys = runner.machine.consequences, runner.machine.instruments
            believed = {keys[token].key: held for token, held in known.positions.items() if held}
            rows = Position.objects.filter(book_id=deployment_id).exclude(quantity=0)
            if believed != (held := {str(row.instrument): row.quantity for row in rows}):
                yield f"its strategy believes to hold {believed}, not {held}"
            works = Order.objects.filter(deployment_id=deployment_id).exclude(status__in=ENDED)
            at_work = {row.id: row.quantity - row.filled_quantity for row in works}
            if (own := {one.id: one.unfilled for one in known.orders}) != at_work:
                yield f"its strategy believes at work {own}, not {at_work}"


def _lines(charges: Iterable[Mapping[str, Any]]) -> dict[str, Decimal]:
    """Rupees by name of the charge."""
    sums: dict[str, Decimal] = {}
    for one in charges:
        for line, amount in one.items():
            sums[line] = sums.get(line, ZERO) + Decimal(amount)
    return sums
