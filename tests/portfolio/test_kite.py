"""Positions and holdings against what Kite itself states."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.money import to_e4
from alphapanda.core.vocabulary import Side
from portfolio.domain.books import FLAT, BookedFill, Holding, book, unrealised
from portfolio.domain.kite import KitePosition, day_position, holding_figures, net_position
from tests.portfolio.fills import a_fill
from tests.shared_data import SHARED, needs_shared_data


def decimals(*path: str) -> Any:
    file = SHARED.joinpath(*path)
    return json.loads(file.read_text(), parse_float=Decimal) if file.is_file() else None


def cases() -> list[dict[str, Any]]:
    loaded = decimals("accounting", "kite_positions_and_holdings.json")
    return loaded["cases"] if loaded else []


POSITIONS = [case for case in cases() if "expect_net" in case]


def fills_of(rows: list[dict[str, Any]]) -> list[BookedFill]:
    return [
        a_fill(number, Side(row["side"]), row["qty"], to_e4(row["price"]))
        for number, row in enumerate(rows, start=1)
    ]


def figures(position: KitePosition) -> dict[str, Any]:
    return msgspec.structs.asdict(position)


@needs_shared_data
@pytest.mark.parametrize("case", POSITIONS, ids=lambda case: str(case["id"]))
def test_shared_cases_of_positions(case: dict[str, Any]) -> None:
    fills = fills_of(case["day_fills"])
    prices = {
        "close_e4": to_e4(case["close_price"]),
        "last_e4": to_e4(case["last_price"]),
        "multiplier": case["multiplier"],
    }
    over = case["overnight"]
    carried = Holding(over["qty"], over["qty"] * Decimal(over["price"])) if over else FLAT
    net = figures(net_position(carried, fills, **prices))
    assert {name: net[name] for name in case["expect_net"]} == case["expect_net"]
    if expected := case.get("expect_day"):
        day = figures(day_position(fills, **prices))
        assert {name: day[name] for name in expected} == expected


def rows_of_kite() -> list[tuple[str, dict[str, Any]]]:
    loaded = decimals("kite", "rest", "positions.json")
    return [(kind, row) for kind in ("net", "day") for row in loaded["data"][kind]] if loaded else []


@needs_shared_data
@pytest.mark.parametrize(
    ("kind", "row"), rows_of_kite(), ids=lambda part: part if isinstance(part, str) else part["tradingsymbol"]
)
def test_every_figure_of_kites_sample(kind: str, row: dict[str, Any]) -> None:
    """The 25 figures of a row (the other four say which instrument and product it is)."""
    overnight = row["overnight_quantity"]
    carried = Holding(
        overnight, Decimal(row["buy_value"] - row["day_buy_value"]) if overnight else 0 * Decimal(1)
    )
    sides = ((Side.BUY, "buy"), (Side.SELL, "sell"))
    fills = fills_of(
        [
            {"side": side, "qty": row[f"day_{name}_quantity"], "price": row[f"day_{name}_price"]}
            for side, name in sides
            if row[f"day_{name}_quantity"]
        ]
    )
    ours = figures(
        net_position(
            carried,
            fills,
            close_e4=to_e4(row["close_price"]),
            last_e4=to_e4(row["last_price"]),
            multiplier=row["multiplier"],
        )
    )
    assert len(ours) == 25
    assert ours == {name: row[name] for name in ours}


@needs_shared_data
def test_shared_case_of_holdings() -> None:
    [case] = [case for case in cases() if case["id"] == "kite_holdings_pnl"]
    theirs = decimals("kite", "rest", "holdings.json")["data"]
    for row in case["rows"] + theirs:
        ours = holding_figures(
            quantity=row["quantity"],
            t1_quantity=row.get("t1_quantity", 0),
            average_price=Decimal(row["average_price"]),
            last_price=row["last_price"],
            close_price=row["close_price"],
        )
        for name in ("pnl", "day_change", "day_change_percentage"):
            assert round(getattr(ours, name), 10) == round(Decimal(row[name]), 10), (
                row["tradingsymbol"],
                name,
            )


@needs_shared_data
def test_no_shared_case_is_left_out() -> None:
    """The rule that is told in words is the property below."""
    named = {case["id"] for case in POSITIONS} | {"kite_pnl_rule", "kite_holdings_pnl"}
    assert {case["id"] for case in cases()} == named
    assert len(POSITIONS) == 3


def test_shares_of_yesterday_count_in_a_holding() -> None:
    ours = holding_figures(
        quantity=2, t1_quantity=3, average_price=Decimal(10), last_price=Decimal(12), close_price=Decimal(8)
    )
    assert (ours.pnl, ours.day_change, ours.day_change_percentage) == (10, 4, 50)
    with pytest.raises(ValueError, match="close of 0"):
        holding_figures(quantity=1, average_price=Decimal(1), last_price=Decimal(1), close_price=Decimal(0))


def test_the_average_is_of_all_that_was_bought_as_zerodha_explains_it() -> None:
    """support.zerodha.com: 50 bought at 280 and sold at 287, 70 bought at 283; at 280 the profit is 140."""
    fills = fills_of(
        [
            {"side": "BUY", "qty": 50, "price": 280},
            {"side": "SELL", "qty": 50, "price": 287},
            {"side": "BUY", "qty": 70, "price": 283},
        ]
    )
    ours = day_position(fills, close_e4=None, last_e4=to_e4(280))
    assert (ours.quantity, ours.average_price, ours.pnl) == (70, Decimal("281.75"), 140)
    sold = day_position(fills[:2], close_e4=None, last_e4=None)
    assert (sold.quantity, sold.average_price, sold.pnl) == (0, 0, 350)


def test_what_needs_a_price_that_is_not_known_is_not_known() -> None:
    carried = Holding(10, Decimal(1_000))
    no_mark = net_position(carried, [], close_e4=to_e4(101), last_e4=None)
    assert (no_mark.pnl, no_mark.m2m, no_mark.last_price) == (None, None, None)
    no_close = net_position(carried, [], close_e4=None, last_e4=to_e4(102))
    assert (no_close.pnl, no_close.m2m, no_close.buy_m2m) == (20, None, None)


def test_a_carried_short_is_bought_back() -> None:
    carried = Holding(-10, Decimal(-1_000))
    ours = net_position(carried, [a_fill(1, Side.BUY, 4, to_e4(90))], close_e4=to_e4(95), last_e4=to_e4(92))
    assert (ours.quantity, ours.average_price, ours.sell_value, ours.sell_m2m) == (-6, 100, 1_000, 950)
    assert (ours.pnl, ours.m2m) == (1_000 - 360 - 6 * 92, 950 - 360 - 6 * 92)


PRICES = st.integers(1, 10_000_000)
FILLS = st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 500), PRICES), max_size=12)


@given(carried=FILLS, today=FILLS, last_e4=PRICES)
def test_kites_profit_is_that_of_the_books(
    carried: list[tuple[Side, int, int]], today: list[tuple[Side, int, int]], last_e4: int
) -> None:
    """pnl is what the day realised and what is open at the last price, however the average is told."""
    before: Holding = FLAT
    for number, row in enumerate(carried):
        before, _ = book(before, a_fill(number, *row))
    fills = [a_fill(1_000 + number, *row) for number, row in enumerate(today)]
    after = before
    for fill in fills:
        after, _ = book(after, fill)
    ours = net_position(before, fills, close_e4=last_e4, last_e4=last_e4)
    assert ours.quantity == after.quantity
    assert ours.pnl == after.realised - before.realised + unrealised(after, last_e4)
    assert ours.value == ours.sell_value - ours.buy_value
    assert ours.m2m == ours.pnl - unrealised(before, last_e4)
