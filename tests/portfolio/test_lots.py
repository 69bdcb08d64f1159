"""Tax lots against LEAN's published trades, and what lots and averages have in common."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.money import ZERO, to_e4
from alphapanda.core.vocabulary import Side
from portfolio.domain.books import FLAT, BookedFill, Holding, book, unrealised
from portfolio.domain.lots import ClosedLot, Lots, Matching, match, seen
from tests.portfolio.fills import a_fill
from tests.shared_data import SHARED, needs_shared_data


def cases() -> list[dict[str, Any]]:
    path = SHARED / "accounting" / "closed_trades_fifo_lifo.json"
    return json.loads(path.read_text(), parse_float=Decimal)["cases"] if path.is_file() else []


CASES = [(case, method) for case in cases() for method in Matching if method.value.lower() in case]


def replayed(case: dict[str, Any], matching: Matching) -> tuple[Lots, list[ClosedLot], dict[Any, int]]:
    """Lots left, lots closed, and the number of each fill in the case. A multiplier makes so many units."""
    lots: Lots = ()
    closed: list[ClosedLot] = []
    numbers = {}
    for event in case["events"]:
        if "mark" in event:
            lots = seen(lots, to_e4(event["mark"]))
            continue
        units = event["qty"] * case.get("multiplier", 1)
        fee = {"fee": Decimal(event["fee"])}
        fill = a_fill(event["fill"], Side(event["side"]), units, to_e4(event["price"]), fee)
        numbers[fill.fill_id] = event["fill"]
        lots, ended = match(lots, fill, matching=matching)
        closed += ended
    return lots, closed, numbers


@needs_shared_data
@pytest.mark.parametrize(("case", "matching"), CASES, ids=lambda part: str(getattr(part, "value", part)))
def test_closed_lots_of_lean(case: dict[str, Any], matching: Matching) -> None:
    lots, closed, numbers = replayed(case, matching)
    multiplier = case.get("multiplier", 1)
    expected = case[matching.value.lower()]
    assert lots == ()
    assert len(closed) == len(expected)
    for ours, theirs in zip(closed, expected, strict=True):
        direction = 1 if theirs["direction"] == "LONG" else -1
        found = {
            "entry_fill": numbers[ours.opened_by],
            "exit_fill": numbers[ours.closed_by],
            "direction": "LONG" if ours.quantity > 0 else "SHORT",
            "qty": ours.quantity * direction // multiplier,
            "entry_price": ours.entry_price,
            "exit_price": ours.exit_price,
            "pnl": ours.profit,
            "fees": ours.charges,
            "mae": ours.worst,
            "mfe": ours.best,
        }
        assert {name: found[name] for name in theirs} == theirs


@needs_shared_data
def test_no_published_case_is_left_out() -> None:
    """`flat_to_flat` of the same file is compared in tests/engine/test_statistics.py."""
    compared = {"fifo", "lifo", "flat_to_flat", "id", "source", "events", "multiplier"}
    assert len(cases()) == 6
    assert len(CASES) == 7
    assert {key for case in cases() for key in case} == compared


FILLS = st.lists(
    st.tuples(
        st.sampled_from(Side),
        st.integers(1, 1_000),
        st.integers(1, 500_000_000),
        st.decimals(0, 100, places=8),
    ),
    max_size=25,
)
MATCHING = st.sampled_from(Matching)


def numbered(rows: list[tuple[Side, int, int, Decimal]]) -> list[BookedFill]:
    numbers = count(1)
    return [a_fill(next(numbers), side, size, price, {"fee": fee}) for side, size, price, fee in rows]


@given(rows=FILLS, mark_e4=st.integers(1, 500_000_000), matching=MATCHING)
def test_lots_and_averages_tell_the_same_total(
    rows: list[tuple[Side, int, int, Decimal]], mark_e4: int, matching: Matching
) -> None:
    """Which lot closes first moves profit between realised and open, and makes none."""
    fills = numbered(rows)
    holding: Holding = FLAT
    lots: Lots = ()
    closed: list[ClosedLot] = []
    for fill in fills:
        holding, _ = book(holding, fill)
        lots, ended = match(lots, fill, matching=matching)
        closed += ended
        assert sum(lot.quantity for lot in lots) == holding.quantity
        assert len({lot.quantity > 0 for lot in lots}) <= 1
    realised = sum((lot.profit for lot in closed), ZERO)
    still_open = sum((lot.profit(mark_e4) for lot in lots), ZERO)
    assert realised + still_open == holding.realised + unrealised(holding, mark_e4)
    counted = sum((lot.charges for lot in (*closed, *lots)), ZERO)
    assert counted == sum((sum(fill.charges.values(), ZERO) for fill in fills), ZERO)
    assert all(lot.worst <= min(ZERO, lot.profit) <= max(ZERO, lot.profit) <= lot.best for lot in closed)


@given(rows=FILLS)
def test_fifo_closes_the_oldest_and_lifo_the_newest(rows: list[tuple[Side, int, int, Decimal]]) -> None:
    fills = numbered(rows)
    for matching, is_next in ((Matching.FIFO, 0), (Matching.LIFO, -1)):
        lots: Lots = ()
        for fill in fills:
            before = lots
            lots, ended = match(before, fill, matching=matching)
            if ended:
                assert ended[0].opened_by == before[is_next].opened_by
            assert [lot.opened_at_ms for lot in lots] == sorted(lot.opened_at_ms for lot in lots)
