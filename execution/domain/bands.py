"""Market protection: the price beyond which a market order does not go.

Kite takes no market order without it over its API since 2026-04-01. Its own bands, by last price in rupees, are in
a support article (equity and futures: below 100 two percent, to 500 one, above half of one; options: below 10 five,
to 100 three, to 500 two, above one). A price on an edge belongs to the band above it here: the article leaves it
open."""

from __future__ import annotations

from decimal import Decimal

from alphapanda.core.money import PRICE_SCALE, round_to_tick_e4
from alphapanda.core.vocabulary import Side
from execution.domain.settings import KITE_BANDS
from marketdata.domain.instruments import OPTION_TYPES, InstrumentSpec

# (below so many rupees, percent); the last one holds above
_PLAIN = ((100, Decimal(2)), (500, Decimal(1)), (0, Decimal("0.5")))
_OPTIONS = ((10, Decimal(5)), (100, Decimal(3)), (500, Decimal(2)), (0, Decimal(1)))


def protection_percent(instrument: InstrumentSpec, last_e4: int) -> Decimal:
    """Kite's own band for a last price."""
    bands = _OPTIONS if instrument.instrument_type in OPTION_TYPES else _PLAIN
    return next(percent for below, percent in bands if not below or last_e4 < below * PRICE_SCALE)


def protected_price_e4(
    instrument: InstrumentSpec, side: Side, last_e4: int, market_protection: Decimal
) -> int:
    """The limit of a protected market order: on the tick grid, within the band and the circuit limits."""
    is_kites = market_protection == KITE_BANDS
    percent = protection_percent(instrument, last_e4) if is_kites else market_protection
    moved = Decimal(last_e4) * (100 + side.sign * percent) / 100
    price_e4 = round_to_tick_e4(int(moved), instrument.tick_size_e4, up=side is Side.SELL)
    if side is Side.BUY and instrument.upper_circuit_e4:
        price_e4 = min(price_e4, instrument.upper_circuit_e4)
    if side is Side.SELL:
        price_e4 = max(price_e4, instrument.lower_circuit_e4)
    return max(price_e4, instrument.tick_size_e4, 1)


def circuit_limits_e4(
    instrument: InstrumentSpec, close_before_e4: int, percent: Decimal | None
) -> tuple[int, int]:
    """Lower and upper circuit limit: the instrument's own, else a band around the last close; 0 where unknown."""
    lower_e4, upper_e4 = instrument.lower_circuit_e4, instrument.upper_circuit_e4
    if lower_e4 or upper_e4 or percent is None or close_before_e4 <= 0:
        return lower_e4, upper_e4
    tick_e4 = instrument.tick_size_e4
    lower = int(Decimal(close_before_e4) * (100 - percent) / 100)
    upper = int(Decimal(close_before_e4) * (100 + percent) / 100)
    return round_to_tick_e4(lower, tick_e4, up=True), round_to_tick_e4(upper, tick_e4, up=False)
