"""The loss ladder as a pure look at the books: at each threshold, one unit of money short of it, and latched."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import msgspec
import pytest

from alphapanda.core.vocabulary import LimitLevel
from risk.domain.context import Member, Terms
from risk.domain.ladder import checked, has_ladder, look_ms, rung_on
from risk.domain.limits import Limits, Scope, strictest
from risk.domain.memory import DayState
from tests.builders import DEPLOYMENT, a_holding, a_mark, at
from tests.risk.test_rules import TODAY

OTHER = UUID(int=5)
LADDER = Limits(daily_loss=Decimal(50), loss_cancel=Decimal(80), loss_flatten=Decimal(100))
ALONE = Terms(limits=LADDER)
SHARED = Terms(scopes=(Scope(LimitLevel.GLOBAL, "", LADDER, frozenset({DEPLOYMENT, OTHER})),))


def holding(quantity: int = 10, day: DayState | None = None) -> Member:
    return Member({7: a_holding(quantity)}, {}, (), day or DayState())


def looked(
    price: object,
    *,
    terms: Terms = ALONE,
    own: Member | None = None,
    others: dict[UUID, Member] | None = None,
) -> DayState:
    """After a look when what was carried in at 100 stands at a price."""
    marks = {7: a_mark(price, close_before=100)}
    return checked(own or holding(), terms=terms, others=others or {}, marks=marks, at_ms=at())


@pytest.mark.parametrize(
    ("price", "rung", "is_tripped"),
    [
        ("95.05", 0, False),
        ("95", 0, True),
        ("92.05", 0, True),
        ("92", 2, True),
        ("90.05", 2, True),
        ("90", 3, True),
    ],
)
def test_each_rung_at_its_threshold(price: str, rung: int, is_tripped: bool) -> None:
    day = looked(price)

    assert (day.rung, bool(day.tripped), day.day) == (rung, is_tripped, TODAY)
    assert day.equity == 0


def test_it_does_not_step_up_again_before_the_next_session() -> None:
    low = looked(90)

    assert looked(120, own=holding(day=low)).rung == 3
    assert rung_on(low, at()) == 3
    tomorrow = at() + 86_400_000
    assert rung_on(low, tomorrow) == 0
    fresh = checked(holding(day=low), terms=ALONE, others={}, marks={7: a_mark()}, at_ms=tomorrow)
    assert (fresh.rung, fresh.tripped) == (0, ())


@pytest.mark.parametrize(("theirs", "rung"), [(9, 2), (10, 3), (-10, 0)])
def test_what_others_lose_counts_where_the_limit_is_shared(theirs: int, rung: int) -> None:
    """10 units of ours and so many of theirs have lost 5 rupees each."""
    day = looked(95, terms=SHARED, others={OTHER: holding(theirs)})

    assert day.rung == rung
    assert looked(95, terms=ALONE, others={OTHER: holding(theirs)}).rung == 0


def test_a_loss_that_cannot_be_told_acts_on_nothing() -> None:
    day = checked(holding(), terms=ALONE, others={}, marks={}, at_ms=at())
    assert (day.rung, day.tripped, day.equity) == (0, (), None)


def test_who_has_a_ladder() -> None:
    assert has_ladder(ALONE)
    assert has_ladder(SHARED)
    assert not has_ladder(Terms(limits=Limits(daily_loss=Decimal(5))))
    assert has_ladder(Terms(limits=strictest([Limits(loss_flatten=Decimal(5))])))


@pytest.mark.parametrize(("at_ms", "expected"), [(60_000, 120_000), (119_999, 120_000), (120_000, 180_000)])
def test_losses_are_looked_at_every_whole_minute(at_ms: int, expected: int) -> None:
    assert look_ms(at_ms, is_new=False) == expected
    assert look_ms(at_ms, is_new=True) == at_ms


def test_what_entries_are_remembered_by_survives_a_look() -> None:
    day = DayState(day=TODAY, equity=Decimal(0), orders=3, recent_ms=(at() - 5,), held="x")

    after = looked(100, own=holding(day=day))

    assert msgspec.structs.replace(after, rung=0) == day
