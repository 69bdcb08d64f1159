"""Markets: what trades by the same hours and rules. An instrument belongs to one by its own data alone."""

from __future__ import annotations

from enum import StrEnum

INDICES = "INDICES"  # the segment of indices in Kite's list


class UnknownMarket(LookupError):
    """An exchange whose hours and rules nobody has told."""


class Market(StrEnum):
    """NSE_FNO and BSE_FNO: cash stocks on which derivatives trade, and indices. They stop for a closing auction."""

    NSE = "NSE"
    NSE_FNO = "NSE_FNO"
    BSE = "BSE"
    BSE_FNO = "BSE_FNO"
    NFO = "NFO"
    BFO = "BFO"
    CDS = "CDS"
    BCD = "BCD"
    MCX = "MCX"

    @property
    def exchange(self) -> str:
        """The exchange as Kite names it: holidays and special sessions are kept by it."""
        return self.value.removesuffix("_FNO")


EXCHANGES = tuple(dict.fromkeys(market.exchange for market in Market))
_FROM_NINE = frozenset({"CDS", "BCD", "MCX"})
_CASH = {"NSE": (Market.NSE, Market.NSE_FNO), "BSE": (Market.BSE, Market.BSE_FNO)}


def market_of(*, exchange: str, segment: str, has_derivatives: bool) -> Market:
    """The market of an instrument. Raises UnknownMarket."""
    if exchange in _CASH:
        plain, with_derivatives = _CASH[exchange]
        return with_derivatives if has_derivatives or segment == INDICES else plain
    try:
        return Market(exchange)
    except ValueError:
        there_are = ", ".join(sorted(EXCHANGES))
        raise UnknownMarket(f"no market is known for exchange {exchange!r}; there are: {there_are}") from None


def anchor_minutes(exchange: str) -> int:
    """Minutes after midnight in India from which bars of an exchange count, as Kite's candles do: its opening."""
    return 9 * 60 if exchange in _FROM_NINE else 9 * 60 + 15
