"""Signals: what strategies and the platform's guards want, with all that risk must know of the moment."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from uuid import UUID

import msgspec

from alphapanda.core import ids
from alphapanda.core.money import round_to_tick_e4, to_e4
from alphapanda.core.vocabulary import CommandKind, OrderType, Product, Side, SignalOrigin, Validity
from marketdata.domain.instruments import InstrumentSpec
from strategies.domain.intents import Bracket, Intent

# Beyond these no exchange takes an order, and columns of the database would not hold the amounts.
QUANTITY_MAX = 10**9
LIMIT_PRICE_MAX = Decimal(10) ** 8
REASON_LENGTH_MAX = 200


class Mark(msgspec.Struct, frozen=True, gc=False):
    """The last price of an instrument, its event time, and the last price of the session before (0: unknown)."""

    price_e4: int
    at_ms: int
    close_before_e4: int = 0


class SignalRow(msgspec.Struct, frozen=True):
    """A signal with all that risk must know of its moment."""

    id: UUID
    deployment_id: UUID
    step: int
    ordinal: int
    token: int
    instrument: str
    side: Side
    quantity: int
    order_type: OrderType
    limit_price_e4: int | None
    validity: Validity
    product: Product
    reason: str
    at_ms: int
    received_at_ms: int
    correlation_id: UUID
    marks: dict[int, Mark]
    origin: SignalOrigin = SignalOrigin.STRATEGY
    bracket: Bracket | None = None


class Raised(msgspec.Struct, frozen=True):
    """Stop: the deployment waits until these signals are decided and carried out."""

    signals: tuple[SignalRow, ...]


class DueItem(msgspec.Struct, frozen=True):
    """Stop: this item touches working orders; it is delivered again once they are matched."""

    step: int


class CommandRow(msgspec.Struct, frozen=True):
    """What an operator or the platform makes a deployment do, at a step of its own."""

    id: UUID
    kind: CommandKind
    reason: str


class Moment(msgspec.Struct, frozen=True):
    """Where in the log signals are raised. Without a correlation id each signal sets off its own."""

    deployment_id: UUID
    step: int
    at_ms: int
    received_at_ms: int
    product: Product
    correlation_id: UUID | None
    marks: dict[int, Mark]


def signal(
    intent: Intent, origin: SignalOrigin, ordinal: int, instrument: InstrumentSpec, moment: Moment
) -> SignalRow:
    """An intent as a signal. Raises ValueError, TypeError or AttributeError for what can be no order."""
    if type(intent.quantity) is not int or not 0 < intent.quantity <= QUANTITY_MAX:
        raise ValueError(f"a quantity is a whole number from 1 to {QUANTITY_MAX}, not {intent.quantity!r}")
    signal_id = ids.signal_id(moment.deployment_id, moment.step, ordinal)
    return SignalRow(
        id=signal_id,
        deployment_id=moment.deployment_id,
        step=moment.step,
        ordinal=ordinal,
        token=instrument.token,
        instrument=instrument.key,
        side=Side(intent.side),
        quantity=intent.quantity,
        order_type=intent.order_type,
        limit_price_e4=limit_e4(intent, instrument),
        validity=Validity(intent.validity),
        product=moment.product,
        reason=intent.reason.replace("\0", "")[:REASON_LENGTH_MAX],
        at_ms=moment.at_ms,
        received_at_ms=moment.received_at_ms,
        correlation_id=moment.correlation_id or ids.derived("item", signal_id),
        marks=moment.marks,
        origin=origin,
        bracket=intent.bracket,
    )


def limit_e4(intent: Intent, instrument: InstrumentSpec) -> int | None:
    """The limit on the tick grid, never worse for the operator than the strategy asked."""
    if intent.limit_price is None:
        return None
    if not intent.limit_price.is_finite() or abs(intent.limit_price) > LIMIT_PRICE_MAX:
        raise ValueError(f"a limit price of {intent.limit_price} rupees is beyond {LIMIT_PRICE_MAX}")
    is_sale = Side(intent.side) is Side.SELL
    finest = intent.limit_price.quantize(Decimal("0.0001"), ROUND_CEILING if is_sale else ROUND_FLOOR)
    return round_to_tick_e4(to_e4(finest), instrument.tick_size_e4, up=is_sale)
