"""The task in backtrader, its own average and its default mode (all rows loaded, indicators in one pass)."""

from __future__ import annotations

import backtrader as bt
from task import Answer, Cross, Task, Watch, answer


def run(task: Task) -> Answer:
    class Crossing(bt.Strategy):
        def __init__(self) -> None:
            self.fast = bt.indicators.EMA(period=task.fast)
            self.slow = bt.indicators.EMA(period=task.slow)
            self.cross = Cross()
            self.orders_made = 0

        def next(self) -> None:
            turn = self.cross.turn(self.fast[0], self.slow[0])
            if turn > 0:
                self.buy(size=task.quantity)
                self.orders_made += 1
            elif turn < 0 and self.position:
                self.sell(size=task.quantity)
                self.orders_made += 1

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker.setcash(task.cash)
    cerebro.broker.setcommission(commission=task.cost)
    cerebro.addstrategy(Crossing)
    frame = bt.TimeFrame.Minutes if task.kind == "bars" else bt.TimeFrame.Ticks
    cerebro.adddata(bt.feeds.PandasData(dataname=task.table.tz_localize(None), timeframe=frame))
    watch = Watch()
    [strategy] = cerebro.run()
    taken = watch.read()
    return Answer(*taken, strategy.orders_made, float(cerebro.broker.getvalue()))


if __name__ == "__main__":
    answer(run, bt.__version__)
