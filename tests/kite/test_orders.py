"""Orders through the official client: Kite's statuses, fills, acts, refusals and their words."""

from __future__ import annotations

import time
from contextlib import nullcontext
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import requests
from kiteconnect import KiteConnect, exceptions

from alphapanda.kite_simulator import parsing, simulator
from alphapanda.kite_simulator.errors import KiteError
from alphapanda.kite_simulator.listing import load_listing
from tests.builders import at
from tests.kite.acts import BUY, last, statuses
from tests.kite.server import SECOND_MS, Served, a_simulator, quoted, serving


def test_an_order_goes_through_kites_statuses_one_after_the_other(served: Served, kite: KiteConnect) -> None:
    order_id = kite.place_order(**BUY | {"price": 1400})
    seen = [statuses(kite, order_id)]
    for _ in range(3):
        served.advance(20)
        seen.append(statuses(kite, order_id))

    ladder = ["PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "OPEN PENDING", "OPEN"]
    assert seen == [ladder[:1], ladder[:2], ladder[:3], ladder]
    assert last(kite, order_id)["exchange_order_id"] is not None


def test_time_passes_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a request, or a tick, that would have the simulator look at its clock."""
    monkeypatch.setattr(simulator, "IDLE_S", 3_600)
    with serving(a_simulator([quoted(1500, 0)], speed=1)) as served:
        order_id = served.kite().place_order(**BUY | {"price": 1600})
        rows = served.simulator.book.orders[order_id].rows
        deadline = time.monotonic() + 10
        while rows[-1]["status"] != "OPEN" and time.monotonic() < deadline:
            time.sleep(0.01)

    assert rows[-1]["status"] == "OPEN"


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


def test_a_triggered_stop_to_the_market_is_protected_too(walking: Served) -> None:
    kite = walking.kite()
    stop = BUY | {"order_type": "SL-M", "price": None, "trigger_price": 1505, "quantity": 100}
    with pytest.raises(exceptions.InputException, match="market protection"):
        kite.place_order(**stop)
    order_id = kite.place_order(**stop, market_protection=2)
    walking.advance(5 * SECOND_MS)
    waiting = last(kite, order_id)
    walking.advance(6 * SECOND_MS)
    row = last(kite, order_id)

    assert (waiting["status"], waiting["order_type"], waiting["price"]) == ("TRIGGER PENDING", "SL-M", 0)
    assert (row["status"], row["order_type"], row["price"]) == ("OPEN", "LIMIT", 1540.2)
    assert row["tags"] == ["mktp", "mktp:2.00"]


def test_an_order_for_minutes_ends_after_them(served: Served, kite: KiteConnect) -> None:
    order_id = kite.place_order(**BUY | {"price": 1400, "validity": "TTL", "validity_ttl": 2})
    served.advance(119 * SECOND_MS)
    before = last(kite, order_id)
    served.advance(2 * SECOND_MS)

    assert (before["status"], before["validity_ttl"]) == ("OPEN", 2)
    assert last(kite, order_id)["status"] == "CANCELLED"


def test_disclosed_quantity_is_a_tenth_at_least(served: Served, kite: KiteConnect) -> None:
    order_id = kite.place_order(**BUY | {"price": 1400, "quantity": 100, "disclosed_quantity": 10})

    assert last(kite, order_id)["disclosed_quantity"] == 10
    with pytest.raises(exceptions.InputException, match="disclosed quantity 9"):
        kite.place_order(**BUY | {"price": 1400, "quantity": 100, "disclosed_quantity": 9})


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


def test_after_hours_regular_orders_are_refused_and_amo_waits() -> None:
    with serving(a_simulator([quoted(1500, 0)], starts_ms=at("18:00"))) as served:
        kite = served.kite()
        with pytest.raises(exceptions.InputException, match="The market is closed"):
            kite.place_order(**BUY)
        order_id = kite.place_order(**BUY | {"variety": "amo", "price": 1400})
        assert last(kite, order_id)["status"] == "AMO REQ RECEIVED"
        never_left = kite.place_order(**BUY | {"variety": "amo", "price": 1400})
        kite.cancel_order("amo", never_left)
        served.advance(SECOND_MS)
        assert last(kite, never_left)["status"] == "CANCELLED AMO"
        served.advance(15 * 3_600 * SECOND_MS)  # nine in the morning
        kite = served.kite()  # tokens have died at six
        served.advance(SECOND_MS)
        assert last(kite, order_id)["status"] == "OPEN"


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


def test_the_legs_of_a_stop_wait_for_its_trigger_once(walking: Served) -> None:
    kite = walking.kite()
    stop = {"order_type": "SL", "price": 1520, "trigger_price": 1505, "quantity": 8}
    kite.place_order(**BUY | stop | {"variety": "iceberg", "iceberg_legs": 2, "iceberg_quantity": 4})
    walking.advance(30 * SECOND_MS)
    rows = kite.orders()

    assert [(row["status"], row["average_price"]) for row in rows] == [
        ("COMPLETE", 1510.1),
        ("COMPLETE", 1490.1),
    ]
    assert (rows[1]["order_type"], rows[1]["trigger_price"]) == ("LIMIT", 0)


def test_where_nobody_waits_for_an_answer_a_refusal_is_a_row(served: Served) -> None:
    book, clock = served.simulator.book, served.simulator.clock
    fields = {name: str(value) for name, value in BUY.items()} | {"price": "1500.03"}
    wanted = parsing.wanted("regular", fields, served.simulator.listing.by_key)

    def place() -> str:
        return book.place(wanted, app="", at_ms=clock.now_ms(), is_answered=False).order_id

    order_id = served.call(place)
    served.advance(SECOND_MS)
    row = last(served.kite(), order_id)

    assert row["status"] == "REJECTED"
    assert row["status_message"].startswith("Tick size for this script is 0.1")


def test_fields_are_taken_from_json_too(served: Served, kite: KiteConnect) -> None:
    headers = {"Authorization": f"token {kite.api_key}:{kite.access_token}"}
    order = {name: value for name, value in BUY.items() if name != "variety"}
    answer = requests.post(f"{served.url}/orders/regular", json=order, headers=headers, timeout=5)

    assert answer.json()["status"] == "success"


@pytest.mark.parametrize(("validity", "is_refused"), [("IOC", True), ("DAY", False)])
def test_commodities_take_no_ioc_orders(validity: str, is_refused: bool) -> None:
    silver = msgspec.structs.replace(
        load_listing().by_key["NSE:INFY"], exchange="MCX", tradingsymbol="SILVER"
    )
    fields = {name: str(value) for name, value in BUY.items() if name != "variety"}
    fields |= {"exchange": "MCX", "tradingsymbol": "SILVER", "price": "1500", "validity": validity}
    with pytest.raises(KiteError, match="at MCX") if is_refused else nullcontext():
        parsing.wanted("regular", fields, {"MCX:SILVER": silver})
