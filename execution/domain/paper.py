"""The paper exchange: fills are a function of an order and the log after it. Event time only.

A market order takes what is offered: recorded depth level by level where the tick has it, else the last price
and the configured slippage, no more than the size on offer. A limit order fills at its price or better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

import msgspec

from alphapanda.core import ids
from alphapanda.core.money import is_on_tick, round_to_tick_e4, value
from alphapanda.core.vocabulary import OrderStatus, OrderType, Product, Side, Validity
from marketdata.domain.calendar import Calendar
from marketdata.domain.instruments import InstrumentSpec
from marketdata.domain.ticks import HAS_DEPTH, Clock, Tick
from strategies.domain.signals import SignalRow
from strategies.domain.watches import Watch


class Liquidity(StrEnum):
    OFFERED = "OFFERED"  # no more than the tick offers; a tick that states no size fills the whole order
    UNLIMITED = "UNLIMITED"


class PaperSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How paper orders of a deployment are carried out. Slippage is in ticks of the instrument.

    `may_queue`: an order given after hours waits for the next session, as Kite's AMO does. `square_off`:
    intraday positions are closed before the session ends, as the broker does."""

    latency_ms: int = 50
    slippage_ticks: int = 1
    liquidity: Liquidity = Liquidity.OFFERED
    may_queue: bool = False
    square_off: bool = True

    def __post_init__(self) -> None:
        if self.latency_ms < 0 or self.slippage_ticks < 0:
            raise ValueError("`latency_ms` and `slippage_ticks` must not be negative")


class PaperOrder(msgspec.Struct, frozen=True):
    """An order at the paper exchange. `turnover` is rupees traded so far; times are event time."""

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

    @property
    def unfilled(self) -> int:
        return self.quantity - self.filled_quantity


class Execution(msgspec.Struct, frozen=True):
    """One trade of an order at one price."""

    order: PaperOrder  # as it was before this trade
    number: int
    quantity: int
    price_e4: int
    at_ms: int
    received_at_ms: int

    @property
    def turnover(self) -> Decimal:
        """Rupees."""
        return value(self.price_e4, self.quantity)


def place(
    signal: SignalRow, *, settings: PaperSettings, instrument: InstrumentSpec, calendar: Calendar
) -> PaperOrder:
    """The order of an approved signal; REJECTED with a reason where an exchange would refuse it."""
    decision_id = ids.decision_id(signal.id)
    order = PaperOrder(
        id=ids.order_id(decision_id, 0),
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
        eligible_from_ms=signal.at_ms + settings.latency_ms,
        expires_at_ms=_expiry(signal.at_ms, settings, calendar),
        updated_at_ms=signal.at_ms,
    )
    refusal = _refusal(order, instrument)
    return msgspec.structs.replace(order, status=OrderStatus.REJECTED, reason=refusal) if refusal else order


def _expiry(at_ms: int, settings: PaperSettings, calendar: Calendar) -> int:
    """The end of continuous trading of the session in which the order works."""
    closes_ms = calendar.closes_ms(at_ms)
    if calendar.has_session(at_ms) and at_ms < closes_ms:
        return closes_ms
    if not settings.may_queue:
        return at_ms
    return calendar.closes_ms(calendar.next_open_ms(at_ms))


def _refusal(order: PaperOrder, instrument: InstrumentSpec) -> str:
    if instrument.lot_size < 1:
        return f"{order.instrument} cannot be traded"
    if order.quantity % instrument.lot_size:
        return f"quantity {order.quantity} is no multiple of the lot of {instrument.lot_size}"
    if order.expires_at_ms <= order.placed_at_ms:
        return "the market is closed"
    if order.limit_price_e4 is None:
        return ""
    if order.limit_price_e4 <= 0 or not is_on_tick(order.limit_price_e4, instrument.tick_size_e4):
        return "the limit is no positive multiple of the tick size"
    return ""


def match(
    orders: Sequence[PaperOrder],
    item: Tick | Clock,
    *,
    settings: PaperSettings,
    instruments: Mapping[int, InstrumentSpec],
) -> tuple[list[PaperOrder], list[Execution]]:
    """Match working orders, oldest first, against one item of the log: orders that changed, and trades."""
    changed: list[PaperOrder] = []
    executions: list[Execution] = []
    offer = _Offer(item, settings, instruments) if isinstance(item, Tick) else None
    for order in sorted(orders, key=lambda order: (order.step, order.ordinal)):
        after, trades = _matched(order, item, offer)
        executions.extend(trades)
        if after is not order:
            changed.append(after)
    return changed, executions


def _matched(
    order: PaperOrder, item: Tick | Clock, offer: _Offer | None
) -> tuple[PaperOrder, list[Execution]]:
    if item.at_ms >= order.expires_at_ms:
        return _ended(order, OrderStatus.EXPIRED, "the session ended", order.expires_at_ms), []
    if offer is None or offer.tick.token != order.token or item.at_ms < order.eligible_from_ms:
        return order, []
    trades = []
    for quantity, price_e4 in offer.take(order):
        execution = Execution(
            order=order,
            number=order.fills_count + 1,
            quantity=quantity,
            price_e4=price_e4,
            at_ms=item.at_ms,
            received_at_ms=item.received_ms,
        )
        trades.append(execution)
        order = _traded(order, execution)
    if order.validity is Validity.IOC and order.unfilled:
        order = _ended(
            order, OrderStatus.CANCELLED, "immediate or cancel: the rest found no offer", item.at_ms
        )
    return order, trades


def _traded(order: PaperOrder, execution: Execution) -> PaperOrder:
    filled = order.filled_quantity + execution.quantity
    return msgspec.structs.replace(
        order,
        filled_quantity=filled,
        fills_count=execution.number,
        turnover=order.turnover + execution.turnover,
        status=OrderStatus.COMPLETE if filled == order.quantity else OrderStatus.OPEN,
        updated_at_ms=execution.at_ms,
    )


def _ended(order: PaperOrder, status: OrderStatus, reason: str, at_ms: int) -> PaperOrder:
    return msgspec.structs.replace(order, status=status, reason=reason, updated_at_ms=at_ms)


class _Offer:
    """What one tick offers, used up by the orders that take from it; trades are in whole lots."""

    def __init__(
        self, tick: Tick, settings: PaperSettings, instruments: Mapping[int, InstrumentSpec]
    ) -> None:
        self.tick = tick
        self._settings = settings
        self._instruments = instruments
        self._taken: dict[tuple[Side, int], int] = {}

    def take(self, order: PaperOrder) -> Iterator[tuple[int, int]]:
        """Pairs of quantity and price for the order, best first."""
        wanted, lot = order.unfilled, max(self._instruments[order.token].lot_size, 1)
        for level, (price_e4, size) in enumerate(self._levels(order)):
            if wanted == 0 or not _is_within(order, price_e4):
                return
            left = wanted if size is None else size - self._taken.get((order.side, level), 0)
            quantity = min(wanted, left) // lot * lot
            if quantity > 0:
                self._taken[order.side, level] = self._taken.get((order.side, level), 0) + quantity
                wanted -= quantity
                yield quantity, price_e4

    def _levels(self, order: PaperOrder) -> list[tuple[int, int | None]]:
        """Price and size by level; None is a size that is not bounded. Kite fills up depth with empty levels."""
        levels = self.tick.asks if order.side is Side.BUY else self.tick.bids
        is_unlimited = self._settings.liquidity is Liquidity.UNLIMITED
        if self.tick.flags & HAS_DEPTH:  # with depth on record, an empty side offers nothing
            offered = [(price_e4, size) for price_e4, size in levels if price_e4 > 0 and size > 0]
            return [(price_e4, None if is_unlimited else size) for price_e4, size in offered]
        if not _is_within(order, self.tick.price_e4):
            return []
        size = None if is_unlimited or self.tick.quantity <= 0 else self.tick.quantity
        return [(self._slipped(order), size)]

    def _slipped(self, order: PaperOrder) -> int:
        """The last price, moved against the order and onto the tick grid, not past the order's limit."""
        tick_e4 = self._instruments[order.token].tick_size_e4
        moved_e4 = self.tick.price_e4 + order.side.sign * self._settings.slippage_ticks * tick_e4
        price_e4 = max(round_to_tick_e4(moved_e4, tick_e4, up=order.side is Side.BUY), tick_e4, 1)
        limit_e4 = order.limit_price_e4
        if limit_e4 is None:
            return price_e4
        return min(price_e4, limit_e4) if order.side is Side.BUY else max(price_e4, limit_e4)


def _is_within(order: PaperOrder, price_e4: int) -> bool:
    """Whether a price is the limit or better."""
    if order.limit_price_e4 is None:
        return True
    return price_e4 <= order.limit_price_e4 if order.side is Side.BUY else price_e4 >= order.limit_price_e4


def watch(order: PaperOrder) -> Watch:
    """What of the log may touch a working order; an IOC order ends at its first tick, whatever the price."""
    return Watch(
        token=order.token,
        side=order.side,
        from_ms=order.eligible_from_ms,
        until_ms=order.expires_at_ms,
        limit_price_e4=None if order.validity is Validity.IOC else order.limit_price_e4,
    )
