"""Trades and figures against what other trading software states for the same fills and returns."""

from __future__ import annotations

import csv
import gzip
import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core import ids
from alphapanda.core.clock import IST, to_ms
from alphapanda.core.money import ZERO, to_e4
from alphapanda.core.vocabulary import Side
from alphapanda.engine import ratios
from alphapanda.engine import statistics as figures
from alphapanda.engine.statistics import Mark, daily_returns, equity_curve, performance
from alphapanda.engine.trades import trades_of, win_rate_percent
from portfolio.domain.books import BookedFill, net, unrealised
from portfolio.domain.history import rebuild
from tests.shared_data import SHARED, needs_shared_data

DEPLOYMENT = ids.deployment_id("statistics")
MILLION = Decimal(1_000_000)
DAY_MS = 86_400_000
SCALE = 100  # LEAN's currency prices become whole 1/10,000 rupees


def at(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return to_ms(moment if moment.tzinfo else moment.replace(tzinfo=IST))


def fill(
    number: int,
    side: str,
    quantity: int,
    price: object,
    *,
    at_ms: int | None = None,
    charges: object = 0,
    instrument: str = "NSE:INFY",
) -> BookedFill:
    order = ids.derived("order", number)
    return BookedFill(
        fill_id=ids.fill_id(order, 1),
        order_id=order,
        deployment_id=DEPLOYMENT,
        instrument=instrument,
        token=408065,
        side=Side(side),
        quantity=quantity,
        price_e4=to_e4(str(price)),
        charges={"fee": Decimal(str(charges))},
        at_ms=number if at_ms is None else at_ms,
    )


def rows(path: Path) -> list[dict[str, str]]:
    if path.suffix == ".gz":
        with gzip.open(path, "rt") as lines:
            return list(csv.DictReader(lines))
    with path.open() as lines:
        return list(csv.DictReader(lines))


def peer_fills(folder: Path) -> list[BookedFill]:
    return [
        fill(n, row["side"], int(row["qty"]), row["price"], at_ms=at(row["time"]))
        for n, row in enumerate(rows(folder / "fills.csv"))
    ]


def closes(path: Path, delay_ms: int) -> list[Mark]:
    """Marks at the end of each bar."""
    return [Mark(at(r["timestamp"]) + delay_ms, "NSE:INFY", to_e4(r["close"])) for r in rows(path)]


PEERS = [
    (
        "ema_kite_1min_ICICIBANK_2023-04_long_short_100",
        "bars_1min/kite_1min_2023-04_ICICIBANK.csv.gz",
        60_000,
    ),
    ("sma_kite_day_INFY_long_100", "bars_daily/kite_day_2020-07_2026-01_INFY.csv.gz", DAY_MS // 2),
]


@needs_shared_data
@pytest.mark.parametrize(("name", "bars", "delay_ms"), PEERS)
def test_trades_and_figures_of_peer_runs(name: str, bars: str, delay_ms: int) -> None:
    """Every trade of backtesting.py (size, prices, profit, times), its totals, backtrader's end value."""
    folder = SHARED / "peers" / name
    expected = json.loads((folder / "expected.json").read_text())["expected"]
    theirs = rows(folder / "trades.csv")
    fills = peer_fills(folder)
    assert len(fills) == expected["fills_without_forced_exit"]
    marks = closes(SHARED / bars, delay_ms)
    still_open = performance(starting_cash=MILLION, fills=fills, marks=marks)
    assert still_open.curve[-1].equity == Decimal(str(expected["backtrader_final_value"]))
    assert still_open.statistics.trades == expected["trades"] - 1

    last = theirs[-1]
    side = "SELL" if int(last["size"]) > 0 else "BUY"
    fills.append(fill(10**6, side, abs(int(last["size"])), last["exit_price"], at_ms=at(last["exit_time"])))
    done = performance(starting_cash=MILLION, fills=fills, marks=marks)
    ours = [
        (t.size, t.entry_price, t.exit_price, t.gross, t.entered_at_ms, t.exited_at_ms) for t in done.trades
    ]
    assert ours == [
        (
            int(t["size"]),
            Decimal(t["entry_price"]),
            Decimal(t["exit_price"]),
            Decimal(t["pnl"]),
            at(t["entry_time"]),
            at(t["exit_time"]),
        )
        for t in theirs
    ]
    stated = done.statistics
    assert (stated.trades, stated.winners, stated.losers) == (
        expected["trades"],
        expected["winners"],
        expected["losers"],
    )
    assert (stated.best, stated.worst) == (expected["best"], expected["worst"])
    assert stated.gross_pnl == stated.net_pnl == Decimal(str(expected["gross_pnl"]))
    assert stated.profit_factor == pytest.approx(expected["profit_factor"], rel=1e-9)
    assert done.curve[-1].equity == Decimal(str(expected["final_equity_with_forced_exit"]))


@needs_shared_data
def test_the_open_short_of_nautilus_is_marked_at_the_last_close() -> None:
    folder = SHARED / "peers" / "nautilus_ema_1min_SBIN_100"
    expected = json.loads((folder / "expected.json").read_text())["expected"]
    marks = closes(SHARED / "bars_1min" / "kite_1min_2023-04_SBIN.csv.gz", 60_000)
    run = performance(starting_cash=MILLION, fills=peer_fills(folder), marks=marks)
    assert run.statistics.net_pnl == Decimal(str(expected["total_pnl_marked_at_last_close"]))


@needs_shared_data
def test_the_drawdown_of_a_published_equity_curve() -> None:
    folder = SHARED / "peers" / "backtesting_py_goog_sma10_30"
    published = json.loads((folder / "expected.json").read_text())["published"]
    equities = [Decimal(list(row.values())[1]) for row in rows(folder / "equity.csv.gz")]
    assert figures.max_drawdown_percent(equities) == pytest.approx(-published["Max. Drawdown [%]"], rel=1e-9)
    nets = [Decimal(row["pnl"]) for row in rows(folder / "trades.csv")]
    assert len(nets) == published["# Trades"]
    assert win_rate_percent(nets) == pytest.approx(published["Win Rate [%]"], rel=1e-9)


def flat_to_flat_cases() -> list[dict[str, Any]]:
    path = SHARED / "accounting" / "closed_trades_fifo_lifo.json"
    cases = json.loads(path.read_text(), parse_float=Decimal)["cases"] if path.is_file() else []
    return [case for case in cases if "flat_to_flat" in case]


@needs_shared_data
@pytest.mark.parametrize("case", flat_to_flat_cases(), ids=lambda case: str(case["id"]))
def test_flat_to_flat_trades_of_lean(case: dict[str, Any]) -> None:
    events = [event for event in case["events"] if "fill" in event]
    fills = [
        fill(e["fill"], e["side"], e["qty"], e["price"] * SCALE, charges=e["fee"] * SCALE) for e in events
    ]
    ours = trades_of(fills)
    assert len(ours) == len(case["flat_to_flat"])
    for trade, expected in zip(ours, case["flat_to_flat"], strict=True):
        assert trade.size == expected["qty"] * (1 if expected["direction"] == "LONG" else -1)
        assert float(trade.entry_price / SCALE) == pytest.approx(float(expected["entry_price"]), abs=1e-9)
        assert float(trade.exit_price / SCALE) == pytest.approx(float(expected["exit_price"]), abs=1e-9)
        assert trade.gross == expected["pnl"] * SCALE
        assert trade.charges == expected["fees"] * SCALE


def test_what_is_undefined_is_none() -> None:
    nothing = performance(starting_cash=MILLION, fills=[], marks=[]).statistics
    assert (nothing.trades, nothing.net_pnl) == (0, 0)
    undefined = ("profit_factor", "best", "worst", "win_rate_percent", "max_drawdown", "sharpe", "sortino")
    assert [getattr(nothing, name) for name in undefined] == [None] * len(undefined)
    assert nothing.exposure_percent is None
    assert ratios.sharpe([0.01] * 9) is None
    assert ratios.sharpe([0.01]) is None
    assert ratios.sortino([0.01, 0.02]) is None
    assert figures.max_drawdown_percent([ZERO, Decimal(-5)]) is None


def test_an_account_without_capital_has_no_returns() -> None:
    run = performance(starting_cash=ZERO, fills=[fill(1, "BUY", 1, 10)], marks=[Mark(2, "NSE:INFY", 110_000)])
    assert daily_returns(ZERO, run.curve) == []
    assert run.statistics.sharpe is None
    assert run.statistics.net_pnl == 1


def test_a_fill_through_zero_shares_its_charges() -> None:
    trades = trades_of(
        [
            fill(1, "BUY", 10, 100, charges=1),
            fill(2, "SELL", 30, 110, charges="0.1"),
            fill(3, "BUY", 20, 100, charges=2),
        ]
    )
    third = Decimal("0.03333333")
    assert [(t.size, t.gross, t.charges) for t in trades] == [
        (10, 100, 1 + third),
        (-20, 200, Decimal("2.1") - third),
    ]


def test_without_a_mark_an_instrument_is_worth_its_last_fill() -> None:
    fills = [fill(1, "BUY", 10, 100), fill(2, "BUY", 10, 110), fill(3, "BUY", 10, 50)]
    assert [p.exposure for p in equity_curve(starting_cash=ZERO, fills=fills, marks=[])] == [1000, 2200, 1500]
    marked = equity_curve(starting_cash=ZERO, fills=fills, marks=[Mark(1, "NSE:INFY", to_e4(120))])
    assert [p.equity for p in marked] == [200, 300, 1000]


def test_daily_returns_take_the_last_equity_of_an_indian_day() -> None:
    fills = [fill(1, "BUY", 100, 100, at_ms=at("2023-04-03T09:15:00"))]
    marks = [
        Mark(at("2023-04-03T12:00:00"), "NSE:INFY", to_e4(90)),
        Mark(at("2023-04-03T15:29:00"), "NSE:INFY", to_e4(110)),
        Mark(at("2023-04-05T15:29:00"), "NSE:INFY", to_e4("99")),
    ]
    cash = Decimal(100_000)
    run = performance(starting_cash=cash, fills=fills, marks=marks)
    assert daily_returns(cash, run.curve) == pytest.approx([0.01, 99_900 / 101_000 - 1])
    assert run.statistics.max_drawdown == 1_100
    assert run.statistics.max_drawdown_percent == pytest.approx(100 * 1_100 / 101_000)
    assert run.statistics.exposure_percent == 100
    assert [point.exposure for point in run.curve] == [10_000, 9_000, 11_000, 9_900]


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["BUY", "SELL"]),
        st.integers(1, 100),
        st.integers(1, 50_000_000),
        st.decimals(0, 50, places=8),
        st.sampled_from(["NSE:INFY", "NSE:SBIN"]),
    ),
    max_size=30,
)


@given(ROWS, st.integers(1, 50_000_000))
def test_equity_agrees_with_the_books(made: list[tuple[str, int, int, Decimal, str]], mark_e4: int) -> None:
    fills = [
        fill(n, side, quantity, Decimal(price_e4) / 10_000, charges=charges, instrument=instrument)
        for n, (side, quantity, price_e4, charges, instrument) in enumerate(made)
    ]
    marks = [Mark(len(fills), name, mark_e4) for name in ("NSE:INFY", "NSE:SBIN")]
    curve = equity_curve(starting_cash=MILLION, fills=fills, marks=marks)
    holdings = rebuild(fills).values()
    assert curve[-1].equity - MILLION == sum((net(h) + unrealised(h, mark_e4) for h in holdings), ZERO)
    assert curve[-1].exposure == sum(abs(h.quantity) for h in holdings) * Decimal(mark_e4) / 10_000
    if all(holding.quantity == 0 for holding in holdings):
        trades = trades_of(fills)
        assert sum(trade.net for trade in trades) == sum(map(net, holdings), ZERO)
