"""The statement of a day: it adds up whatever happened, and says where the ledger says something else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core import ids
from alphapanda.core.clock import ist_midnight_ms
from alphapanda.core.money import ZERO, to_e4
from alphapanda.core.vocabulary import Side
from portfolio.domain.books import FLAT, Entry
from portfolio.domain.corporate import Action, ActionKind, BookedAction, booked_actions
from portfolio.domain.history import Event, booked
from portfolio.domain.statement import BookHistory, DayMark, LedgerSums, Statement, statement
from tests.portfolio.fills import DEPLOYMENT, a_fill

DAY = date(2024, 6, 4)
BEFORE, AFTER = DAY - timedelta(days=1), DAY + timedelta(days=1)
BUY, SELL = Side.BUY, Side.SELL
CASH_AT_START = Decimal(100_000)


def entries_of(events: Sequence[Event]) -> list[tuple[int, Entry]]:
    holdings = defaultdict(lambda: FLAT)
    found = []
    for event in events:
        holdings[event.instrument], entries = booked(holdings[event.instrument], event)
        found += [(event.at_ms, entry) for entry in entries]
    return found


def ledger_of(books: Sequence[Sequence[Event]]) -> LedgerSums:
    sums: tuple[dict[str, Decimal], dict[str, Decimal]] = (
        defaultdict(lambda: ZERO),
        defaultdict(lambda: ZERO),
    )
    for events in books:
        for at_ms, entry in entries_of(events):
            if at_ms < ist_midnight_ms(AFTER):
                sums[at_ms >= ist_midnight_ms(DAY)][entry.account] += entry.amount
    return LedgerSums(*sums)


def mark(price: object, day: date = DAY) -> DayMark:
    return DayMark(to_e4(str(price)), ist_midnight_ms(day) + 55_800_000)


def stated(*books: Sequence[Event], marks: Any = None, before: Any = None, **facts: Any) -> Statement:
    """Of books named a, b, ... on DAY; INFY is marked at 100 the day before and at 110 on the day."""
    given = {
        "subject": "Paper portfolio",
        "broker": "paper",
        "day": DAY,
        "starting_cash": CASH_AT_START,
        "books": [BookHistory(name, events) for name, events in zip("abcdef", books, strict=False)],
        "ledger": ledger_of(books),
        "opening_marks": {"NSE:INFY": mark(100, BEFORE)} if before is None else before,
        "closing_marks": {"NSE:INFY": mark(110)} if marks is None else marks,
    }
    return statement(**(given | facts))


CARRIED = a_fill(1, BUY, 10, to_e4(90), {"stt": Decimal(1)}, day=BEFORE)
SOLD = a_fill(2, SELL, 4, to_e4(105), {"stt": Decimal("0.5"), "gst": Decimal("0.25")}, day=DAY)
LATER = a_fill(3, SELL, 6, to_e4(50), {"stt": Decimal(1)}, day=AFTER)


def test_a_day_from_opening_to_closing() -> None:
    found = stated([CARRIED, SOLD, LATER])

    assert (found.opening.cash, found.opening.cost, found.opening.unrealised) == (99_099, 900, 100)
    assert found.opening.equity == 100_099
    assert found.realised == 60
    assert found.charges == {"gst": Decimal("0.25"), "stt": Decimal("0.5")}
    assert found.net == Decimal("59.25")
    assert (found.closing.cash, found.closing.cost) == (Decimal("99518.25"), 540)
    assert (found.closing.unrealised, found.closing.equity) == (120, Decimal("100178.25"))
    [trade] = found.trades
    assert (trade.book, trade.side, trade.quantity, trade.value, trade.realised) == ("a", SELL, 4, 420, 60)
    [line] = found.positions
    assert (line.carried, line.sold, line.sold_value, line.quantity) == (10, 4, 420, 6)
    assert (line.average_price, line.value, line.unrealised, line.m2m) == (90, 660, 120, 80)
    assert found.adds_up
    assert all(check.difference == 0 for check in found.checks)


def test_the_end_of_one_day_is_the_beginning_of_the_next() -> None:
    events = [CARRIED, SOLD, LATER]
    ends = stated(events).closing
    begins = stated(events, day=AFTER, before={"NSE:INFY": mark(110)}, marks={}).opening
    assert begins == ends


def test_without_a_mark_what_is_open_is_not_known_and_nothing_becomes_zero() -> None:
    found = stated([CARRIED, SOLD], marks={})

    assert (found.closing.value, found.closing.unrealised, found.closing.equity) == (None, None, None)
    assert (found.positions[0].value, found.positions[0].mark, found.positions[0].m2m) == (None, None, None)
    assert found.unmarked == ["NSE:INFY"]
    assert found.closing.cash == Decimal("99518.25")
    assert [check.difference for check in found.checks if "equity" in check.name] == [None, None]
    assert found.adds_up


def test_what_is_closed_needs_no_mark() -> None:
    closed = a_fill(2, SELL, 10, to_e4(95), day=DAY)
    found = stated([CARRIED, closed], marks={})
    assert (found.closing.equity, found.positions[0].m2m, found.unmarked) == (Decimal(100_049), -50, [])


def test_books_of_one_instrument_are_told_apart_and_added_up() -> None:
    found = stated([CARRIED], [a_fill(5, SELL, 3, to_e4(120), day=DAY)])

    assert [(line.book, line.quantity, line.m2m) for line in found.positions] == [
        ("a", 10, 100),
        ("b", -3, 30),
    ]
    assert found.closing.unrealised == 200 + 30
    assert found.adds_up


def test_a_ledger_that_says_something_else_is_a_stated_difference() -> None:
    ledger = ledger_of([[CARRIED, SOLD]])
    ledger.today["CHARGES:stt"] += Decimal("0.01")  # type: ignore[index]
    ledger.today["CASH"] -= Decimal("0.01")  # type: ignore[index]

    found = stated([CARRIED, SOLD], ledger=ledger)

    assert not found.adds_up
    wrong = {check.name: check.difference for check in found.checks if check.difference}
    assert wrong == {
        "closing cash, by fills and by the ledger": Decimal("0.01"),
        "charges, stt, by fills and by the ledger": Decimal("-0.01"),
    }


def test_a_charge_that_only_the_ledger_knows_is_a_stated_difference() -> None:
    ledger = ledger_of([[CARRIED, SOLD]])
    ledger.today["CHARGES:cess"] += Decimal(1)  # type: ignore[index]
    found = stated([CARRIED, SOLD], ledger=ledger)
    assert [check.name for check in found.checks if check.difference] == [
        "charges, cess, by fills and by the ledger",
        "the ledger of the day, which adds up to nothing",
    ]


def test_fills_that_wait_to_be_booked_are_a_stated_difference() -> None:
    found = stated([CARRIED], unbooked=[SOLD])

    assert not found.adds_up
    [wrong] = [check for check in found.checks if check.difference]
    assert (wrong.name, wrong.stated) == ("cash of 1 fills that wait to be booked", Decimal("419.25"))


def on_day(kind: str, **figures: Any) -> BookedAction:
    action = Action(ids.derived("action", 1), ActionKind(kind), "NSE:INFY", DAY, **figures)
    return booked_actions(action, {DEPLOYMENT: 10})[0]


def test_a_dividend_is_told_beside_the_trades() -> None:
    late = on_day("DIVIDEND", amount=Decimal(3))  # booked after the sale, for what was held before it
    found = stated([CARRIED, SOLD, late])

    assert (found.realised, found.dividends, found.net) == (60, 30, Decimal("89.25"))
    [line] = found.actions
    assert (line.kind, line.quantity_before, line.quantity_after, line.received) == ("DIVIDEND", 10, 10, 30)
    assert found.adds_up


def test_a_split_moves_no_money() -> None:
    found = stated([CARRIED, on_day("SPLIT", new=5, old=1)], marks={"NSE:INFY": mark(22)})

    [line] = found.positions
    assert (line.carried, line.quantity, line.average_price, line.unrealised, line.m2m) == (
        50,
        50,
        18,
        200,
        100,
    )
    assert (found.actions[0].quantity_before, found.actions[0].quantity_after) == (10, 50)
    assert found.closing.cost == found.opening.cost
    assert found.adds_up


def test_a_day_without_anything_is_stated_as_well() -> None:
    found = stated()
    assert found.opening == found.closing
    assert (found.closing.equity, found.trades, found.positions) == (CASH_AT_START, [], [])
    assert found.adds_up


ROWS = st.lists(
    st.tuples(
        st.integers(-2, 2),
        st.sampled_from(Side),
        st.integers(1, 400),
        st.integers(1, 5_000_000),
        st.decimals(0, 50, places=8),
        st.sampled_from(["NSE:INFY", "NSE:SBIN"]),
    ),
    max_size=20,
)
MARKS = st.fixed_dictionaries(
    {}, optional={name: st.integers(1, 5_000_000) for name in ("NSE:INFY", "NSE:SBIN")}
)


@given(
    first=ROWS, second=ROWS, before=MARKS, after=MARKS, dividend=st.none() | st.decimals("0.01", 99, places=4)
)
def test_a_statement_of_an_intact_ledger_always_adds_up(
    first: list[Any], second: list[Any], before: Any, after: Any, dividend: Decimal | None
) -> None:
    books: list[list[Event]] = []
    for base, rows in ((0, first), (100, second)):
        ordered = sorted(rows, key=lambda row: row[0])
        books.append(
            [
                a_fill(
                    base + number,
                    side,
                    size,
                    price,
                    {"stt": fee},
                    instrument=name,
                    day=DAY + timedelta(days=day),
                )
                for number, (day, side, size, price, fee, name) in enumerate(ordered)
            ]
        )
    if dividend is not None:
        books[0].append(on_day("DIVIDEND", amount=dividend))
    found = stated(
        *books,
        before={name: DayMark(price, 1) for name, price in before.items()},
        marks={name: DayMark(price, 1) for name, price in after.items()},
    )
    assert found.adds_up
    unknown = {line.instrument for line in found.positions if line.quantity} - after.keys()
    assert (found.closing.equity is None) == bool(unknown)
    assert set(found.unmarked) == unknown
