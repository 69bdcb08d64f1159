"""The data that our engine and the peers are measured on: two files of one made-up instrument, always the same.

Real sessions of the shared test data are put one behind the other on the trading days from 2019 on; where the
folder is missing, sessions of a seeded random walk. Every price opens where the one before closed: some engines
fill at the close of the bar that decides, others at the open of the next, and so both come to the same money."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import cycle, groupby, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from alphapanda.core.clock import ist_text
from marketdata.domain.bars import MINUTE_MS
from marketdata.domain.calendar import Session
from marketdata.reference import load_calendar

KEY = "NSE:PEERS"
BARS = 375_000
TICKS = 1_000_000
MINUTES = 375  # of a session
TICKS_OF_SESSION = 18_000
STARTS_FROM = date(2019, 1, 1)
START_PRICE = 1_000.0  # rupees
SEED = 7
_STEPS = 20  # ticks of 0.05 to the rupee
_BARS_FILES = "bars_1min/kite_1min_20??-0[48]*_[A-Z]*.csv.gz"
_TICKS_FILES = "ticks/nse_ltp_2021-06-*.csv.gz"

Floats = npt.NDArray[np.float64]


class Work(NamedTuple):
    """Files in the formats that `manage.py backtest` reads, their instrument list, and where they come from."""

    bars: Path
    ticks: Path
    instruments: Path
    origin: str


def write(folder: Path, data: Path, *, bars: int = BARS, ticks: int = TICKS) -> Work:
    """The files, made anew."""
    folder.mkdir(parents=True, exist_ok=True)
    work = Work(
        folder / "bars_PEERS.csv",
        folder / "ticks_PEERS.csv",
        folder / "instruments.csv",
        f"recorded sessions of {data.name}" if data.is_dir() else f"a random walk, seed {SEED}",
    )
    head = "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size"
    row = "1,1,PEERS,,0,,0,0.05,1,EQ,NSE,NSE"
    work.instruments.write_text(f"{head},instrument_type,segment,exchange\n{row}\n")
    minutes = _recorded_minutes(data) or _walked(MINUTES * 4, 4)
    with work.bars.open("w") as lines:
        lines.write("timestamp,open,high,low,close,volume\n")
        lines.writelines(islice(_bar_lines(minutes), bars))
    with work.ticks.open("w") as lines:
        lines.write("timestamp,ltp,volume\n")
        lines.writelines(islice(_tick_lines(_recorded_ticks(data) or _walked(TICKS_OF_SESSION, 1)), ticks))
    return work


def _bar_lines(sessions: Sequence[Floats]) -> Iterator[str]:
    """Bars of chained sessions; a session is a matrix of four prices (open, high, low, close) a minute."""
    last = START_PRICE
    for hours, session in zip(_trading_days(), cycle(sessions), strict=False):
        scaled = _on_grid(session * (last / session[0, 0]))
        opens = np.append(_on_grid(np.array([last])), scaled[:-1, 3])
        highs, lows = np.maximum(opens, scaled[:, 1]), np.minimum(opens, scaled[:, 2])
        last = float(scaled[-1, 3])
        for minute, prices in enumerate(zip(opens, highs, lows, scaled[:, 3], strict=True)):
            stamp = ist_text(hours.opens_ms + minute * MINUTE_MS)
            yield f"{stamp},{','.join(f'{price:.2f}' for price in prices)},{400 + 4 * (minute % 50)}\n"


def _tick_lines(sessions: Sequence[Floats]) -> Iterator[str]:
    last = START_PRICE
    for hours, session in zip(_trading_days(), cycle(sessions), strict=False):
        prices = _on_grid(session[:, 0] * (last / session[0, 0]))
        last = float(prices[-1])
        spacing = (hours.closes_ms - hours.opens_ms) / len(prices)
        for number, price in enumerate(prices.tolist()):
            yield f"{ist_text(hours.opens_ms + int(number * spacing))},{price:.2f},{10 * (number + 1)}\n"


def _on_grid(prices: Floats) -> Floats:
    return np.maximum(np.round(prices * _STEPS), 1) / _STEPS


def _trading_days() -> Iterator[Session]:
    """Sessions of the usual length."""
    hours = load_calendar("NSE")
    day = STARTS_FROM
    while True:
        session = hours.session(day)
        if session is not None and session.closes_ms - session.opens_ms == MINUTES * MINUTE_MS:
            yield session
        day += timedelta(days=1)


def _recorded_minutes(data: Path) -> list[Floats]:
    """All whole sessions of minute bars in the shared data."""
    found = []
    for path in sorted(data.glob(_BARS_FILES)):
        for _, rows in groupby(_rows(path), key=lambda row: row[0][:10]):
            prices = np.array([row[1:5] for row in rows], np.float64)
            found += [prices] if len(prices) == MINUTES else []
    return found


def _recorded_ticks(data: Path) -> list[Floats]:
    """The first prices of each recording of ticks, as they stand there."""
    found = []
    for path in sorted(data.glob(_TICKS_FILES)):
        prices = np.array([[row[1]] for row in islice(_rows(path), TICKS_OF_SESSION)], np.float64)
        found += [prices] if len(prices) == TICKS_OF_SESSION else []
    return found


def _rows(path: Path) -> Iterator[list[str]]:
    with gzip.open(path, "rt", newline="") as lines:
        yield from islice(csv.reader(lines), 1, None)


def _walked(steps: int, together: int) -> list[Floats]:
    """Sessions of a random walk, `together` steps to a row of open, highest, lowest and last price."""
    random = np.random.default_rng(SEED)
    sessions = []
    for _ in range(100):
        path = START_PRICE * np.exp(np.cumsum(random.normal(0, 0.0002, steps))).reshape(-1, together)
        sessions.append(np.stack([path[:, 0], path.max(axis=1), path.min(axis=1), path[:, -1]], axis=1))
    return sessions
