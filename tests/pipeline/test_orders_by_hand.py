"""Every kind of order, act and model: the pipeline turned by hand has the rows of the backtest, history included."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import time
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from django.test import override_settings

from alphapanda.core.vocabulary import OrderType, Product, Validity, Variety
from alphapanda.deploying import Definition
from alphapanda.proof import parity
from execution.models import OrderEvent
from marketdata.reference import YESBANK_FILES
from portfolio.audit import books_differences
from strategies.domain import registry
from strategies.domain.base import Strategy, View, Wish
from strategies.domain.library.resting_breakout import RestingBreakout
from strategies.models import Deployment
from tests.pipeline.hand import Hand, packed, recording, seeded
from tests.shared_data import SHARED, needs_shared_data

YESBANK = [str(YESBANK_FILES[0])]
DEPTH = [str(SHARED / "ticks" / "nse_depth5_2025-12-15_NSE_BHARATFORG.csv.gz")]
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


LUCK = {
    "latency": "spread",
    "latency_ms": 400,
    "latency_spread_ms": 2_000,
    "slippage": "random",
    "slippage_ticks": 3,
    "rejection": "random",
    "rejection_percent": 30,
}
KITE = {"market_protection": -1, "queue": "PRO_RATA", "circuit_percent": 10, "capital": "400000"}
BREAKOUT = {"length": 4, "quantity": 60, "bar_minutes": 1, "legs": 3, "target": "0.3", "minutes": 2}


def definitions(key: str) -> list[Definition]:
    return [
        Definition(name="every kind", strategy="every_kind", instruments=(key,), execution=KITE),
        Definition(
            name="every kind by luck",
            strategy="every_kind",
            instruments=(key,),
            execution={**KITE, **LUCK, "queue": "CAUTIOUS", "capital": "1500"},
            limits={"position_quantity": 120},
        ),
        Definition(
            name="delivered",
            strategy="every_kind",
            instruments=(key,),
            product=Product.CNC,
            execution={"latency_ms": 0, "may_queue": True},
        ),
        Definition(
            name="breakout",
            strategy="resting_breakout",
            instruments=(key,),
            params=BREAKOUT,
            execution={"market_protection": "-1", "latency_ms": 0},
        ),
    ]


@pytest.fixture
def known(monkeypatch):
    strategies = {"every_kind": EveryKind, "resting_breakout": RestingBreakout}
    monkeypatch.setattr(registry, "known", lambda: strategies)
    monkeypatch.setattr("alphapanda.deploying.known", registry.known)


def played(
    monkeypatch, files: list[str], given: list[Definition], *, items: int, batch: int
) -> dict[str, Any]:
    """The rows of the pipeline after checking that they are those of the backtest."""
    recorded = recording(files, given)
    source = recorded.source()
    stream = list(source.iter_from())[:items]
    runs = recorded.fold(stream, source=source.source)
    assert [run.error for run in runs] == [""] * len(runs)
    with override_settings(SHARDS=1):
        seeded(given)
    hand = Hand(packed(stream, source=source.source, batch=batch), shards=1)
    hand.attach(monkeypatch)

    hand.run()

    assert [row.error for row in Deployment.objects.exclude(error="")] == []
    found = parity.of_database()
    count, first = parity.compare(parity.of_accounts([run.account for run in runs]), found)
    assert count == 0, repr(first[0])
    assert books_differences().adds_up
    return found


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("known")
def test_minute_bars_of_two_sessions(monkeypatch):
    found = played(monkeypatch, YESBANK, definitions("NSE:YESBANK"), items=1_700, batch=53)

    rows = [row for kinds in found.values() for row in kinds["order_events"]]
    statuses = {row["status"] for row in rows}
    assert statuses >= {
        "PUT ORDER REQ RECEIVED", "TRIGGER PENDING", "OPEN", "MODIFY PENDING", "MODIFIED", "CANCEL PENDING",
        "CANCELLED", "COMPLETE", "REJECTED", "EXPIRED",
    }  # fmt: skip
    orders = [row for kinds in found.values() for row in kinds["orders"]]
    assert {row["order_type"] for row in orders} == {"MARKET", "LIMIT", "SL", "SL-M"}
    assert {row["validity"] for row in orders} == {"DAY", "IOC", "TTL"}
    assert max(row["leg"] for row in orders) == 3
    assert max(row["modifications"] for row in orders) > 1
    acts = OrderEvent.objects.exclude(decision=None)
    assert acts.filter(reason__contains="is being processed").exists()
    assert acts.count() == sum(
        row["is_approved"] and row["rule"] == "cancel"
        for kinds in found.values()
        for row in kinds["decisions"]
    ) + sum(
        row["kind"] == "MODIFY" and verdict["is_approved"]
        for kinds in found.values()
        for row, verdict in zip(kinds["signals"], kinds["decisions"], strict=True)
    )


@needs_shared_data
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("known")
def test_depth_on_record(monkeypatch):
    found = played(monkeypatch, DEPTH, definitions("NSE:BHARATFORG")[::3], items=2_600, batch=211)

    fills = [row for kinds in found.values() for row in kinds["fills"]]
    assert {row["source"] for row in fills} >= {"DEPTH", "QUEUE"}
