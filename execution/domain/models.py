"""Models of latency, slippage and rejection by name. Each answer follows from the settings and a seed, and the seed
from the order's id: the same order meets the same luck in every replay."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_CEILING, Decimal
from functools import partial
from typing import Protocol
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


Luck = Callable[[], int]  # the seed, worked out by the models that want it
Latency = Callable[[Tuning, Luck], int]  # settings, luck: milliseconds from the act to the exchange
Slippage = Callable[
    [Tuning, Luck, int, int], int
]  # settings, luck, price, tick: 1/10,000 rupee against the order
Rejection = Callable[
    [Tuning, Luck], bool
]  # settings, luck: whether the exchange refuses an order that is in order


def seed(order_id: UUID, purpose: str, number: int = 0) -> int:
    """A number that follows from an order's id, another one for every purpose and number."""
    return ids.derived("seed", order_id, purpose, number).int


def luck_of(order_id: UUID, purpose: str, number: int = 0) -> Luck:
    """The seed of an order for a purpose, once it is asked for."""
    return partial(seed, order_id, purpose, number)


def _fixed(tuning: Tuning, _luck: Luck) -> int:
    return tuning.latency_ms


def _spread(tuning: Tuning, luck: Luck) -> int:
    """Evenly between `latency_ms` and `latency_spread_ms` more."""
    return tuning.latency_ms + luck() % (tuning.latency_spread_ms + 1)


def _ticks(tuning: Tuning, _luck: Luck, _price_e4: int, tick_e4: int) -> int:
    return tuning.slippage_ticks * tick_e4


def _random_ticks(tuning: Tuning, luck: Luck, _price_e4: int, tick_e4: int) -> int:
    """Evenly from none to `slippage_ticks`."""
    return luck() % (tuning.slippage_ticks + 1) * tick_e4


def _bps(tuning: Tuning, _luck: Luck, price_e4: int, _tick_e4: int) -> int:
    """A share of the price; the price is put onto the tick grid afterwards, against the order."""
    return int((price_e4 * tuning.slippage_bps / PARTS).to_integral_value(ROUND_CEILING))


def _never(_tuning: Tuning, _luck: Luck) -> bool:
    return False


def _random(tuning: Tuning, luck: Luck) -> bool:
    return luck() % PARTS < tuning.rejection_percent * (PARTS // 100)


LATENCIES: dict[str, Latency] = {"fixed": _fixed, "spread": _spread}
SLIPPAGES: dict[str, Slippage] = {"ticks": _ticks, "random": _random_ticks, "bps": _bps}
REJECTIONS: dict[str, Rejection] = {"none": _never, "random": _random}
