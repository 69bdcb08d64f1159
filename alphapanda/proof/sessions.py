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
