"""Working orders against one item of the log: acts that arrive, ends, releases, triggers, trades. In that order, by
time; a trade never stands on a price that was not on record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from alphapanda.core.money import ZERO
from alphapanda.core.vocabulary import FillSource, OrderStatus, Phase, Product, Validity
from execution.domain.acts import taken_effect
from execution.domain.delivery import Delivery
from execution.domain.delivery import traded as delivered
from execution.domain.offer import Offer
from execution.domain.orders import AT_MARKET, Execution, PaperOrder, Place
from execution.domain.placing import latency_ms, protected
from execution.domain.queue import passed
from execution.domain.venue import Memory, Outcome, Trace, Venue
from marketdata.domain.ticks import INDEX, NOT_FINITE, Clock, Tick, best
from strategies.domain.signals import Mark
from strategies.domain.watches import Watch

NO_MARKS: Mapping[int, Mark] = {}
SESSION_ENDED = "the session ended"
TIME_IS_OVER = "its time to live is over"


def match(
    orders: Sequence[PaperOrder],
    item: Tick | Clock,
    *,
    venue: Venue,
    memory: Memory,
    clock_ms: int = 0,
    marks: Mapping[int, Mark] = NO_MARKS,
) -> Outcome:
    """Match working orders, oldest first, against one item of the log. `clock_ms` is the log's last clock item, `marks`
    are the last prices before the item, where circuit limits follow from the last close. What the exchange remembers of
    an instrument changes only where an order in it works."""
    outcome = Outcome(memory)
    offer = None
    tick = item if isinstance(item, Tick) else None
    if tick is not None and _is_asked_of(tick, orders) and is_fit(tick, venue, clock_ms):
        offer = Offer(
            tick, venue, memory.traces.get(venue.instruments[tick.token].key), mark=marks.get(tick.token)
        )
    for order in sorted(orders, key=lambda order: (order.step, order.ordinal)):
        after = _worked(order, item, offer, venue, outcome)
        if after is not order:
            outcome.orders[order.id] = after
    outcome.memory = _remembered(memory, offer, outcome, venue)
    return outcome


def _is_asked_of(tick: Tick, orders: Sequence[PaperOrder]) -> bool:
    return any(order.token == tick.token for order in orders)


def is_fit(tick: Tick, venue: Venue, clock_ms: int) -> bool:
    """Whether a tick may fill orders: one of continuous trading, with a price, no older than it may be, and whose
    depth can be: in no book that trades a bid stands above an ask."""
    if tick.flags & (NOT_FINITE | INDEX) or tick.price_e4 <= 0:
        return False
    if clock_ms and tick.at_ms < clock_ms - venue.settings.stale_after_ms:
        return False
    if best(tick.bids) > best(tick.asks) > 0:
        return False
    return venue.calendars[tick.token].phase_at(tick.at_ms) is Phase.CONTINUOUS


def _worked(
    order: PaperOrder, item: Tick | Clock, offer: Offer | None, venue: Venue, outcome: Outcome
) -> PaperOrder:
    order = _in_time(order, item.at_ms, venue, outcome)
    is_asleep = order.status.is_final or order.is_waiting_for_release
    if is_asleep or offer is None or offer.tick.token != order.token:
        return order
    if item.at_ms < order.eligible_from_ms:
        return order
    order = _triggered(order, offer.tick, outcome)
    if order.is_waiting_for_trigger:
        return order
    order = protected(order, offer.tick.price_e4, venue)
    order = _traded(order, offer, venue, outcome)
    if order.validity is Validity.IOC and order.unfilled:
        reason = "immediate or cancel: the rest found no offer"
        return _ended(order, OrderStatus.CANCELLED, reason, item.at_ms, outcome)
    return order


def _in_time(order: PaperOrder, now_ms: int, venue: Venue, outcome: Outcome) -> PaperOrder:
    """The order after all that time alone does to it up to now, the earliest first."""
    while not order.status.is_final:
        ends_ms, release_ms = order.expires_at_ms, order.release_ms or order.expires_at_ms
        arrives_ms = ends_ms if order.pending is None else order.pending.effective_ms
        next_ms = min(ends_ms, release_ms, arrives_ms)
        if next_ms > now_ms:
            return order
        if next_ms == ends_ms:
            reason = TIME_IS_OVER if order.validity is Validity.TTL else SESSION_ENDED
            order = _ended(order, OrderStatus.EXPIRED, reason, ends_ms, outcome)
        elif next_ms == arrives_ms:
            order = taken_effect(order, venue, outcome.history)
        else:
            order = _released(order, outcome)
    return order


def _released(order: PaperOrder, outcome: Outcome) -> PaperOrder:
    release_ms = order.release_ms
    order = msgspec.structs.replace(order, release_ms=0, updated_at_ms=release_ms)
    order = outcome.history.move(order, OrderStatus.OPEN_PENDING, release_ms)
    return outcome.history.move(order, order.resting_status, release_ms)


def _ended(order: PaperOrder, status: OrderStatus, reason: str, at_ms: int, outcome: Outcome) -> PaperOrder:
    order = msgspec.structs.replace(order, reason=reason, updated_at_ms=at_ms, pending=None)
    return outcome.history.move(order, status, at_ms, reason=reason)


def _triggered(order: PaperOrder, tick: Tick, outcome: Outcome) -> PaperOrder:
    """A stop that the last price has reached goes on as a limit or market order, on the same tick."""
    trigger_e4 = order.trigger_price_e4
    if not order.is_waiting_for_trigger or trigger_e4 is None:
        return order
    if (tick.price_e4 - trigger_e4) * order.side.sign < 0:
        return order
    order = msgspec.structs.replace(order, triggered_at_ms=tick.at_ms, updated_at_ms=tick.at_ms)
    return outcome.history.move(order, OrderStatus.OPEN, tick.at_ms, reason="triggered")


def _traded(order: PaperOrder, offer: Offer, venue: Venue, outcome: Outcome) -> PaperOrder:
    lot = order.lot(venue.instruments[order.token].lot_size)
    for quantity, price_e4, source in offer.take(order, order.leg_ends(lot) - order.filled_quantity):
        order = _filled(order, quantity, price_e4, source, offer.tick, outcome)
    if order.place is not None and order.unfilled:
        wanted = order.leg_ends(lot) - order.filled_quantity
        quantity, place = passed(order, offer, wanted=wanted, lot=lot, queue=venue.settings.queue)
        if place != order.place:
            order = msgspec.structs.replace(order, place=place)
        if quantity and order.limit_price_e4 is not None:
            before = order.filled_quantity
            order = _filled(order, quantity, order.limit_price_e4, FillSource.QUEUE, offer.tick, outcome)
            order = _disclosed_again(order, before)
    if order.status.is_final or order.filled_quantity < order.leg_ends(lot):
        return order
    return _next_leg(order, offer.tick, venue, outcome)


def _disclosed_again(order: PaperOrder, before: int) -> PaperOrder:
    """When what is disclosed has traded, the next part of the order goes to the end of the queue."""
    part = order.disclosed_quantity
    if not part or before // part == order.filled_quantity // part or not order.unfilled:
        return order
    return msgspec.structs.replace(order, place=Place())


def _next_leg(order: PaperOrder, tick: Tick, venue: Venue, outcome: Outcome) -> PaperOrder:
    """The leg at work has traded: the next one goes out, as an order of its own to the exchange and its charges. An act
    on its way meets it there, and not before it."""
    limit_e4 = None if order.order_type in AT_MARKET else order.limit_price_e4
    eligible_ms, act = tick.at_ms + latency_ms(venue, order.id, order.events_count), order.pending
    if act is not None:
        act = msgspec.structs.replace(act, effective_ms=max(act.effective_ms, eligible_ms))
    order = msgspec.structs.replace(
        order,
        leg=order.leg + 1,
        leg_turnover=ZERO,
        eligible_from_ms=eligible_ms,
        limit_price_e4=limit_e4,
        place=None if order.place is None else Place(),
        pending=act,
    )
    order = protected(order, tick.price_e4, venue)
    reason = f"leg {order.leg} of {order.iceberg_legs}"
    arrives_ms = min(order.eligible_from_ms, order.expires_at_ms)
    return outcome.history.move(order, OrderStatus.OPEN, arrives_ms, reason=reason)


def _filled(
    order: PaperOrder, quantity: int, price_e4: int, source: FillSource, tick: Tick, outcome: Outcome
) -> PaperOrder:
    execution = Execution(
        order=order,
        number=order.fills_count + 1,
        quantity=quantity,
        price_e4=price_e4,
        at_ms=tick.at_ms,
        received_at_ms=tick.received_ms,
        source=source,
    )
    outcome.executions.append(execution)
    after = msgspec.structs.replace(
        order,
        filled_quantity=order.filled_quantity + quantity,
        fills_count=execution.number,
        turnover=order.turnover + execution.turnover,
        leg_turnover=order.leg_turnover + execution.turnover,
        updated_at_ms=tick.at_ms,
    )
    if after.unfilled:
        return after
    late = after.pending
    reason = "" if late is None else f"it traded before the {late.kind.value.lower()} arrived"
    after = msgspec.structs.replace(after, pending=None)
    return outcome.history.move(after, OrderStatus.COMPLETE, tick.at_ms, reason=reason)


def _remembered(memory: Memory, offer: Offer | None, outcome: Outcome, venue: Venue) -> Memory:
    """What the exchange knows after the item."""
    deliveries = dict(memory.deliveries)
    for one in outcome.executions:
        order = one.order
        if order.product is Product.CNC:
            so_far = deliveries.get(order.instrument, Delivery())
            hours = venue.calendars[order.token]
            deliveries[order.instrument] = delivered(so_far, order.side, one.quantity, one.at_ms, hours)
    traces: dict[str, Trace] = dict(memory.traces)
    if offer is not None:
        trace = offer.trace()
        name = venue.instruments[offer.tick.token].key
        traces.pop(name, None)
        if trace is not None:
            traces[name] = trace
    if traces == memory.traces and deliveries == memory.deliveries:
        return memory
    return Memory(traces, deliveries)


def watch(order: PaperOrder) -> Watch:
    """What of the log may touch a working order. An IOC order ends at its first tick, whatever the price; a place in
    a queue is moved by any tick."""
    until_ms = order.expires_at_ms
    if order.pending is not None:
        until_ms = min(until_ms, order.pending.effective_ms)
    if order.is_waiting_for_release:
        until_ms = min(until_ms, order.release_ms)
    is_any_tick = order.validity is Validity.IOC or order.place is not None
    return Watch(
        token=order.token,
        side=order.side,
        from_ms=max(order.eligible_from_ms, order.release_ms),
        until_ms=until_ms,
        limit_price_e4=None if is_any_tick else order.limit_price_e4,
        trigger_price_e4=order.trigger_price_e4 if order.is_waiting_for_trigger else None,
    )
