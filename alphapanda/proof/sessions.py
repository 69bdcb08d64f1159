"""The recordings that the proofs play, out of the shared test data."""

from __future__ import annotations

from pathlib import Path

from alphapanda import deploying
from alphapanda.deploying import Definition
from alphapanda.engine.recorded import Recording
from marketdata.domain.bars import MINUTE_MS
from marketdata.feeds.recorded import RecordedSource
from marketdata.reference import SHIPPED_FILES

BANKS = ("ICICIBANK", "SBIN", "HDFCBANK", "KOTAKBANK", "BANKNIFTY")
# Stops, icebergs, cancellations and modifications under rules as near to the broker's as they get.
KITE_LIKE = {"market_protection": -1, "circuit_percent": 20, "capital": "1000000"}
SWING = {"fast": 9, "slow": 21, "bar_minutes": 5, "quantity": 100}


class NoSharedData(FileNotFoundError):
    """The folder of shared test data is missing; the text says how to name it."""


def bars(data: Path, symbols: tuple[str, ...]) -> list[str]:
    """Minute bars of 17 sessions of April 2023. Raises NoSharedData."""
    files = [data / "bars_1min" / f"kite_1min_2023-04_{symbol}.csv.gz" for symbol in symbols]
    if not files[0].exists():
        raise NoSharedData(f"{files[0]} is missing: name the folder of shared test data in ALPHAPANDA_DATA")
    return [
        f"{path}=NSE:NIFTY BANK" if symbol == "BANKNIFTY" else str(path)
        for symbol, path in zip(symbols, files, strict=True)
    ]


def a_month(data: Path) -> Recording:
    """102,000 ticks of four symbols, with a deployment on each. Raises NoSharedData."""
    symbols = BANKS[:4]
    definitions = [
        Definition(name=f"Swing {symbol}", strategy="ema_cross", instruments=(f"NSE:{symbol}",), params=SWING)
        for symbol in symbols
    ]
    return Recording(bars(data, symbols), definitions, [])


def shipped() -> Recording:
    """The 10,556 ticks that ship, with the deployments that are seeded."""
    return Recording([str(path) for path in SHIPPED_FILES], deploying.read(deploying.SEEDS), [])


def speed_for(source: RecordedSource, *, seconds: float) -> float:
    """The factor at which a recording takes so long, nights counted as one minute as the feed does."""
    times = source.times_from()
    return float((times[1:] - times[:-1]).clip(max=MINUTE_MS).sum()) / 1000 / seconds


def a_month_of_bars(data: Path) -> Recording:
    """17 sessions of five symbols: an index, on which every signal is denied, among them. Raises NoSharedData."""
    recording = a_month(data)
    more = [
        Definition(
            name="Minutes ICICIBANK",
            strategy="ema_cross",
            instruments=("NSE:ICICIBANK",),
            params={"fast": 9, "slow": 21, "quantity": 100},
            limits={"daily_orders": 30, "daily_loss": "2000", "position_quantity": 150},
        ),
        Definition(
            name="Reversion SBIN, HDFCBANK",
            strategy="mean_reversion",
            instruments=("NSE:HDFCBANK", "NSE:SBIN"),
            params={"length": 30, "enter_at": 2.2, "leave_at": 0.2, "quantity": 50, "bar_minutes": 3},
            execution={"latency_ms": 250, "slippage_ticks": 2},
        ),
        Definition(
            name="Resting stops ICICIBANK",
            strategy="resting_breakout",
            instruments=("NSE:ICICIBANK",),
            params={
                "length": 8,
                "quantity": 120,
                "bar_minutes": 3,
                "legs": 4,
                "target_bps": 40,
                "minutes": 12,
            },
            execution=KITE_LIKE | {"queue": "CAUTIOUS"},
        ),
        Definition(
            name="Pairs HDFCBANK, KOTAKBANK",
            strategy="pairs",
            instruments=("NSE:HDFCBANK", "NSE:KOTAKBANK"),
            params={
                "first": "NSE:HDFCBANK",
                "second": "NSE:KOTAKBANK",
                "length": 60,
                "first_quantity": 40,
                "second_quantity": 40,
            },
        ),
        Definition(
            name="Momentum of banks",
            strategy="momentum",
            instruments=tuple(f"NSE:{symbol}" for symbol in BANKS[:4]),
            params={"length": 30, "capital": 400_000, "rebalance_at": ["10:15", "12:30"], "short": True},
        ),
        Definition(
            name="Index", strategy="ema_cross", instruments=("NSE:NIFTY BANK", "NSE:ICICIBANK"), params=SWING
        ),
    ]
    return Recording(bars(data, BANKS), [*recording.definitions, *more], [])


def days_of_ticks(data: Path) -> Recording:
    """Ticks as recorded, with depth and with faults, of four days. Raises NoSharedData."""
    names = [
        "nse_ltp_2021-04-30_dirty_RELIANCE",
        *(f"nse_ltp_2021-06-0{day}_{symbol}" for day in (2, 4) for symbol in ("RELIANCE", "INFY", "SBIN")),
        "nse_depth5_2025-12-15_NSE_BSE",
        "nse_depth5_2025-12-15_NSE_BHARATFORG",
    ]
    files = [data / "ticks" / f"{name}.csv.gz" for name in names]
    if not files[0].exists():
        raise NoSharedData(f"{files[0]} is missing: name the folder of shared test data in ALPHAPANDA_DATA")
    quick = {"fast": 5, "slow": 13, "quantity": 100}
    definitions = [
        Definition(name="Trend RELIANCE", strategy="ema_cross", instruments=("NSE:RELIANCE",), params=quick),
        Definition(
            name="Reversion INFY, SBIN",
            strategy="mean_reversion",
            instruments=("NSE:INFY", "NSE:SBIN"),
            params={"length": 20, "enter_at": 1.8, "quantity": 60},
            limits={"orders_per_minute": 2},
        ),
        Definition(name="Depth BSE", strategy="ema_cross", instruments=("NSE:BSE",), params=quick),
        Definition(
            name="Resting stops BHARATFORG",
            strategy="resting_breakout",
            instruments=("NSE:BHARATFORG",),
            params={
                "length": 5,
                "quantity": 90,
                "bar_minutes": 1,
                "legs": 3,
                "target_bps": 20,
                "minutes": 4,
            },
            execution=KITE_LIKE | {"latency": "spread", "latency_spread_ms": 700},
        ),
        Definition(
            name="Ticks BHARATFORG",
            strategy="ema_cross",
            instruments=("NSE:BHARATFORG",),
            params={"fast": 40, "slow": 160, "quantity": 500, "bar_minutes": 0},
            execution={"latency_ms": 0},
        ),
    ]
    return Recording([str(path) for path in files], definitions, [])
