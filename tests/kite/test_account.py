"""What an account holds and owes: margin, holdings, products, the end of the day."""

from __future__ import annotations

from decimal import Decimal

import pytest
import requests
from kiteconnect import KiteConnect, exceptions

from alphapanda.kite_simulator.book import Habits
from alphapanda.kite_simulator.ledger import Demat
from tests.kite.acts import BUY, last, post, statuses
from tests.kite.server import INFY, SECOND_MS, Served, a_simulator, quoted, serving


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


def test_intraday_orders_are_refused_after_the_cutoff(served: Served, kite: KiteConnect) -> None:
    served.advance((5 * 60 + 25) * 60 * SECOND_MS)
    order_id = kite.place_order(**BUY | {"product": "MIS"})
    served.advance(SECOND_MS)

    assert last(kite, order_id)["status_message_raw"].startswith("RMS:Auto Square Off Block")


def test_a_position_is_converted(served: Served, kite: KiteConnect) -> None:
    kite.place_order(**BUY | {"price": 1600, "product": "MIS"})
    served.advance(SECOND_MS)
    kite.convert_position("NSE", "INFY", "BUY", "day", 4, "MIS", "CNC")
    quantities = {row["product"]: row["quantity"] for row in kite.positions()["net"]}

    assert quantities == {"MIS": 6, "CNC": 4}
    blocked = 6 * 1500.1 / 5 + 4 * 1500.1
    assert kite.margins("equity")["net"] == pytest.approx(1_000_000 - blocked)
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
