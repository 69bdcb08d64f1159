"""Orders through the official client: Kite's statuses, fills, acts, refusals and their words."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import requests
from kiteconnect import KiteConnect, exceptions

from alphapanda.kite_simulator.book import Habits
from alphapanda.kite_simulator.ledger import Demat
from tests.builders import at
from tests.kite.server import INFY, SECOND_MS, Served, a_simulator, quoted, serving

DELIVERY = {"variety": "regular", "exchange": "NSE", "tradingsymbol": "INFY", "product": "CNC"}
BUY = {**DELIVERY, "transaction_type": "BUY", "quantity": 10, "order_type": "LIMIT", "price": 1500}


@pytest.fixture
def served() -> Iterator[Served]:
    """INFY at 1500 at ten and every second of the minute after."""
    with serving(a_simulator([quoted(1500, seconds) for seconds in range(60)])) as found:
        yield found


@pytest.fixture
def kite(served: Served) -> KiteConnect:
    return served.kite()


@pytest.fixture
def walking() -> Iterator[Served]:
    """INFY at 1500, then 1501 with four units a level on offer, 1502, 1510, 1490."""
    prices = [(1500, 0), (1501, 1), (1502, 2), (1503, 3), (1510, 10), (1490, 20)]
    with serving(a_simulator([quoted(price, seconds, size=4) for price, seconds in prices])) as found:
        yield found


def statuses(kite: KiteConnect, order_id: str) -> list[str]:
    return [row["status"] for row in kite.order_history(order_id)]


def last(kite: KiteConnect, order_id: str) -> dict[str, Any]:
    (row,) = (row for row in kite.orders() if row["order_id"] == order_id)
    return row


def test_an_order_goes_through_kites_statuses_one_after_the_other(served: Served, kite: KiteConnect) -> None:
    order_id = kite.place_order(**BUY | {"price": 1400})
    seen = [statuses(kite, order_id)]
    for _ in range(3):
        served.advance(20)
        seen.append(statuses(kite, order_id))

    ladder = ["PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "OPEN PENDING", "OPEN"]
    assert seen == [ladder[:1], ladder[:2], ladder[:3], ladder]
    assert last(kite, order_id)["exchange_order_id"] is not None


def test_a_fill_reaches_orders_trades_positions_and_funds(served: Served, kite: KiteConnect) -> None:
    order_id = kite.place_order(**BUY | {"price": 1600, "tag": "abc123"})
    served.advance(SECOND_MS)
    row, (trade,) = last(kite, order_id), kite.order_trades(order_id)
    (position,) = kite.positions()["net"]

    assert (row["status"], row["filled_quantity"], row["average_price"]) == ("COMPLETE", 10, 1500.1)
    assert (row["tag"], row["tags"]) == ("abc123", ["abc123"])
    assert (trade["quantity"], trade["average_price"]) == (10, 1500.1)
    assert kite.trades() == [trade]
    assert (position["quantity"], position["product"], position["last_price"]) == (10, "CNC", 1500)
    assert position["pnl"] == pytest.approx(-1)
    assert kite.margins("equity")["net"] == 1_000_000 - 15_001


def test_an_order_is_filled_in_parts_and_averaged(walking: Served) -> None:
    kite = walking.kite()
    order_id = kite.place_order(**BUY | {"price": 1600})
    walking.advance(SECOND_MS)
    part = last(kite, order_id)
    walking.advance(2 * SECOND_MS)
    whole = last(kite, order_id)

    assert (part["status"], part["filled_quantity"], part["pending_quantity"]) == ("OPEN", 4, 6)
    assert (whole["status"], whole["filled_quantity"]) == ("COMPLETE", 10)
    assert [trade["quantity"] for trade in kite.order_trades(order_id)] == [4, 4, 2]
    assert whole["average_price"] == pytest.approx((4 * 1501.1 + 4 * 1502.1 + 2 * 1503.1) / 10)


def test_a_market_order_needs_protection(kite: KiteConnect) -> None:
    market = {name: value for name, value in BUY.items() if name != "price"} | {"order_type": "MARKET"}

    for protection in ({}, {"market_protection": 0}):
        with pytest.raises(exceptions.InputException, match="market protection") as raised:
            kite.place_order(**market, **protection)
        assert raised.value.code == 400
    assert kite.orders() == []


def test_a_protected_market_order_is_a_limit_order_whose_rest_stays_open(walking: Served) -> None:
    kite = walking.kite()
    market = BUY | {"order_type": "MARKET", "price": None, "market_protection": -1, "quantity": 100}
    order_id = kite.place_order(**market)
    walking.advance(4 * SECOND_MS)
    row = last(kite, order_id)

    assert (row["order_type"], row["price"], row["market_protection"]) == ("LIMIT", 1507.5, 0)
    assert row["tags"] == ["mktp", "mktp:0.50"]
    assert (row["status"], row["filled_quantity"]) == ("OPEN", 12)


def test_a_stop_waits_for_its_trigger(walking: Served) -> None:
    kite = walking.kite()
    stop = BUY | {"order_type": "SL", "price": 1520, "trigger_price": 1505, "quantity": 4}
    order_id = kite.place_order(**stop)
    walking.advance(5 * SECOND_MS)
    waiting = last(kite, order_id)["status"]
    walking.advance(6 * SECOND_MS)

    assert waiting == "TRIGGER PENDING"
    assert statuses(kite, order_id)[-3:] == ["TRIGGER PENDING", "OPEN", "COMPLETE"]


def test_an_ioc_order_takes_what_there_is_and_ends(walking: Served) -> None:
    kite = walking.kite()
    order_id = kite.place_order(**BUY | {"price": 1600, "validity": "IOC"})
    walking.advance(SECOND_MS)
    row = last(kite, order_id)

    assert (row["status"], row["filled_quantity"], row["cancelled_quantity"]) == ("CANCELLED", 4, 6)


def test_a_modification_goes_its_own_ladder(served: Served, kite: KiteConnect) -> None:
    order_id = kite.place_order(**BUY | {"price": 1400})
    served.advance(SECOND_MS)
    assert kite.modify_order("regular", order_id, price=1401, quantity=12) == order_id
    served.advance(SECOND_MS)
    row = last(kite, order_id)

    steps = ["OPEN", "MODIFY VALIDATION PENDING", "MODIFY PENDING", "MODIFIED", "OPEN"]
    assert statuses(kite, order_id)[-5:] == steps
    assert (row["price"], row["quantity"], row["modified"]) == (1401, 12, True)


def test_a_cancellation_goes_its_own_ladder(served: Served, kite: KiteConnect) -> None:
    order_id = kite.place_order(**BUY | {"price": 1400})
    served.advance(SECOND_MS)
    kite.cancel_order("regular", order_id)
    served.advance(SECOND_MS)
    row = last(kite, order_id)

    assert statuses(kite, order_id)[-2:] == ["CANCEL PENDING", "CANCELLED"]
    assert (row["pending_quantity"], row["cancelled_quantity"]) == (10, 10)
    with pytest.raises(exceptions.OrderException, match="being processed"):
        kite.cancel_order("regular", order_id)


def test_a_quantity_below_what_has_traded_is_refused(walking: Served) -> None:
    kite = walking.kite()
    order_id = kite.place_order(**BUY | {"price": 1600})
    walking.advance(SECOND_MS)

    with pytest.raises(exceptions.InputException, match="4 units have traded"):
        kite.modify_order("regular", order_id, quantity=4)


def test_the_26th_modification_is_refused(served: Served, kite: KiteConnect) -> None:
    order_id = kite.place_order(**BUY | {"price": 1400})
    served.simulator.limits.rates = type(served.simulator.limits.rates)(other=1_000)
    for number in range(25):
        served.advance(SECOND_MS)
        kite.modify_order("regular", order_id, price=1400 + (number + 1) / 10)
    served.advance(SECOND_MS)

    with pytest.raises(exceptions.InputException, match="Maximum allowed order modifications"):
        kite.modify_order("regular", order_id, price=1450)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"price": 1500.03}, "Tick size for this script is 0.1"),
        ({"price": 1900}, "higher than the current upper circuit limit"),
        ({"quantity": 0}, "Invalid `quantity`"),
        ({"quantity": 1.5}, "Invalid `quantity`"),
        ({"product": "NRML"}, "product NRML is not for NSE:INFY"),
        ({"order_type": "HOPE"}, "Invalid `order_type`"),
        ({"tradingsymbol": "NOTHING"}, "does not exist"),
        ({"price": None}, "Price cannot be empty"),
        ({"tag": "x" * 21}, "Invalid `tag`"),
        ({"order_type": "SL", "trigger_price": 1499, "price": 1510}, "should be higher than the last"),
        ({"variety": "co"}, "not offered"),
        ({"quantity": 100_001}, "100000"),
    ],
)
def test_what_can_be_no_order_is_refused_at_once(change: dict[str, Any], words: str) -> None:
    market = [quoted(1500, -24 * 3_600), quoted(1500, 1)]  # the day before gives the circuit limits
    with serving(a_simulator(market, cash=Decimal(10**12))) as served:
        kite = served.kite()
        served.advance(SECOND_MS)
        with pytest.raises(exceptions.InputException, match=words) as raised:
            kite.place_order(**BUY | change)
        assert raised.value.code == 400
        assert kite.orders() == []


def test_too_little_margin_is_a_rejected_row_with_kites_words(served: Served, kite: KiteConnect) -> None:
    order_id = kite.place_order(**BUY | {"quantity": 1_000})
    served.advance(SECOND_MS)
    row = last(kite, order_id)

    assert statuses(kite, order_id) == ["PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "REJECTED"]
    assert row["status_message"].startswith("Insufficient funds. Required margin is 1500000.00 but available")
    assert row["status_message_raw"].startswith("RMS:")
    assert (row["pending_quantity"], row["exchange_order_id"]) == (0, None)


def test_too_little_margin_can_be_an_answer() -> None:
    habits = Habits(is_margin_answered=True)
    with serving(a_simulator([quoted(1500, 0)], habits=habits)) as served:
        answer = post(served, BUY | {"quantity": 1_000})

    assert (answer.status_code, answer.json()["error_type"]) == (400, "MarginException")


def post(served: Served, order: dict[str, Any]) -> requests.Response:
    """An order as a form, past the official client."""
    kite = served.kite()
    headers = {"Authorization": f"token {kite.api_key}:{kite.access_token}"}
    fields = {name: value for name, value in order.items() if name != "variety" and value is not None}
    return requests.post(f"{served.url}/orders/{order['variety']}", fields, headers=headers, timeout=5)


def test_what_is_not_held_cannot_be_sold_for_delivery(served: Served, kite: KiteConnect) -> None:
    order_id = kite.place_order(**BUY | {"transaction_type": "SELL"})
    served.advance(SECOND_MS)

    assert last(kite, order_id)["status_message_raw"].startswith("RMS:Rule: Check holdings")


def test_holdings_that_are_not_authorised_are_answered_428() -> None:
    shares = Demat(20, Decimal(1200))
    with serving(a_simulator([quoted(1500, n) for n in range(5)], demat={INFY: shares})) as served:
        answer = post(served, BUY | {"transaction_type": "SELL"})
        kite = served.kite()
        headers = {"Authorization": f"token {kite.api_key}:{kite.access_token}"}
        requests.post(f"{served.url}/portfolio/holdings/authorise", headers=headers, timeout=5)
        order_id = kite.place_order(**BUY | {"transaction_type": "SELL", "price": 1400})
        served.advance(2 * SECOND_MS)
        (holding,), (position,) = kite.holdings(), kite.positions()["net"]

        assert (answer.status_code, answer.json()["error_type"]) == (428, "HoldingException")
        assert last(kite, order_id)["status"] == "COMPLETE"
        assert (holding["quantity"], holding["used_quantity"], position["quantity"]) == (10, 10, -10)


def test_after_hours_regular_orders_are_refused_and_amo_waits() -> None:
    with serving(a_simulator([quoted(1500, 0)], starts_ms=at("18:00"))) as served:
        kite = served.kite()
        with pytest.raises(exceptions.InputException, match="The market is closed"):
            kite.place_order(**BUY)
        order_id = kite.place_order(**BUY | {"variety": "amo", "price": 1400})
        assert last(kite, order_id)["status"] == "AMO REQ RECEIVED"
        served.advance(15 * 3_600 * SECOND_MS)  # nine in the morning
        kite = served.kite()  # tokens have died at six
        served.advance(SECOND_MS)
        assert last(kite, order_id)["status"] == "OPEN"


def test_intraday_orders_are_refused_after_the_cutoff(served: Served, kite: KiteConnect) -> None:
    served.advance((5 * 60 + 25) * 60 * SECOND_MS)
    order_id = kite.place_order(**BUY | {"product": "MIS"})
    served.advance(SECOND_MS)

    assert last(kite, order_id)["status_message_raw"].startswith("RMS:Auto Square Off Block")


def test_an_order_ends_with_the_session(served: Served, kite: KiteConnect) -> None:
    order_id = kite.place_order(**BUY | {"price": 1400})
    served.advance(6 * 3_600 * SECOND_MS)

    assert last(kite, order_id)["status"] == "CANCELLED"


def test_an_iceberg_sends_its_legs_one_after_the_other(served: Served, kite: KiteConnect) -> None:
    iceberg = {"variety": "iceberg", "iceberg_legs": 3, "iceberg_quantity": 4, "price": 1600, "tag": "ice"}
    kite.place_order(**BUY | iceberg)
    served.advance(SECOND_MS)
    first = kite.orders()
    served.advance(5 * SECOND_MS)
    rows = kite.orders()

    assert [row["quantity"] for row in first] == [4, 4][: len(first)]
    assert [row["quantity"] for row in rows] == [4, 4, 2]
    assert {row["status"] for row in rows} == {"COMPLETE"}
    assert rows[1]["meta"]["iceberg"] == {
        "leg": 2,
        "legs": 3,
        "leg_quantity": 4,
        "total_quantity": 10,
        "remaining_quantity": 2,
    }


def test_a_position_is_converted(served: Served, kite: KiteConnect) -> None:
    kite.place_order(**BUY | {"price": 1600, "product": "MIS"})
    served.advance(SECOND_MS)
    kite.convert_position("NSE", "INFY", "BUY", "day", 4, "MIS", "CNC")
    quantities = {row["product"]: row["quantity"] for row in kite.positions()["net"]}

    assert quantities == {"MIS": 6, "CNC": 4}
    with pytest.raises(exceptions.InputException, match="more than"):
        kite.convert_position("NSE", "INFY", "BUY", "day", 7, "MIS", "CNC")


def test_what_is_no_longer_held_is_not_converted(served: Served, kite: KiteConnect) -> None:
    for side, price, quantity in (("BUY", 1600, 10), ("SELL", 1400, 5)):
        kite.place_order(
            **BUY | {"transaction_type": side, "price": price, "quantity": quantity, "product": "MIS"}
        )
        served.advance(2 * SECOND_MS)

    with pytest.raises(exceptions.InputException, match="more than the position"):
        kite.convert_position("NSE", "INFY", "BUY", "day", 7, "MIS", "CNC")


def test_what_one_product_blocks_is_missing_in_another(served: Served, kite: KiteConnect) -> None:
    kite.place_order(**BUY | {"price": 1600, "product": "MIS", "quantity": 500})  # a fifth of 750,050 rupees
    served.advance(SECOND_MS)
    order_id = kite.place_order(**BUY | {"quantity": 600})  # 900,000 of the million
    served.advance(SECOND_MS)
    row = last(kite, order_id)

    assert row["status"] == "REJECTED"
    assert "available margin is 849990.00" in row["status_message"]


def test_the_next_morning_the_book_is_empty_and_the_day_is_paid(served: Served) -> None:
    kite = served.kite()
    kite.place_order(**BUY | {"price": 1600})
    served.advance(2 * SECOND_MS)
    before = kite.margins("equity")["net"]
    charges = float(served.simulator.charges())
    served.advance(20 * 3_600 * SECOND_MS)
    kite = served.kite()
    (holding,) = kite.holdings()

    assert (kite.orders(), kite.positions()["net"]) == ([], [])
    assert (holding["t1_quantity"], holding["quantity"], holding["average_price"]) == (10, 0, 1500.1)
    assert charges > 15
    assert kite.margins("equity")["net"] == pytest.approx(before - charges)


def test_profit_of_a_day_is_there_the_next(walking: Served) -> None:
    kite = walking.kite()
    kite.place_order(**BUY | {"price": 1600, "product": "MIS", "quantity": 4})
    walking.advance(11 * SECOND_MS)  # bought at 1501.1, last 1510
    kite.place_order(**BUY | {"transaction_type": "SELL", "price": 1400, "product": "MIS", "quantity": 4})
    walking.advance(10 * SECOND_MS)  # sold at 1489.9
    charges = float(walking.simulator.charges())
    walking.advance(20 * 3_600 * SECOND_MS)

    assert walking.kite().margins("equity")["net"] == pytest.approx(1_000_000 - 4 * 11.2 - charges)


def test_the_broker_closes_intraday_positions_when_their_time_has_come() -> None:
    late = 5 * 3_600 + 20 * 60  # when intraday positions of 2019 are closed: 15:20
    market = [quoted(1500, n) for n in (1, late - 1, late + 1, late + 2)]
    with serving(a_simulator(market)) as served:
        kite = served.kite()
        kite.place_order(**BUY | {"price": 1600, "product": "MIS"})
        working = kite.place_order(**BUY | {"price": 1400, "product": "MIS"})
        served.advance((late + 5) * SECOND_MS)
        ours, waiting, theirs = kite.orders()

    assert (ours["status"], waiting["order_id"], waiting["status"]) == ("COMPLETE", working, "CANCELLED")
    assert (theirs["transaction_type"], theirs["quantity"], theirs["status"]) == ("SELL", 10, "COMPLETE")
    assert theirs["guid"] is None


def test_fields_are_taken_from_json_too(served: Served, kite: KiteConnect) -> None:
    headers = {"Authorization": f"token {kite.api_key}:{kite.access_token}"}
    order = {name: value for name, value in BUY.items() if name != "variety"}
    answer = requests.post(f"{served.url}/orders/regular", json=order, headers=headers, timeout=5)

    assert answer.json()["status"] == "success"
