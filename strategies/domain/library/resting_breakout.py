"""Channel breakout with orders that rest at the exchange: a stop to enter, a stop that follows, an iceberg to leave."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from alphapanda.core.money import PRICE_SCALE, to_rupees
from alphapanda.core.vocabulary import OrderStatus, Validity
from marketdata.domain.bars import Bar
from strategies.domain.base import Strategy, View, Wish, WorkingOrder
from strategies.domain.parameters import BarMinutes, Length, Quantity

ENTRY, STOP, EXIT = "entry", "stop", "exit"
PARTS = 10_000
Distance = Annotated[int, Meta(ge=0, le=PARTS, description="hundredths of a percent of the price")]
Legs = Annotated[int, Meta(ge=0, le=50, description="of an iceberg order, 0 for plain orders")]
Stay = Annotated[int, Meta(ge=0, le=375, description="minutes, 0 until the session's end")]


class Channel(msgspec.Struct):
    """Highs and lows of the last bars of one instrument, and whether its stop makes room for the exit."""

    highs_e4: list[int] = msgspec.field(default_factory=list)
    lows_e4: list[int] = msgspec.field(default_factory=list)
    is_leaving: bool = False
    met_e4: tuple[int, int] | None = None  # high and low that the last bar met; None: of too few bars


class RestingBreakout(Strategy):
    """Buys above the highest price of the last bars, leaves below the lowest, long only. The entry (SL) moves with
    the channel and is cancelled when a bar closes at its low; the stop (SL-M) is only ever raised; at the target the
    position is sold at the limit in an iceberg, and the stop is for what is left."""

    name = "resting_breakout"
    title = "Breakout with resting stops"

    class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """Distances are hundredths of a percent of the price. `room`: how far beyond its trigger the entry may go.
        `target`: how far above its stop a position is sold at the limit, 0 for never. `legs`: of icebergs, 0 for
        plain orders. `minutes`: how long the exit at the target may rest, 0 until the session's end."""

        length: Length = 20
        quantity: Quantity = 1
        bar_minutes: BarMinutes = 5
        room_bps: Distance = 20
        target_bps: Distance = 0
        legs: Legs = 0
        minutes: Stay = 0

        def __post_init__(self) -> None:
            if self.legs == 1:
                raise ValueError("`legs` is 0 or from 2 to 50")

    class State(msgspec.Struct):
        channels: dict[str, Channel] = msgspec.field(default_factory=dict)

    def on_bar(self, state: Any, bar: Bar, view: View) -> Iterable[Wish]:
        channel = state.channels.setdefault(bar.instrument, Channel())
        high_e4, low_e4 = max(channel.highs_e4, default=0), min(channel.lows_e4, default=0)
        is_full = len(channel.highs_e4) >= self.params.length
        channel.met_e4 = (high_e4, low_e4) if is_full else None
        self._remember(channel, bar)
        if not is_full:
            return
        orders = {order.tag: order for order in view.orders()}
        if view.position() > 0:
            yield from self._held(channel, orders, low_e4, bar, view)
        else:
            channel.is_leaving = False
            yield from self._flat(orders, high_e4, low_e4, bar, view)

    def indicators(self, state: Any, instrument: str) -> Mapping[str, float | None]:
        """The channel that the last bar met, which it is not in itself."""
        channel = state.channels.get(instrument)
        if channel is None or channel.met_e4 is None:
            return {}
        high_e4, low_e4 = channel.met_e4
        return {"channel high": high_e4 / PRICE_SCALE, "channel low": low_e4 / PRICE_SCALE}

    def _limit(self, trigger: Decimal) -> Decimal:
        return trigger + _share(trigger, self.params.room_bps)

    def _remember(self, channel: Channel, bar: Bar) -> None:
        channel.highs_e4.append(bar.high_e4)
        channel.lows_e4.append(bar.low_e4)
        del channel.highs_e4[: -self.params.length], channel.lows_e4[: -self.params.length]

    def _flat(
        self, orders: dict[str, WorkingOrder], high_e4: int, low_e4: int, bar: Bar, view: View
    ) -> Iterator[Wish]:
        for tag in (STOP, EXIT):
            if tag in orders:
                yield view.cancel(orders[tag], reason="nothing left to sell")
        trigger, entry = to_rupees(high_e4), orders.get(ENTRY)
        if entry is not None and bar.close_e4 <= low_e4:
            yield view.cancel(entry, reason="closed at the low of the channel")
        elif entry is not None and self._may_move(entry, trigger, bar):
            yield view.modify(entry, trigger_price=trigger, limit_price=self._limit(trigger))
        elif entry is None and low_e4 < bar.close_e4 < high_e4:
            yield view.buy(
                self.params.quantity,
                trigger_price=trigger,
                limit_price=self._limit(trigger),
                iceberg_legs=self.params.legs,
                tag=ENTRY,
                reason=f"above the high of {self.params.length} bars",
            )

    def _may_move(self, entry: WorkingOrder, trigger: Decimal, bar: Bar) -> bool:
        is_resting = entry.status is OrderStatus.TRIGGER_PENDING
        return is_resting and entry.trigger_price != trigger and trigger > bar.close

    def _held(
        self, channel: Channel, orders: dict[str, WorkingOrder], low_e4: int, bar: Bar, view: View
    ) -> Iterator[Wish]:
        position, stop, entry = view.position(), orders.get(STOP), orders.get(ENTRY)
        trigger = to_rupees(low_e4)
        if entry is not None and bar.close_e4 <= low_e4:
            yield view.cancel(entry, reason="closed at the low of the channel")
        if stop is not None:
            yield from self._follow(channel, stop, position, trigger, bar, view)
        elif channel.is_leaving:
            channel.is_leaving = False
            yield self._exit(position, bar, view)
        elif EXIT not in orders and trigger < bar.close:
            yield view.sell(position, trigger_price=trigger, tag=STOP, reason="below the channel")

    def _follow(
        self, channel: Channel, stop: WorkingOrder, position: int, trigger: Decimal, bar: Bar, view: View
    ) -> Iterator[Wish]:
        now = stop.trigger_price
        if now is None or stop.status is not OrderStatus.TRIGGER_PENDING:
            return
        if self.params.target_bps and bar.close - now >= _share(bar.close, self.params.target_bps):
            channel.is_leaving = True
            yield view.cancel(stop, reason="at the target")
        elif stop.quantity != position or now < trigger < bar.close:
            raised = trigger if now < trigger < bar.close else now
            yield view.modify(stop, quantity=position, trigger_price=raised, reason="follows the channel")

    def _exit(self, position: int, bar: Bar, view: View) -> Wish:
        minutes, legs = self.params.minutes, self.params.legs
        return view.sell(
            position,
            limit_price=bar.close,
            iceberg_legs=legs if position >= legs else 0,
            validity=Validity.TTL if minutes else Validity.DAY,
            validity_minutes=minutes,
            tag=EXIT,
            reason="at the target",
        )


def _share(price: Decimal, bps: int) -> Decimal:
    return price * bps / PARTS
