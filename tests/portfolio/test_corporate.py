"""Splits, bonuses and dividends on holdings, lots and the ledger."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from alphapanda.core import ids
from alphapanda.core.clock import ist_text
from alphapanda.core.money import ZERO, to_e4
from alphapanda.core.vocabulary import Side
from portfolio.domain.books import FLAT, BookedFill, Holding, average_price, book, cash_moved, cash_of
from portfolio.domain.corporate import (
    Action,
    ActionKind,
    BadAction,
    BookedAction,
    FractionLeft,
    act,
    act_on_lots,
    booked_actions,
    shared,
    together,
)
from portfolio.domain.history import rebuild
from portfolio.domain.lots import Lots, match
from tests.portfolio.fills import DEPLOYMENT, a_fill

EX_DATE = date(2018, 9, 4)  # INFY gave one share for one


def an_action(kind: str, *, new: int = 0, old: int = 0, amount: object = 0, name: str = "one") -> Action:
    return Action(
        action_id=ids.derived("action", name),
        kind=ActionKind(kind),
        instrument="NSE:INFY",
        ex_date=EX_DATE,
        new=new,
        old=old,
        amount=Decimal(str(amount)),
    )


def applied(action: Action, entitled: int = 0) -> BookedAction:
    return booked_actions(action, {DEPLOYMENT: entitled})[0]


SPLIT = an_action("SPLIT", new=5, old=1)
BONUS = an_action("BONUS", new=1, old=2)
DIVIDEND = an_action("DIVIDEND", amount="12.5")
HELD = Holding(10, Decimal(1_000), Decimal(7), Decimal(3))


def test_a_split_makes_more_shares_of_the_same_cost() -> None:
    after, entries = act(HELD, applied(SPLIT, 10))
    assert after == Holding(50, Decimal(1_000), Decimal(7), Decimal(3))
    assert average_price(after) == 20
    assert entries == []


def test_a_consolidation_that_divides_makes_fewer_shares() -> None:
    after, _ = act(HELD, applied(an_action("SPLIT", new=1, old=5)))
    assert (after.quantity, after.cost) == (2, 1_000)


def test_a_split_that_would_leave_part_of_a_share_is_refused() -> None:
    with pytest.raises(FractionLeft, match="10 of NSE:INFY do not divide: 3 become 1"):
        act(HELD, applied(an_action("SPLIT", new=1, old=3)))


@pytest.mark.parametrize(("held", "after"), [(10, 15), (5, 7), (1, 1), (-10, -15), (-5, -7), (0, 0)])
def test_a_bonus_gives_whole_shares_for_nothing(held: int, after: int) -> None:
    """Half a share of a bonus of one for two is given up; who is short owes the bonus."""
    holding = Holding(held, Decimal(held * 100))
    assert act(holding, applied(BONUS, held)) == (Holding(after, Decimal(held * 100)), [])


def test_a_dividend_is_cash_and_profit() -> None:
    after, entries = act(HELD, applied(DIVIDEND, 10))
    assert after == Holding(10, Decimal(1_000), Decimal(132), Decimal(3))
    assert {entry.account: entry.amount for entry in entries} == {
        "CASH": Decimal(125),
        "REALISED:dividend": Decimal(-125),
    }
    assert [entry.number for entry in entries] == [1, 2]


def test_a_dividend_is_for_what_was_held_before_the_ex_date() -> None:
    """Applied late, on a book that has sold since, it pays what was due; a short pays it."""
    assert act(FLAT, applied(DIVIDEND, 10))[0].realised == 125
    assert cash_moved(act(Holding(-10), applied(DIVIDEND, -10))[1]) == -125


def test_it_takes_effect_at_the_start_of_the_ex_date_and_once_a_book() -> None:
    first = applied(SPLIT, 10)
    assert ist_text(first.at_ms) == "2018-09-04T00:00:00.000+05:30"
    assert applied(SPLIT, 10).posting_id == first.posting_id
    other = booked_actions(SPLIT, {ids.deployment_id("other"): 10})[0]
    assert other.posting_id != first.posting_id


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"kind": "DIVIDEND"}, "amount"),
        ({"kind": "DIVIDEND", "amount": "-1"}, "amount"),
        ({"kind": "DIVIDEND", "amount": "NaN"}, "amount"),
        ({"kind": "DIVIDEND", "amount": "1", "new": 1}, "no ratio"),
        ({"kind": "SPLIT", "new": 5}, "`new` and `old`"),
        ({"kind": "BONUS", "old": 1, "new": -1}, "`new` and `old`"),
        ({"kind": "SPLIT", "new": 2, "old": 2}, "changes nothing"),
        ({"kind": "BONUS", "new": 1, "old": 1, "amount": "1"}, "no `amount`"),
        ({"kind": "SPLIT", "new": 10**20, "old": 1}, "from 1 to 1000000"),
        ({"kind": "DIVIDEND", "amount": "1e30"}, "below 100000000"),
        ({"kind": "DIVIDEND", "amount": "0.00001"}, "4 places at most"),
    ],
)
def test_figures_that_make_no_sense_are_refused(facts: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadAction, match=reason):
        an_action(**facts)


def test_an_applied_action_survives_json() -> None:
    for action in (SPLIT, BONUS, DIVIDEND):
        one = applied(action, 10)
        assert msgspec.convert(msgspec.to_builtins(one), BookedAction) == one


def test_a_bonus_that_was_booked_before_accounts_shared_them_gives_what_it_gave() -> None:
    """Each book then had the whole shares of its own, and its row says no more than what was held."""
    row = msgspec.to_builtins(applied(BONUS, 5))
    del row["given"]
    then = msgspec.convert(row, BookedAction)
    assert act(Holding(5), then)[0].quantity == 7
    assert act_on_lots(lots_of(10), together([then, then]))[-1].quantity == 4


def lots_of(*sizes: int) -> Lots:
    lots: Lots = ()
    for number, size in enumerate(sizes, start=1):
        side = Side.BUY if size > 0 else Side.SELL
        lots, _ = match(lots, a_fill(number, side, abs(size), to_e4(100)))
    return lots


def test_lots_of_a_split_keep_their_cost_and_age() -> None:
    before = lots_of(10, 5)
    after = act_on_lots(before, applied(SPLIT))
    assert [lot.quantity for lot in after] == [50, 25]
    assert [(lot.cost, lot.opened_at_ms, lot.opened_by) for lot in after] == [
        (lot.cost, lot.opened_at_ms, lot.opened_by) for lot in before
    ]


def test_a_lot_that_a_split_does_not_divide_leaves_the_rest_to_the_next() -> None:
    assert [
        lot.quantity for lot in act_on_lots(lots_of(1, 1), applied(an_action("SPLIT", new=3, old=2)))
    ] == [
        1,
        2,
    ]
    one_for_ten = act_on_lots(lots_of(3, 3, 14), applied(an_action("SPLIT", new=1, old=10)))
    assert [(lot.quantity, lot.cost) for lot in one_for_ten] == [(2, 2_000)]


def test_bonus_shares_are_a_lot_of_their_own_that_cost_nothing() -> None:
    *kept, given = act_on_lots(lots_of(10), applied(BONUS, 10))
    assert tuple(kept) == lots_of(10)
    assert (given.quantity, given.cost, given.opened_at_ms) == (5, 0, SPLIT.at_ms)
    assert act_on_lots(lots_of(1), applied(BONUS, 1)) == lots_of(1)
    assert act_on_lots((), applied(BONUS)) == ()


def test_a_dividend_leaves_lots_alone() -> None:
    assert act_on_lots(lots_of(10), applied(DIVIDEND, 10)) == lots_of(10)


BOOKS = [ids.deployment_id(name) for name in "abcde"]


@pytest.mark.parametrize(
    ("units", "given"),
    [
        ((1, 1), (0, 1)),  # of equal parts the lower id has it
        ((1, 1, 1), (0, 0, 1)),
        ((3, 2), (1, 1)),
        ((2, 3), (1, 1)),
        ((1, 2, 1, 3), (0, 1, 0, 2)),  # seven bring three
        ((-1, -1), (0, -1)),
        ((2, -1), (1, -1)),  # one is held in all, and brings none
        ((1, -1), (0, 0)),
    ],
)
def test_a_depository_gives_the_whole_shares_of_an_account(
    units: tuple[int, ...], given: tuple[int, ...]
) -> None:
    """One for two, over several books of one account."""
    books = sorted(BOOKS)[::-1]
    assert shared(BONUS, dict(zip(books, units, strict=False))) == dict(zip(books, given, strict=False))


@given(
    units=st.lists(st.integers(-300, 300), min_size=1, max_size=5),
    new=st.integers(1, 12),
    old=st.integers(1, 12),
)
def test_books_of_an_account_and_its_lots_have_what_the_depository_gives(
    units: list[int], new: int, old: int
) -> None:
    bonus, total = an_action("BONUS", new=new, old=old), sum(units)
    each = booked_actions(bonus, dict(zip(BOOKS, units, strict=False)))
    held = [act(Holding(one.entitled), one)[0].quantity for one in each]
    side = 1 if total > 0 else -1

    assert sum(held) == total + side * (abs(total) * new // old)
    for one in each:  # nobody is a whole share away from its part
        assert abs(one.bonus * old - one.entitled * new) < old
    assert sum(lot.quantity for lot in act_on_lots(lots_of(total), together(each))) == sum(held)


RATIOS = st.integers(1, 12)
ROWS = st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 200), st.integers(1, 5_000_000)), max_size=10)


@given(before=ROWS, after=ROWS, kind=st.sampled_from(["SPLIT", "BONUS"]), new=RATIOS, old=RATIOS)
def test_books_and_lots_hold_the_same_after_an_action(
    before: list[tuple[Side, int, int]], after: list[tuple[Side, int, int]], kind: str, new: int, old: int
) -> None:
    assume(kind == "BONUS" or new != old)
    first = [a_fill(number, *row) for number, row in enumerate(before)]
    then = [a_fill(1_000 + number, *row) for number, row in enumerate(after)]
    holding, lots = _folded(FLAT, (), first)
    one = applied(an_action(kind, new=new, old=old), holding.quantity)
    cost = holding.cost
    try:
        holding, entries = act(holding, one)
    except FractionLeft:
        assume(False)
    lots_cost = sum((lot.cost for lot in lots), ZERO)
    lots = act_on_lots(lots, one)
    assert (holding.cost, entries) == (cost, [])
    assert sum(lot.quantity for lot in lots) == holding.quantity
    assert sum((lot.cost for lot in lots), ZERO) == lots_cost
    holding, lots = _folded(holding, lots, then)
    assert sum(lot.quantity for lot in lots) == holding.quantity
    assert rebuild([*first, one, *then]).get("NSE:INFY", FLAT) == holding


def _folded(holding: Holding, lots: Lots, fills: list[BookedFill]) -> tuple[Holding, Lots]:
    for fill in fills:
        holding, _ = book(holding, fill)
        lots, _ = match(lots, fill)
    return holding, lots


@given(rows=ROWS, amount=st.decimals("0.01", "500", places=4))
def test_the_ledger_of_a_dividend_keeps_the_identity_of_cash(
    rows: list[tuple[Side, int, int]], amount: Decimal
) -> None:
    fills = [a_fill(number, *row) for number, row in enumerate(rows)]
    holding, _ = _folded(FLAT, (), fills)
    one = applied(an_action("DIVIDEND", amount=amount), holding.quantity)
    after, entries = act(holding, one)
    assert sum(entry.amount for entry in entries) == 0
    assert cash_of(after) - cash_of(holding) == cash_moved(entries)
