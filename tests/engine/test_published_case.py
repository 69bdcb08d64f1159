"""A published run of other engines (backtesting.py and backtrader, the same fills), reproduced fill by fill.

EMA 9 over 21 on ICICIBANK's minute bars of April 2023: decided on a closed bar, filled at the next bar's open, so
without latency, slippage or limits of size; the decision of a day's last bar waits for the next session."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from alphapanda.core.clock import ist_text
from alphapanda.core.money import to_e4
from alphapanda.core.vocabulary import Side
from alphapanda.deploying import Definition
from alphapanda.engine.backtest import Run
from alphapanda.engine.recorded import Recording
from alphapanda.engine.statistics import Trade, trades_of
from marketdata.feeds.files import FileReport, read_ticks
from tests.shared_data import SHARED, needs_shared_data

BARS = SHARED / "bars_1min" / "kite_1min_2023-04_ICICIBANK.csv.gz"
PEER = SHARED / "peers" / "ema_kite_1min_ICICIBANK_2023-04_long_short_100"
KEY = "NSE:ICICIBANK"
NEXT_OPEN = {
    "latency_ms": 0,
    "slippage_ticks": 0,
    "liquidity": "UNLIMITED",
    "may_queue": True,
    "square_off": False,
}

pytestmark = needs_shared_data


# The tick size of April 2023 is 0.05 rupees; a list of 2025 has 0.10, and fills would be rounded to it.
LIST_OF_2023 = """\
instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,instrument_type,segment,exchange
1270529,4963,ICICIBANK,ICICI BANK,0,,0,0.05,1,EQ,NSE,NSE
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    listed = tmp_path_factory.mktemp("lists") / "instruments.csv"
    listed.write_text(LIST_OF_2023)
    definition = Definition(
        name="published",
        strategy="ema_cross",
        instruments=(KEY,),
        params={"fast": 9, "slow": 21, "quantity": 100},
        execution=NEXT_OPEN,
    )
    recording = Recording([f"{BARS}={KEY}"], [definition], [listed])
    [run] = recording.backtest(recording.source(), starting_cash=Decimal(1_000_000))
    return run


def rows(name: str) -> list[dict[str, str]]:
    with (PEER / name).open(newline="") as lines:
        return list(csv.DictReader(lines))


def expected() -> dict[str, Any]:
    return json.loads((PEER / "expected.json").read_text())["expected"]


def time_of(at_ms: int) -> str:
    """IST without zone and milliseconds, as the peers write it."""
    return ist_text(at_ms)[: len("2023-04-03T10:08:00")]


def with_forced_exit(run: Run) -> list[Trade]:
    """The trades, the one still open closed at the open of the last bar, as backtesting.py does."""
    fills = [row.fill for row in run.account.journal.fills]
    *_, opening, _, _, _ = read_ticks(BARS, token=1, is_index=False, report=FileReport(BARS))
    held = run.account.holdings[fills[-1].token].quantity
    closing = msgspec.structs.replace(
        fills[-1],
        fill_id=uuid4(),
        side=Side.SELL if held > 0 else Side.BUY,
        quantity=abs(held),
        price_e4=opening.price_e4,
        at_ms=opening.at_ms,
    )
    return trades_of([*fills, closing])


def test_every_fill_is_theirs(run: Run) -> None:
    ours = [
        (time_of(fill.at_ms), fill.side.value, fill.quantity, fill.price_e4)
        for fill in (row.fill for row in run.account.journal.fills)
    ]
    theirs = [(row["time"], row["side"], int(row["qty"]), to_e4(row["price"])) for row in rows("fills.csv")]

    assert len(ours) == expected()["fills_without_forced_exit"] == 673
    assert ours == theirs


def test_every_trade_is_theirs(run: Run) -> None:
    ours = [
        (
            trade.size,
            time_of(trade.entered_at_ms),
            trade.entry_price,
            time_of(trade.exited_at_ms),
            trade.exit_price,
            trade.gross,
        )
        for trade in with_forced_exit(run)
    ]
    theirs = [
        (
            int(row["size"]),
            row["entry_time"],
            Decimal(row["entry_price"]),
            row["exit_time"],
            Decimal(row["exit_price"]),
            Decimal(row["pnl"]),
        )
        for row in rows("trades.csv")
    ]

    assert len(ours) == expected()["trades"] == 337
    assert ours == theirs


def test_the_sums_are_theirs(run: Run) -> None:
    gross = [trade.gross for trade in with_forced_exit(run)]

    assert sum(gross) == Decimal(str(expected()["gross_pnl"])) == Decimal(-18495)
    assert (max(gross), min(gross)) == (expected()["best"], expected()["worst"])
    assert sum(one > 0 for one in gross) == expected()["winners"]
    assert sum(one < 0 for one in gross) == expected()["losers"]


def test_the_last_equity_is_backtraders_less_our_charges(run: Run) -> None:
    figures = run.performance().statistics

    assert run.curve[-1].equity + figures.charges == Decimal(str(expected()["backtrader_final_value"]))
