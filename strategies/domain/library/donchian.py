"""Donchian breakout: with a close beyond the highest or lowest of many bars, out beyond those of fewer bars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from alphapanda.core.money import PRICE_SCALE
from marketdata.domain.bars import Bar
from strategies.domain.base import Intent, Strategy, View
from strategies.domain.indicators import Extreme
from strategies.domain.parameters import LENGTH_MAX, BarMinutes, Quantity, Short


class Channels(msgspec.Struct):
    """The wide channel that is entered by and the narrow one that is left by, of one instrument."""

    high: Extreme
    low: Extreme
    exit_high: Extreme
    exit_low: Extreme
    met_e4: tuple[int | None, ...] = ()  # what the last close was compared with: these four

    def meet(self) -> None:
        self.met_e4 = (self.high.value, self.low.value, self.exit_high.value, self.exit_low.value)

    def push(self, bar: Bar) -> None:
        self.high.push(bar.high_e4)
        self.exit_high.push(bar.high_e4)
        self.low.push(bar.low_e4)
        self.exit_low.push(bar.low_e4)


class Donchian(Strategy):
    name = "donchian"
    title = "Donchian breakout"

    class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """The turtles' short system is 20 and 10, their long one 55 and 20."""

        length: Annotated[int, Meta(ge=2, le=LENGTH_MAX, description="bars of the channel entered by")] = 20
        exit_length: Annotated[int, Meta(ge=2, le=LENGTH_MAX, description="bars of that left by")] = 10
        quantity: Quantity = 1
        bar_minutes: BarMinutes = 15
        short: Short = True

        def __post_init__(self) -> None:
            if self.exit_length > self.length:
                raise ValueError("`exit_length` must not be above `length`")

    class State(msgspec.Struct):
        channels: dict[str, Channels] = msgspec.field(default_factory=dict)

    def warm_up(self) -> int:
        return int(self.params.length)

    def on_bar(self, state: State, bar: Bar, view: View) -> Iterable[Intent]:
        """Compares a close with the bars before it, never with its own bar."""
        channels = state.channels.get(bar.instrument)
        if channels is None:
            channels = state.channels[bar.instrument] = self._fresh()
        channels.meet()
        wanted, reason = self._wanted(channels, bar.close_e4, view.position() + view.working())
        channels.push(bar)
        return view.target(wanted, reason=reason)

    def indicators(self, state: State, instrument: str) -> Mapping[str, float | None]:
        """The channels that the last close was compared with, which its own bar is not in."""
        channels = state.channels.get(instrument)
        names = ("highest", "lowest", "exit high", "exit low")
        found = zip(names, channels.met_e4 if channels else (), strict=False)
        return {name: None if price_e4 is None else price_e4 / PRICE_SCALE for name, price_e4 in found}

    def _fresh(self) -> Channels:
        length, exit_length = self.params.length, self.params.exit_length
        return Channels(
            Extreme(length, 1), Extreme(length, -1), Extreme(exit_length, 1), Extreme(exit_length, -1)
        )

    def _wanted(self, channels: Channels, close_e4: int, now: int) -> tuple[int, str]:
        high, low = channels.high.value, channels.low.value
        if high is None or low is None:
            return now, ""
        if close_e4 > high:
            return int(self.params.quantity), f"above the highest of {self.params.length} bars"
        if close_e4 < low:
            quantity = -int(self.params.quantity) if self.params.short else 0
            return quantity, f"below the lowest of {self.params.length} bars"
        lowest, highest = channels.exit_low.value, channels.exit_high.value
        if now > 0 and lowest is not None and close_e4 < lowest:
            return 0, f"below the lowest of {self.params.exit_length} bars"
        if now < 0 and highest is not None and close_e4 > highest:
            return 0, f"above the highest of {self.params.exit_length} bars"
        return now, ""
