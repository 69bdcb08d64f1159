"""The task in NautilusTrader's engine: bars filled at the close that decides, ticks
(quotes without a spread) a nanosecond later, at the next."""

from __future__ import annotations

from decimal import Decimal

import nautilus_trader
import pandas as pd
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.backtest.models import LatencyModel
from nautilus_trader.config import LoggingConfig
from nautilus_trader.indicators import ExponentialMovingAverage
from nautilus_trader.model.currencies import Currency
from nautilus_trader.model.data import Bar, BarType, QuoteTick
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import Equity
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.persistence.wranglers import BarDataWrangler, QuoteTickDataWrangler
from nautilus_trader.trading.strategy import Strategy
from task import Answer, Cross, Task, Watch, answer

VENUE = Venue("NSE")
INR = Currency.from_str("INR")


def instrument(task: Task) -> Equity:
    cost = Decimal(str(task.cost))
    return Equity(
        instrument_id=InstrumentId(Symbol("PEERS"), VENUE),
        raw_symbol=Symbol("PEERS"),
        currency=INR,
        price_precision=2,
        price_increment=Price.from_str("0.05"),
        lot_size=Quantity.from_int(1),
        maker_fee=cost,
        taker_fee=cost,
        ts_event=0,
        ts_init=0,
    )


class Crossing(Strategy):
    def __init__(self, task: Task, traded: Equity) -> None:
        super().__init__()
        self.task, self.traded = task, traded
        self.fast = ExponentialMovingAverage(task.fast)
        self.slow = ExponentialMovingAverage(task.slow)
        self.cross = Cross()
        self.quantity = Quantity.from_int(task.quantity)
        self.is_long = False
        self.orders_made = 0

    def on_start(self) -> None:
        if self.task.kind == "bars":
            self.subscribe_bars(bar_type(self.traded))
        else:
            self.subscribe_quote_ticks(self.traded.id)

    def on_bar(self, bar: Bar) -> None:
        self.on_price(bar.close.as_double())

    def on_quote_tick(self, tick: QuoteTick) -> None:
        self.on_price(tick.bid_price.as_double())

    def on_price(self, price: float) -> None:
        self.fast.update_raw(price)
        self.slow.update_raw(price)
        if not self.slow.initialized:
            return
        turn = self.cross.turn(self.fast.value, self.slow.value)
        if turn > 0 or (turn < 0 and self.is_long):
            self.is_long = turn > 0
            side = OrderSide.BUY if turn > 0 else OrderSide.SELL
            self.submit_order(self.order_factory.market(self.traded.id, side, self.quantity))
            self.orders_made += 1


def bar_type(traded: Equity) -> BarType:
    return BarType.from_str(f"{traded.id}-1-MINUTE-LAST-EXTERNAL")


def data(task: Task, traded: Equity) -> list[Bar] | list[QuoteTick]:
    if task.kind == "bars":
        return BarDataWrangler(bar_type(traded), traded).process(task.table, ts_init_delta=60_000_000_000)
    price = task.table["close"]
    return QuoteTickDataWrangler(traded).process(pd.DataFrame({"bid_price": price, "ask_price": price}))


def run(task: Task) -> Answer:
    traded = instrument(task)
    logging = LoggingConfig(bypass_logging=True)
    engine = BacktestEngine(BacktestEngineConfig(logging=logging, run_analysis=False))
    engine.add_venue(
        venue=VENUE,
        oms_type=OmsType.NETTING,
        account_type=AccountType.CASH,
        base_currency=INR,
        starting_balances=[Money(task.cash, INR)],
        latency_model=LatencyModel(base_latency_nanos=1) if task.kind == "ticks" else None,
        bar_execution=task.kind == "bars",
    )
    engine.add_instrument(traded)
    engine.add_data(data(task, traded))
    strategy = Crossing(task, traded)
    engine.add_strategy(strategy)
    watch = Watch()
    engine.run()
    taken = watch.read()
    cash = engine.cache.account_for_venue(VENUE).balance_total(INR).as_double()
    held = sum(position.signed_qty for position in engine.cache.positions_open())
    return Answer(*taken, strategy.orders_made, cash + held * float(task.table["close"].iloc[-1]))


if __name__ == "__main__":
    answer(run, nautilus_trader.__version__)
