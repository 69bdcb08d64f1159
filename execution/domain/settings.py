"""How the orders of a deployment are carried out: the column `execution` of a deployment, checked."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec

from alphapanda.core.vocabulary import Broker
from execution.domain.models import LATENCIES, REJECTIONS, SLIPPAGES, SLIPPAGES_MOST, Luck

KITE_BANDS = Decimal(-1)  # of `market_protection`: Kite's own, as in its API
PERCENT_MAX = 100
ALGO_ID_MAX = 40  # characters; Kite does not say
CAPITAL_MAX = 10**15  # rupees
APPROVAL_S_MAX = 21_600  # six hours: no entry of one session is let pass in the next
WHOLE = (  # name, least, most
    ("latency_ms", 0, 3_600_000),
    ("latency_spread_ms", 0, 3_600_000),
    ("slippage_ticks", 0, 10_000),
    ("stale_after_ms", 1, 10**12),  # 30 years: in a replay ticks may come as late as one likes
)


class Liquidity(StrEnum):
    OFFERED = "OFFERED"  # no more than the tick offers; a tick that states no size fills the whole order
    UNLIMITED = "UNLIMITED"


class Queue(StrEnum):
    """Whose orders trade first at the price of a resting order."""

    NONE = "NONE"  # a resting order trades only where the other side comes to its price
    PRO_RATA = "PRO_RATA"  # those ahead trade first; cancellations come from ahead and behind alike
    CAUTIOUS = "CAUTIOUS"  # those ahead trade first; cancellations come from behind


class PaperSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Times are milliseconds, slippage is ticks of the instrument, money is rupees.

    `may_queue`: an order given after hours waits for the next session, as Kite's AMO does. `square_off`:
    intraday positions are closed before the session ends, and no new ones are taken then, as at the broker.
    `market_protection`: percent of the last price beyond which a market order does not go, -1 for Kite's own
    bands, nothing for none. `stale_after_ms`: a tick that much older than the log's clock fills nothing.
    `circuit_percent`: the price band around the last close where the instrument's own is not known.
    `capital`: rupees of the deployment's own against which margin is checked, nothing: it is not.
    `approval_s`: entries wait for a person so many seconds of event time, 0: they do not wait; exits never do.
    `latency`, `slippage` and `rejection` name models of `execution.domain.models`."""

    latency_ms: int = 50
    slippage_ticks: int = 1
    liquidity: Liquidity = Liquidity.OFFERED
    may_queue: bool = False
    square_off: bool = True
    market_protection: Decimal | None = None
    queue: Queue = Queue.NONE
    stale_after_ms: int = 30_000
    circuit_percent: Decimal | None = None
    capital: Decimal | None = None
    latency: str = "fixed"
    latency_spread_ms: int = 0
    slippage: str = "ticks"
    slippage_bps: Decimal = Decimal(0)
    rejection: str = "none"
    rejection_percent: Decimal = Decimal(0)
    approval_s: int = 0

    def __post_init__(self) -> None:
        for name, least, most in WHOLE:
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"`{name}` is from {least} to {most}, not {getattr(self, name)}")
        for name, known in (("latency", LATENCIES), ("slippage", SLIPPAGES), ("rejection", REJECTIONS)):
            if getattr(self, name) not in known:
                raise ValueError(f"`{name}` {getattr(self, name)!r} is none of {', '.join(sorted(known))}")
        _check_approval(self.approval_s)
        self._check_amounts()

    def most_slippage_e4(self, price_e4: int, tick_e4: int) -> int:
        """How far a price without depth is moved against an order of any luck, before it is put onto the tick grid."""
        return SLIPPAGES_MOST[self.slippage](self, Luck(UUID(int=0), "slippage"), price_e4, tick_e4)

    def _check_amounts(self) -> None:
        given = {
            name: value
            for name in self.__struct_fields__
            if isinstance(value := getattr(self, name), Decimal)
        }
        for name, value in given.items():
            if not value.is_finite():
                raise ValueError(f"`{name}` must be a finite number, not {value}")
        if self.market_protection is not None:
            _check_protection(self.market_protection)
        if self.circuit_percent is not None and not 0 < self.circuit_percent <= PERCENT_MAX:
            raise ValueError("`circuit_percent` is above 0, at most 100")
        if not 0 <= self.rejection_percent <= PERCENT_MAX:
            raise ValueError("`rejection_percent` is from 0 to 100")
        if not 0 <= self.slippage_bps < 10_000:
            raise ValueError("`slippage_bps` is from 0 to below 10,000")
        if self.capital is not None and not 0 <= self.capital <= CAPITAL_MAX:
            raise ValueError(f"`capital` is rupees from 0 to {CAPITAL_MAX}")


class LiveSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes along with orders to a broker outside; the rest is the broker's.

    `square_off`: intraday positions are closed by the platform before the broker closes them. `market_protection`:
    percent of the last price beyond which a market order does not go, -1 for Kite's own bands; it always goes along.
    `algo_id`: the exchange's name of a registered algorithm; empty: the broker names it. `approval_s`: entries wait
    for a person so many seconds of event time, 0: they do not wait; exits never do."""

    square_off: bool = True
    market_protection: Decimal = KITE_BANDS
    algo_id: str = ""
    approval_s: int = 0

    def __post_init__(self) -> None:
        _check_approval(self.approval_s)
        _check_protection(self.market_protection)
        if self.algo_id and not (
            self.algo_id.isascii() and self.algo_id.isprintable() and len(self.algo_id) <= ALGO_ID_MAX
        ):
            raise ValueError(f"`algo_id` is at most {ALGO_ID_MAX} printable ASCII characters")

    @classmethod
    def of(cls, execution: Mapping[str, Any]) -> LiveSettings:
        """From the column of a deployment, which holds its product beside them."""
        given = {name: value for name, value in execution.items() if name != "product"}
        return msgspec.convert(given, cls)


SETTINGS_BY_BROKER: dict[Broker, type[PaperSettings] | type[LiveSettings]] = {
    Broker.PAPER: PaperSettings,
    Broker.ZERODHA: LiveSettings,
}


def _check_protection(percent: Decimal) -> None:
    if not percent.is_finite() or (percent != KITE_BANDS and not 0 < percent <= PERCENT_MAX):
        raise ValueError("`market_protection` is -1 or percent above 0, at most 100")


def _check_approval(seconds: int) -> None:
    if not 0 <= seconds <= APPROVAL_S_MAX:
        raise ValueError(f"`approval_s` is from 0 to {APPROVAL_S_MAX}, not {seconds}")


def settings_of(execution: Mapping[str, Any], broker: Broker = Broker.PAPER) -> PaperSettings | LiveSettings:
    """The settings as somebody wrote them down. Raises ValueError, which names what is accepted."""
    kind = SETTINGS_BY_BROKER[broker]
    if "product" in execution:
        raise ValueError("execution: `product` stands beside `execution`, not in it")
    if odd := sorted(set(execution) - set(kind.__struct_fields__)):
        accepted = ", ".join(kind.__struct_fields__)
        raise ValueError(f"execution: {odd[0]!r} is an unknown field at {broker}; accepted: {accepted}")
    for name, words in (("liquidity", Liquidity), ("queue", Queue)):
        if execution.get(name) is not None and execution[name] not in list(words):
            raise ValueError(f"`{name}` {execution[name]!r}: accepted is {' or '.join(words)}")
    return msgspec.convert(execution, kind)


def as_paper(execution: Mapping[str, Any]) -> dict[str, Any]:
    """What of a deployment's column counts for its shadow on paper, which waits for nobody."""
    known = {"product", *PaperSettings.__struct_fields__} - {"approval_s"}
    return {name: value for name, value in execution.items() if name in known}
