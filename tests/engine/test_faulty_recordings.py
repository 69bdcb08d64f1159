"""Recordings with faults: what is traded on them is traded on their sound ticks only."""

from __future__ import annotations

import pytest

from alphapanda.core.vocabulary import Product
from alphapanda.deploying import Definition
from alphapanda.engine.recorded import Recording
from marketdata.domain.quality import GateBook
from marketdata.domain.ticks import Clock
from marketdata.reference import load_calendars
from tests.shared_data import SHARED, needs_shared_data

LISTS = [SHARED / "instruments" / "kite_instruments_NSE_2025-07.csv.gz"]
FILES = {
    "nse_ltp_2021-04-30_dirty_RELIANCE": "NSE:RELIANCE",  # rows of 1970 and of a Saturday
    "nse_ltp_2021-06-02_RELIANCE": "NSE:RELIANCE",  # times that go back, duplicates
    "nse_depth5_2025-12-15_NSE_BSE": "NSE:BSE",  # silent for minutes, rows after hours
}


@needs_shared_data
@pytest.mark.parametrize("name", FILES)
def test_no_order_comes_of_a_faulty_tick(name: str) -> None:
    """A strategy that trades at nearly every bar: its signals, orders and fills are of times at which a sound tick
    or the clock stood, and every fill is of a sound tick, at no price beyond those of sound ticks."""
    definition = Definition(
        name="eager",
        strategy="ema_cross",
        params={"fast": 1, "slow": 2, "quantity": 1, "bar_minutes": 1},
        instruments=(FILES[name],),
        product=Product.MIS,
    )
    recording = Recording([str(SHARED / "ticks" / f"{name}.csv.gz")], [definition], LISTS)
    source = recording.source()
    calendar = load_calendars().of(recording.known[FILES[name]])
    gate, sound, faulty, clock = GateBook(), {}, set(), set()
    for item in source.iter_from():
        if isinstance(item, Clock):
            gate.on_clock(item.at_ms)
            clock.add(item.at_ms)
        elif gate.judge(item, calendar) is None:
            sound[item.at_ms] = item
        else:
            faulty.add(item.at_ms)

    [run] = recording.backtest(source)
    journal = run.account.journal
    assert len(journal.fills) > 20
    assert faulty - sound.keys()
    assert {row.fill.at_ms for row in journal.fills} <= sound.keys()
    assert {row.at_ms for row in journal.signals} <= sound.keys() | clock
    prices = [tick.price_e4 for tick in sound.values()]
    reach = max(prices) // 100  # the depth of a tick and a tick of slippage
    assert all(min(prices) - reach <= row.fill.price_e4 <= max(prices) + reach for row in journal.fills)
