"""Round trips: where they begin and end, and that together they are the books."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core import ids
from alphapanda.core.money import ZERO
from alphapanda.core.vocabulary import Side
from portfolio.domain.corporate import Action, ActionKind, booked_actions
from portfolio.domain.history import rebuild
from portfolio.domain.trips import Trip, trips_of
from tests.portfolio.fills import DEPLOYMENT, a_fill

BUY, SELL = Side.BUY, Side.SELL


def test_a_trip_goes_from_the_first_fill_to_flat() -> None:
    fills = [
        a_fill(1, BUY, 10, 1_000_000, {"stt": Decimal("1.5")}),
        a_fill(2, BUY, 10, 1_100_000),
        a_fill(3, SELL, 20, 1_200_000, {"stt": Decimal("2.5"), "gst": Decimal("0.1")}),
        a_fill(4, BUY, 5, 1_000_000),
    ]
    done, still_open = trips_of(fills)

    assert (done.trip_id, done.side, done.opened_at_ms, done.closed_at_ms) == (fills[0].fill_id, BUY, 1, 3)
    assert (done.gross, done.charged, done.net) == (Decimal(300), Decimal("4.1"), Decimal("295.9"))
    assert (done.charges, done.held_ms) == ({"gst": Decimal("0.1"), "stt": Decimal("4")}, 2)
    assert (done.average(is_entry=True), done.average(is_entry=False)) == (Decimal(105), Decimal(120))
    assert (done.most, done.quantity) == (20, 0)
    assert (still_open.quantity, still_open.closed_at_ms, still_open.held_ms) == (5, None, None)
    assert still_open.average(is_entry=False) is None


def test_a_fill_through_zero_ends_one_trip_and_opens_the_next() -> None:
    through = a_fill(2, SELL, 15, 1_100_000, {"stt": Decimal("1.00000001")})
    long, short = trips_of([a_fill(1, BUY, 10, 1_000_000), through])

    assert (long.closed_at_ms, long.gross) == (2, Decimal(100))
    assert (short.trip_id, short.side, short.quantity, short.gross) == (through.fill_id, SELL, -5, ZERO)
    assert (long.charged, short.charged) == (Decimal("0.66666667"), Decimal("0.33333334"))
    assert [leg.quantity for leg in (*long.legs, *short.legs)] == [10, 10, 5]


def test_instruments_have_trips_of_their_own() -> None:
    first, second = trips_of(
        [a_fill(1, BUY, 1, 10_000, instrument="NSE:A"), a_fill(2, SELL, 1, 10_000, instrument="NSE:B")]
    )
    assert (first.instrument, second.instrument) == ("NSE:A", "NSE:B")
    assert first.closed_at_ms is second.closed_at_ms is None


def an_action(kind: ActionKind, day: date, entitled: int, **facts: object):
    action = Action(ids.derived("a", kind), kind, "NSE:INFY", day, **facts)
    return booked_actions(action, {DEPLOYMENT: entitled})[0]


def test_a_dividend_is_of_the_trip_that_was_open_before_its_day_also_when_that_is_over() -> None:
    one, ex_date, later = date(2024, 5, 2), date(2024, 5, 3), date(2024, 5, 6)
    trips = trips_of(
        [
            a_fill(1, BUY, 10, 1_000_000, day=one),
            a_fill(2, SELL, 10, 1_000_000, day=ex_date),
            a_fill(3, BUY, 10, 1_000_000, day=later),
            an_action(ActionKind.DIVIDEND, ex_date, 10, amount=Decimal(2)),
        ]
    )
    assert [trip.gross for trip in trips] == [Decimal(20), ZERO]


def test_a_split_changes_what_is_open() -> None:
    (trip,) = trips_of(
        [
            a_fill(1, BUY, 10, 1_000_000, day=date(2024, 5, 2)),
            an_action(ActionKind.SPLIT, date(2024, 5, 3), 10, new=5, old=1),
            a_fill(2, SELL, 50, 210_000, day=date(2024, 5, 3)),
        ]
    )
    assert (trip.most, trip.quantity, trip.gross) == (50, 0, Decimal(50))
    assert trip.closed_at_ms


TRADES = st.lists(
    st.tuples(st.sampled_from([BUY, SELL]), st.integers(1, 40), st.integers(1, 9_999_999)), max_size=40
)


@given(TRADES)
def test_together_trips_are_what_the_books_say(trades: list[tuple[Side, int, int]]) -> None:
    fee = Decimal("0.12345678")
    fills = [a_fill(n, side, units, price, {"fee": fee}) for n, (side, units, price) in enumerate(trades)]
    trips, held = trips_of(fills), rebuild(fills).get("NSE:INFY")

    assert sum((trip.gross for trip in trips), ZERO) == (held.realised if held else ZERO)
    assert sum((trip.charged for trip in trips), ZERO) == (held.charges if held else ZERO)
    assert sum(trip.quantity for trip in trips) == (held.quantity if held else 0)
    assert all(_adds_up(trip) for trip in trips)


def _adds_up(trip: Trip) -> bool:
    """A trip that is over bought and sold as many, and earned the difference."""
    bought, sold = (
        [(leg.quantity, leg.quantity * leg.price_e4) for leg in trip.legs if leg.side is side]
        for side in (BUY, SELL)
    )
    if sum(units for units, _ in bought) != sum(units for units, _ in sold):
        return bool(trip.quantity)
    worth = Decimal(sum(w for _, w in sold) - sum(w for _, w in bought)) / 10_000
    return trip.gross == worth and not trip.quantity
