"""Sums over a deployment and over several: at the limit, and one lot or one order past it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.vocabulary import LimitLevel, Product, Side, SignalKind
from portfolio.domain.books import Holding
from risk.domain.context import Context, Member
from risk.domain.figures import Exposure
from risk.domain.limits import Limits, Scope
from risk.domain.memory import DayState
from risk.domain.review import review
from strategies.domain.consequences import Working
from tests.builders import DEPLOYMENT, a_holding, a_mark, a_signal, an_instrument, at, e4
from tests.risk.test_rules import STARTED, TODAY, a_context, rule_on, verdict_on

OTHER = UUID(int=5)
MARKS = {7: a_mark(), 8: a_mark(200)}


def shared(limits: dict[str, Any], member: Member, *, token: int | None = None, **own: Any) -> Context:
    """A context in which another deployment counts too."""
    scope = Scope(LimitLevel.PORTFOLIO, "desk", Limits(**limits), frozenset({DEPLOYMENT, OTHER}), token)
    instruments = {7: an_instrument(7), 8: an_instrument(8)}
    return a_context(scopes=(scope,), others={OTHER: member}, instruments=instruments, **own)


def other(
    quantity: int = 0, *, token: int = 8, working: Working | None = None, day: DayState | None = None
) -> Member:
    holdings = {token: a_holding(quantity, 200)} if quantity else {}
    return Member(holdings, {token: working} if working else {}, (), day or DayState())


@pytest.mark.parametrize(
    ("limit", "side", "member", "reached"),
    [
        ("gross_exposure", Side.BUY, other(), 1_000),
        ("gross_exposure", Side.BUY, other(10), 3_000),
        ("gross_exposure", Side.BUY, other(-10), 3_000),
        ("gross_exposure", Side.SELL, other(10), 3_000),
        ("gross_exposure", Side.BUY, other(10, working=Working(buy=5, sell=3)), 4_000),
        ("gross_exposure", Side.BUY, other(2, working=Working(sell=10)), 2_600),  # the other side is worse
        ("net_exposure", Side.BUY, other(10), 3_000),
        ("net_exposure", Side.BUY, other(-5), 0),
        ("net_exposure", Side.SELL, other(-10), 3_000),
        ("net_exposure", Side.BUY, other(10, working=Working(buy=5, sell=99)), 4_000),
        ("net_exposure", Side.SELL, other(10, working=Working(buy=99, sell=30)), 5_000),
        ("margin", Side.BUY, other(10), 600),
    ],
)
def test_exposure_of_several_deployments_at_its_worst(
    limit: str, side: Side, member: Member, reached: int
) -> None:
    signal = a_signal(side, 10, marks=MARKS)
    fits = shared({limit: Decimal(reached)}, member)

    assert rule_on(signal, fits) == "within_limits"
    assert rule_on(a_signal(side, 11, marks=MARKS), fits) == limit
    assert rule_on(signal, shared({limit: Decimal(reached) - Decimal("0.01")}, member)) == limit


@pytest.mark.parametrize("product", [Product.MIS, Product.CNC])
def test_margin_counts_what_is_blocked(product: Product) -> None:
    """10 of ours at 100 rupees intraday, 20 percent, and 10 of others at 200."""
    theirs = {Product.MIS: 400, Product.CNC: 2_000}[product]
    member = msgspec.structs.replace(other(10), product=product)
    context = shared({"margin": Decimal(200 + theirs)}, member)

    assert rule_on(a_signal(quantity=10, marks=MARKS), context) == "within_limits"
    assert rule_on(a_signal(quantity=11, marks=MARKS), context) == "margin"


def test_a_sold_option_blocks_by_its_strike_and_a_bought_one_its_premium() -> None:
    option = msgspec.structs.replace(
        an_instrument(7, lot=50), instrument_type="CE", underlying="NIFTY", strike_e4=e4(10_000)
    )
    marks = {7: a_mark(5)}

    def rule(side: Side, quantity: int, limit: int) -> str:
        context = a_context(
            limits=Limits(margin=Decimal(limit)), instruments={7: option}, product=Product.NRML
        )
        return rule_on(a_signal(side, quantity, marks=marks), context)

    assert (rule(Side.BUY, 50, 250), rule(Side.BUY, 100, 250)) == ("within_limits", "margin")
    assert (rule(Side.SELL, 50, 60_000), rule(Side.SELL, 100, 60_000)) == ("within_limits", "margin")
    assert rule(Side.SELL, 50, 59_999) == "margin"


def test_margin_without_a_rate_refuses_entries_never_exits() -> None:
    odd = msgspec.structs.replace(an_instrument(7), instrument_type="BOND")
    context = a_context(limits=Limits(margin=Decimal(10**9)), instruments={7: odd})
    held = msgspec.structs.replace(context, holdings={7: a_holding(10)})

    assert verdict_on(a_signal(), context).reason == (
        "the margin is unknown: a held instrument has no price or no margin rate"
    )
    assert rule_on(a_signal(), context) == "margin"
    assert rule_on(a_signal(Side.SELL, 10), held) == "exit"


@pytest.mark.parametrize(("token", "rule"), [(None, "gross_exposure"), (7, "within_limits")])
def test_a_sum_of_one_instrument_counts_that_alone(token: int | None, rule: str) -> None:
    context = shared({"gross_exposure": Decimal(1_000)}, other(1), token=token)
    assert rule_on(a_signal(quantity=10, marks=MARKS), context) == rule


def test_a_sum_of_one_instrument_binds_no_order_in_another() -> None:
    context = shared({"gross_exposure": Decimal(0)}, other(1), token=8)
    assert rule_on(a_signal(quantity=10, marks=MARKS), context) == "within_limits"
    assert rule_on(a_signal(quantity=10, token=8, marks=MARKS), context) == "gross_exposure"


@pytest.mark.parametrize(
    ("underlying", "rule"), [("STOCK7", "underlying_exposure"), ("NIFTY", "within_limits")]
)
def test_exposure_to_one_underlying(underlying: str, rule: str) -> None:
    context = shared({"underlying_exposure": Decimal(2_999)}, other(10))
    instruments = {
        7: an_instrument(7),
        8: msgspec.structs.replace(an_instrument(8), underlying=underlying),
    }
    context = msgspec.structs.replace(context, instruments=instruments)

    assert rule_on(a_signal(quantity=10, marks=MARKS), context) == rule
    unknown = msgspec.structs.replace(context, instruments={7: an_instrument(7)})
    assert rule_on(a_signal(quantity=10, marks=MARKS), unknown) == "underlying_exposure"


@pytest.mark.parametrize(
    "limit", ["gross_exposure", "net_exposure", "underlying_exposure", "margin", "daily_loss"]
)
@pytest.mark.parametrize("at_level", ["own", "shared"])
def test_what_is_held_without_a_price_refuses_entries_never_exits(limit: str, at_level: str) -> None:
    limits, marks = {limit: Decimal(10**9)}, {7: a_mark()}
    if at_level == "own":
        held = {7: a_holding(10), 8: a_holding(5)}
        context = a_context(limits=Limits(**limits), holdings=held, day=STARTED)
    else:
        context = shared(limits, other(5), holdings={7: a_holding(10)})

    assert rule_on(a_signal(marks=marks), context) == limit
    assert rule_on(a_signal(Side.SELL, 10, marks=marks), context) == "exit"


def busy(**facts: Any) -> Member:
    return other(day=DayState(**({"day": TODAY, "equity": Decimal(0)} | facts)))


@pytest.mark.parametrize(
    ("limits", "member", "own", "rule"),
    [
        ({"daily_orders": 5}, busy(orders=3), {"orders": 1}, "within_limits"),
        ({"daily_orders": 5}, busy(orders=3), {"orders": 2}, "daily_orders"),
        ({"daily_orders": 5}, busy(orders=99, day=TODAY - 1), {"orders": 4}, "within_limits"),
        ({"daily_orders": 5, "exit_lane": 2}, busy(orders=2), {}, "within_limits"),
        ({"daily_orders": 5, "exit_lane": 2}, busy(orders=3), {}, "daily_orders"),
        (
            {"orders_per_minute": 2},
            busy(recent_ms=(at() - 60_000,)),
            {"recent_ms": (at() - 1,)},
            "within_limits",
        ),
        (
            {"orders_per_minute": 2},
            busy(recent_ms=(at() - 59_999,)),
            {"recent_ms": (at() - 1,)},
            "order_rate",
        ),
        (
            {"orders_per_second": 2},
            busy(recent_ms=(at() - 1_000,)),
            {"recent_ms": (at() - 1,)},
            "within_limits",
        ),
        ({"orders_per_second": 2}, busy(recent_ms=(at() - 999,)), {"recent_ms": (at() - 1,)}, "order_rate"),
    ],
)
def test_orders_of_several_deployments(
    limits: dict[str, Any], member: Member, own: dict[str, Any], rule: str
) -> None:
    day = msgspec.structs.replace(STARTED, **own)
    assert rule_on(a_signal(), shared(limits, member, day=day)) == rule


@pytest.mark.parametrize(("legs", "rule"), [(3, "within_limits"), (4, "daily_orders")])
def test_each_leg_of_an_iceberg_is_an_order_of_the_day(legs: int, rule: str) -> None:
    day = msgspec.structs.replace(STARTED, orders=2)

    (verdict,), after = review([a_signal(iceberg_legs=legs)], shared({"daily_orders": 5}, busy(), day=day))

    assert (verdict.rule, after.orders) == (rule, 5 if verdict.is_approved else 2)


@pytest.mark.parametrize(
    ("limits", "rule"),
    [({"daily_orders": 5}, "within_limits"), ({"orders_per_minute": 5}, "order_rate")],
)
def test_a_change_of_an_order_counts_in_the_rates_and_not_in_the_day(
    limits: dict[str, Any], rule: str
) -> None:
    own = DayState(day=TODAY, equity=Decimal(0), orders=5, recent_ms=(at(),) * 5)
    change = a_signal(quantity=1, kind=SignalKind.MODIFY, target=UUID(int=9), replaces=1)

    for context in (a_context(limits=Limits(**limits), day=own), shared(limits, busy(), day=own)):
        (verdict,), after = review([change], context)
        assert (verdict.rule, after.orders) == (rule, 5)
        assert rule_on(a_signal(quantity=1), context) in ("daily_orders", "order_rate")


def test_exits_pass_a_full_lane_and_are_counted() -> None:
    day = msgspec.structs.replace(STARTED, orders=5)
    context = shared({"daily_orders": 5}, busy(), day=day, holdings={7: a_holding(10)})

    (verdict,), after = review([a_signal(Side.SELL, 10)], context)

    assert (verdict.rule, after.orders) == ("exit", 6)


@pytest.mark.parametrize(("price", "rule"), [("195.05", "within_limits"), ("195", "daily_loss")])
def test_the_loss_of_others_counts(price: str, rule: str) -> None:
    """10 units carried in at 200 have lost 50 rupees at 195."""
    marks = {7: a_mark(), 8: a_mark(price, close_before=200)}
    assert rule_on(a_signal(marks=marks), shared({"daily_loss": Decimal(50)}, other(10))) == rule


def test_a_loss_limit_that_was_reached_holds_for_the_session() -> None:
    context = shared({"daily_loss": Decimal(50)}, other(10))
    low, back = ({7: a_mark(), 8: a_mark(price, close_before=200)} for price in (195, 200))

    _, day = review([a_signal(marks=low)], context)
    (later,), _ = review([a_signal(step=2, marks=back)], msgspec.structs.replace(context, day=day))

    assert (day.tripped, later.rule) == (("PORTFOLIO desk",), "daily_loss")
    reached_by_other = shared({"daily_loss": Decimal(50)}, busy(tripped=("PORTFOLIO desk",)))
    assert rule_on(a_signal(marks=back), reached_by_other) == "daily_loss"
    yesterday = shared({"daily_loss": Decimal(50)}, busy(tripped=("PORTFOLIO desk",), day=TODAY - 1))
    assert rule_on(a_signal(marks=back), yesterday) == "within_limits"


@pytest.mark.parametrize(("price", "rule"), [("99.05", "within_limits"), ("99", "drawdown")])
def test_the_distance_from_the_peak(price: str, rule: str) -> None:
    holdings = {7: Holding(100, Decimal(9_000))}
    limits = Limits(drawdown=Decimal(100))
    _, day = review([a_signal()], a_context(limits=limits, holdings=holdings))
    assert day.peaks == {"DEPLOYMENT": Decimal(1_000)}

    context = a_context(limits=limits, holdings=holdings, day=day)
    assert rule_on(a_signal(step=2, marks={7: a_mark(price)}), context) == rule


def test_the_peak_that_others_remember_counts() -> None:
    peaks = {"PORTFOLIO desk": Decimal(150)}
    assert rule_on(a_signal(), shared({"drawdown": Decimal(150)}, busy(peaks=peaks))) == "drawdown"
    assert rule_on(a_signal(), shared({"drawdown": Decimal(151)}, busy(peaks=peaks))) == "within_limits"


def test_a_verdict_names_the_level_and_carries_its_figures() -> None:
    context = shared({"gross_exposure": Decimal(2_999), "daily_orders": 9}, other(10), day=STARTED)

    verdict = verdict_on(a_signal(quantity=10, marks=MARKS), context)

    assert verdict.reason == "the gross exposure could reach 3000, at most 2999 in PORTFOLIO desk"
    assert verdict.numbers["sums"] == {
        "PORTFOLIO desk": {
            "orders_today": 0,
            "orders_last_minute": 0,
            "gross_exposure": "3000",
            "limits": {"gross_exposure": "2999", "daily_orders": 9},
        }
    }


@given(st.integers(-50, 50), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_no_fills_exceed_the_worst(position: int, buy: int, sell: int, bought: int, sold: int) -> None:
    """Whatever part of the working orders fills, exposure stays within what was judged."""
    book = Member({7: a_holding(position)}, {7: Working(buy, sell)})
    after = Member({7: a_holding(position + min(buy, bought) - min(sell, sold))}, {})
    worst, reached = Exposure([book], MARKS), Exposure([after], MARKS)

    assert reached.gross() <= worst.gross()
    assert worst.net(Side.SELL) <= reached.net(Side.BUY) <= worst.net(Side.BUY)
