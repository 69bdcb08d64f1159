"""What the account holds against our books, day by day: what is outside, what nothing explains, what others took."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest

from alphapanda.core.clock import ist_ms
from execution.domain.kite.account import (
    Gap,
    Held,
    Outside,
    began_ms,
    day_of,
    explained,
    looked,
    on_day,
    taken,
)
from execution.domain.kite.rows import Where
from tests.builders import DAY, at

MIS, NRML, CNC = (Where("NSE:OURS", product) for product in ("MIS", "NRML", "CNC"))
THEIRS = Where("NSE:NOBODYS", "NRML")
ONE = 737_000  # a day
EVERYTHING_READ: dict[str, int] = {}


def held(day: int = ONE, **more: Any) -> Held:
    facts = {"ours": {}, "fills": {}, "positions": {}, "delivered": EVERYTHING_READ, "watched": {"NSE:OURS"}}
    return Held(day=day, **(facts | more))


def known(**looks: Any) -> Outside:
    """After a first look at an empty account."""
    return looked(Outside(), held(**looks))[0]


def accepted(state: Outside, gap: Gap, look: Held) -> Outside:
    return taken(explained(state, gap), gap.where, look.ours.get(gap.where, 0))[0]


def test_all_that_an_account_held_before_us_is_outside() -> None:
    after, gaps = looked(Outside(), held(positions={NRML: 50}, delivered={"NSE:OURS": 7}))

    assert gaps == []
    assert (after.before, after.units) == ({"NSE:OURS CNC": 7, "NSE:OURS NRML": 50},) * 2


def test_shares_that_could_not_be_read_at_the_first_look_are_outside_at_the_next() -> None:
    state, _ = looked(Outside(), held(delivered=None))

    assert looked(state, held(delivered={"NSE:OURS": 7}))[1] == []


def test_what_our_books_hold_and_the_account_never_had_differs_at_the_first_look_too() -> None:
    _, gaps = looked(Outside(), held(ours={NRML: 50}, positions={NRML: 20}))

    assert gaps == [Gap(NRML, 50, 20)]


def test_a_delivery_position_is_held_overnight_and_sold_without_a_difference() -> None:
    """Bought on one day, a share on its way on the next, in the depository on the third, where half of it is sold."""
    state = known()
    days = [
        held(ONE, ours={CNC: 10}, positions={CNC: 10}),
        held(ONE + 1, ours={CNC: 10}, delivered={"NSE:OURS": 10}),
        held(ONE + 4, ours={CNC: 10}, delivered={"NSE:OURS": 10}),
        held(ONE + 4, ours={CNC: 5}, positions={CNC: -5}, delivered={"NSE:OURS": 10}),
        held(ONE + 4, ours={CNC: 8}, positions={CNC: -2}, delivered=None),  # the morning's are known
        held(ONE + 5, ours={CNC: 8}, delivered={"NSE:OURS": 8}),
    ]
    for day in days:
        state, gaps = looked(state, day)
        assert (gaps, state.units) == ([], {})


def test_delivery_is_not_compared_before_the_shares_of_the_morning_were_read() -> None:
    state, gaps = looked(
        known(ours={CNC: 10}, positions={CNC: 10}), held(ONE + 1, ours={CNC: 10}, delivered=None)
    )
    assert gaps == []

    _, gaps = looked(state, held(ONE + 1, ours={CNC: 10}, delivered={"NSE:OURS": 4}))

    assert Gap(CNC, 10, 4) in gaps


def test_a_derivative_of_others_is_carried_and_an_intraday_position_is_not() -> None:
    state, gaps = looked(known(), held(fills={NRML: 50, MIS: 3}, positions={NRML: 50, MIS: 3}))
    assert (gaps, state.units) == ([], {"NSE:OURS MIS": 3, "NSE:OURS NRML": 50})

    state, gaps = looked(state, held(ONE + 1, positions={NRML: 50}))

    assert (gaps, state.before, state.units) == ([], {"NSE:OURS NRML": 50}, {"NSE:OURS NRML": 50})


@pytest.mark.parametrize(("where", "differs"), [(NRML, True), (THEIRS, False)])
def test_units_that_nothing_explains_differ_where_we_trade(where: Where, differs: bool) -> None:
    state, gaps = looked(known(), held(positions={where: 75}))

    assert gaps == ([Gap(where, 0, 75)] if differs else [])
    assert list(state.units.values()) == [75]
    again, gaps = looked(state, held(ONE + 1, positions={where: 75}))  # a night does not make it right
    assert bool(gaps) is differs
    if differs:
        look = held(ONE + 1, positions={where: 75})
        assert looked(accepted(again, gaps[0], look), look)[1] == []


@pytest.mark.parametrize(
    ("ours", "fills", "taken"),
    [
        (10, -10, 10),
        (10, -25, 10),
        (10, -4, 4),
        (-10, 4, 4),
        (10, 5, 0),
        (0, -5, 0),
    ],
)
def test_others_who_close_what_is_ours_are_a_difference_until_a_person_says_so(
    ours: int, fills: int, taken: int
) -> None:
    """The broker squares off, or a person sells in the app: our own exit would open a position."""
    look = held(ours={MIS: ours}, fills={MIS: fills}, positions={MIS: ours + fills})

    state, gaps = looked(known(), look)

    left = ours - taken if ours > 0 else ours + taken
    assert gaps == ([Gap(MIS, ours, left, is_taken=True)] if taken else [])
    for gap in gaps:
        state = accepted(state, gap, look)
    assert looked(state, look)[1] == []


def test_what_others_took_beyond_what_a_person_knows_differs_anew() -> None:
    look = held(ours={NRML: 10}, fills={NRML: -4}, positions={NRML: 6})
    state, gaps = looked(known(), look)
    state = accepted(state, gaps[0], look)

    _, gaps = looked(state, held(ONE + 1, ours={NRML: 10}, fills={NRML: -1}, positions={NRML: 5}))

    assert gaps == [Gap(NRML, 10, 5, is_taken=True)]


def test_a_second_look_of_a_day_counts_its_fills_once() -> None:
    look = held(fills={NRML: 50}, positions={NRML: 50})
    once, _ = looked(known(), look)

    assert looked(once, look) == (once, [])


def test_what_was_accepted_intraday_is_forgotten_with_the_position() -> None:
    state = Outside(day=ONE, fills={"NSE:OURS MIS": -5}, accepted={"NSE:OURS MIS": 5})

    assert on_day(state, held(ONE + 1)) == Outside(day=ONE + 1)


def test_the_brokers_day_begins_at_six() -> None:
    morning = began_ms(at("10:00"))

    assert morning == ist_ms(DAY, time(6))
    assert (day_of(morning - 1), day_of(morning)) == (DAY.toordinal() - 1, DAY.toordinal())
    assert began_ms(morning) == morning
    assert began_ms(morning - 1) == morning - 86_400_000


def test_shares_that_kite_shows_late_in_the_morning_differ_until_it_does() -> None:
    """At six the day's positions may be gone before what they bought is among the holdings."""
    state = known(ours={CNC: 10}, positions={CNC: 10})
    state, gaps = looked(state, held(ONE + 1, ours={CNC: 10}))
    assert gaps == [Gap(CNC, 10, 0)]

    for day in (ONE + 1, ONE + 2):
        state, gaps = looked(state, held(day, ours={CNC: 10}, delivered={"NSE:OURS": 10}))
        assert gaps == []


def test_a_contract_of_others_that_has_ended_is_forgotten() -> None:
    state = known(positions={NRML: 75})

    state, gaps = looked(state, held(ONE, positions={NRML: 75}, ended={"NSE:OURS"}))
    assert (gaps, state.before) == ([], {})

    assert looked(state, held(ONE + 1, ended={"NSE:OURS"}))[1] == []


def test_an_intraday_position_that_only_our_books_hold_was_closed_by_others() -> None:
    """Each morning the same, and never units that nothing explains; what we trade before the first look is ours."""
    look = held(ours={MIS: 10}, positions={MIS: 10})
    state = looked(known(), look)[0]

    for day in (ONE + 1, ONE + 2):
        state, gaps = looked(state, held(day, ours={MIS: 15}, traded={MIS: 5}, positions={MIS: 5}))
        assert gaps == [Gap(MIS, 15, 5, is_taken=True)]
    state, gaps = looked(accepted(state, gaps[0], held(ours={MIS: 15})), held(ONE + 3, ours={MIS: 15}))
    assert gaps == [Gap(MIS, 15, 0, is_taken=True)]


@pytest.mark.parametrize("day", [ONE, ONE + 1])
@pytest.mark.parametrize("where", [MIS, NRML, CNC])
def test_what_has_left_the_books_is_outside_no_more(where: Where, day: int) -> None:
    """On the day itself, and where it leaves them after the night."""
    look = held(ours={where: 10}, fills={where: -10})
    state, gaps = looked(known(), look)
    state = accepted(state, gaps[0], look)
    fills = {where: -10} if day == ONE else {}

    after, gaps = looked(state, held(day, fills=fills, booked={where: -10}))

    assert (gaps, after.units, after.accepted) == ([], {}, {})
    assert looked(after, held(ONE + 2, booked={where: -10}))[1] == []


def test_units_that_nothing_explains_and_that_our_books_hold_leave_them_with_one_act() -> None:
    look = held(ours={NRML: 10}, positions={NRML: 4})
    state, (gap,) = looked(known(ours={NRML: 10}, positions={NRML: 10}), look)
    assert gap == Gap(NRML, 10, 4)

    state, units = taken(explained(state, gap), NRML, 10)

    assert (units, looked(state, look)[1]) == (-6, [])
    assert looked(state, held(ours={NRML: 4}, positions={NRML: 4}, booked={NRML: -6}))[1] == []


ELSEWHERE = Where("BSE:OURS", "CNC")


def test_a_share_is_where_it_was_whatever_exchange_kite_shows_it_under() -> None:
    """Kite shows what lies in the depository under the exchange where it closed dearer."""
    state = known(ours={CNC: 10}, positions={CNC: 10})
    days = [
        held(ONE + 1, ours={CNC: 10}, delivered={"BSE:OURS": 10}),
        held(ONE + 1, ours={CNC: 4}, positions={CNC: -6}, delivered={"BSE:OURS": 10}),
        held(ONE + 2, ours={CNC: 4}, delivered={"NSE:OURS": 4}),
    ]
    for day in days:
        state, gaps = looked(state, day)
        assert (gaps, state.units) == ([], {})


def test_shares_beside_ours_change_their_name_over_a_night_and_when_somebody_begins_to_trade_them() -> None:
    """16 of a person's, of which 6 are sold on the other exchange."""
    state = known(delivered={"BSE:OURS": 16}, watched=())
    days = [
        held(ONE, delivered={"BSE:OURS": 16}),
        held(ONE + 1, delivered={"NSE:OURS": 16}),
        held(ONE + 1, delivered={"NSE:OURS": 16}, fills={ELSEWHERE: -6}, positions={ELSEWHERE: -6}),
        held(ONE + 2, delivered={"BSE:OURS": 10}),
    ]
    for day in days:
        state, gaps = looked(state, day)
        assert gaps == []
    assert state.units == {"NSE:OURS CNC": 10}


def test_shares_that_are_gone_are_missed_under_the_name_of_our_books() -> None:
    both = {"ours": {ELSEWHERE: 10}, "watched": {"NSE:OURS", "BSE:OURS"}}
    state = known(**both, positions={ELSEWHERE: 10})

    _, gaps = looked(state, held(ONE + 1, **both, delivered={"NSE:OURS": 3}))

    assert gaps == [Gap(ELSEWHERE, 10, 3)]
