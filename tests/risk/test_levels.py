"""Levels of limits: what covers whom, what the strictest is, and who must be decided together."""

from __future__ import annotations

from datetime import time
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest

from alphapanda.core.vocabulary import LimitLevel
from risk.domain.context import Terms, terms_of
from risk.domain.coupling import groups
from risk.domain.limits import Level, Limits, Place, check_level, strictest, written

ONE, TWO, THREE, LIVE = (UUID(int=number) for number in (1, 2, 3, 4))
PLACES = (
    Place(ONE, "paper", "A", {"NSE:INFY": 7}),
    Place(TWO, "paper", "A", {"NSE:SBIN": 8}),
    Place(THREE, "paper", "B", {"NSE:INFY": 7, "NSE:TCS": 9}),
    Place(LIVE, "zerodha", "C", {"NSE:INFY": 7}),
)
TARGETS: dict[LimitLevel, dict[str, Any]] = {
    LimitLevel.GLOBAL: {},
    LimitLevel.BROKER: {"broker": "paper"},
    LimitLevel.PORTFOLIO: {"portfolio": "A"},
    LimitLevel.DEPLOYMENT: {"deployment": ONE},
    LimitLevel.INSTRUMENT: {"instrument": "NSE:INFY"},
}


def level(at: LimitLevel, **limits: Any) -> Level:
    return Level(at, Limits(**limits), **TARGETS[at])


def terms(of: int, *levels: Level) -> Terms:
    return terms_of(levels, PLACES[of], PLACES)


@pytest.mark.parametrize(
    ("at", "bound"),
    [
        (LimitLevel.GLOBAL, [0, 1, 2, 3]),
        (LimitLevel.BROKER, [0, 1, 2]),
        (LimitLevel.PORTFOLIO, [0, 1]),
        (LimitLevel.DEPLOYMENT, [0]),
    ],
)
def test_what_bounds_one_order_counts_for_all_that_a_level_covers(at: LimitLevel, bound: list[int]) -> None:
    limited = level(at, order_quantity=5)

    found = [number for number in range(4) if terms(number, limited).limits.order_quantity == 5]
    assert found == bound
    assert all(not terms(number, limited).scopes for number in range(4))


def test_limits_of_an_instrument_bind_orders_in_it() -> None:
    bound = terms(
        2, level(LimitLevel.INSTRUMENT, order_quantity=5), level(LimitLevel.GLOBAL, order_quantity=9)
    )

    assert bound.limits.order_quantity == 9
    assert {token: limits.order_quantity for token, limits in bound.by_token.items()} == {7: 5}


@pytest.mark.parametrize(
    ("at", "members"),
    [
        (LimitLevel.GLOBAL, {ONE, TWO, THREE}),
        (LimitLevel.BROKER, {ONE, TWO, THREE}),
        (LimitLevel.PORTFOLIO, {ONE, TWO}),
        (LimitLevel.INSTRUMENT, {ONE, THREE}),
    ],
)
def test_a_sum_adds_up_over_its_level_and_never_over_two_brokers(at: LimitLevel, members: set[UUID]) -> None:
    (scope,) = terms(0, level(at, gross_exposure=Decimal(5))).scopes

    assert scope.members == members
    assert scope.token == (7 if at is LimitLevel.INSTRUMENT else None)


def test_a_sum_of_a_deployment_is_its_own() -> None:
    bound = terms(
        0, level(LimitLevel.DEPLOYMENT, daily_loss=Decimal(5)), level(LimitLevel.GLOBAL, daily_orders=3)
    )

    assert (bound.limits.daily_loss, bound.limits.daily_orders) == (Decimal(5), None)
    assert [scope.limits.daily_orders for scope in bound.scopes] == [3]


@pytest.mark.parametrize(
    ("limited", "expected"),
    [
        ([], ["", "", "", ""]),
        ([level(LimitLevel.GLOBAL, order_quantity=5)], ["", "", "", ""]),
        ([level(LimitLevel.GLOBAL, daily_loss=Decimal(5))], ["1", "1", "1", ""]),
        ([level(LimitLevel.PORTFOLIO, margin=Decimal(5))], ["1", "1", "", ""]),
        ([level(LimitLevel.INSTRUMENT, net_exposure=Decimal(5))], ["1", "", "1", ""]),
        ([level(LimitLevel.DEPLOYMENT, daily_loss=Decimal(5))], ["", "", "", ""]),
        ([level(LimitLevel.GLOBAL, exit_lane=5)], ["", "", "", ""]),
        ([level(LimitLevel.GLOBAL, self_trade=True)], ["1", "", "1", ""]),  # those that trade the same
        (
            [level(LimitLevel.PORTFOLIO, drawdown=Decimal(5)), level(LimitLevel.GLOBAL, self_trade=True)],
            ["1", "1", "1", ""],
        ),
    ],
)
def test_who_shares_a_sum_is_decided_together(limited: list[Level], expected: list[str]) -> None:
    found = groups(limited, PLACES)

    named = {str(ONE): "1", "": ""}
    assert [named[found[place.id]] for place in PLACES] == expected
    assert groups(limited, reversed(PLACES)) == found


@pytest.mark.parametrize("limits", [{"daily_loss": Decimal(5)}, {"self_trade": True}])
def test_a_shadow_is_counted_by_itself_and_coupled_with_nobody(limits: dict[str, Any]) -> None:
    shadow = Place(UUID(int=5), "paper", "A", {"NSE:INFY": 7}, is_shadow=True)
    limited, places = level(LimitLevel.BROKER, **limits), (*PLACES, shadow)

    (own,), (others,) = (terms_of((limited,), one, places).scopes for one in (shadow, PLACES[0]))
    assert (own.members, others.members) == ({shadow.id}, {ONE, TWO, THREE})
    found = groups([limited], places)
    assert found.pop(shadow.id) == ""
    assert found == groups([limited], PLACES)


def test_the_strictest_is_not_always_the_smallest() -> None:
    levels = [
        Limits(
            duplicate_ms=5, exit_lane=1, entries_from=time(9, 20), entries_until=time(15), allowed=("A", "B"),
            restricted=("X",), repeated_entries=3, repeated_ms=10,
        ),
        Limits(
            duplicate_ms=9, exit_lane=2, entries_from=time(9, 30), entries_until=time(14), allowed=("B", "C"),
            restricted=("Y",), repeated_entries=5, repeated_ms=60, self_trade=True,
        ),
        Limits(),
    ]  # fmt: skip
    expected = Limits(
        duplicate_ms=9, exit_lane=2, entries_from=time(9, 30), entries_until=time(14), allowed=("B",),
        restricted=("X", "Y"), repeated_entries=3, repeated_ms=60, self_trade=True,
    )  # fmt: skip

    assert strictest(levels) == strictest(reversed(levels)) == expected


def test_a_lower_rung_of_the_ladder_bounds_those_above_it() -> None:
    levels = [Limits(daily_loss=Decimal(500)), Limits(loss_flatten=Decimal(100))]

    hundred = Decimal(100)
    assert strictest(levels) == Limits(daily_loss=hundred, loss_cancel=hundred, loss_flatten=hundred)
    (scope,) = terms(0, level(LimitLevel.PORTFOLIO, loss_cancel=hundred)).scopes
    assert (scope.limits.daily_loss, scope.limits.loss_flatten) == (hundred, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"order_value": Decimal("NaN")},
        {"order_value": Decimal("Infinity")},
        {"repeated_entries": 3},
        {"repeated_ms": 3},
        {"daily_loss": Decimal(5), "loss_cancel": Decimal(4)},
        {"daily_loss": Decimal(5), "loss_flatten": Decimal(4)},
    ],
)
def test_limits_that_bound_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="|".join(f"`{name}`" for name in wrong)):
        Limits(**wrong)


def test_what_an_instrument_cannot_limit() -> None:
    with pytest.raises(ValueError, match="daily_loss cannot be limited for one instrument; accepted"):
        check_level(LimitLevel.INSTRUMENT, Limits(daily_loss=Decimal(5)))
    check_level(LimitLevel.INSTRUMENT, Limits(net_exposure=Decimal(5), order_quantity=3))


def test_the_version_follows_from_the_limits_in_force() -> None:
    first = terms(0, level(LimitLevel.GLOBAL, daily_loss=Decimal("5.00")))

    assert first.version == terms(0, level(LimitLevel.GLOBAL, daily_loss=Decimal(5))).version
    others = [
        terms(0, level(LimitLevel.GLOBAL, daily_loss=Decimal(6))),
        terms(0, level(LimitLevel.BROKER, daily_loss=Decimal(5))),
        terms(3, level(LimitLevel.GLOBAL, daily_loss=Decimal(5))),
        terms(0, level(LimitLevel.INSTRUMENT, order_quantity=6)),
        terms(0),
    ]
    assert len({one.version for one in (first, *others)}) == 6


def test_terms_survive_being_stored() -> None:
    bound = terms(
        0,
        level(LimitLevel.GLOBAL, daily_loss=Decimal("5.50"), entries_from=time(9, 30)),
        level(LimitLevel.INSTRUMENT, order_quantity=6, restricted=None),
    )
    stored = msgspec.json.decode(msgspec.json.encode(msgspec.to_builtins(bound, str_keys=True)))

    assert msgspec.convert(stored, Terms, strict=False) == bound


@pytest.mark.parametrize("name", ["restricted", "allowed"])
@pytest.mark.parametrize(
    "typed",
    ["nse:yesbank", "nse:YESBANK", "NSE: YESBANK", "NSE:YESBANK ", " NSE:YESBANK", "NSE:", ":YESBANK", "XSE:YESBANK",
     "yesbank", "NSE:NIFTY  50", "NSE:NSE:YESBANK", "Nifty"],
)  # fmt: skip
def test_a_name_that_would_match_nothing_is_refused(name: str, typed: str) -> None:
    with pytest.raises(ValueError, match=f"`{name}`: '{typed}' is neither an instrument .EXCHANGE:SYMBOL"):
        written({name: ["NSE:INFY", typed]})


def test_instruments_and_underlyings_are_taken_as_lists_write_them() -> None:
    names = ("NSE:M&M", "NSE:NIFTY 50", "NIFTY", "MCX:GOLD25DECFUT", "BAJAJ-AUTO", "CDS:USDINR25DEC65.25CE")
    assert written({"restricted": names}).restricted == names


@pytest.mark.parametrize("hour", ["15:00", "3 pm", "15:00:00Z", "15:00:00+05:30", 15, ""])
@pytest.mark.parametrize("name", ["entries_from", "entries_until", "expiry_until"])
def test_hours_say_what_is_accepted(name: str, hour: object) -> None:
    with pytest.raises(ValueError, match=f"`{name}` is a time in India without a zone, such as 15:00:00"):
        written({name: hour})
    assert getattr(written({name: "15:00:00"}), name) == time(15)
