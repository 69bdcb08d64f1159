"""Ours against the broker's: every difference is found, none is made up, and a failed read says nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import uuid5

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.vocabulary import OrderStatus as S
from alphapanda.core.vocabulary import Side
from execution.domain.kite.orders import LiveOrder, Sending
from execution.domain.kite.reconciling import (
    SOURCES,
    Aged,
    Difference,
    Kind,
    Ours,
    Source,
    Theirs,
    Where,
    aged,
    compare,
)
from execution.domain.kite.tags import tag_of
from tests.builders import at, e4
from tests.kite_builders import BROKER_ID, HOUSE, ORDER, live, placing, seen, snapshot, trade, traded

HERE = Where("NSE:STOCK7", "MIS")
CNC = Where("NSE:STOCK8", "CNC")
OTHER_ID = "7"
STRANGER = snapshot(order_id=OTHER_ID, tags=(), limit_price_e4=e4(50))


def part_filled() -> LiveOrder:
    return live(None, placing(), seen(S.OPEN, 4), traded(1, 4))


def ours(*orders: LiveOrder, **more: Any) -> Ours:
    return Ours(HOUSE, orders or (part_filled(),), **({"positions": {HERE: 4}} | more))


def theirs(*orders: Any, **more: Any) -> Theirs:
    fields = {"orders": orders or (snapshot(S.OPEN, 4),), "trades": (trade(1, 4),), "positions": {HERE: 4}}
    return Theirs(**(fields | more))


def kinds(found: list[Difference]) -> list[tuple[Kind, str, str, str]]:
    return [(one.kind, one.key, one.ours, one.theirs) for one in found]


def differences(own: Ours, other: Theirs, **marks: int) -> list[tuple[Kind, str, str, str]]:
    return kinds(compare(own, other, marks_e4={f"NSE:{name}": mark for name, mark in marks.items()}))


def test_where_both_agree_there_is_no_difference() -> None:
    both = {"holdings": {"NSE:STOCK8": 5}, "funds": {"equity": Decimal("100.50")}}

    assert differences(ours(**both), theirs(**both)) == []


def test_an_order_that_is_not_in_the_book() -> None:
    other = Theirs(orders=(), trades=(trade(1, 4),), positions={HERE: 4})

    assert differences(ours(), other) == [(Kind.ORDER_MISSING, BROKER_ID, "OPEN", "-")]


def test_an_order_that_is_being_looked_up_is_not_missing_and_one_found_by_tag_is_told() -> None:
    lost = live(None, placing(Sending.UNKNOWN))
    nothing = {"positions": {}}
    assert differences(ours(lost, **nothing), Theirs(orders=(), trades=(), positions={})) == []

    found = differences(
        ours(lost, **nothing), Theirs(orders=(snapshot(S.COMPLETE, 10),), positions={HERE: 10})
    )
    assert found == [
        (Kind.ORDER_ENDED, BROKER_ID, "OPEN", "COMPLETE"),
        (Kind.ORDER_FILLED, BROKER_ID, "0", "10"),
    ]  # what it filled explains the position


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
    positions = {HERE: row.filled}

    assert differences(ours(), theirs(row, positions=positions)) == found


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
    assert differences(ours(refused, positions={}), theirs(snapshot(), trades=(), positions={})) == [
        (Kind.ORDER_ENDED, BROKER_ID, "REJECTED", "OPEN"),
    ]


def test_one_order_of_ours_that_is_two_there() -> None:
    second = snapshot(S.OPEN, 0, order_id=OTHER_ID)

    assert differences(ours(), theirs(snapshot(S.OPEN, 4), second)) == [
        (Kind.ORDER_DOUBLED, str(ORDER), "1 order", f"{BROKER_ID} {OTHER_ID}"),
    ]


def test_orders_made_elsewhere_are_listed_with_their_worst_and_explain_the_position() -> None:
    rows = [
        STRANGER,
        msgspec.structs.replace(STRANGER, order_id="8", filled=3, status=S.CANCELLED, side=Side.SELL),
        msgspec.structs.replace(STRANGER, order_id="9", limit_price_e4=None, order_type="MARKET"),
    ]
    found = compare(
        ours(), theirs(snapshot(S.OPEN, 4), *rows, positions={HERE: 1}), marks_e4={"NSE:STOCK7": e4(60)}
    )

    assert [(one.kind, one.key, one.exposure) for one in found] == [
        (Kind.EXTERNAL, "7", Decimal(600)),
        (Kind.EXTERNAL, "8", Decimal(180)),
        (Kind.EXTERNAL, "9", Decimal(600)),
    ]
    assert found[0].theirs == "BUY 0 of 10 NSE:STOCK7 OPEN"
    unmarked = compare(ours(), theirs(snapshot(S.OPEN, 4), rows[2]), marks_e4={})
    assert [one.exposure for one in unmarked] == [None]


def test_a_tag_of_this_house_that_nobody_here_knows_is_no_external_order() -> None:
    lost = snapshot(order_id=OTHER_ID, tags=(tag_of(HOUSE, uuid5(ORDER, "lost"), 1),))
    elsewhere = snapshot(order_id=OTHER_ID, tags=(tag_of("another house", ORDER, 1),))

    assert [kind for kind, *_ in differences(ours(), theirs(snapshot(S.OPEN, 4), lost))] == [
        Kind.ORDER_UNCLAIMED
    ]
    assert [kind for kind, *_ in differences(ours(), theirs(snapshot(S.OPEN, 4), elsewhere))] == [
        Kind.EXTERNAL
    ]


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


def test_positions_holdings_and_funds() -> None:
    assert differences(ours(), theirs(positions={})) == [(Kind.POSITION, "NSE:STOCK7 MIS", "4", "0")]
    assert differences(ours(), theirs(positions={HERE: 4, CNC: -2})) == [
        (Kind.POSITION, "NSE:STOCK8 CNC", "0", "-2"),
    ]
    assert differences(ours(theirs_before={CNC: -2}), theirs(positions={HERE: 4, CNC: -2})) == []
    assert differences(ours(holdings={"NSE:STOCK8": 5}), theirs(holdings={"NSE:STOCK8": 4})) == [
        (Kind.HOLDING, "NSE:STOCK8", "5", "4"),
    ]
    own = ours(funds={"equity": Decimal("100.50")})
    assert differences(own, theirs(funds={"equity": Decimal("100.49"), "commodity": Decimal(1)})) == [
        (Kind.FUNDS, "equity", "100.50", "100.49"),
    ]
    assert differences(own, theirs(funds={})) == [(Kind.FUNDS, "equity", "100.50", "-")]
    close = theirs(funds={"equity": Decimal("100.49")})
    assert compare(own, close, marks_e4={}, funds_tolerance=Decimal("0.01")) == []


@given(st.sets(st.sampled_from(Source)))
def test_what_was_not_read_is_not_compared(failed: set[Source]) -> None:
    own = ours(holdings={"A": 1}, funds={"equity": Decimal(1)})
    fields = {
        "orders": (snapshot(S.OPEN, 7), STRANGER), "trades": (), "positions": {}, "holdings": {}, "funds": {},
    }  # fmt: skip
    read = {name: None if Source[name.upper()] in failed else value for name, value in fields.items()}
    other = Theirs(**read)
    found = compare(own, other, marks_e4={})

    assert other.read == frozenset(Source) - failed
    assert all(other.read.issuperset(SOURCES[one.kind]) for one in found)
    all_kinds = {
        Kind.ORDER_FILLED, Kind.EXTERNAL, Kind.TRADE_MISSING, Kind.POSITION, Kind.HOLDING, Kind.FUNDS,
    }  # fmt: skip
    assert {one.kind for one in found} == {kind for kind in all_kinds if other.read.issuperset(SOURCES[kind])}


def test_every_kind_is_read_from_somewhere() -> None:
    assert SOURCES.keys() == set(Kind)


# ---- ages --------------------------------------------------------------------------------------------------

ALL = frozenset(Source)
FILLED = Difference(Kind.ORDER_FILLED, "1", "4", "7")
FUNDS = Difference(Kind.FUNDS, "equity", "1", "2")
EXTERNAL = Difference(Kind.EXTERNAL, "7", "-", "BUY")


def test_what_is_seen_in_two_rounds_halts_and_what_is_gone_is_forgotten() -> None:
    first = aged([], [FILLED, FUNDS], ALL, at())
    assert [(one.rounds, one.halts) for one in first] == [(1, False), (1, False)]
    moved = Difference(Kind.ORDER_FILLED, "1", "5", "8")
    second = aged(first, [moved], ALL, at() + 5_000)
    assert second == [Aged(moved, 2, at())]
    assert second[0].halts
    third = aged(second, [], ALL, at() + 10_000)
    assert third == []
    assert [one.rounds for one in aged(third, [FILLED], ALL, at())] == [1]


def test_orders_made_elsewhere_never_halt() -> None:
    known: list[Aged] = []
    for number in range(5):
        known = aged(known, [EXTERNAL], ALL, at() + number)

    assert [(one.rounds, one.halts) for one in known] == [(5, False)]


def test_a_failed_read_neither_ages_nor_forgets() -> None:
    first = aged([], [FILLED, FUNDS], ALL, at())
    second = aged(first, [FUNDS], ALL - {Source.ORDERS}, at() + 5_000)
    assert [(one.difference, one.rounds) for one in second] == [(FILLED, 1), (FUNDS, 2)]
    third = aged(second, [FILLED], ALL - {Source.FUNDS}, at() + 10_000)
    assert [(one.difference, one.rounds) for one in third] == [(FILLED, 2), (FUNDS, 2)]
    position = [Aged(Difference(Kind.POSITION, "A", "1", "2"), 1, at())]
    assert aged(position, [], ALL - {Source.ORDERS}, at()) == position  # needs both reads
    assert aged(position, [], ALL, at()) == []
