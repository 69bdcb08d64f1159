"""Ratios of daily returns, computed by empyrical. Floats: these are statistics, never money.

What the library cannot state (it says nan or inf: no returns, none that vary, none that lose) is None here. The
import of the library costs a second, so it happens when the first ratio is asked for."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

TRADING_DAYS_PER_YEAR = 252  # the convention of empyrical, quantstats and backtesting.py
NEGLIGIBLE = 1e-12  # a deviation of equal returns is no exact nought in floats
PERCENT = 100


def sharpe(returns: Sequence[float], *, periods_per_year: int = TRADING_DAYS_PER_YEAR) -> float | None:
    """Mean over sample deviation (ddof 1), annualised; None for fewer than two returns or no deviation."""
    if not returns or max(returns) - min(returns) <= NEGLIGIBLE:
        return None
    return _stated("sharpe_ratio", returns, annualization=periods_per_year)


def sortino(returns: Sequence[float], *, periods_per_year: int = TRADING_DAYS_PER_YEAR) -> float | None:
    """Mean over downside deviation (of all periods, target zero), annualised; None without a loss."""
    return _stated("sortino_ratio", returns, annualization=periods_per_year)


def annual_return(returns: Sequence[float], *, periods_per_year: int = TRADING_DAYS_PER_YEAR) -> float | None:
    """Compound growth a year, as a fraction."""
    return _stated("annual_return", returns, annualization=periods_per_year)


def annual_volatility(
    returns: Sequence[float], *, periods_per_year: int = TRADING_DAYS_PER_YEAR
) -> float | None:
    """Sample deviation, annualised, as a fraction; None for fewer than two returns."""
    return _stated("annual_volatility", returns, annualization=periods_per_year)


def downside_risk(returns: Sequence[float], *, periods_per_year: int = TRADING_DAYS_PER_YEAR) -> float | None:
    """Deviation of the losses over all periods, annualised, as a fraction."""
    return _stated("downside_risk", returns, annualization=periods_per_year)


def calmar(returns: Sequence[float], *, periods_per_year: int = TRADING_DAYS_PER_YEAR) -> float | None:
    """Annual return over the deepest fall of compounded returns; None where there was none."""
    return _stated("calmar_ratio", returns, annualization=periods_per_year)


def max_fall(returns: Sequence[float]) -> float | None:
    """The deepest fall of compounded returns as a fraction below zero."""
    return _stated("max_drawdown", returns)


def tail_ratio(returns: Sequence[float]) -> float | None:
    """The 95th percentile of the returns over the 5th, counted up."""
    return _stated("tail_ratio", returns)


def value_at_risk(returns: Sequence[float]) -> float | None:
    """The return that one day in twenty falls below, as a fraction."""
    return _stated("value_at_risk", returns) if returns else None


def percent(fraction: float | None) -> float | None:
    """A fraction in percent."""
    return None if fraction is None else PERCENT * fraction


def _stated(name: str, returns: Sequence[float], **options: Any) -> float | None:
    import empyrical
    import numpy as np

    function: Callable[..., Any] = getattr(empyrical, name)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        stated = float(function(np.asarray(returns, dtype=float), **options))
    return stated if math.isfinite(stated) else None
