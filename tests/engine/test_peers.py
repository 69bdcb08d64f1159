"""The published runs of other engines, fill by fill, each under the rule that its expected.json states.

The fifth case (EMA on ICICIBANK's minutes) is in test_published_case.py: it needs nothing but shipped parts."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from alphapanda.core.clock import ist_text
from alphapanda.core.money import to_e4, to_rupees
from alphapanda.core.vocabulary import Side
from alphapanda.engine.backtest import Run
from alphapanda.engine.costs import CostModel, Costs, cards_of
from alphapanda.engine.trades import Trade, profit_factor, trades_of, win_rate_percent
from marketdata.domain.calendar import Calendar
from marketdata.domain.instruments import InstrumentSpec
from marketdata.domain.ticks import Item
from marketdata.feeds.files import recorded_file
from marketdata.feeds.recorded import RecordedSource
from marketdata.reference import load_calendar
from tests.builders import an_instrument
from tests.engine import peer_strategies
from tests.engine.told import EVERY_WEEKDAY, closes_twice, deployed, one_run, twice
from tests.shared_data import SHARED, needs_shared_data

PEERS = SHARED / "peers"
DAY = len("2020-09-17")
MINUTE = len("2023-04-03T09:36")
ONE_MINUTE_MS = 60_000

pytestmark = needs_shared_data


@pytest.fixture(autouse=True, scope="module")
def _strategies_are_known() -> Iterable[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("alphapanda.engine.account.find", peer_strategies.ALL.__getitem__)
        yield


def stream(path: Path, hours: Calendar, *, tick_e4: int = 500) -> tuple[RecordedSource, InstrumentSpec]:
    instrument = an_instrument(1, tick_e4=tick_e4)
    source = RecordedSource(
        [recorded_file(f"{path}={instrument.key}")], instruments={instrument.key: instrument}, calendar=hours
    )
    assert source.reports[0].faulty == 0
    return source, instrument


def of_case(name: str) -> dict[str, Any]:
    return json.loads((PEERS / name / "expected.json").read_text())


def rows(name: str, file: str) -> list[dict[str, str]]:
    with (PEERS / name / file).open(newline="") as lines:
        return list(csv.DictReader(lines))


def fills_of(run: Run, shown: int, *, later_ms: int = 0) -> list[tuple[str, str, int, int]]:
    assert not run.error
    return [
        (ist_text(fill.at_ms + later_ms)[:shown], fill.side.value, fill.quantity, fill.price_e4)
        for fill in (row.fill for row in run.account.journal.fills)
    ]


def theirs(name: str, shown: int) -> list[tuple[str, str, int, int]]:
    return [
        (row["time"][:shown], row["side"], int(row["qty"]), to_e4(row["price"]))
        for row in rows(name, "fills.csv")
    ]


def closed_at(run: Run, price_e4: int, at_ms: int) -> list[Trade]:
    """The trades, the open one closed at a price, as backtesting.py does at the last bar's open."""
    fills = [row.fill for row in run.account.journal.fills]
    held = run.account.holdings[1].quantity
    closing = msgspec.structs.replace(
        fills[-1],
        fill_id=uuid4(),
        side=Side.SELL if held > 0 else Side.BUY,
        quantity=abs(held),
        price_e4=price_e4,
        at_ms=at_ms,
    )
    return trades_of([*fills, closing])


def check_trades(ours: list[Trade], name: str) -> None:
    """Size, days, prices and profit of every trade."""
    mine = [
        (
            trade.size,
            ist_text(trade.entered_at_ms)[:DAY],
            trade.entry_price,
            ist_text(trade.exited_at_ms)[:DAY],
            trade.exit_price,
            trade.gross,
        )
        for trade in ours
    ]
    assert mine == [
        (
            int(row["size"]),
            row["entry_time"][:DAY],
            Decimal(row["entry_price"]),
            row["exit_time"][:DAY],
            Decimal(row["exit_price"]),
            Decimal(row["pnl"]),
        )
        for row in rows(name, "trades.csv")
    ]


def last_open(items: Iterable[Item]) -> tuple[int, int]:
    """Price and time of the open of the last bar of a stream of days."""
    *_, opening, _, _, _ = (item for item in items if hasattr(item, "price_e4"))
    return opening.price_e4, opening.at_ms


INFY = "sma_kite_day_INFY_long_100"


def test_simple_averages_on_days_of_infy() -> None:
    """Decided on a day's close, filled at the next day's open."""
    nse = load_calendar("NSE")
    source, instrument = stream(SHARED / "bars_daily/kite_day_2020-07_2026-01_INFY.csv.gz", nse)
    run = one_run(source.iter_from(), deployed("peer_sma_cross_long", instrument), hours=nse)
    expected = of_case(INFY)["expected"]

    assert fills_of(run, DAY) == theirs(INFY, DAY)
    assert len(run.account.journal.fills) == expected["fills_without_forced_exit"] == 51
    assert run.curve[-1].equity == Decimal(str(expected["backtrader_final_value"]))
    trades = closed_at(run, *last_open(source.iter_from()))
    check_trades(trades, INFY)
    nets = [trade.gross for trade in trades]
    assert (len(trades), sum(nets)) == (expected["trades"], Decimal(str(expected["gross_pnl"])))
    assert (max(nets), min(nets)) == (expected["best"], expected["worst"])
    assert (sum(net > 0 for net in nets), sum(net < 0 for net in nets)) == (
        expected["winners"],
        expected["losers"],
    )
    assert profit_factor(nets) == pytest.approx(expected["profit_factor"], rel=1e-9)


GOOG = "backtesting_py_goog_sma10_30"


@pytest.fixture(scope="module")
def goog(tmp_path_factory: pytest.TempPathFactory) -> tuple[RecordedSource, Run]:
    """The file with our header and zone; the open is told twice, for its rule sizes an order by the very price
    at which it fills."""
    path = tmp_path_factory.mktemp("goog") / "days.csv"
    with gzip.open(PEERS / GOOG / "GOOG.csv.gz", "rt") as lines:
        days = [line.strip().partition(",") for line in list(lines)[1:]]
    told = "".join(f"{day}T00:00:00+05:30,{cells}\n" for day, _, cells in days)
    path.write_text("timestamp,open,high,low,close,volume\n" + told)
    source, instrument = stream(path, EVERY_WEEKDAY, tick_e4=100)
    items = twice(
        source.iter_from(), lambda tick: tick.at_ms % 86_400_000 == (9 * 60 + 15 - 330) * ONE_MINUTE_MS
    )
    run = one_run(items, deployed("peer_all_in", instrument), hours=EVERY_WEEKDAY, cash=10_000)
    return source, run


def test_all_in_on_days_of_goog(goog: tuple[RecordedSource, Run]) -> None:
    source, run = goog
    published = of_case(GOOG)["published"]
    trades = closed_at(run, *last_open(source.iter_from()))

    check_trades(trades, GOOG)
    assert len(trades) == published["# Trades"] == 66
    assert len(run.account.journal.fills) == 131
    nets = [trade.gross for trade in trades]
    assert float(10_000 + sum(nets)) == pytest.approx(published["Equity Final [$]"], rel=1e-12)
    assert win_rate_percent(nets) == pytest.approx(published["Win Rate [%]"])
    returns = [trade.gross / abs(trade.size) / trade.entry_price for trade in trades]
    assert float(100 * max(returns)) == pytest.approx(published["Best Trade [%]"])
    assert float(100 * min(returns)) == pytest.approx(published["Worst Trade [%]"])
    assert profit_factor(returns) == pytest.approx(published["Profit Factor"])


def test_equity_of_goog_is_theirs_on_every_day(goog: tuple[RecordedSource, Run]) -> None:
    _, run = goog
    ours = {ist_text(point.at_ms)[:DAY]: point.equity for point in run.curve}
    with gzip.open(PEERS / GOOG / "equity.csv.gz", "rt") as lines:
        theirs = {row[""][:DAY]: float(row["Equity"]) for row in csv.DictReader(lines)}
    last = max(theirs)  # on which theirs leaves at the open

    assert len(ours) == len(theirs) == 2_148
    assert {day: float(equity) for day, equity in ours.items() if day != last} == pytest.approx(
        {day: equity for day, equity in theirs.items() if day != last}, rel=1e-12
    )
    assert max(map(float, ours.values())) == pytest.approx(of_case(GOOG)["published"]["Equity Peak [$]"])


SBIN = "nautilus_ema_1min_SBIN_100"


def test_nautilus_on_minutes_of_sbin() -> None:
    """Filled at the close that decided: the close is told twice. Time is the end of the bar."""
    nse = load_calendar("NSE")
    source, instrument = stream(SHARED / "bars_1min/kite_1min_2023-04_SBIN.csv.gz", nse)
    items = closes_twice(source.iter_from())
    run = one_run(items, deployed("peer_nautilus_ema_cross", instrument), hours=nse)
    expected = of_case(SBIN)["expected"]

    assert fills_of(run, MINUTE, later_ms=1) == theirs(SBIN, MINUTE)
    assert len(run.account.journal.fills) == expected["fills"] == 799
    assert run.account.holdings[1].quantity == expected["net_quantity_at_end"]
    assert to_rupees(run.account.machine.state.marks[1].price_e4) == Decimal(str(expected["last_close"]))
    earned = run.curve[-1].equity - 1_000_000
    assert earned == Decimal(str(expected["total_pnl_marked_at_last_close"]))


YESBANK = "lean_india_buy_one_2019"


def test_lean_buys_one_yesbank() -> None:
    """Filled at the first close, six rupees an order; prints after the session mark nothing."""
    nse = load_calendar("NSE")
    source, instrument = stream(SHARED / "bars_1min/lean_1min_2019-07_YESBANK.csv.gz", nse)
    items = closes_twice(source.iter_from())
    cards = cards_of(Costs(CostModel.PER_ORDER, Decimal(6)))
    run = one_run(items, deployed("peer_buy_once", instrument), hours=nse, cards=cards, cash=100_000)
    published = of_case(YESBANK)["published"]

    assert fills_of(run, MINUTE, later_ms=1) == [("2019-07-09T09:16", "BUY", 1, to_e4("94.85"))]
    assert len(run.account.journal.orders) == published["total_orders"]
    assert run.performance().statistics.charges == Decimal(str(published["total_fees"]))
    assert run.curve[-1].equity == Decimal(str(published["end_equity"]))
