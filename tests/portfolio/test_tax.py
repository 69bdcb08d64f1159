"""Closed lots by term and year."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core import ids
from alphapanda.core.money import ZERO, to_e4
from alphapanda.core.vocabulary import Side
from portfolio.domain.books import FLAT, BookedFill, book, unrealised
from portfolio.domain.corporate import Action, ActionKind, booked_actions
from portfolio.domain.tax import TaxSum, Term, financial_year, netted, tax_lots, tax_sums, term_of
from tests.portfolio.fills import DEPLOYMENT, a_fill

BUY, SELL = Side.BUY, Side.SELL


def on(day: str, number: int, side: Side, size: int, price: object, **charges: Decimal) -> BookedFill:
    return a_fill(number, side, size, to_e4(str(price)), charges, day=date.fromisoformat(day))


@pytest.mark.parametrize(
    ("opened", "closed", "term"),
    [
        ("2023-01-10", "2023-01-11", Term.SHORT),
        ("2023-01-10", "2024-01-10", Term.SHORT),
        ("2023-01-10", "2024-01-11", Term.LONG),
        ("2024-02-29", "2025-02-28", Term.SHORT),
        ("2024-02-29", "2025-03-01", Term.LONG),
    ],
)
def test_long_term_is_more_than_twelve_months(opened: str, closed: str, term: Term) -> None:
    assert term_of(date.fromisoformat(opened), date.fromisoformat(closed)) is term


@pytest.mark.parametrize(
    ("day", "year"), [("2026-03-31", "2025-26"), ("2026-04-01", "2026-27"), ("2000-01-01", "1999-00")]
)
def test_a_financial_year_begins_in_april(day: str, year: str) -> None:
    assert financial_year(date.fromisoformat(day)) == year


def test_what_is_sold_first_is_what_was_bought_first() -> None:
    """Zerodha's example: 10 held for two years and 15 for a week, 15 sold: 10 are long term, 5 short term."""
    fills = [
        on("2022-06-01", 1, BUY, 10, 1_000),
        on("2024-06-03", 2, BUY, 15, 1_500),
        on("2024-06-10", 3, SELL, 15, 1_600),
    ]
    closed, left = tax_lots(fills, is_equity=True)
    assert [(one.term, one.lot.quantity, one.lot.profit, one.days_held) for one in closed] == [
        (Term.LONG, 10, 6_000, 740),
        (Term.SHORT, 5, 500, 7),
    ]
    assert [(lot.quantity, lot.cost) for lot in left] == [(10, 15_000)]


def test_a_day_trade_leaves_what_is_held_alone() -> None:
    """Bought and sold on one day is intraday, though older shares were there to be sold."""
    fills = [
        on("2024-01-01", 1, BUY, 100, 50),
        on("2024-06-03", 2, SELL, 30, 70),
        on("2024-06-03", 3, BUY, 20, 65),
    ]
    closed, left = tax_lots(fills, is_equity=True)
    assert [(one.term, one.lot.quantity, one.lot.profit) for one in closed] == [
        (Term.INTRADAY, -20, 100),
        (Term.SHORT, 10, 200),
    ]
    assert sum(lot.quantity for lot in left) == 90


def test_futures_are_business_and_know_no_days() -> None:
    fills = [on("2024-06-03", 1, BUY, 50, 100), on("2024-06-03", 2, SELL, 75, 110)]
    closed, left = tax_lots(fills, is_equity=False)
    assert [(one.term, one.lot.quantity, one.lot.profit) for one in closed] == [(Term.BUSINESS, 50, 500)]
    assert [lot.quantity for lot in left] == [-25]


def test_a_fill_that_is_both_is_divided_with_its_charges() -> None:
    fills = [on("2024-06-03", 1, BUY, 3, 10, stt=Decimal("0.10")), on("2024-06-03", 2, SELL, 1, 11)]
    intraday, delivery = netted(fills)
    assert [(fill.side, fill.quantity, fill.charges) for fill in intraday] == [
        (BUY, 1, {"stt": Decimal("0.03333333")}),
        (SELL, 1, {}),
    ]
    assert [(fill.side, fill.quantity, fill.charges) for fill in delivery] == [
        (BUY, 2, {"stt": Decimal("0.06666667")})
    ]


def test_bonus_shares_cost_nothing_and_are_young() -> None:
    bonus = Action(ids.derived("action", 1), ActionKind.BONUS, "NSE:INFY", date(2018, 9, 4), new=1, old=1)
    events = [
        on("2017-01-02", 1, BUY, 10, 1_000),
        *booked_actions(bonus, {DEPLOYMENT: 10}),
        on("2018-10-01", 2, SELL, 20, 700),
    ]
    closed, left = tax_lots(events, is_equity=True)
    assert [(one.term, one.lot.profit) for one in closed] == [(Term.LONG, -3_000), (Term.SHORT, 7_000)]
    assert left == ()


def test_gains_are_added_up_by_year_term_and_rates() -> None:
    fills = [
        on("2024-04-01", 1, BUY, 30, 100, stt=Decimal(3)),
        on("2024-07-22", 2, SELL, 10, 110, stt=Decimal(1)),
        on("2024-07-23", 3, SELL, 10, 120, stt=Decimal(1)),
        on("2025-04-02", 4, SELL, 10, 130, stt=Decimal(1)),
    ]
    closed, _ = tax_lots(fills, is_equity=True)
    assert tax_sums(closed) == [
        TaxSum("2024-25", Term.SHORT, False, Decimal(100), Decimal(4)),
        TaxSum("2024-25", Term.SHORT, True, Decimal(200), Decimal(1)),
        TaxSum("2025-26", Term.LONG, True, Decimal(300), Decimal(1)),
    ]


ROWS = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.sampled_from(Side),
        st.integers(1, 300),
        st.integers(1, 9_000_000),
        st.integers(0, 50),
    ),
    max_size=20,
)


@given(rows=ROWS, is_equity=st.booleans(), mark_e4=st.integers(1, 9_000_000))
def test_nothing_is_lost_between_books_and_tax_lots(
    rows: list[tuple[int, Side, int, int, int]], is_equity: bool, mark_e4: int
) -> None:
    fills = [
        a_fill(number, side, size, price, {"stt": Decimal(fee)}, day=date(2024, 6, 3 + day))
        for number, (day, side, size, price, fee) in enumerate(sorted(rows, key=lambda row: row[0]))
    ]
    holding = FLAT
    for fill in fills:
        holding, _ = book(holding, fill)
    closed, left = tax_lots(fills, is_equity=is_equity)
    profit = sum((one.lot.profit for one in closed), ZERO) + sum((lot.profit(mark_e4) for lot in left), ZERO)
    charges = sum((one.lot.charges for one in closed), ZERO) + sum((lot.charges for lot in left), ZERO)
    assert sum(lot.quantity for lot in left) == holding.quantity
    assert profit == holding.realised + unrealised(holding, mark_e4)
    assert charges == holding.charges
    intraday = [one for one in closed if one.term is Term.INTRADAY]
    assert all(one.days_held == 0 for one in intraday)
    assert all(one.days_held > 0 for one in closed if one.term in (Term.SHORT, Term.LONG))
