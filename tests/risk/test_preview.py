"""What other limits would have done: counted anew, judged on what was seen, told in rupees, unknown where unknown."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapanda.core import ids
from alphapanda.core.vocabulary import DeploymentStatus, LimitLevel, Side, SignalKind
from portfolio.domain.books import BookedFill
from risk.domain.context import Terms
from risk.domain.limits import Limits, Scope
from risk.domain.memory import DayState
from risk.domain.preview import Past, Preview, preview
from risk.domain.review import review
from tests.builders import DEPLOYMENT, a_mark, a_signal, an_instrument, at, e4
from tests.risk.test_rules import a_context

NUMBERS = {
    "position": 0,
    "worst_position": 10,
    "order_value": "1000",
    "price_age_ms": 0,
    "day_pnl": "0",
    "gross_exposure": "1000",
    "net_exposure": "1000",
}


def bought(step: int = 1, *, price: object = 100, quantity: int = 10, **facts: Any) -> Past:
    """An order that was approved and bought at a price; the session ended at 103 rupees."""
    signal = a_signal(quantity=quantity, step=step, at_ms=at() + step, marks={7: a_mark()})
    order_id = ids.order_id(ids.decision_id(signal.id), 0)
    fill = BookedFill(
        fill_id=UUID(int=step),
        order_id=order_id,
        deployment_id=DEPLOYMENT,
        instrument="NSE:STOCK7",
        token=7,
        side=Side.BUY,
        quantity=quantity,
        price_e4=e4(price),
        charges={"stt": Decimal("1.50")},
        at_ms=signal.at_ms,
    )
    values: dict[str, Any] = {
        "signal": signal,
        "deployment": "of tests",
        "rule": "within_limits",
        "is_approved": True,
        "numbers": NUMBERS,
        "fills": (fill,),
        "last_e4": e4(103),
    }
    return Past(**values | facts)


def denied(step: int = 1, *, rule: str = "order_quantity") -> Past:
    return bought(step, rule=rule, is_approved=False, fills=())


def changed(past: list[Past], *, before: Limits | None = None, after: Limits | None = None) -> Preview:
    return preview(
        past,
        before={DEPLOYMENT: Terms(limits=before or Limits())},
        after={DEPLOYMENT: Terms(limits=after or Limits())},
        instruments={7: an_instrument(7)},
    )


def test_an_order_that_would_be_refused_costs_what_it_earned() -> None:
    found = changed([bought()], after=Limits(order_quantity=9))

    (change,) = found.refused
    assert (change.was, change.now, change.value) == ("within_limits", "order_quantity", 1000)
    assert found.effect == change.effect == -(Decimal(30) - Decimal("1.50"))
    assert (found.decisions, found.sessions, found.let_through) == (1, 1, [])


def test_an_order_that_would_be_let_through_earns_from_its_moment_on() -> None:
    found = changed([denied()], before=Limits(order_quantity=9), after=Limits(order_quantity=10))

    (change,) = found.let_through
    assert (change.was, change.now, change.effect) == ("order_quantity", "within_limits", 30)


def test_limits_that_change_nothing_show_nothing() -> None:
    found = changed([bought(), denied(2, rule="kill_switch")], after=Limits(order_quantity=10))
    assert (found.refused, found.let_through, found.effect) == ([], [], 0)


def test_what_a_switch_or_the_clock_refused_stays_refused() -> None:
    past = [denied(n, rule=rule) for n, rule in enumerate(("kill_switch", "session_phase", "tradable"))]
    assert changed(past, before=Limits(order_quantity=1), after=Limits()).let_through == []


def test_exits_pass_whatever_is_proposed() -> None:
    past = [bought(rule="exit")]
    assert changed(past, after=Limits(order_quantity=0, daily_orders=0)).refused == []


@pytest.mark.parametrize(("limit", "refused"), [(3, 0), (2, 1), (1, 2), (0, 3)])
def test_orders_are_counted_anew(limit: int, refused: int) -> None:
    past = [bought(step) for step in (1, 2, 3)]
    assert len(changed(past, after=Limits(daily_orders=limit)).refused) == refused
    assert len(changed(past, after=Limits(orders_per_minute=limit)).refused) == refused


def modified(step: int) -> Past:
    signal = a_signal(
        kind=SignalKind.MODIFY,
        target=UUID(int=1),
        step=step,
        at_ms=at() + step,
        limit=99,
        marks={7: a_mark()},
    )
    return bought(step, signal=signal, fills=())


@pytest.mark.parametrize(
    ("limits", "refused"),
    [
        ({"daily_orders": 2}, []),
        ({"daily_orders": 1}, [9]),
        ({"repeated_entries": 3, "repeated_ms": 3_600_000}, []),
        ({"orders_per_minute": 4}, [5, 6, 9]),  # a change is a message to the broker
    ],
)
def test_a_changed_order_counts_in_a_preview_as_it_does_in_review(
    limits: dict[str, Any], refused: list[int]
) -> None:
    past = [bought(), *map(modified, range(2, 7)), bought(9)]

    found = changed(past, after=Limits(**limits))

    assert [change.at_ms - at() for change in found.refused] == refused
    judged, context = [], a_context(limits=Limits(**limits))
    for one in past:
        [verdict], day = review([one.signal], context)
        judged += [] if verdict.is_approved else [one.signal.at_ms - at()]
        context = msgspec.structs.replace(context, day=day)
    assert judged == refused


@pytest.mark.parametrize(("limit", "refused"), [(9, [1]), (10, [2]), (11, [])])
def test_each_leg_of_an_iceberg_counts_in_a_preview(limit: int, refused: list[int]) -> None:
    signal = a_signal(quantity=100, step=1, at_ms=at() + 1, marks={7: a_mark()}, iceberg_legs=10)
    past = [bought(signal=signal), bought(2)]

    found = changed(past, after=Limits(daily_orders=limit))

    assert [change.at_ms - at() for change in found.refused] == refused


@pytest.mark.parametrize(
    ("limits", "figure"),
    [
        ({"gross_exposure": Decimal(999)}, "gross_exposure"),
        ({"net_exposure": Decimal(999)}, "net_exposure"),
        ({"daily_loss": Decimal(0)}, "day_pnl"),
        ({"position_quantity": 9}, "worst_position"),
        ({"price_age_ms": -1}, "price_age_ms"),
    ],
)
def test_figures_are_those_of_then(limits: dict[str, Any], figure: str) -> None:
    assert len(changed([bought()], after=Limits(**limits)).refused) == 1


def test_a_loss_that_would_have_been_reached_holds_for_the_rest_of_the_session() -> None:
    def stood(step: int, pnl: str, **more: Any) -> Past:
        return bought(step, numbers=NUMBERS | {"day_pnl": pnl}, **more)

    tomorrow = a_signal(step=4, at_ms=at() + 86_400_000, marks={7: a_mark()})
    past = [stood(1, "-49"), stood(2, "-50"), stood(3, "10"), stood(4, "0", signal=tomorrow)]

    found = changed(past, after=Limits(daily_loss=Decimal(50)))

    assert [change.at_ms for change in found.refused] == [at() + 2, at() + 3]


def test_a_figure_that_nobody_asked_for_is_said_to_be_unknown() -> None:
    found = changed([bought(), bought(2)], after=Limits(margin=Decimal(1), drawdown=Decimal(1)))

    assert found.refused == []
    assert found.unknown == {"margin": 2, "drawdown": 2}


def test_sums_of_several_use_what_was_on_record_for_them() -> None:
    scope = Scope(LimitLevel.PORTFOLIO, "desk", Limits(gross_exposure=Decimal(5)), frozenset({DEPLOYMENT}))
    numbers = NUMBERS | {"sums": {"PORTFOLIO desk": {"gross_exposure": "6"}}}

    def judged(past: Past) -> Preview:
        after = {DEPLOYMENT: Terms(scopes=(scope,))}
        return preview([past], before={}, after=after, instruments={7: an_instrument(7)})

    assert [change.now for change in judged(bought(numbers=numbers)).refused] == ["gross_exposure"]
    assert judged(bought()).unknown == {"gross_exposure": 1}


def test_without_a_price_on_record_the_effect_is_not_told() -> None:
    found = changed([bought(last_e4=0)], after=Limits(order_quantity=9))
    assert (found.refused[0].effect, found.effect, found.untold) == (None, 0, 1)


def test_an_order_that_never_traded_cost_nothing() -> None:
    (change,) = changed([bought(fills=(), last_e4=0)], after=Limits(order_quantity=9)).refused
    assert change.effect == 0


ORDER = UUID(int=5)
Asked = tuple[
    SignalKind, int, int
]  # what is asked for, legs of an iceberg, milliseconds since the one before
WISHES = st.lists(
    st.tuples(
        st.sampled_from([SignalKind.ORDER, SignalKind.ORDER, SignalKind.MODIFY, SignalKind.CANCEL]),
        st.sampled_from([0, 0, 2, 10]),
        st.sampled_from([0, 1, 300, 900, 40_000]),
    ),
    max_size=12,
)
COUNTING = st.builds(
    Limits,
    daily_orders=st.none() | st.integers(0, 12),
    orders_per_minute=st.none() | st.integers(0, 5),
    orders_per_second=st.none() | st.integers(0, 3),
    duplicate_ms=st.sampled_from([None, 0, 400, 60_000]),
) | st.builds(Limits, repeated_entries=st.integers(0, 4), repeated_ms=st.sampled_from([0, 1_000, 60_000]))


def decided(asked: list[Asked], limits: Limits, *, starts_again: int = 0) -> list[Past]:
    """Decisions as risk makes them under limits; who is held is started again before the step of that number."""
    day, at_ms, status, past = DayState(), at(), DeploymentStatus.RUNNING, []
    for step, (kind, legs, later_ms) in enumerate(asked, 1):
        at_ms += later_ms
        if step == starts_again:
            status = DeploymentStatus.RUNNING
        is_order = kind is SignalKind.ORDER
        more = {"iceberg_legs": legs} if is_order else {"target": ORDER}
        signal = a_signal(kind=kind, step=step, at_ms=at_ms, marks={7: a_mark(at_ms=at_ms)}, **more)
        (verdict,), day = review([signal], a_context(limits=limits, day=day, status=status))
        status = DeploymentStatus.PAUSED if day.held else status
        past.append(
            Past(
                signal=signal,
                deployment="of tests",
                rule=verdict.rule,
                is_approved=verdict.is_approved,
                numbers=verdict.numbers,
                last_e4=e4(103),
            )
        )
    return past


@given(WISHES, COUNTING, st.integers(0, 12))
@settings(max_examples=200, deadline=None)
def test_limits_in_force_say_what_they_said_then(asked: list[Asked], limits: Limits, again: int) -> None:
    past = decided(asked, limits, starts_again=again)
    denied = [one.signal.id for one in past if not one.is_approved]

    relaxed = changed(past, before=limits)
    assert [change.signal_id for change in relaxed.let_through] == denied
    assert relaxed.refused == []
    assert changed(past, before=limits, after=limits).refused == []


@given(WISHES, st.integers(0, 12))
def test_orders_are_counted_as_risk_counts_them(asked: list[Asked], most: int) -> None:
    limits = Limits(daily_orders=most)
    denied = [one.signal.id for one in decided(asked, limits) if not one.is_approved]
    found = changed(decided(asked, Limits()), after=limits)
    assert [change.signal_id for change in found.refused] == denied


def test_who_would_be_held_by_other_limits_alone_goes_on_when_the_window_is_over() -> None:
    asked = [(SignalKind.ORDER, 0, 500)] * 5
    found = changed(decided(asked, Limits()), after=Limits(repeated_entries=2, repeated_ms=1_500))
    assert [change.signal_id for change in found.refused] == [ids.signal_id(DEPLOYMENT, 3, 0)]
