"""Figures of trades and ratios of returns: every case that other trading software states for the same question."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from alphapanda.core.money import ZERO
from alphapanda.engine import ratios
from alphapanda.engine import statistics as figures
from alphapanda.engine.trades import Trade, trade_figures, win_rate_percent
from tests.engine.test_statistics import rows
from tests.shared_data import SHARED, needs_shared_data


def metrics() -> dict[str, Any]:
    path = SHARED / "stats" / "performance_metrics.json"
    return dict(json.loads(path.read_text())) if path.is_file() else {}


def compounded(returns: list[float]) -> list[Decimal]:
    equities = [Decimal(1)]
    for one in returns:
        equities.append(equities[-1] * (1 + Decimal(one)))
    return equities


PER_YEAR = {
    "sharpe": ratios.sharpe,
    "sortino": ratios.sortino,
    "annual_return": ratios.annual_return,
    "annual_volatility": ratios.annual_volatility,
    "calmar": ratios.calmar,
    "downside_risk": ratios.downside_risk,
}


def our_figure(metric: str, returns: list[float], periods_per_year: int) -> float | None:
    if metric == "max_drawdown":
        return ratios.max_fall(returns)
    return PER_YEAR[metric](returns, periods_per_year=periods_per_year)


def returns_cases() -> list[tuple[str, list[float], int, float | None]]:
    """All cases of empyrical and nautilus about returns; a missing one is nan, which empyrical skips in a sum and
    counts as time."""
    data = metrics()
    if not data:
        return []
    per_year = data["rules"]["periods_per_year"]
    empyrical = [
        (case["metric"], data["empyrical"]["series"][case["series"]], per_year[case["period"]], case["value"])
        for case in data["empyrical"]["expected"]
    ]
    nautilus = [
        (case["metric"], case["returns"], per_year[case.get("period", "daily")], case["value"])
        for case in data["nautilus"]["cases"]
        if "returns" in case
    ]
    return [
        (metric, [math.nan if one is None else one for one in returns], periods, value)
        for metric, returns, periods, value in empyrical + nautilus
    ]


@needs_shared_data
def test_no_case_is_left_out() -> None:
    data = metrics()
    of_profits = [case for case in data["nautilus"]["cases"] if "pnls" in case]
    assert len(returns_cases()) + len(of_profits) == len(data["empyrical"]["expected"]) + len(
        data["nautilus"]["cases"]
    )
    assert (len(returns_cases()), len(of_profits)) == (14, 4)
    assert len(data["lean_trade_statistics"]["cases"]) == 2
    assert len(data["real_series"]) == 1


@needs_shared_data
@pytest.mark.parametrize(("metric", "returns", "periods", "expected"), returns_cases())
def test_published_figures_of_returns(
    metric: str, returns: list[float], periods: int, expected: float | None
) -> None:
    ours = our_figure(metric, returns, periods)
    assert ours == (None if expected is None else pytest.approx(expected, rel=1e-9, abs=1e-12))


def trade(pnl: object, *, size: int = 1, minutes: tuple[int, int] = (0, 1), fees: object = 0) -> Trade:
    entered, exited = (minute * 60_000 for minute in minutes)
    return Trade("X", size, ZERO, ZERO, Decimal(str(pnl)), Decimal(str(fees)), entered, exited)


OF_PROFITS = {
    "profit_factor": lambda found: found.profit_factor,
    "win_rate": lambda found: found.win_rate_percent / 100,
    "expectancy": lambda found: float(found.expectancy),
}


@needs_shared_data
def test_published_figures_of_profits() -> None:
    cases = [case for case in metrics()["nautilus"]["cases"] if "pnls" in case]
    for case in cases:
        found = trade_figures([trade(one) for one in case["pnls"]])
        assert OF_PROFITS[case["metric"]](found) == pytest.approx(case["value"])
    assert len(cases) == 4


@needs_shared_data
def test_figures_of_a_real_series() -> None:
    """Every figure of both libraries, but those that are not about a trading account (a win rate of days)."""
    series = metrics()["real_series"][0]
    prices = [
        Decimal(row["close"]) for row in rows(SHARED / "bars_daily/kite_day_2020-07_2026-01_INFY.csv.gz")
    ]
    returns = [float(after / before) - 1 for before, after in pairwise(prices)]
    assert len(returns) == series["n"]
    ours = {
        "total_return": float(prices[-1] / prices[0]) - 1,
        "annual_return_252": ratios.annual_return(returns),
        "annual_volatility": ratios.annual_volatility(returns),
        "sharpe": ratios.sharpe(returns),
        "sortino": ratios.sortino(returns),
        "max_drawdown": ratios.max_fall(returns),
        "calmar": ratios.calmar(returns),
        "tail_ratio": ratios.tail_ratio(returns),
        "var_95": ratios.value_at_risk(returns),
    }
    assert ours == pytest.approx(series["empyrical_reloaded_0_7_1"], rel=1e-9)
    assert -100 * ours["max_drawdown"] == pytest.approx(figures.max_drawdown_percent(prices), rel=1e-9)
    quantstats = {"cagr": ours["annual_return_252"], "volatility": ours["annual_volatility"]} | ours
    days = trade_figures([trade(one) for one in returns])
    quantstats["profit_factor_days"] = days.profit_factor
    quantstats["win_rate_days"] = win_rate_percent([Decimal(one) for one in returns if one]) / 100
    stated = series["quantstats_0_0_86"]
    assert {name: quantstats[name] for name in stated} == pytest.approx(stated, rel=1e-9)


@needs_shared_data
def test_lean_trade_statistics() -> None:
    """Three winners and no trade. A profit factor without losses is None here (LEAN caps it at 10), and so are
    the win rate and profit factor of no trades (LEAN states 0)."""
    winners, nothing = metrics()["lean_trade_statistics"]["cases"]
    expect = winners["expect"]
    trades = [
        trade(t["pnl"], size=t["qty"], minutes=(t["entry_minute"], t["exit_minute"]))
        for t in winners["trades"]
    ]
    found = trade_figures(trades)
    ours = {
        "trades": found.trades,
        "winners": found.winners,
        "losers": found.losers,
        "total_pnl": found.total_profit + found.total_loss,
        "total_profit": found.total_profit,
        "total_loss": found.total_loss,
        "largest_profit": found.best,
        "average_pnl": float(found.expectancy or 0),
        "average_profit": float(found.average_win or 0),
        "avg_duration_min": found.average_minutes,
        "max_consecutive_wins": found.longest_wins,
        "win_rate": found.winners / found.trades,
        "loss_rate": found.losers / found.trades,
        "max_closed_trade_drawdown": found.closed_drawdown,
        "pnl_std": found.trade_deviation,
        "sharpe_of_trades": found.trade_sharpe,
        "total_fees": sum(t["fees"] for t in winners["trades"]),
    }
    assert ours == pytest.approx(expect)
    assert found.profit_factor is found.average_loss is None
    none = trade_figures([])
    assert (none.trades, none.total_profit + none.total_loss) == (0, nothing["expect"]["total_pnl"])
    assert none.win_rate_percent is none.profit_factor is none.expectancy is None


def test_streaks_and_the_fall_of_closed_trades() -> None:
    found = trade_figures([trade(net) for net in (5, 7, -3, -4, -1, 0, 9, -2)])
    assert (found.longest_wins, found.longest_losses, found.closed_drawdown) == (2, 3, 8)
    assert (found.average_win, found.average_loss) == (7, Decimal("-2.5"))
