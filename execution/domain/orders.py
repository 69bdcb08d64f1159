"""An order at the paper exchange, what is on its way to it, its history and its trades. Times are event time."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import msgspec

from alphapanda.core import ids
from alphapanda.core.money import value
from alphapanda.core.vocabulary import (
    FillSource,
    OrderStatus,
    OrderType,
    Product,
    Side,
    SignalKind,
    SignalOrigin,
    Validity,
    Variety,
)
from strategies.domain.slicing import part_units

STOPS = (OrderType.SL, OrderType.SL_M)
AT_MARKET = (OrderType.MARKET, OrderType.SL_M)


class Terms(msgspec.Struct, frozen=True):
    """What a modification may change of an order. `quantity` is the total, traded units included."""

    quantity: int
    order_type: OrderType
    limit_price_e4: int | None
    trigger_price_e4: int | None
    validity: Validity
    validity_minutes: int
    disclosed_quantity: int


class Act(msgspec.Struct, frozen=True):
    """A decided cancellation (without terms) or modification on its way to the exchange."""

    kind: SignalKind
    decision_id: UUID
    at_ms: int
    effective_ms: int
    terms: Terms | None = None


class Place(msgspec.Struct, frozen=True):
    """Where a resting order stands in the queue of its price: units ahead, the size of the level and the day's
    volume when it was last looked at. -1: not known yet."""

    ahead: int = -1
    size: int = -1
    volume: int = -1


class PaperOrder(msgspec.Struct, frozen=True, gc=False):
    """An order at the paper exchange. `turnover` is rupees traded so far, `leg_turnover` those of the leg at work.

    A protected market order has the price beyond which it does not go as `limit_price_e4`. Before `eligible_from_ms`
    and `release_ms` (0: at once, or released) it does not trade. `events_count` numbers its last row of history."""

    id: UUID
    decision_id: UUID
    deployment_id: UUID
    correlation_id: UUID
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
    placed_at_ms: int
    eligible_from_ms: int
    expires_at_ms: int
    updated_at_ms: int
    status: OrderStatus = OrderStatus.OPEN
    reason: str = ""
    filled_quantity: int = 0
    fills_count: int = 0
    turnover: Decimal = Decimal(0)
    origin: SignalOrigin = SignalOrigin.STRATEGY
    variety: Variety = Variety.REGULAR
    trigger_price_e4: int | None = None
    triggered_at_ms: int = 0  # 0: not yet, or no stop
    validity_minutes: int = 0
    disclosed_quantity: int = 0
    iceberg_legs: int = 0
    tag: str = ""
    release_ms: int = 0
    leg: int = 1
    leg_turnover: Decimal = Decimal(0)
    modifications: int = 0
    is_btst: bool = False  # sells units that were bought on the trading day before and are not delivered yet
    events_count: int = 0
    pending: Act | None = None
    place: Place | None = None  # none: no queue is modelled

    @property
    def unfilled(self) -> int:
        return self.quantity - self.filled_quantity

    @property
    def is_waiting_for_trigger(self) -> bool:
        return self.order_type in STOPS and not self.triggered_at_ms

    @property
    def is_waiting_for_release(self) -> bool:
        return self.release_ms > 0

    @property
    def resting_status(self) -> OrderStatus:
        """The status of the order when nothing is on its way."""
        if self.is_waiting_for_release:
            return OrderStatus.AMO_RECEIVED
        return OrderStatus.TRIGGER_PENDING if self.is_waiting_for_trigger else OrderStatus.OPEN

    def lot(self, lot_size: int) -> int:
        """The units in which it trades: whole lots, or single units where it is what an older lot left."""
        lot = max(lot_size, 1)
        return 1 if self.quantity % lot else lot

    def leg_units(self, lot: int) -> int:
        """Units that the exchange sees at once: of the whole order, or of one leg; legs are in whole lots."""
        return part_units(self.quantity, self.iceberg_legs, lot) if self.iceberg_legs else self.quantity

    def leg_ends(self, lot: int) -> int:
        """Units of the whole order up to the end of the leg at work; the last one takes what is left."""
        if not self.iceberg_legs:
            return self.quantity
        return min(self.quantity, self.leg * self.leg_units(lot))


class OrderEventRow(msgspec.Struct, frozen=True, gc=False):
    """One row of an order's history: its status and terms at a time, why, and the decision that caused it."""

    order_id: UUID
    number: int
    status: OrderStatus
    at_ms: int
    quantity: int
    filled_quantity: int
    limit_price_e4: int | None
    trigger_price_e4: int | None
    reason: str = ""
    decision_id: UUID | None = None

    @property
    def id(self) -> UUID:
        return ids.derived("order event", self.order_id, self.number)


class Execution(msgspec.Struct, frozen=True):
    """One trade of an order at one price."""

    order: PaperOrder  # as it was before this trade
    number: int
    quantity: int
    price_e4: int
    at_ms: int
    received_at_ms: int
    source: FillSource

    @property
    def turnover(self) -> Decimal:
        """Rupees."""
        return value(self.price_e4, self.quantity)
