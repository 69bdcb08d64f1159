"""What every peer is asked to do, and how it answers. Runs in the peer's own environment: pandas and numpy only.

The task: an exponential-average cross on every row, long while the fast average is above the slow one, flat below.
An average starts as the mean of its first n prices. So many units an order, 3 basis points of each trade as cost."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd


class Task(NamedTuple):
    """`kind` is bars or ticks; `table` has open, high, low, close and volume by time (UTC)."""

    kind: str
    table: pd.DataFrame
    fast: int
    slow: int
    quantity: int
    cost: float
    cash: float


class Answer(NamedTuple):
    """Seconds, by the wall and of the processor, are of the run alone, without reading the file and without what a
    peer does once for any run."""

    seconds: float
    cpu_s: float
    orders: int
    equity: float


def read(arguments: list[str]) -> Task:
    """FILE KIND FAST SLOW QUANTITY COST CASH."""
    path, kind, fast, slow, quantity, cost, cash = arguments
    table = pd.read_csv(path, parse_dates=["timestamp"], index_col="timestamp")
    table.index = table.index.tz_convert("UTC")
    if kind == "ticks":
        price = table["ltp"]
        names = ("open", "high", "low", "close")
        table = pd.DataFrame(dict.fromkeys(names, price) | {"volume": 1}, index=table.index)
    return Task(kind, table, int(fast), int(slow), int(quantity), float(cost), float(cash))


def average(prices: pd.Series, length: int) -> pd.Series:
    """The exponential average of the task, not a number for the first length - 1."""
    seeded = prices.astype(float).copy()
    seeded.iloc[length - 1] = prices.iloc[:length].mean()
    seeded = seeded.iloc[length - 1 :]
    return seeded.ewm(alpha=2 / (length + 1), adjust=False).mean().reindex(prices.index)


class Cross:
    """On which side the fast average is: +1 and -1 at the row where it changes, else 0."""

    def __init__(self) -> None:
        self.side = 0

    def turn(self, fast: float, slow: float) -> int:
        if fast == slow or fast != fast or slow != slow:
            return 0
        before, self.side = self.side, 1 if fast > slow else -1
        return self.side if before and before != self.side else 0


def answer(run: Callable[[Task], Answer], version: str) -> None:
    """Do the task of the command line and write the answer as one line of JSON."""
    task = read(sys.argv[1:])
    found: dict[str, Any] = run(task)._asdict() | {"items": len(task.table), "version": version}
    sys.stdout.write(json.dumps(found) + "\n")


class Watch:
    """Started when it is made."""

    def __init__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        """Seconds since, by the wall and of the processor."""
        return time.perf_counter() - self._began[0], time.process_time() - self._began[1]
