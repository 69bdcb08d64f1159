"""Exits are sacred, as a property: whatever rules, halts, modes and missing figures say at once, what can only bring a
position nearer to zero passes, and so does every cancellation; what cannot be figured out lets nothing in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapanda.core.vocabulary import DeploymentStatus, LimitLevel, Phase, Product, Side, SignalKind
from risk.domain.context import Context, Member, Resting
from risk.domain.limits import SUMS, Limits, Scope
from risk.domain.margins import Margins
from risk.domain.memory import DayState, Sent
from risk.domain.review import review
from risk.reference import margin_tables
from strategies.domain.consequences import Working
from strategies.domain.signals import Mark
from tests.builders import DAY, DEPLOYMENT, a_holding, a_mark, a_signal, an_instrument, at
from tests.risk.test_rules import TODAY, a_context, rule_on
from tests.risk.test_sums import OTHER

ORDER = UUID(int=9)
# Everything that can be limited, at its narrowest.
NARROWEST: dict[str, Any] = {
    **dict.fromkeys(("order_quantity", "position_quantity", "collar_ticks", "repeated_entries"), 0),
    **dict.fromkeys(("orders_per_second", "orders_per_minute", "daily_orders"), 0),
    **dict.fromkeys(
        ("order_value", "collar_percent", "price_jump_percent", "drawdown", "margin"), Decimal(0)
    ),
    **dict.fromkeys(("gross_exposure", "net_exposure", "underlying_exposure"), Decimal(0)),
    **dict.fromkeys(("daily_loss", "loss_cancel", "loss_flatten"), Decimal(0)),
    **dict.fromkeys(("entries_from", "entries_until", "expiry_until"), time(0)),
    **dict.fromkeys(("allowed", "products"), ()),
    "restricted": ("NSE:STOCK7",),
    "price_age_ms": -1,
    "duplicate_ms": 10**9,
    "repeated_ms": 10**9,
    "exit_lane": 99,
    "self_trade": True,
}
MARKS = st.sampled_from(
    [
        None,
        Mark(0, 0),
        Mark(-5, at()),
        a_mark(at_ms=1),
        a_mark(before=1),
        a_mark(close_before=10**6),
        a_mark(),
    ]
)
INSTRUMENTS = st.builds(
    lambda **facts: msgspec.structs.replace(an_instrument(7), **facts),
    lot_size=st.sampled_from([0, 1, 1_000]),
    segment=st.sampled_from(["NSE", "INDICES"]),
    expiry=st.sampled_from([None, DAY, DAY - timedelta(days=1)]),
    freeze_quantity=st.sampled_from([0, 1]),
    upper_circuit_e4=st.sampled_from([0, 1]),
    products=st.sampled_from([(), ("CNC",)]),
    instrument_type=st.sampled_from(["EQ", "CE", "BOND"]),
)
DAYS = st.builds(
    DayState,
    day=st.sampled_from([TODAY, TODAY - 1]),
    orders=st.sampled_from([0, 10**6]),
    equity=st.sampled_from([None, Decimal(0), Decimal(10**9)]),
    recent_ms=st.sampled_from([(), (at() - 1,) * 500]),
    sent=st.sampled_from([(), (Sent(at() - 1, 7, Side.SELL, 5, None),) * 9]),
    tripped=st.sampled_from([(), ("DEPLOYMENT", "GLOBAL")]),
    rung=st.sampled_from([0, 2, 3]),
    peaks=st.sampled_from([{}, {"DEPLOYMENT": Decimal(10**9)}]),
    held=st.sampled_from(["", "paused until a person starts it"]),
)


@st.composite
def limits(draw: st.DrawFn, names: tuple[str, ...] = tuple(NARROWEST)) -> Limits:
    """Any of the limits, each as narrow as can be."""
    chosen = draw(st.one_of(st.just(set(names)), st.sets(st.sampled_from(names))))
    if {"repeated_entries", "repeated_ms"} & chosen:
        chosen |= {"repeated_entries", "repeated_ms"}
    return Limits(**{name: NARROWEST[name] for name in chosen})


@st.composite
def contexts(draw: st.DrawFn, position: int, working: Working) -> Context:
    scope = Scope(LimitLevel.GLOBAL, "", draw(limits(SUMS)), frozenset({DEPLOYMENT, OTHER}))
    theirs = Member({8: a_holding(5)}, {8: Working(3, 3)}, (Resting(OTHER, 7, Side.BUY, None),))
    return Context(
        limits=draw(limits()),
        day=draw(DAYS),
        holdings={7: a_holding(position), 8: a_holding(draw(st.sampled_from([0, 5])))},
        working={7: working},
        instruments={7: draw(INSTRUMENTS)},
        phases={7: draw(st.sampled_from(Phase))},
        halts=draw(st.sampled_from([(), ("GLOBAL: stop", "paper: stop")])),
        status=draw(st.sampled_from(DeploymentStatus)),
        guards=draw(st.sampled_from([(), (("start_of_day", "no"), ("unacknowledged_alert", "one"))])),
        orders=(Resting(ORDER, 7, Side.BUY, None), Resting(OTHER, 7, Side.SELL, None)),
        by_token=draw(st.sampled_from([{}, {7: Limits(order_quantity=0)}])),
        scopes=draw(st.sampled_from([(), (scope,)])),
        others=draw(st.sampled_from([{}, {OTHER: theirs}])),
        product=draw(st.sampled_from(Product)),
        margins=draw(st.sampled_from([Margins(()), margin_tables()])),
    )


@st.composite
def exits(draw: st.DrawFn) -> tuple[Context, dict[str, Any]]:
    """A position, orders at work, and an order or a change of one that can only bring it nearer to zero."""
    quantity = draw(st.integers(1, 50))
    side = draw(st.sampled_from(Side))
    others = draw(st.integers(0, 10))
    replaces = draw(st.sampled_from([0, 0, 7]))
    held = quantity + others + draw(st.integers(0, 20))
    at_work = Working(others + replaces, 99) if side is Side.BUY else Working(99, others + replaces)
    facts: dict[str, Any] = {
        "side": side,
        "quantity": quantity,
        "limit": draw(st.sampled_from([None, "1", "900"])),
    }
    if replaces:
        facts |= {"kind": SignalKind.MODIFY, "target": ORDER, "replaces": replaces}
    return draw(contexts(-side.sign * held, at_work)), facts


@settings(max_examples=600, deadline=None)
@given(exits(), st.dictionaries(st.sampled_from([7, 8]), MARKS))
def test_an_exit_passes_whatever_stands_in_the_way(
    case: tuple[Context, dict[str, Any]], marks: Mapping[int, Mark | None]
) -> None:
    context, facts = case
    known = {token: mark for token, mark in marks.items() if mark is not None}

    (verdict,), _ = review([a_signal(**facts, marks=known)], context)

    assert (verdict.rule, verdict.is_approved) == ("exit", True)


@settings(max_examples=300, deadline=None)
@given(
    st.integers(-50, 50).flatmap(lambda held: contexts(held, Working(9, 9))),
    st.sampled_from(Side),
    st.dictionaries(st.sampled_from([7, 8]), MARKS),
)
def test_a_cancellation_passes_whatever_stands_in_the_way(
    context: Context, side: Side, marks: Mapping[int, Mark | None]
) -> None:
    known = {token: mark for token, mark in marks.items() if mark is not None}
    cancel = a_signal(side, 9, kind=SignalKind.CANCEL, target=ORDER, replaces=9, marks=known)

    (verdict,), _ = review([cancel], context)

    assert (verdict.rule, verdict.is_approved) == ("cancel", True)


WIDEST = {
    "order_value": Decimal(10**12),
    "collar_percent": Decimal(50),
    "collar_ticks": 10**6,
    "price_age_ms": 10**9,
    "price_jump_percent": Decimal(100),
    "gross_exposure": Decimal(10**12),
    "net_exposure": Decimal(10**12),
    "underlying_exposure": Decimal(10**12),
    "margin": Decimal(10**12),
    "daily_loss": Decimal(10**12),
    "drawdown": Decimal(10**12),
}


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(sorted(WIDEST)),
    st.sampled_from([None, Mark(0, at()), Mark(-1, at())]),
    st.sampled_from([7, 8]),
    st.sampled_from(Side),
    st.sampled_from([None, "100"]),
)
def test_no_entry_where_a_price_is_missing(
    name: str, mark: Mark | None, token: int, side: Side, limit: str | None
) -> None:
    """However wide a limit is: without the order's own price nothing enters, and without that of what else is held
    nothing that needs it."""
    marks = {7: a_mark(), 8: a_mark()} | {token: mark}
    known = {one: found for one, found in marks.items() if found is not None}
    context = a_context(limits=Limits(**{name: WIDEST[name]}), holdings={8: a_holding(5)})

    rule = rule_on(a_signal(side, 5, limit=limit, marks=known), context)

    assert rule == ("stale_price" if token == 7 else name if name in SUMS else "within_limits")


@pytest.mark.parametrize("name", [name for name, limit in NARROWEST.items() if isinstance(limit, Decimal)])
@pytest.mark.parametrize("word", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_a_limit_that_is_no_number_is_none(name: str, word: str) -> None:
    with pytest.raises(ValueError, match=f"`{name}` must be a finite number"):
        Limits(**{name: Decimal(word)})


def test_every_limit_takes_part() -> None:
    assert set(NARROWEST) == set(Limits.__struct_fields__)
