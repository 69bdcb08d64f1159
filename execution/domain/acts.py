"""Cancellations and modifications: received at once, carried out when they reach the exchange."""

from __future__ import annotations

import msgspec

from alphapanda.core.vocabulary import OrderStatus, SignalKind, Validity
from execution.domain.kite.budgets import MODIFICATIONS_MAX
from execution.domain.ladder import History
from execution.domain.orders import AT_MARKET, STOPS, Act, PaperOrder, Place, Terms
from execution.domain.refusals import refusal
from execution.domain.venue import Standing, Venue
from strategies.domain.signals import SignalRow

MINUTE_MS = 60_000
TOO_OFTEN = "Maximum allowed order modifications exceeded."
OF_ALL_LEGS = "the quantity of an iceberg order cannot be modified"
IS_PROCESSED = "Order cannot be {verb} as it is being processed. Try later."


def wanted(signal: SignalRow, order: PaperOrder) -> Terms:
    """What a modification makes of an order. Its signal speaks of open units, an order of all."""
    return Terms(
        quantity=order.filled_quantity + signal.quantity,
        order_type=signal.order_type,
        limit_price_e4=signal.limit_price_e4,
        trigger_price_e4=signal.trigger_price_e4,
        validity=signal.validity,
        validity_minutes=signal.validity_minutes,
        disclosed_quantity=signal.disclosed_quantity,
    )


def received(
    order: PaperOrder, act: Act, signal: SignalRow, standing: Standing, venue: Venue, history: History
) -> PaperOrder:
    """The order with the act on its way to it, or with a row of history that says why the act is refused.

    A cancellation overtakes a modification that is still on its way."""
    at_ms = _known_at(order, act)
    if reason := _objection(order, act, signal, standing, venue):
        return history.move(order, order.status, at_ms, reason=reason, decision_id=act.decision_id)
    is_cancel = act.kind is SignalKind.CANCEL
    first = OrderStatus.CANCEL_PENDING if is_cancel else OrderStatus.MODIFY_VALIDATION_PENDING
    order = history.move(order, first, at_ms, reason=signal.reason, decision_id=act.decision_id)
    if not is_cancel:
        order = history.move(order, OrderStatus.MODIFY_PENDING, at_ms)
    order = msgspec.structs.replace(order, pending=act, updated_at_ms=max(order.updated_at_ms, act.at_ms))
    return taken_effect(order, venue, history) if act.effective_ms <= act.at_ms else order


def _known_at(order: PaperOrder, act: Act) -> int:
    """When the act is part of the order's history: an order that is on its way itself has to arrive first."""
    if order.is_waiting_for_release:
        return act.at_ms
    return max(act.at_ms, min(order.eligible_from_ms, order.expires_at_ms))


def _objection(order: PaperOrder, act: Act, signal: SignalRow, standing: Standing, venue: Venue) -> str:
    if act.kind is SignalKind.CANCEL:
        is_on_its_way = order.pending is not None and order.pending.kind is SignalKind.CANCEL
        return IS_PROCESSED.format(verb="cancelled") if order.status.is_final or is_on_its_way else ""
    if order.status.is_final or order.pending is not None:
        return IS_PROCESSED.format(verb="modified")
    if order.modifications >= MODIFICATIONS_MAX:
        return TOO_OFTEN
    assert act.terms is not None, "a modification has its terms"
    if order.iceberg_legs and act.terms.quantity != order.quantity:
        return OF_ALL_LEGS
    after = _with_terms(order, act.terms)
    if after == order:
        return "the modification changes nothing"
    mark = signal.marks.get(order.token)
    return refusal(after, mark, standing.without(order.id), venue, at_ms=act.at_ms)


def _with_terms(order: PaperOrder, terms: Terms) -> PaperOrder:
    """The order on other terms. One that is triggered stays so, and one that becomes a stop waits for its trigger."""
    if order.triggered_at_ms and terms.order_type in STOPS:
        kept = order.trigger_price_e4
        terms = msgspec.structs.replace(terms, trigger_price_e4=kept)
    limit_e4 = terms.limit_price_e4
    is_still_market = terms.order_type in AT_MARKET and order.order_type in AT_MARKET
    if is_still_market and not order.is_waiting_for_trigger and limit_e4 is None:
        limit_e4 = order.limit_price_e4  # its protection
    fields = msgspec.structs.asdict(terms) | {"limit_price_e4": limit_e4}
    return msgspec.structs.replace(order, **fields)


def taken_effect(order: PaperOrder, venue: Venue, history: History) -> PaperOrder:
    """The order after the act on its way has reached the exchange."""
    act = order.pending
    assert act is not None, "an act is on its way"
    order = msgspec.structs.replace(order, pending=None, updated_at_ms=act.effective_ms)
    if act.kind is SignalKind.CANCEL:
        order = history.move(order, OrderStatus.CANCELLED, act.effective_ms)
        return msgspec.structs.replace(order, reason="cancelled")
    return _modified(order, act, venue, history)


def _modified(order: PaperOrder, act: Act, venue: Venue, history: History) -> PaperOrder:
    """What was filled on the way stays filled: a quantity below that changes nothing."""
    terms = act.terms
    assert terms is not None, "a modification has its terms"
    at_ms = act.effective_ms
    if terms.quantity <= order.filled_quantity:
        reason = f"{order.filled_quantity} units had traded when the modification arrived"
        return history.move(order, order.resting_status, at_ms, reason=reason)
    after = _with_terms(order, terms)
    loses_place = after.limit_price_e4 != order.limit_price_e4 or after.quantity > order.quantity
    after = msgspec.structs.replace(
        after,
        modifications=order.modifications + 1,
        expires_at_ms=_expiry(order, after, venue, act.at_ms),
        place=Place() if order.place is not None and loses_place else order.place,
    )
    after = history.move(after, OrderStatus.MODIFIED, at_ms)
    return history.move(after, after.resting_status, at_ms)


def _expiry(order: PaperOrder, after: PaperOrder, venue: Venue, at_ms: int) -> int:
    if (after.validity, after.validity_minutes) == (order.validity, order.validity_minutes):
        return order.expires_at_ms
    closes_ms = venue.calendars[order.token].closes_ms(max(at_ms, order.release_ms))
    if after.validity is Validity.TTL:
        return min(closes_ms, at_ms + after.validity_minutes * MINUTE_MS)
    return closes_ms
