"""Sends, changes and cancels orders of every kind; for the tests of the paper exchange."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import time
from decimal import Decimal
from typing import Any

import msgspec

from alphapanda.core.vocabulary import OrderType, Validity, Variety
from strategies.domain.base import Strategy, View, Wish

TICK = Decimal("0.10")


class EveryKind(Strategy):
    """Sends, changes and cancels orders of every kind, by the clock and by what is at work."""

    name = "every_kind"

    class State(msgspec.Struct):
        price: str = ""

    def timers(self) -> tuple[time, ...]:
        at = [time(hour, minute) for hour in range(9, 16) for minute in range(2, 60, 7)]
        return tuple(one for one in at if time(9, 33) <= one <= time(15, 27))

    def bar_minutes(self) -> tuple[int, ...]:
        return (1,)

    def on_bar(self, state: Any, bar: Any, view: View) -> Iterable[Wish]:
        """Moves every resting order a little, and cancels one in four."""
        state.price = str(bar.close.quantize(TICK))
        for number, order in enumerate(view.orders()):
            turn = (bar.starts_ms // 60_000 + number) % 4
            if turn == 0:
                yield view.cancel(order, reason="its turn")
            elif turn == 1 and order.limit_price and order.order_type is OrderType.LIMIT:
                yield view.modify(order, limit_price=order.limit_price - order.side.sign * TICK)
            elif turn == 2:
                yield view.modify(order, quantity=order.quantity + 2, validity=Validity.DAY)
            elif turn == 3 and order.order_type is OrderType.SL:
                yield view.modify(order, order_type=OrderType.MARKET)

    def on_timer(self, state: Any, at: time, view: View) -> Iterable[Wish]:
        if state.price:
            yield from self._asked(at.minute % 9, Decimal(state.price), view)
        else:
            yield view.buy(10, tag="first")

    def on_fill(self, state: Any, fill: Any, view: View) -> Iterable[Wish]:
        for order in view.orders():  # a race: the cancellation of an order that is just trading
            yield view.cancel(order, reason="something traded")
            yield view.cancel(order, reason="asked twice")
            break

    def _asked(self, kind: int, price: Decimal, view: View) -> Iterable[Wish]:
        if kind == 0:
            yield view.buy(40, limit_price=price - TICK, disclosed_quantity=10, tag="disclosed")
        elif kind == 1:
            yield view.sell(30, trigger_price=price - 2 * TICK, limit_price=price - 4 * TICK, tag="sl")
        elif kind == 2:
            yield view.buy(30, trigger_price=price + 2 * TICK, tag="slm")
        elif kind == 3:
            yield view.buy(50, limit_price=price + TICK, iceberg_legs=3, tag="iceberg")
        elif kind == 4:
            yield view.sell(20, limit_price=price, validity=Validity.IOC)
        elif kind == 5:
            yield view.buy(20, limit_price=price - TICK, validity=Validity.TTL, validity_minutes=3, tag="ttl")
        elif kind == 6:
            yield view.buy(11, variety=Variety.AMO)  # refused in the session
        elif kind == 7:
            yield view.sell(25, trigger_price=price + TICK)  # refused: on the wrong side
        else:
            yield view.sell(200_000, limit_price=price)  # refused: too much
