"""Whatever an account does and whatever goes wrong on the way, at rest the simulator's book agrees with itself."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest

from alphapanda.core.money import value
from alphapanda.core.vocabulary import OrderStatus, Product
from alphapanda.kite_simulator import control, parsing
from alphapanda.kite_simulator.errors import KiteError
from alphapanda.kite_simulator.faults import Fault, Kind
from alphapanda.kite_simulator.ledger import Demat
from alphapanda.kite_simulator.orders import CANCELLED_AMO, SimOrder
from alphapanda.kite_simulator.simulator import Simulator
from alphapanda.kite_simulator.updates import ENDS
from marketdata.domain.ticks import Tick
from tests.kite.server import INFY, SECOND_MS, a_simulator, quoted

SECONDS, QUIET_S = 120, 240
SEEDS = range(12)
OPENED = ("OPEN", "TRIGGER PENDING")
FAULTS = (Kind.LATE, Kind.STUCK, Kind.REORDERED, Kind.DUPLICATE, Kind.PARTIAL_AFTER_COMPLETE)


def a_market(chance: random.Random) -> list[Tick]:
    """A price that moves every second, with little on offer."""
    price, ticks = 1500.0, []
    for second in range(SECONDS + QUIET_S):
        price = round(price + chance.choice((-1, -0.5, 0, 0.5, 1)), 1)
        ticks.append(quoted(price, second, size=chance.randrange(1, 30)))
    return ticks


def an_order(chance: random.Random) -> tuple[str, dict[str, str]]:
    """Any order, also such as are refused."""
    price = round(1500 + chance.randrange(-60, 60) / 10, 1)
    order_type = chance.choice(("LIMIT", "LIMIT", "MARKET", "SL", "SL-M"))
    fields: dict[str, Any] = {
        "exchange": "NSE",
        "tradingsymbol": "INFY",
        "transaction_type": chance.choice(("BUY", "SELL")),
        "product": chance.choice(("MIS", "CNC")),
        "quantity": chance.randrange(1, 60),
        "order_type": order_type,
        "validity": chance.choice(("DAY", "DAY", "IOC", "TTL")),
        "validity_ttl": 1,
        "price": price,
        "trigger_price": round(price + chance.choice((-1, 1)), 1),
        "market_protection": chance.choice((-1, 0, 2)),
        "tag": f"t{chance.randrange(10**6)}",
    }
    variety = chance.choice(("regular", "regular", "regular", "iceberg"))
    if variety == "iceberg":
        quantity = chance.randrange(4, 40)
        fields |= {"quantity": quantity, "iceberg_legs": 2, "iceberg_quantity": -(-quantity // 2)}
    return variety, {name: str(one) for name, one in fields.items()}


def a_day(seed: int) -> tuple[Simulator, list[dict[str, Any]]]:
    """A simulator at rest after a day of acts, and the updates that it has sent."""
    chance = random.Random(seed)
    demat = {INFY: Demat(100, Decimal(1400), 80)}
    simulator = a_simulator(a_market(chance), seed=seed, demat=demat, cash=Decimal(200_000))
    simulator.faults.arm(Fault(kind=kind, times=-1, share=0.2) for kind in FAULTS)
    queue = simulator.book.subscribe("AB1234")
    for _ in range(SECONDS):
        with suppress(KiteError):
            act(simulator, chance)
        simulator.advance(chance.randrange(2_000))
    simulator.faults.clear()
    simulator.advance(100 * SECOND_MS)  # until the last late order is there
    for order in list(simulator.book.orders.values()):
        with suppress(KiteError):
            simulator.book.cancellation(order.order_id, at_ms=simulator.clock.now_ms())()
    simulator.advance(100 * SECOND_MS)
    return simulator, [queue.get_nowait() for _ in range(queue.qsize())]


def act(simulator: Simulator, chance: random.Random) -> None:
    book, known = simulator.book, list(simulator.book.orders)
    what = chance.choice(("place", "place", "modify", "cancel"))
    late = simulator.faults.takes(Kind.LATE, on=[what])
    late_ms = late.ms if late else 0
    if what == "place" or not known:
        variety, fields = an_order(chance)
        wanted = parsing.wanted(variety, fields, simulator.listing.by_key)
        simulator.place(wanted, late_ms=late_ms)
        return
    order_id = chance.choice(known)
    if what == "modify":
        price = str(round(1500 + chance.randrange(-60, 60) / 10, 1))
        changed = parsing.changed({"price": price, "quantity": str(chance.randrange(1, 60))})
        simulator.act(order_id, lambda at_ms: book.modification(order_id, changed, at_ms=at_ms), late_ms)
    else:
        simulator.act(order_id, lambda at_ms: book.cancellation(order_id, at_ms=at_ms), late_ms)


@pytest.fixture(scope="module", params=SEEDS)
def rest(request: pytest.FixtureRequest) -> tuple[Simulator, list[dict[str, Any]]]:
    return a_day(request.param)


Rest = tuple[Simulator, list[dict[str, Any]]]


def test_what_is_shown_has_become_what_is_true(rest: Rest) -> None:
    for order in rest[0].book.orders.values():
        row, core = order.rows[-1], order.core
        status = "CANCELLED" if core.status is OrderStatus.EXPIRED else core.status.value
        assert (row["status"], row["filled_quantity"]) == (status, core.filled_quantity)
        assert core.status.is_final


def test_trades_make_what_is_filled_at_its_average(rest: Rest) -> None:
    for order in rest[0].book.orders.values():
        fills = [trade.fill for trade in order.trades]
        assert sum(fill.quantity for fill in fills) == order.core.filled_quantity
        worth = sum((value(fill.price_e4, fill.quantity) for fill in fills), Decimal(0))
        filled = order.rows[-1]["filled_quantity"]
        average = Decimal(order.rows[-1]["average_price"])
        assert abs(average * filled - worth) <= Decimal("0.0001") * filled


def test_no_trade_is_beyond_its_orders_limit(rest: Rest) -> None:
    for order in rest[0].book.orders.values():
        if order.core.modifications or order.core.limit_price_e4 is None:
            continue
        for trade in order.trades:
            better = (order.core.limit_price_e4 - trade.fill.price_e4) * order.core.side.sign
            assert better >= 0


def test_rows_never_take_back_what_is_filled_and_end_once(rest: Rest) -> None:
    for order in rest[0].book.orders.values():
        filled = [row["filled_quantity"] for row in order.rows]
        statuses = [row["status"] for row in order.rows]
        assert filled == sorted(filled)
        assert sum(status in ENDS for status in statuses) == 1
        assert statuses[-1] in ENDS


def test_positions_are_the_sum_of_trades(rest: Rest) -> None:
    simulator = rest[0]
    traded: Counter[Product] = Counter()
    for order in simulator.book.orders.values():
        for trade in order.trades:
            traded[order.core.product] += order.core.side.sign * trade.fill.quantity
    rows = control.whole_book(simulator)["positions"]["net"]

    assert {row["product"]: row["quantity"] for row in rows} == {
        product.value: quantity for product, quantity in traded.items()
    }


def test_cash_is_what_trades_moved(rest: Rest) -> None:
    """With everything that is held valued at its cost: what was there, and what closing has realised."""
    simulator = rest[0]
    funds = simulator.funds("equity")
    moved = sum(
        (-order.core.side.sign * order.turnover(10**9) for order in simulator.book.orders.values()),
        Decimal(0),
    )
    held = sum(
        (one.cost for product in Product for one in simulator.ledger.holdings(product).values()), Decimal(0)
    )

    assert simulator.desk.cash + moved == funds.opening + funds.realised - held + simulator.ledger.demat_cost


def test_shares_are_never_sold_twice(rest: Rest) -> None:
    simulator = rest[0]
    held = simulator.ledger.holdings(Product.CNC)[INFY].quantity

    assert held >= 0
    assert simulator.ledger.sold_today(INFY) <= 80  # those that are authorised


def test_trade_ids_and_order_ids_are_given_once(rest: Rest) -> None:
    orders: list[SimOrder] = list(rest[0].book.orders.values())
    trades = [trade.trade_id for order in orders for trade in order.trades]

    assert len(set(trades)) == len(trades)
    assert [int(order.order_id) for order in orders] != []


def test_updates_tell_of_every_end_and_of_nothing_that_was_not(rest: Rest) -> None:
    simulator, updates = rest
    ends = {update["order_id"] for update in updates if update["status"] in ENDS}

    assert ends == set(simulator.book.orders)
    for update in updates:
        statuses = [row["status"] for row in simulator.book.orders[update["order_id"]].rows]
        assert update["status"] in (*statuses, "UPDATE")


def test_a_day_is_one_in_which_much_happens() -> None:
    seen: Counter[str] = Counter()
    for seed in SEEDS:
        simulator, _ = a_day(seed)
        seen.update(status for order in simulator.book.orders.values() for status in map(_status, order.rows))
        seen.update(one.kind for one in simulator.faults.fired)
        seen["partial"] += sum(
            0 < row["filled_quantity"] < row["quantity"]
            for order in simulator.book.orders.values()
            for row in order.rows
        )

    wanted = {*OPENED, *ENDS, "MODIFIED", "partial", *FAULTS} - {CANCELLED_AMO}  # in hours nobody sends one
    assert {name for name in wanted if seen[name] < 5} == set()


def _status(row: dict[str, Any]) -> str:
    return str(row["status"])
