"""The rest of a market exit whose protecting price the market has left behind is asked for anew."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest

from alphapanda.core.vocabulary import OrderStatus, OrderType, Side, SignalKind
from strategies.domain.consequences import Consequences, SettledFill, Working
from strategies.domain.signals import Raised, ReportRow, SignalRow
from tests.builders import a_tick, at, e4
from tests.strategies.test_acts import a_working_order
from tests.strategies.test_guards import TOKEN, Told, an_account

TEN = at("10:00")


class Left:
    """A position whose market exit rests at 98, as the market goes on."""

    def __init__(self, side: Side = Side.SELL, **order: Any) -> None:
        self.machine = an_account(Told()).machine
        facts = {"order_type": OrderType.MARKET, "status": OrderStatus.OPEN, "trigger_price_e4": None}
        facts |= {"limit_price_e4": e4(98), "placed_at_ms": TEN, "instrument": "NSE:STOCK7"} | order
        self.order = a_working_order(1, side, **facts)
        held = 60 if side is Side.SELL else -60
        working = Working(sell=60) if side is Side.SELL else Working(buy=60)
        self.knows = Consequences(positions={TOKEN: held}, working={TOKEN: working}, orders=(self.order,))
        self.seq = 0

    def price(self, price: object, after_s: int) -> list[SignalRow]:
        self.machine.consequences = msgspec.structs.replace(self.knows, matched_step=self.machine.state.step)
        self.seq += 1
        item = a_tick(price, at_ms=TEN + after_s * 1_000, token=TOKEN)
        return rows(self.machine.advance(item, source=1, seq=self.seq))

    def hear(self, **known: Any) -> list[SignalRow]:
        self.knows = msgspec.structs.replace(self.knows, **known)
        step = self.machine.state.step + 1
        self.machine.consequences = msgspec.structs.replace(self.knows, matched_step=step)
        return rows(self.machine.take_report(ReportRow(UUID(int=step), step)))


def rows(raised: object) -> list[SignalRow]:
    return list(raised.signals) if isinstance(raised, Raised) else []


@pytest.mark.parametrize(("side", "beyond"), [(Side.SELL, 97), (Side.BUY, 99)])
def test_it_is_cancelled_after_ten_seconds_and_asked_for_once_it_is_gone(side: Side, beyond: int) -> None:
    left = Left(side)
    assert left.hear() == []
    assert left.price(beyond, 9) == []

    (cancel,) = left.price(beyond, 10)
    assert (cancel.kind, cancel.target) == (SignalKind.CANCEL, left.order.id)
    going = msgspec.structs.replace(left.order, status=OrderStatus.CANCEL_PENDING)
    assert left.hear(orders=(going,)) == []
    fill = SettledFill(left.order.id, TOKEN, side, 15, e4(98), TEN)
    held = left.knows.positions[TOKEN]
    assert left.hear(fills=(fill,), positions={TOKEN: held * 3 // 4}) == []

    (anew,) = left.hear(orders=(), working={}, fills=())
    assert (anew.kind, anew.side, anew.quantity, anew.order_type) == ("ORDER", side, 45, "MARKET")
    assert left.hear() == []


def test_it_stays_while_the_market_is_within_its_reach() -> None:
    left = Left()
    left.hear()
    assert left.price(98, 60) == []
    assert len(left.price(97, 70)) == 1


def test_a_cancellation_that_is_refused_is_asked_for_again_after_a_minute() -> None:
    left = Left()
    left.hear()
    left.price(97, 10)
    assert [left.hear() for _ in range(10)] == [[]] * 10
    assert left.price(97, 69) == []
    assert [row.kind for row in left.price(97, 79)] == [SignalKind.CANCEL]


@pytest.mark.parametrize(
    "order", [{"order_type": OrderType.LIMIT}, {"limit_price_e4": None}, {"side": Side.BUY}]
)
def test_no_other_order_is_touched(order: dict[str, Any]) -> None:
    left = Left(**{"side": Side.SELL} | {name: value for name, value in order.items() if name != "side"})
    if "side" in order:
        left.knows = msgspec.structs.replace(left.knows, positions={TOKEN: -60})
    left.hear()
    assert left.price(97, 30) == []


def test_what_is_renewed_outlives_a_restart() -> None:
    left = Left()
    left.hear()
    left.price(97, 10)
    left.machine.restore(left.machine.checkpoint())
    (anew,) = left.hear(orders=(), working={})
    assert (anew.quantity, anew.kind) == (60, "ORDER")
