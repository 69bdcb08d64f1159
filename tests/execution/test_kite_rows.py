"""Kite's rows as snapshots: its own samples, its quirks, and what is no row."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.clock import ist_text
from alphapanda.core.vocabulary import OrderStatus, Side
from execution.domain.kite.rows import (
    NotKites,
    OrderSnapshot,
    ist_text_ms,
    order_in_frame,
    order_of,
    orders_of,
    trade_of,
    trades_of,
)
from tests.builders import at, e4
from tests.kite_builders import BROKER_ID, TAG, body, kite_time, order_row
from tests.shared_data import SHARED, needs_shared_data

REST = SHARED / "kite/rest"


def row(**more: Any) -> OrderSnapshot:
    return order_of(json.dumps(order_row(**more)).encode(), {})


def trade_row(**more: Any) -> bytes:
    fields = {
        "trade_id": "1", "order_id": BROKER_ID, "exchange": "NSE", "tradingsymbol": "STOCK7", "product": "MIS",
        "average_price": 100.05, "quantity": 10, "transaction_type": "BUY", "fill_timestamp": kite_time(at()),
        "order_timestamp": "10:00:00", "exchange_timestamp": kite_time(at()),
    }  # fmt: skip
    return json.dumps(fields | more).encode()


@needs_shared_data
def test_kites_own_order_book() -> None:
    book = orders_of((REST / "orders.json").read_bytes(), {"CDS:USDINR21JUNFUT": 1_000})
    by_id = {one.order_id: one for one in book.orders}

    assert (len(book.orders), book.is_whole) == (10, True)
    cancelled = book.orders[0]  # shows pending 1 and cancelled 1
    assert (cancelled.status, cancelled.quantity, cancelled.filled) == (OrderStatus.CANCELLED, 1_000, 0)
    assert ist_text(cancelled.at_ms)[:19] == "2021-05-31T09:18:58"
    protected = by_id["1953341975595868160"]  # a market order that is shown as a limit order
    assert protected.is_protected
    assert (protected.order_type, protected.limit_price_e4) == ("LIMIT", e4("159.82"))
    rejected = by_id["220524001859672"]
    assert rejected.reason.startswith("Insufficient funds. Required margin is 95417.84")
    assert (rejected.tags, rejected.variety) == (("icebergord",), "iceberg")
    assert by_id["9000000000000000"].tags == ("connect test order2", "XXXXX")


@needs_shared_data
def test_kites_own_history_climbs_the_ladder_in_time() -> None:
    rows = orders_of((REST / "order_info.json").read_bytes(), {}).orders

    assert [one.status_text for one in rows][-4:] == [
        "MODIFY VALIDATION PENDING", "MODIFY PENDING", "MODIFIED", "OPEN",
    ]  # fmt: skip
    times = [one.at_ms for one in rows]
    assert times == sorted(times)
    assert times[4] > times[3]  # a change that is on its way moves only the order's own time


@needs_shared_data
def test_kites_own_trades_and_postback() -> None:
    trades = trades_of((REST / "trades.json").read_bytes(), {"CDS:USDINR21JUNFUT": 1_000}).trades

    assert [(one.quantity, one.price_e4) for one in trades] == [
        (1, e4("420.65")), (1_000, e4("72.755")), (1, e4(4852)), (1, e4(4852)),
    ]  # fmt: skip
    assert trades[0].key == "NSE:10000000:200000000000000"
    assert ist_text(trades[1].at_ms)[:19] == "2021-05-31T11:18:27"
    posted = order_of((REST / "postback.json").read_bytes(), {})
    assert (posted.status, posted.filled, posted.side) == (OrderStatus.COMPLETE, 1, Side.BUY)


@pytest.mark.parametrize("status", ["UPDATE", "SOMETHING NEW", "EXPIRED", "open", ""])
def test_an_unknown_status_is_no_end(status: str) -> None:
    one = row(status=status)

    assert (one.status, one.status_text, one.is_final) == (None, status, False)


def test_an_order_for_the_next_session_that_was_cancelled_is_over() -> None:
    one = row(status="CANCELLED AMO", variety="amo")

    assert (one.status, one.status_text) == (OrderStatus.CANCELLED, "CANCELLED")


@pytest.mark.parametrize("status", [s for s in OrderStatus if s is not OrderStatus.EXPIRED])
def test_every_status_of_kite_is_known(status: OrderStatus) -> None:
    assert row(status=status.value).status is status
    assert row(status=status.value).is_final == status.is_final


def test_prices_are_exact_and_the_noise_of_floats_is_none() -> None:
    assert row(price=0.1 + 0.2, trigger_price=72.7525).limit_price_e4 == e4("0.3")
    assert row(trigger_price=72.7525).trigger_price_e4 == e4("72.7525")
    assert row(price=0, trigger_price=0).limit_price_e4 is None
    with pytest.raises(NotKites, match=r"100\.00005 has more than four decimal places"):
        row(price=100.00005)


def test_tags_come_from_both_places_once() -> None:
    assert row(tag=TAG, tags=["mktp", TAG]).tags == (TAG, "mktp")
    assert row(tag=None, tags=[TAG]).tags == (TAG,)
    assert row(tag=None, tags=None).tags == ()


def test_rows_of_before_the_exchange_have_the_time_of_the_order() -> None:
    one = row(exchange_update_timestamp=None, exchange_timestamp=None, status="VALIDATION PENDING")

    assert one.at_ms == at()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"quantity": -1}, "quantity -1 is not from 0"),
        ({"quantity": 1.5}, "Expected `int`"),
        ({"quantity": "10"}, "Expected `int`"),
        ({"filled_quantity": None}, "Expected `int`"),
        ({"order_id": ""}, "order_id '' is no name"),
        ({"order_id": 7}, "Expected `str`"),
        ({"transaction_type": "HOLD"}, "Invalid enum value 'HOLD'"),
        ({"price": -1}, "-1 is no price in rupees"),
        ({"order_type": "LIMIT", "price": None}, "LIMIT without a price"),
        ({"order_type": "SL-M", "trigger_price": None}, "SL-M without a trigger price"),
        ({"order_timestamp": "yesterday"}, "'yesterday' is not a time"),
    ],
)
def test_what_is_no_order_says_why_and_costs_itself_only(fault: dict[str, Any], words: str) -> None:
    with pytest.raises(NotKites, match=words):
        row(**fault)

    book = orders_of(body([order_row(), order_row(**fault)]), {})
    assert (len(book.orders), len(book.faults), book.is_whole) == (1, 1, False)


def test_a_row_without_what_we_need_is_none() -> None:
    less = order_row()
    del less["filled_quantity"]
    with pytest.raises(NotKites, match="filled_quantity"):
        order_of(json.dumps(less).encode(), {})


def test_what_an_order_can_do_without_may_be_nothing() -> None:
    bare = {
        "price": None,
        "trigger_price": None,
        "disclosed_quantity": None,
        "variety": None,
        "validity": None,
    }
    one = row(order_type="MARKET", tags=[None], tag=None, **bare)

    assert (one.limit_price_e4, one.trigger_price_e4, one.disclosed_quantity) == (None, None, 0)
    assert (one.variety, one.validity, one.tags) == ("regular", "", ())


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"quantity": 0}, "0 at 100.05 is no trade"),
        ({"average_price": 0}, "10 at 0 is no trade"),
        ({"average_price": "x"}, "Invalid decimal"),
        ({"trade_id": ""}, "trade_id '' is no name"),
    ],
)
def test_what_is_no_trade_says_why(fault: dict[str, Any], words: str) -> None:
    with pytest.raises(NotKites, match=words):
        trade_of(trade_row(**fault), {})


def test_a_trade_without_a_time_of_its_own_has_that_of_the_exchange_or_none() -> None:
    assert trade_of(trade_row(fill_timestamp=None), {}).at_ms == at()
    assert trade_of(trade_row(fill_timestamp=None, exchange_timestamp=None), {}).at_ms == 0


@pytest.mark.parametrize(
    "raw", [b"", b"<html>", b"[]", body([], "error"), body(None), b'{"status":"success"}']
)
def test_an_answer_that_is_no_list_is_no_information(raw: bytes) -> None:
    with pytest.raises(NotKites):
        orders_of(raw, {})
    with pytest.raises(NotKites):
        trades_of(raw, {})


def test_frames_tell_orders_or_other_things() -> None:
    frame = json.dumps({"type": "order", "data": order_row(tags=None)}).encode()

    assert order_in_frame(frame, {}) == row(tags=None)
    assert order_in_frame(b'{"type":"message","data":"hello"}', {}) is None
    assert order_in_frame(b'{"type":"error","data":"no"}', {}) is None
    for raw in (b"{", b'{"type":"order"}', b'{"type":"order","data":"?"}', b"7"):
        with pytest.raises(NotKites):
            order_in_frame(raw, {})


def test_times_as_kite_writes_them() -> None:
    assert ist_text_ms("2019-07-09 10:00:00") == at()
    assert ist_text_ms("2019-07-09T10:00:00+0530") == at()
    assert ist_text_ms("2019-07-09") == at("00:00")
    assert (ist_text_ms(None), ist_text_ms(""), ist_text_ms("null")) == (0, 0, 0)


@given(st.binary(max_size=80))
def test_any_bytes_are_rows_or_no_information(raw: bytes) -> None:
    for read in (orders_of, trades_of, order_of, trade_of, order_in_frame):
        with suppress(NotKites):
            read(raw, {})
