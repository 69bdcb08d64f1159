"""Decided signals carried out: orders placed, cancelled, modified; contracts settled at expiry."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from alphapanda.core import ids
from alphapanda.core.clock import ist_date, ist_ms
from alphapanda.core.vocabulary import (
    OrderStatus,
    OrderType,
    Phase,
    Product,
    Side,
    SignalKind,
    SignalOrigin,
    Validity,
    Variety,
)
from execution.domain import acts, models
from execution.domain.bands import protected_price_e4
from execution.domain.delivery import Delivery, is_btst
from execution.domain.expiry import settled
from execution.domain.ladder import History
from execution.domain.orders import AT_MARKET, Act, PaperOrder, Place
from execution.domain.refusals import AMO_HOURS, CASH, refusal
from execution.domain.settings import Queue
from execution.domain.venue import Outcome, Standing, Venue
from marketdata.domain.calendar import Calendar
from strategies.domain.signals import SignalRow

MINUTE_MS = 60_000
PRE_OPEN_MS = 15 * MINUTE_MS  # before continuous trading: when the cash market takes over orders of the night


def carry_out(
    signals: Sequence[SignalRow], standing: Standing, venue: Venue, *, ended: dict[UUID, PaperOrder]
) -> Outcome:
    """Carry out the approved signals of one step in their order, each meeting what those before it left.

    `ended` has the orders that signals act on and that no longer work. Raises KeyError for an order that is neither
    there nor among the working ones."""
    outcome = Outcome(standing.memory)
    for signal in signals:
        order = _carried_out(signal, standing, venue, ended, outcome)
        outcome.orders[order.id] = order
        if order.status.is_final:
            standing.orders.pop(order.id, None)
            ended[order.id] = order
        else:
            standing.orders[order.id] = order
    return outcome


def _carried_out(
    signal: SignalRow, standing: Standing, venue: Venue, ended: dict[UUID, PaperOrder], outcome: Outcome
) -> PaperOrder:
    if signal.kind is SignalKind.ORDER:
        order = place(signal, standing, venue, outcome.history)
        if signal.origin is SignalOrigin.EXPIRY and not order.status.is_final:
            return settled(order, signal, venue, outcome)
        return order
    assert signal.target is not None, "an act has its order"
    order = standing.orders.get(signal.target) or ended[signal.target]
    act = _act(signal, order, venue)
    standing.marks = signal.marks
    return acts.received(order, act, signal, standing, venue, outcome.history)


def _act(signal: SignalRow, order: PaperOrder, venue: Venue) -> Act:
    decision_id = ids.decision_id(signal.id)
    terms = acts.wanted(signal, order) if signal.kind is SignalKind.MODIFY else None
    arrives_ms = signal.at_ms + latency_ms(venue, order.id, order.events_count)
    effective_ms = arrives_ms if order.release_ms else max(arrives_ms, order.eligible_from_ms)
    return Act(signal.kind, decision_id, signal.at_ms, effective_ms, terms)


def latency_ms(venue: Venue, order_id: UUID, number: int = 0) -> int:
    """How long an act takes to the exchange; `number` tells the acts on an order apart."""
    latency = models.LATENCIES[venue.settings.latency]
    return latency(venue.settings, models.Luck(order_id, "latency", number))


def place(signal: SignalRow, standing: Standing, venue: Venue, history: History) -> PaperOrder:
    """The order of an approved signal; REJECTED with a reason where broker or exchange would refuse it."""
    order = received(signal, venue)
    standing.marks = signal.marks
    mark = signal.marks.get(signal.token)
    is_amo = order.variety is Variety.AMO
    first = OrderStatus.AMO_RECEIVED if is_amo else OrderStatus.PUT_RECEIVED
    at_ms = signal.at_ms
    order = history.move(order, first, at_ms, is_first=True)
    is_settlement = signal.origin is SignalOrigin.EXPIRY
    refused = "" if is_settlement else refusal(order, mark, standing, venue, at_ms=at_ms)
    if is_amo and not refused:
        return _flagged(order, standing, venue)
    order = history.move(order, OrderStatus.VALIDATION_PENDING, at_ms)
    if refused:
        return _rejected(order, refused, at_ms, history)
    order = history.move(order, OrderStatus.OPEN_PENDING, at_ms)
    if not is_settlement and _is_unlucky(order, venue):
        return _rejected(order, "rejected by the model of the paper exchange", at_ms, history)
    if mark is not None and not is_settlement:
        order = protected(order, mark.price_e4, venue)
    arrives_ms = min(order.eligible_from_ms, order.expires_at_ms)
    order = history.move(order, order.resting_status, arrives_ms)
    return _flagged(order, standing, venue)


def _rejected(order: PaperOrder, reason: str, at_ms: int, history: History) -> PaperOrder:
    order = history.move(order, OrderStatus.REJECTED, at_ms, reason=reason)
    return msgspec.structs.replace(order, reason=reason[:200])


def _is_unlucky(order: PaperOrder, venue: Venue) -> bool:
    rejection = models.REJECTIONS[venue.settings.rejection]
    return rejection(venue.settings, models.Luck(order.id, "rejection"))


def _flagged(order: PaperOrder, standing: Standing, venue: Venue) -> PaperOrder:
    """The order, marked where it sells shares that are not delivered yet."""
    if order.product is not Product.CNC or order.side is Side.BUY:
        return order
    delivery = standing.memory.deliveries.get(order.instrument, Delivery())
    free = standing.closable(order.token, order.side)
    flag = is_btst(
        delivery,
        position=free,
        quantity=order.quantity,
        at_ms=order.placed_at_ms,
        calendar=venue.calendars[order.token],
    )
    return msgspec.structs.replace(order, is_btst=flag)


def received(signal: SignalRow, venue: Venue) -> PaperOrder:
    decision_id = ids.decision_id(signal.id)
    order_id = ids.order_id(decision_id, 0)
    variety, release_ms, expires_at_ms = _session_of(signal, venue)
    arrives_ms = signal.at_ms + latency_ms(venue, order_id)
    return PaperOrder(
        id=order_id,
        decision_id=decision_id,
        deployment_id=signal.deployment_id,
        correlation_id=signal.correlation_id,
        step=signal.step,
        ordinal=signal.ordinal,
        token=signal.token,
        instrument=signal.instrument,
        side=signal.side,
        quantity=signal.quantity,
        order_type=signal.order_type,
        limit_price_e4=signal.limit_price_e4,
        validity=signal.validity,
        product=signal.product,
        placed_at_ms=signal.at_ms,
        eligible_from_ms=max(arrives_ms, release_ms),
        expires_at_ms=expires_at_ms,
        updated_at_ms=signal.at_ms,
        origin=signal.origin,
        variety=variety,
        trigger_price_e4=signal.trigger_price_e4,
        validity_minutes=signal.validity_minutes,
        disclosed_quantity=signal.disclosed_quantity,
        iceberg_legs=signal.iceberg_legs,
        tag=signal.tag,
        release_ms=release_ms,
        place=None if venue.settings.queue is Queue.NONE else Place(),
    )


def _session_of(signal: SignalRow, venue: Venue) -> tuple[Variety, int, int]:
    """Variety, release (0: at once) and end of an order: it works until the end of continuous trading, or for its
    minutes, or is released at the start of the next session."""
    calendar, at_ms = venue.calendars[signal.token], signal.at_ms
    if signal.origin is SignalOrigin.EXPIRY:
        return signal.variety, 0, at_ms  # a settlement waits for no session
    closes_ms, is_shut = calendar.closes_ms(at_ms), _is_shut(calendar, at_ms)
    if signal.variety is Variety.AMO and not _is_amo_time(signal, venue):
        return Variety.AMO, 0, at_ms
    if signal.variety is Variety.AMO or (
        is_shut and venue.settings.may_queue and signal.variety is Variety.REGULAR
    ):
        opens_ms = calendar.next_open_ms(at_ms)
        return Variety.AMO, _release_ms(signal, opens_ms), calendar.closes_ms(opens_ms)
    if is_shut:
        return signal.variety, 0, at_ms
    if signal.validity is Validity.TTL:
        return signal.variety, 0, min(closes_ms, at_ms + max(signal.validity_minutes, 0) * MINUTE_MS)
    return signal.variety, 0, closes_ms


def _is_shut(calendar: Calendar, at_ms: int) -> bool:
    """Whether a market takes orders for the next session alone: on days without one, before the first phase of a day,
    and when its continuous trading has ended."""
    if not calendar.has_session(at_ms) or at_ms >= calendar.closes_ms(at_ms):
        return True
    opens_ms = calendar.trading(at_ms)[0].opens_ms
    return at_ms < opens_ms and calendar.phase_at(at_ms) is Phase.CLOSED


def _is_amo_time(signal: SignalRow, venue: Venue) -> bool:
    calendar = venue.calendars[signal.token]
    if not calendar.has_session(signal.at_ms):
        return True
    until, since = AMO_HOURS.get(signal.instrument.partition(":")[0], AMO_HOURS["NSE"])
    day = ist_date(signal.at_ms)
    since_ms = max(ist_ms(day, since), calendar.closes_ms(signal.at_ms))
    return signal.at_ms < ist_ms(day, until) or signal.at_ms >= since_ms


def _release_ms(signal: SignalRow, opens_ms: int) -> int:
    """The cash market takes limit and market orders into its pre-open, all others wait for continuous trading."""
    is_plain = signal.order_type in (OrderType.MARKET, OrderType.LIMIT) and signal.validity is Validity.DAY
    is_cash = signal.instrument.partition(":")[0] in CASH
    return opens_ms - PRE_OPEN_MS if is_cash and is_plain and not signal.disclosed_quantity else opens_ms


def protected(order: PaperOrder, last_e4: int, venue: Venue) -> PaperOrder:
    """A market order that works, with the price beyond which it does not go, where the deployment wants one."""
    market_protection = venue.settings.market_protection
    is_at_market = order.order_type in AT_MARKET and order.limit_price_e4 is None
    if market_protection is None or not is_at_market or order.is_waiting_for_trigger:
        return order
    if order.is_waiting_for_release or last_e4 <= 0:
        return order
    instrument = venue.instruments[order.token]
    limit_e4 = protected_price_e4(instrument, order.side, last_e4, market_protection)
    return msgspec.structs.replace(order, limit_price_e4=limit_e4)
