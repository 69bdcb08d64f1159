"""Orders at a broker outside, as their deployments see them: what decisions make of them, and what reports do.

Nothing here knows more than the deployment has heard: how far a broker is, `execution.domain.kite` tells."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from uuid import UUID

import msgspec

from alphapanda.core import ids
from alphapanda.core.money import ZERO
from alphapanda.core.vocabulary import FillSource, OrderStatus, SignalKind, SignalOrigin
from execution.domain import acts, placing
from execution.domain.expiry import settlement_price, whole
from execution.domain.kite.reducer import Change, NewFill
from execution.domain.orders import Execution, OrderEventRow, PaperOrder, Terms
from execution.domain.venue import Venue
from strategies.domain.signals import SignalRow

# What is in the books at once, for no order to the broker is made for it.
SETTLED = frozenset({SignalOrigin.EXPIRY, SignalOrigin.TAKEN})


class Reported(msgspec.Struct, frozen=True):
    """What a broker told of one order, at one time: rows of history and trades, in their order."""

    order_id: UUID
    received_ms: int
    changes: tuple[Change, ...] = ()
    fills: tuple[NewFill, ...] = ()


class Heard(msgspec.Struct, frozen=True):
    """An order after a report, with the rows and trades that came of it, and their keys at the broker."""

    order: PaperOrder
    rows: tuple[OrderEventRow, ...]
    executions: tuple[Execution, ...]


def intended(signal: SignalRow, venue: Venue) -> tuple[PaperOrder, OrderEventRow]:
    """The order of an approved signal, before anything is sent. Whether it is taken, the broker says."""
    return _moved(placing.received(signal, venue), OrderStatus.PUT_RECEIVED, signal.at_ms)


def settled(signal: SignalRow, venue: Venue) -> Heard:
    """The order of a contract that has ended, or of what others have closed, complete at once: the exchange settles it
    or has traded it, and no broker is asked."""
    order, first = intended(signal, venue)
    price_e4, reason, source = _settlement(order, signal, venue)
    execution = whole(order, signal, price_e4, source)
    order = msgspec.structs.replace(_filled(order, execution), reason=reason)
    order, last = _moved(order, OrderStatus.COMPLETE, signal.at_ms, reason=reason)
    return Heard(order, (first, last), (execution,))


def _settlement(order: PaperOrder, signal: SignalRow, venue: Venue) -> tuple[int, str, FillSource]:
    if signal.origin is SignalOrigin.TAKEN:
        return signal.marks[order.token].price_e4, signal.reason, FillSource.ELSEWHERE
    price_e4, basis = settlement_price(venue.instruments[order.token], signal, venue)
    return price_e4, f"settled at expiry, {basis}", FillSource.SETTLEMENT


def acted(signal: SignalRow, order: PaperOrder) -> tuple[PaperOrder, OrderEventRow]:
    """The order with a cancellation or modification on its way, or as it was, with a row that says why there is
    none."""
    decision_id, status = ids.decision_id(signal.id), order.status
    reason, is_cancel = signal.reason, signal.kind is SignalKind.CANCEL
    if status.is_final or status is OrderStatus.CANCEL_PENDING or (not is_cancel and status in _CHANGING):
        reason = acts.IS_PROCESSED.format(verb="cancelled" if is_cancel else "modified")
    elif is_cancel:
        status = OrderStatus.CANCEL_PENDING
    else:
        status = OrderStatus.MODIFY_VALIDATION_PENDING
    return _moved(order, status, signal.at_ms, reason=reason, decision_id=decision_id)


_CHANGING = (OrderStatus.MODIFY_VALIDATION_PENDING, OrderStatus.MODIFY_PENDING)


def terms_of(order: PaperOrder) -> Terms:
    """What an order asks for, as far as a modification may change it."""
    return Terms(
        quantity=order.quantity,
        order_type=order.order_type,
        limit_price_e4=order.limit_price_e4,
        trigger_price_e4=order.trigger_price_e4,
        validity=order.validity,
        validity_minutes=order.validity_minutes,
        disclosed_quantity=order.disclosed_quantity,
    )


def heard(order: PaperOrder, report: Reported, legs: Mapping[str, Decimal]) -> Heard:
    """The order after what a broker told of it. `legs` are rupees traded before by the broker's order: each is charged
    for itself."""
    executions, traded = [], dict(legs)
    for fill in report.fills:
        so_far = traded.get(fill.broker_order_id, ZERO)
        order = msgspec.structs.replace(order, leg_turnover=so_far)
        execution = _execution(order, fill, report.received_ms)
        executions.append(execution)
        traded[fill.broker_order_id] = so_far + execution.turnover
        order = _filled(order, execution)
    rows = []
    for change in report.changes:
        order = _told(order, change)
        # the row that carries an act's decision was written when it was decided
        order, row = _moved(order, change.status, change.at_ms, reason=change.reason)
        rows.append(row)
    return Heard(order, tuple(rows), tuple(executions))


def _execution(order: PaperOrder, fill: NewFill, received_ms: int) -> Execution:
    return Execution(
        order=order,
        number=order.fills_count + 1,
        quantity=fill.quantity,
        price_e4=fill.price_e4,
        at_ms=fill.at_ms,
        received_at_ms=received_ms,
        source=FillSource.BROKER,
    )


def _filled(order: PaperOrder, execution: Execution) -> PaperOrder:
    filled = order.filled_quantity + execution.quantity
    return msgspec.structs.replace(
        order,
        quantity=max(order.quantity, filled),  # what has traded has traded
        filled_quantity=filled,
        fills_count=execution.number,
        turnover=order.turnover + execution.turnover,
        leg_turnover=order.leg_turnover + execution.turnover,
        updated_at_ms=max(order.updated_at_ms, execution.at_ms),
    )


def _told(order: PaperOrder, change: Change) -> PaperOrder:
    told = {name: getattr(change, name) for name in _TERMS}
    return msgspec.structs.replace(
        order,
        **{name: one for name, one in told.items() if one is not None},
        quantity=max(change.quantity, order.filled_quantity),
        limit_price_e4=change.limit_price_e4,
        trigger_price_e4=change.trigger_price_e4,
        modifications=max(order.modifications, change.modifications),
        reason=change.reason[:200] if change.status.is_final else order.reason,
    )


_TERMS = ("order_type", "validity", "validity_minutes", "disclosed_quantity")


def _moved(
    order: PaperOrder, status: OrderStatus, at_ms: int, *, reason: str = "", decision_id: UUID | None = None
) -> tuple[PaperOrder, OrderEventRow]:
    """The order at a status, with its row of history. The broker's ladder may skip steps, so none is enforced."""
    order = msgspec.structs.replace(
        order,
        status=status,
        events_count=order.events_count + 1,
        updated_at_ms=max(order.updated_at_ms, at_ms),
    )
    row = OrderEventRow(
        order_id=order.id,
        number=order.events_count,
        status=status,
        at_ms=at_ms,
        quantity=order.quantity,
        filled_quantity=order.filled_quantity,
        limit_price_e4=order.limit_price_e4,
        trigger_price_e4=order.trigger_price_e4,
        reason=reason[:200],
        decision_id=decision_id,
    )
    return order, row
