"""Models of latency, slippage and rejection by name. Each answer follows from the settings and an order's luck, and
that from the order's id: the same order meets the same luck in every replay."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_CEILING, Decimal
from typing import NamedTuple, Protocol
from uuid import UUID

from alphapanda.core import ids

PARTS = 10_000  # of a whole, in which chances and basis points are counted


class Tuning(Protocol):
    """What the models read of PaperSettings."""

    @property
    def latency_ms(self) -> int: ...
    @property
    def latency_spread_ms(self) -> int: ...
    @property
    def slippage_ticks(self) -> int: ...
    @property
    def slippage_bps(self) -> Decimal: ...
    @property
    def rejection_percent(self) -> Decimal: ...


class Luck(NamedTuple):
    """What is drawn once for a purpose and number of an order; worked out only by the models that use it."""

    order_id: UUID
    purpose: str
    number: int = 0

    @property
    def seed(self) -> int:
        """A number that follows from the order's id, another one for every purpose and number."""
        return ids.derived("seed", *self).int


Latency = Callable[[Tuning, Luck], int]  # milliseconds from the act to the exchange
Slippage = Callable[[Tuning, Luck, int, int], int]  # with price and tick: 1/10,000 rupee against the order
Rejection = Callable[[Tuning, Luck], bool]  # whether the exchange refuses an order that is in order


def _fixed(tuning: Tuning, _luck: Luck) -> int:
    return tuning.latency_ms


def _spread(tuning: Tuning, luck: Luck) -> int:
    """Evenly between `latency_ms` and `latency_spread_ms` more."""
    return tuning.latency_ms + luck.seed % (tuning.latency_spread_ms + 1)


def _ticks(tuning: Tuning, _luck: Luck, _price_e4: int, tick_e4: int) -> int:
    return tuning.slippage_ticks * tick_e4


def _random_ticks(tuning: Tuning, luck: Luck, _price_e4: int, tick_e4: int) -> int:
    """Evenly from none to `slippage_ticks`."""
    return luck.seed % (tuning.slippage_ticks + 1) * tick_e4


def _bps(tuning: Tuning, _luck: Luck, price_e4: int, _tick_e4: int) -> int:
    """A share of the price; the price is put onto the tick grid afterwards, against the order."""
    return int((price_e4 * tuning.slippage_bps / PARTS).to_integral_value(ROUND_CEILING))


def _never(_tuning: Tuning, _luck: Luck) -> bool:
    return False


def _random(tuning: Tuning, luck: Luck) -> bool:
    return luck.seed % PARTS < tuning.rejection_percent * (PARTS // 100)


LATENCIES: dict[str, Latency] = {"fixed": _fixed, "spread": _spread}
SLIPPAGES: dict[str, Slippage] = {"ticks": _ticks, "random": _random_ticks, "bps": _bps}
SLIPPAGES_MOST: dict[str, Slippage] = {"ticks": _ticks, "random": _ticks, "bps": _bps}  # with the worst luck
REJECTIONS: dict[str, Rejection] = {"none": _never, "random": _random}
