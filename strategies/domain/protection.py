"""Brackets at work: each fill of an entry is watched until its position is closed."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal

import msgspec

from alphapanda.core.money import PRICE_SCALE, to_rupees
from alphapanda.core.vocabulary import Side
from strategies.domain.intents import Bracket

MINUTE_MS = 60_000
# An exit that was refused or cancelled is asked for again, but not at every tick.
AGAIN_AFTER_MS = MINUTE_MS


class Protection(msgspec.Struct):
    """The exits of one fill. Levels are 1/10,000 rupee, 0 where there is none; `until_ms` 0: no end."""

    token: int
    side: Side  # of the entry
    quantity: int
    stop_e4: int = 0
    target_e4: int = 0
    trail_e4: int = 0  # distance
    until_ms: int = 0
    asked_ms: int = 0  # when its exit was last asked for

    def follow(self, price_e4: int) -> None:
        """Let a trailing stop follow the price."""
        if not self.trail_e4:
            return
        level_e4 = price_e4 - self.side.sign * self.trail_e4
        if not self.stop_e4 or (level_e4 - self.stop_e4) * self.side.sign > 0:
            self.stop_e4 = level_e4

    def breach(self, price_e4: int, at_ms: int) -> str:
        """Why the exit is due at a price (0: none at hand) and time, in words; empty where it is not."""
        sign = self.side.sign
        if price_e4 and self.stop_e4 and (price_e4 - self.stop_e4) * sign <= 0:
            return f"stop {to_rupees(self.stop_e4):.2f}"
        if price_e4 and self.target_e4 and (price_e4 - self.target_e4) * sign >= 0:
            return f"target {to_rupees(self.target_e4):.2f}"
        return "time exit" if self.until_ms and at_ms >= self.until_ms else ""

    def times_ms(self) -> tuple[int, int]:
        """When its stay ends, and when it may be asked for again."""
        return self.until_ms, self.asked_ms + AGAIN_AFTER_MS

    def may_ask(self, at_ms: int) -> bool:
        """Whether the exit has not been asked for a moment ago."""
        return not self.asked_ms or at_ms >= self.asked_ms + AGAIN_AFTER_MS


def armed(
    bracket: Bracket, *, token: int, side: Side, quantity: int, price_e4: int, at_ms: int
) -> Protection:
    """The protection of one fill of an entry."""
    sign = side.sign
    stop_e4, target_e4, trail_e4 = map(_e4, (bracket.stop, bracket.target, bracket.trail))
    protection = Protection(
        token=token,
        side=side,
        quantity=quantity,
        stop_e4=price_e4 - sign * stop_e4 if stop_e4 else 0,
        target_e4=price_e4 + sign * target_e4 if target_e4 else 0,
        trail_e4=trail_e4,
        until_ms=at_ms + bracket.minutes * MINUTE_MS if bracket.minutes else 0,
    )
    protection.follow(price_e4)
    return protection


def _e4(rupees: Decimal | None) -> int:
    if rupees is None:
        return 0
    return max(1, int((rupees * PRICE_SCALE).to_integral_value(ROUND_HALF_EVEN)))


def covering(protections: Sequence[Protection], position: int) -> list[Protection]:
    """Those of one instrument that a position still needs: what was closed came off those whose exit was asked
    for, then off the oldest."""
    left = abs(position)
    kept = set()
    for index in sorted(range(len(protections)), key=lambda n: (protections[n].asked_ms > 0, -n)):
        protection = protections[index]
        if left > 0 and protection.side.sign * position > 0:
            protection.quantity = min(protection.quantity, left)
            left -= protection.quantity
            kept.add(index)
    return [protection for index, protection in enumerate(protections) if index in kept]
