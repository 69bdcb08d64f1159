"""Rupees: integers of 1/10,000 rupee on the hot path, Decimal where money is booked. Never float."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal, DecimalException

PRICE_SCALE = 10_000  # price_e4 = rupees x 10,000; exact for equity (2 places) and currency (4 places)
PRICE_DIGITS_MAX = 28  # of 1/10,000 rupee: as many as Decimal reckons with exactly
MONEY_QUANTUM = Decimal("0.00000001")
ZERO = Decimal(0)


class PriceNotExact(ValueError):
    """A price has more than four decimal places, or is not a finite number."""


def to_e4(rupees: str | int | Decimal) -> int:
    """Rupees to 1/10,000 rupee, exactly. Raises PriceNotExact."""
    try:
        scaled = Decimal(rupees) * PRICE_SCALE
        if scaled.adjusted() >= PRICE_DIGITS_MAX:
            raise OverflowError("no price has so many digits")
        whole = int(scaled)
    except (DecimalException, ValueError, OverflowError, TypeError) as error:
        raise PriceNotExact(f"{rupees!r} is not a price in rupees") from error
    if scaled != whole:
        raise PriceNotExact(f"{rupees!r} has more than four decimal places")
    return whole


def to_rupees(price_e4: int) -> Decimal:
    """1/10,000 rupee to rupees, exactly."""
    return Decimal(price_e4).scaleb(-4)


def value(price_e4: int, quantity: int) -> Decimal:
    """Price times quantity in rupees, exactly."""
    return Decimal(price_e4 * quantity).scaleb(-4)


def quantized(amount: Decimal) -> Decimal:
    """An amount of money at the precision at which it is booked (8 places, half to even)."""
    return amount.quantize(MONEY_QUANTUM, rounding=ROUND_HALF_EVEN)


def written(amount: Decimal) -> str:
    """An amount as text without an exponent: nought is 0.00000000, not 0E-8."""
    return f"{amount:f}"


def round_to_tick_e4(price_e4: int, tick_e4: int, *, up: bool) -> int:
    """The price on the tick grid at or above (`up`) or at or below a price; a tick of 0 rounds nothing."""
    if tick_e4 <= 0:
        return price_e4
    rounding = ROUND_CEILING if up else ROUND_FLOOR
    ticks = (Decimal(price_e4) / tick_e4).to_integral_value(rounding=rounding)
    return int(ticks) * tick_e4


def is_on_tick(price_e4: int, tick_e4: int) -> bool:
    """Whether a price lies on the tick grid."""
    return tick_e4 <= 0 or price_e4 % tick_e4 == 0
