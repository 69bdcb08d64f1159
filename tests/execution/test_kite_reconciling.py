"""Ours against the broker's: every difference is found, none is made up, and a failed read says nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import uuid5

import msgspec
import pytest

from alphapanda.core.vocabulary import OrderStatus as S
from alphapanda.core.vocabulary import Side
from execution.domain.kite.account import Gap
from execution.domain.kite.orders import LiveOrder, Sending
from execution.domain.kite.reconciling import (
    SOURCES,
    Difference,
    Kind,
    Ours,
    Theirs,
    Where,
    compare,
    gap_of,
    of_gap,
    traded_units,
    worst_exposure,
)
from execution.domain.kite.tags import tag_of
from tests.builders import e4
from tests.kite_builders import BROKER_ID, HOUSE, ORDER, live, placing, seen, snapshot, trade, traded

HERE = Where("NSE:STOCK7", "MIS")
OTHER_ID = "7"
STRANGER = snapshot(order_id=OTHER_ID, tags=(), limit_price_e4=e4(50))


def part_filled() -> LiveOrder:
    return live(None, placing(), seen(S.OPEN, 4), traded(1, 4))


def ours(*orders: LiveOrder) -> Ours:
    return Ours(HOUSE, orders or (part_filled(),))


def theirs(*orders: Any, **more: Any) -> Theirs:
    return Theirs(**({"orders": orders or (snapshot(S.OPEN, 4),), "trades": (trade(1, 4),)} | more))


def differences(own: Ours, other: Theirs) -> list[tuple[Kind, str, str, str]]:
    return [(one.kind, one.key, one.ours, one.theirs) for one in compare(own, other)]


def test_where_both_agree_there_is_no_difference() -> None:
    assert differences(ours(), theirs()) == []


def test_an_order_that_is_not_in_the_book() -> None:
    other = Theirs(orders=(), trades=(trade(1, 4),))

    assert differences(ours(), other) == [(Kind.ORDER_MISSING, BROKER_ID, "OPEN", "-")]


def test_an_order_that_is_being_looked_up_is_not_missing_and_one_found_by_tag_is_told() -> None:
    lost = live(None, placing(Sending.UNKNOWN))
    assert differences(ours(lost), Theirs(orders=(), trades=())) == []

    assert differences(ours(lost), Theirs(orders=(snapshot(S.COMPLETE, 10),))) == [
        (Kind.ORDER_ENDED, BROKER_ID, "OPEN", "COMPLETE"),
        (Kind.ORDER_FILLED, BROKER_ID, "0", "10"),
    ]


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (snapshot(S.OPEN, 7), [(Kind.ORDER_FILLED, BROKER_ID, "4", "7")]),
        (snapshot(S.OPEN, 3), [(Kind.ORDER_FILLED, BROKER_ID, "4", "3")]),
        (snapshot(S.CANCELLED, 4), [(Kind.ORDER_ENDED, BROKER_ID, "OPEN", "CANCELLED")]),
        # the terms of what is over there are of no account
        (snapshot(S.CANCELLED, 4, quantity=8), [(Kind.ORDER_ENDED, BROKER_ID, "OPEN", "CANCELLED")]),
    ],
)  # fmt: skip
def test_an_order_that_is_another_there(row: Any, found: list[object]) -> None:
    assert differences(ours(), theirs(row)) == found


@pytest.mark.parametrize(
    ("change", "there"),
    [
        ({"quantity": 12}, "12 at 1000000 from -"),
        ({"limit_price_e4": e4(99)}, "10 at 990000 from -"),
        ({"trigger_price_e4": 5}, "10 at 1000000 from 5"),
    ],
)
def test_an_order_of_other_terms_there(change: dict[str, int], there: str) -> None:
    found = differences(ours(), theirs(snapshot(S.OPEN, 4, **change)))

    assert found == [(Kind.ORDER_TERMS, BROKER_ID, "10 at 1000000 from -", there)]


def test_an_order_that_ended_here_and_works_there() -> None:
    ended = live(None, placing(), seen(S.CANCELLED, 4), traded(1, 4))

    assert differences(ours(ended), theirs()) == [(Kind.ORDER_ENDED, BROKER_ID, "CANCELLED", "OPEN")]
    refused = live(None, placing(Sending.REFUSED))
    assert differences(ours(refused), theirs(snapshot(), trades=())) == [
        (Kind.ORDER_ENDED, BROKER_ID, "REJECTED", "OPEN"),
    ]


def test_a_status_that_lies_is_no_difference_where_all_has_traded() -> None:
    done = live(None, placing(), seen(S.COMPLETE, 10), traded(1, 4), traded(2, 6))
    trades = (trade(1, 4), trade(2, 6))

    assert differences(ours(done), theirs(snapshot(S.OPEN, 10), trades=trades)) == []
    more = differences(ours(done), theirs(snapshot(S.OPEN, 10, quantity=12), trades=trades))
    assert (Kind.ORDER_ENDED, BROKER_ID, "COMPLETE", "OPEN") in more


def test_one_order_of_ours_that_is_two_there() -> None:
    second = snapshot(S.OPEN, 0, order_id=OTHER_ID)

    assert differences(ours(), theirs(snapshot(S.OPEN, 4), second)) == [
        (Kind.ORDER_DOUBLED, str(ORDER), "1 order", f"{BROKER_ID} {OTHER_ID}"),
    ]


def test_orders_made_elsewhere_are_no_difference_and_worth_what_they_may_come_to() -> None:
    rows = [
        STRANGER,
        msgspec.structs.replace(STRANGER, order_id="8", filled=3, status=S.CANCELLED, side=Side.SELL),
        msgspec.structs.replace(STRANGER, order_id="9", limit_price_e4=None, order_type="MARKET"),
    ]

    assert differences(ours(), theirs(snapshot(S.OPEN, 4), *rows)) == []
    assert [worst_exposure(row, e4(60)) for row in rows] == [600, 180, 600]
    assert worst_exposure(rows[2], 0) is None


def test_what_a_book_says_was_traded_by_us_beyond_what_is_known_and_by_others() -> None:
    sold = msgspec.structs.replace(STRANGER, filled=3, side=Side.SELL)

    _, more, others = traded_units(ours(), (snapshot(S.OPEN, 7), sold))

    assert (more, others) == (Counter({HERE: 3}), Counter({HERE: -3}))


def test_a_tag_of_this_house_that_nobody_here_knows_is_no_external_order() -> None:
    lost = snapshot(order_id=OTHER_ID, tags=(tag_of(HOUSE, uuid5(ORDER, "lost"), 1),))
    elsewhere = snapshot(order_id=OTHER_ID, tags=(tag_of("another house", ORDER, 1),))

    assert [kind for kind, *_ in differences(ours(), theirs(snapshot(S.OPEN, 4), lost))] == [
        Kind.ORDER_UNCLAIMED
    ]
    assert differences(ours(), theirs(snapshot(S.OPEN, 4), elsewhere)) == []


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([], [(Kind.TRADE_MISSING, "NSE:1:" + BROKER_ID, "BUY 4 at 1000000", "-")]),
        ([trade(1, 4), trade(2, 6)], [(Kind.TRADE_UNKNOWN, "NSE:2:" + BROKER_ID, "-", "BUY 6 at 1000000")]),
        ([trade(1, 4, 101)], [(Kind.TRADE_DIFFERS, "NSE:1:" + BROKER_ID, "BUY 4 at 1000000", "BUY 4 at 1010000")]),
        ([trade(1, 4), trade(9, 6, order_id=OTHER_ID)], []),  # of an order made elsewhere
    ],
)  # fmt: skip
def test_trades(rows: list[Any], found: list[object]) -> None:
    assert differences(ours(), theirs(trades=tuple(rows))) == found


@pytest.mark.parametrize("is_taken", [False, True])
def test_a_gap_of_the_account_is_a_difference_and_back(is_taken: bool) -> None:
    gap = Gap(HERE, 4, -2, is_taken=is_taken)
    kind = Kind.TAKEN if is_taken else Kind.POSITION

    assert of_gap(gap) == Difference(kind, "NSE:STOCK7 MIS", "4", "-2")
    assert gap_of(kind, "NSE:STOCK7 MIS", "4", "-2") == gap


@pytest.mark.parametrize("failed", ["orders", "trades"])
def test_what_was_not_read_is_not_compared(failed: str) -> None:
    read = {"orders": (snapshot(S.OPEN, 7),), "trades": (), failed: None}

    found = {one.kind for one in compare(ours(), Theirs(**read))}

    assert found == {Kind.TRADE_MISSING if failed == "orders" else Kind.ORDER_FILLED}


def test_every_kind_is_read_from_somewhere() -> None:
    assert SOURCES.keys() == set(Kind)
