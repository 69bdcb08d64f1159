"""The task in backtesting.py: bars only by its own model, so a tick is a bar of one price."""

from __future__ import annotations

import warnings

import backtesting
import pandas as pd
from task import Answer, Cross, Task, Watch, answer, average


def run(task: Task) -> Answer:
    class Crossing(backtesting.Strategy):
        def init(self) -> None:
            close = pd.Series(self.data.Close, index=self.data.index)
            self.fast = self.I(average, close, task.fast)
            self.slow = self.I(average, close, task.slow)
            self.cross = Cross()

        def next(self) -> None:
            turn = self.cross.turn(self.fast[-1], self.slow[-1])
            if turn > 0:
                self.buy(size=task.quantity)
            elif turn < 0 and self.position:
                self.position.close()

    table = task.table.rename(columns=str.capitalize)
    test = backtesting.Backtest(table, Crossing, cash=task.cash, commission=task.cost)
    watch = Watch()
    figures = test.run()
    taken = watch.read()
    trades = figures["_trades"]
    is_open = len(figures["_strategy"].trades)
    return Answer(*taken, 2 * len(trades) + is_open, float(figures["Equity Final [$]"]))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    backtesting.backtesting._tqdm = lambda rows, **_: rows  # no line of progress
    answer(run, backtesting.__version__)
