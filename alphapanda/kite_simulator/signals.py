"""What the account wants as signals, the form in which the paper exchange's functions take it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from alphapanda.core import ids
from alphapanda.core.vocabulary import OrderStatus, OrderType, Product, Side, SignalKind, Validity, Variety
from alphapanda.kite_simulator.errors import bad_input
from alphapanda.kite_simulator.parsing import Changed, Wanted, check_protected
from execution.domain.orders import AT_MARKET, STOPS, OrderEventRow, PaperOrder
from execution.domain.paper import Memory, Outcome, Venue
from execution.domain.placing import received
from execution.domain.settings import KITE_BANDS
from marketdata.domain.instruments import InstrumentSpec
from strategies.domain.signals import Mark, SignalRow

ACCOUNT_ID = ids.deployment_id("kite simulator")
TRIGGERED = {OrderType.SL: OrderType.LIMIT, OrderType.SL_M: OrderType.MARKET}


def closing(spec: InstrumentSpec, position: int) -> Wanted:
    """The broker's own order that closes an intraday position."""
    return Wanted(
        spec=spec,
        variety=Variety.REGULAR,
        side=Side.SELL if position > 0 else Side.BUY,
        quantity=abs(position),
        product=Product.MIS,
        order_type=OrderType.MARKET,
        validity=Validity.DAY,
        protection=KITE_BANDS,
    )


def triggered(wanted: Wanted) -> Wanted:
    """An order whose trigger has been met: what further legs of it are."""
    order_type = TRIGGERED.get(wanted.order_type, wanted.order_type)
    return msgspec.structs.replace(wanted, order_type=order_type, trigger_e4=None)


def entry(wanted: Wanted, *, step: int, at_ms: int, leg: int, mark: Mark | None) -> SignalRow:
    """A new order, or one leg of an iceberg."""
    signal_id = ids.signal_id(ACCOUNT_ID, step, 0)
    left = wanted.quantity - (leg - 1) * wanted.leg_quantity
    return SignalRow(
        id=signal_id,
        deployment_id=ACCOUNT_ID,
        step=step,
        ordinal=0,
        token=wanted.spec.token,
        instrument=wanted.spec.key,
        side=wanted.side,
        quantity=min(left, wanted.leg_quantity) if wanted.legs else wanted.quantity,
        order_type=wanted.order_type,
        limit_price_e4=wanted.price_e4,
        validity=wanted.validity,
        product=wanted.product,
        reason="",
        at_ms=at_ms,
        received_at_ms=at_ms,
        correlation_id=signal_id,
        marks={wanted.spec.token: mark} if mark else {},
        trigger_price_e4=wanted.trigger_e4,
        validity_minutes=wanted.ttl_minutes,
        variety=Variety.REGULAR if wanted.legs else wanted.variety,
        disclosed_quantity=wanted.disclosed,
    )


def cancellation(core: PaperOrder, *, step: int, at_ms: int, marks: Mapping[int, Mark]) -> SignalRow:
    """The end of an order."""
    signal_id = ids.signal_id(ACCOUNT_ID, step, 0)
    return SignalRow(
        id=signal_id,
        deployment_id=ACCOUNT_ID,
        step=step,
        ordinal=0,
        token=core.token,
        instrument=core.instrument,
        side=core.side,
        quantity=max(core.unfilled, 1),
        order_type=core.order_type,
        limit_price_e4=core.limit_price_e4,
        validity=core.validity,
        product=core.product,
        reason="",
        at_ms=at_ms,
        received_at_ms=at_ms,
        correlation_id=signal_id,
        marks=dict(marks),
        kind=SignalKind.CANCEL,
        target=core.id,
        replaces=core.unfilled,
    )


def modification(
    core: PaperOrder, changed: Changed, *, step: int, at_ms: int, marks: Mapping[int, Mark]
) -> SignalRow:
    """The order as it is to be. What is not named stays as its row shows it, so a protected market order is modified
    as the limit order that it has become. `quantity` is that of the whole order. Raises KiteError."""
    total = core.quantity if changed.quantity is None else changed.quantity
    if total <= core.filled_quantity and not core.status.is_final:
        raise bad_input(f"Quantity cannot be {total}: {core.filled_quantity} units have traded.")
    order_type = changed.order_type or _shown_type(core)
    if changed.order_type is not None:
        check_protected(order_type, changed.protection)
    price_e4 = changed.price_e4 or core.limit_price_e4
    trigger_e4 = changed.trigger_e4 or core.trigger_price_e4
    validity = changed.validity or core.validity
    minutes = core.validity_minutes if changed.ttl_minutes is None else changed.ttl_minutes
    return msgspec.structs.replace(
        cancellation(core, step=step, at_ms=at_ms, marks=marks),
        kind=SignalKind.MODIFY,
        quantity=total - core.filled_quantity,
        order_type=order_type,
        limit_price_e4=price_e4 if order_type not in AT_MARKET else None,
        trigger_price_e4=trigger_e4 if order_type in STOPS else None,
        validity=validity,
        validity_minutes=minutes if validity is Validity.TTL else 0,
        disclosed_quantity=core.disclosed_quantity if changed.disclosed is None else changed.disclosed,
    )


def _shown_type(core: PaperOrder) -> OrderType:
    is_protected = core.order_type in AT_MARKET and core.limit_price_e4 is not None
    return OrderType.LIMIT if is_protected else core.order_type


def told(core: PaperOrder, outcome: Outcome) -> list[OrderEventRow]:
    """The history of an outcome; trades that change no status are a row too."""
    events = [event for event in outcome.history if event.order_id == core.id]
    shown = events[-1].filled_quantity if events else -1
    if not outcome.executions or shown == core.filled_quantity:
        return events
    return [*events, standing(core)]


def standing(core: PaperOrder) -> OrderEventRow:
    """The order as it is, where no step of its history says so."""
    return OrderEventRow(
        order_id=core.id,
        number=core.events_count,
        status=core.status,
        at_ms=core.updated_at_ms,
        quantity=core.quantity,
        filled_quantity=core.filled_quantity,
        limit_price_e4=core.limit_price_e4,
        trigger_price_e4=core.trigger_price_e4,
    )


def rejected(signal: SignalRow, venue: Venue, words: str, *, memory: Memory) -> Outcome:
    """A new order that risk management rejects for what the paper exchange does not know."""
    outcome, at_ms = Outcome(memory), signal.at_ms
    order = received(signal, venue)
    first = OrderStatus.AMO_RECEIVED if order.variety is Variety.AMO else OrderStatus.PUT_RECEIVED
    order = outcome.history.move(order, first, at_ms, is_first=True)
    order = outcome.history.move(order, OrderStatus.VALIDATION_PENDING, at_ms)
    order = outcome.history.move(order, OrderStatus.REJECTED, at_ms, reason=words)
    outcome.orders[order.id] = order
    return outcome
