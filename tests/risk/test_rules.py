"""Every rule of risk at its limit and one lot past it, their order, and the figures in a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alphapanda.core import ids
from alphapanda.core.vocabulary import DeploymentStatus, Phase, Side
from marketdata.domain.instruments import InstrumentSpec
from portfolio.domain.books import Holding
from risk.domain.context import Context, Resting, Verdict
from risk.domain.limits import Limits, strictest
from risk.domain.memory import DayState, Sent
from risk.domain.review import RULES, review
from risk.reference import margin_tables
from strategies.domain.consequences import Working
from strategies.domain.signals import SignalRow
from tests.builders import DAY, DEPLOYMENT, a_holding, a_mark, a_signal, an_index, an_instrument, at

TODAY = DAY.toordinal()
STARTED = DayState(day=TODAY, equity=Decimal(0))


def a_context(
    *,
    limits: Limits | None = None,
    day: DayState = STARTED,
    holdings: Mapping[int, Holding] | None = None,
    working: Mapping[int, Working] | None = None,
    lot: int = 1,
    instruments: Mapping[int, InstrumentSpec] | None = None,
    phase: Phase = Phase.CONTINUOUS,
    **more: Any,
) -> Context:
    known = instruments or {7: an_instrument(7, lot=lot), 8: an_instrument(8), 9: an_index(9)}
    return Context(
        limits=limits or Limits(),
        day=day,
        holdings=holdings or {},
        working=working or {},
        instruments=known,
        **({"phases": dict.fromkeys(known, phase), "margins": margin_tables()} | more),
    )


def verdict_on(signal: SignalRow, context: Context) -> Verdict:
    (verdict,), _ = review([signal], context)
    return verdict


def rule_on(signal: SignalRow, context: Context) -> str:
    verdict = verdict_on(signal, context)
    assert verdict.is_approved == (verdict.rule in {"within_limits", "exit", "cancel"})
    assert verdict.reason
    return verdict.rule


SOUND = an_instrument(7)
# What is wrong by rule, in the order in which rules are asked: facts of the context, limits, the instrument.
WRONG: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "kill_switch": ({"halts": ("GLOBAL: enough",)}, {}, {}),
    "start_of_day": ({"guards": (("start_of_day", "not passed"), ("unacknowledged_alert", "one"))}, {}, {}),
    "unacknowledged_alert": ({"guards": (("unacknowledged_alert", "one"),)}, {}, {}),
    "repeated_entries": ({}, {"repeated_entries": 0, "repeated_ms": 1_000}, {}),
    "deployment_status": ({"status": DeploymentStatus.PAUSED}, {}, {}),
    "restricted_instrument": ({}, {"restricted": ("NSE:STOCK7",)}, {}),
    "product_allowed": ({}, {"products": ("CNC",)}, {}),
    "tradable": ({}, {}, {"lot_size": 3}),
    "session_phase": ({"phase": Phase.CLOSING}, {}, {}),
    "entry_hours": ({}, {"entries_until": time(9)}, {}),
    "expiry_day": ({}, {}, {"expiry": DAY - timedelta(days=1)}),
    "stale_price": ({}, {"price_age_ms": 999}, {}),
    "price_jump": ({}, {"price_jump_percent": Decimal(1)}, {}),
    "circuit_limit": ({}, {}, {"upper_circuit_e4": 900_000}),
    "price_collar": ({}, {"collar_ticks": 0}, {}),
    "order_quantity": ({}, {"order_quantity": 9}, {}),
    "order_value": ({}, {"order_value": Decimal(999)}, {}),
    "position_limit": ({}, {"position_quantity": 9}, {}),
    "duplicate_order": ({}, {"duplicate_ms": 10_000}, {}),
    "self_trade": ({}, {"self_trade": True}, {}),
    "order_rate": ({}, {"orders_per_minute": 0}, {}),
    "daily_orders": ({}, {"daily_orders": 0}, {}),
    "daily_loss": ({}, {"daily_loss": Decimal(0)}, {}),
    "drawdown": ({}, {"drawdown": Decimal(0)}, {}),
    "gross_exposure": ({}, {"gross_exposure": Decimal(0)}, {}),
    "net_exposure": ({}, {"net_exposure": Decimal(0)}, {}),
    "underlying_exposure": ({}, {"underlying_exposure": Decimal(0)}, {}),
    "margin": ({}, {"margin": Decimal(0)}, {}),
    "approval": ({"approval_s": 60}, {}, {}),
}
OURS = Resting(DEPLOYMENT, 7, Side.SELL, None)


def merged(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in parts:
        found = part | found
    return found


def test_the_rules_are_asked_in_this_order() -> None:
    assert [rule.__name__ for rule in RULES] == list(WRONG)


@pytest.mark.parametrize("first", range(len(RULES) + 1))
def test_the_first_rule_that_objects_decides(first: int) -> None:
    """Everything is wrong but what the rules before the expected one look at."""
    wrong = list(WRONG.values())[first:]
    facts, limits, instrument = (merged(part[place] for part in wrong) for place in range(3))
    signal = a_signal(quantity=10, marks={7: a_mark(at_ms=at() - 1000, before=90, ask=110)})
    day = msgspec.structs.replace(STARTED, sent=(Sent(at() - 10, 7, Side.BUY, 10, None),))
    context = a_context(
        limits=Limits(**limits),
        day=day,
        orders=(OURS,),
        instruments={7: msgspec.structs.replace(SOUND, **instrument)},
        **facts,
    )

    assert rule_on(signal, context) == [*WRONG, "within_limits"][first]


@pytest.mark.parametrize(
    ("limits", "fits", "too_much"),
    [
        ({"order_quantity": 150}, 150, 225),
        ({"order_value": Decimal(15_000)}, 150, 225),
        ({"position_quantity": 150}, 150, 225),
    ],
)
@pytest.mark.parametrize("side", Side)
def test_sizes_at_the_limit_and_one_lot_past_it(
    limits: dict[str, Any], fits: int, too_much: int, side: Side
) -> None:
    context = a_context(limits=Limits(**limits), lot=75)

    assert rule_on(a_signal(side, fits), context) == "within_limits"
    assert rule_on(a_signal(side, too_much), context) == {"position_quantity": "position_limit"}.get(
        *limits, *limits
    )


def test_a_smaller_limit_by_one_unit_of_money_denies() -> None:
    signal = a_signal(quantity=10)

    assert rule_on(signal, a_context(limits=Limits(order_value=Decimal("1000.00")))) == "within_limits"
    assert rule_on(signal, a_context(limits=Limits(order_value=Decimal("999.9999")))) == "order_value"


@pytest.mark.parametrize(
    ("side", "limit", "worth"),
    [
        (Side.BUY, None, "1000"),
        (Side.BUY, "90", "900"),  # a purchase costs its limit at most
        (Side.BUY, "110", "1100"),
        (Side.SELL, None, "1000"),
        (Side.SELL, "110", "1100"),
        (Side.SELL, "0.05", "1000"),  # a sale at any price is worth what the market pays
    ],
)
def test_what_an_order_is_worth(side: Side, limit: str | None, worth: str) -> None:
    signal = a_signal(side, 10, limit=limit)

    assert verdict_on(signal, a_context()).numbers["order_value"] == worth
    assert rule_on(signal, a_context(limits=Limits(order_value=Decimal(worth) - 1))) == "order_value"


@pytest.mark.parametrize(
    ("side", "position", "working", "worst"),
    [
        (Side.BUY, 0, Working(), 10),
        (Side.SELL, 0, Working(), -10),
        (Side.BUY, 20, Working(buy=5, sell=99), 35),  # as if no sale filled
        (Side.SELL, 20, Working(buy=99, sell=15), -5),
        (Side.BUY, -20, Working(buy=15), 5),
    ],
)
def test_the_position_limit_counts_working_orders_of_the_same_side(
    side: Side, position: int, working: Working, worst: int
) -> None:
    def rule(limit: int) -> str:
        limits = Limits(position_quantity=limit)
        context = a_context(limits=limits, holdings={7: a_holding(position)}, working={7: working})
        verdict = verdict_on(a_signal(side, 10), context)
        assert verdict.numbers["worst_position"] == worst
        return verdict.rule

    assert rule(abs(worst)) == "within_limits"
    assert rule(abs(worst) - 1) == "position_limit"


def test_the_position_of_another_instrument_does_not_count() -> None:
    context = a_context(
        limits=Limits(position_quantity=10), holdings={8: a_holding(10)}, working={8: Working(10, 10)}
    )
    marks = {7: a_mark(), 8: a_mark()}

    assert rule_on(a_signal(quantity=10, marks=marks), context) == "within_limits"


@pytest.mark.parametrize(("quantity", "rule"), [(75, "within_limits"), (76, "tradable"), (74, "tradable")])
def test_whole_lots(quantity: int, rule: str) -> None:
    assert rule_on(a_signal(quantity=quantity), a_context(lot=75)) == rule


@pytest.mark.parametrize(("lot", "rule"), [(100, "within_limits"), (1, "tradable")])
def test_a_commodity_whose_list_came_to_say_a_lot_of_1_is_not_entered(lot: int, rule: str) -> None:
    """As Kite's own lists say; 100 would then be 100 lots. An exit passes."""
    crude = msgspec.structs.replace(
        an_instrument(lot=lot), exchange="MCX", instrument_type="FUT", segment="MCX-FUT"
    )
    assert (
        rule_on(a_signal(quantity=100), msgspec.structs.replace(a_context(), instruments={7: crude})) == rule
    )
    holding = msgspec.structs.replace(a_context(holdings={7: a_holding(100)}), instruments={7: crude})
    assert rule_on(a_signal(Side.SELL, quantity=100), holding) == "exit"


def test_an_index_is_not_tradable() -> None:
    assert rule_on(a_signal(token=9), a_context()) == "tradable"


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("may_queue", [False, True])
def test_entries_need_continuous_trading_or_a_queue(phase: Phase, may_queue: bool) -> None:
    is_fine = phase is Phase.CONTINUOUS or may_queue

    rule = rule_on(a_signal(), a_context(phase=phase, may_queue=may_queue))
    assert rule == ("within_limits" if is_fine else "session_phase")


@pytest.mark.parametrize("tokens", [(7, 8), (8, 7)])
def test_each_signal_is_judged_by_the_hours_of_its_own_market(tokens: tuple[int, int]) -> None:
    context = a_context(phases={7: Phase.CLOSED, 8: Phase.CONTINUOUS})
    signals = [a_signal(token=token, ordinal=number) for number, token in enumerate(tokens)]

    verdicts, _ = review(signals, context)

    found = {signal.token: verdict for signal, verdict in zip(signals, verdicts, strict=True)}
    assert {token: verdict.rule for token, verdict in found.items()} == {
        7: "session_phase",
        8: "within_limits",
    }
    assert [found[token].numbers["phase"] for token in (7, 8)] == ["CLOSED", "CONTINUOUS"]


@pytest.mark.parametrize("status", DeploymentStatus)
def test_only_a_running_deployment_enters(status: DeploymentStatus) -> None:
    is_fine = status is DeploymentStatus.RUNNING

    assert rule_on(a_signal(), a_context(status=status)) == (
        "within_limits" if is_fine else "deployment_status"
    )


def test_the_age_of_a_price() -> None:
    context = a_context(limits=Limits(price_age_ms=1000))

    assert rule_on(a_signal(marks={7: a_mark(at_ms=at() - 1000)}), context) == "within_limits"
    assert rule_on(a_signal(marks={7: a_mark(at_ms=at() - 1001)}), context) == "stale_price"


def test_an_entry_without_a_price_is_denied_even_without_limits() -> None:
    assert rule_on(a_signal(marks={}), a_context()) == "stale_price"
    assert rule_on(a_signal(marks={8: a_mark()}, limit="100"), a_context()) == "stale_price"


def test_a_verdict_carries_the_figures_it_stands_on() -> None:
    limits = Limits(order_quantity=5, order_value=Decimal("100000.00"))
    context = a_context(
        limits=limits,
        day=DayState(day=TODAY, orders=3, equity=Decimal(40), recent_ms=(at() - 100, at() - 5)),
        holdings={7: a_holding(4, 90)},
        working={7: Working(buy=2, sell=1)},
        halts=("GLOBAL: a drill",),
    )
    signal = a_signal(quantity=10, marks={7: a_mark(101, at_ms=at() - 20)})

    verdict = verdict_on(signal, context)

    assert verdict.numbers == {
        "position": 4,
        "worst_position": 16,
        "order_value": "1010",
        "price_age_ms": 20,
        "day_pnl": "4",  # 4 x (101 - 90) less the 40 of the morning
        "orders_today": 3,
        "orders_last_minute": 2,
        "phase": "CONTINUOUS",
        "status": "RUNNING",
        "halts": ["GLOBAL: a drill"],
        "gross_exposure": "1616",  # 4 held, 2 working and the 10 asked for
        "net_exposure": "1616",
        "limits": {"order_quantity": 5, "order_value": "100000"},
        "version": "",
        "config": "",
    }
    assert (verdict.id, verdict.signal_id) == (ids.decision_id(signal.id), signal.id)
    assert verdict.at_ms == signal.at_ms
    assert (verdict.rule, verdict.reason) == ("kill_switch", "halted: GLOBAL: a drill")
    assert msgspec.json.decode(msgspec.json.encode(verdict.numbers)) == verdict.numbers


def test_the_strictest_of_several_levels() -> None:
    levels = [
        Limits(order_quantity=10, daily_loss=Decimal(500)),
        Limits(order_quantity=20, daily_orders=0, daily_loss=Decimal("499.99")),
        Limits(),
    ]

    assert strictest(levels) == Limits(order_quantity=10, daily_orders=0, daily_loss=Decimal("499.99"))
    assert strictest(reversed(levels)) == strictest(levels)
    assert strictest([]) == Limits()


def test_every_rule_and_every_limit_is_documented() -> None:
    page = Path(__file__).parents[2].joinpath("docs/risk.md").read_text()

    assert [rule.__name__ for rule in RULES if f"| `{rule.__name__}` |" not in page] == []
    assert [name for name in Limits.__struct_fields__ if f"`{name}`" not in page] == []
