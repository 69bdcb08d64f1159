"""What an account holds and has at work outside of all our books counts in the sums of the account, and in no other."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from alphapanda.core.vocabulary import LimitLevel, Side
from risk.domain.context import Context, Outside
from risk.domain.limits import Limits, Scope
from tests.builders import DEPLOYMENT, a_holding, a_mark, a_signal, e4
from tests.risk.test_rules import a_context, rule_on

MARKS = {7: a_mark(), 8: a_mark(200)}
ROW = Outside("NSE:STOCK8", "NRML", 10, price_e4=e4(100), token=8, underlying="STOCK8", margin=Decimal(300))
UNLISTED = Outside("BSE:NEW", "MIS", 0, buy=5, price_e4=e4(100), margin=Decimal(70))


def context(
    limits: dict[str, Any], *rows: Outside, level: LimitLevel = LimitLevel.BROKER, token: int | None = None
) -> Context:
    scope = Scope(level, "account", Limits(**limits), frozenset({DEPLOYMENT}), token)
    return a_context(scopes=(scope,), outside=rows)


@pytest.mark.parametrize(
    ("limit", "side", "row", "reached"),
    [
        ("gross_exposure", Side.BUY, ROW, 3_000),
        ("gross_exposure", Side.SELL, ROW, 3_000),
        (
            "gross_exposure",
            Side.BUY,
            msgspec.structs.replace(ROW, buy=5, sell=30),
            5_000,
        ),  # 20 short are worse
        ("gross_exposure", Side.BUY, UNLISTED, 1_500),  # no mark: the price that was seen with it
        ("net_exposure", Side.BUY, ROW, 3_000),
        ("net_exposure", Side.BUY, msgspec.structs.replace(ROW, units=-5), 0),
        ("net_exposure", Side.SELL, msgspec.structs.replace(ROW, sell=15), 2_000),
        ("underlying_exposure", Side.BUY, ROW, 1_000),  # another
        ("underlying_exposure", Side.BUY, msgspec.structs.replace(ROW, underlying="STOCK7"), 3_000),
        ("margin", Side.BUY, ROW, 500),
    ],
)
@pytest.mark.parametrize("level", [LimitLevel.GLOBAL, LimitLevel.BROKER, LimitLevel.INSTRUMENT])
def test_it_counts_at_its_worst(
    limit: str, side: Side, row: Outside, reached: int, level: LimitLevel
) -> None:
    fits = context({limit: Decimal(reached)}, row, level=level)

    assert rule_on(a_signal(side, 10, marks=MARKS), fits) == "within_limits"
    assert rule_on(a_signal(side, 11, marks=MARKS), fits) == limit


@pytest.mark.parametrize("level", [LimitLevel.PORTFOLIO])
def test_it_is_in_no_portfolio_and_no_deployment(level: LimitLevel) -> None:
    fits = context({"gross_exposure": Decimal(1_000)}, ROW, level=level)
    assert rule_on(a_signal(quantity=10, marks=MARKS), fits) == "within_limits"

    alone = a_context(limits=Limits(gross_exposure=Decimal(1_000)), outside=(ROW,))
    assert rule_on(a_signal(quantity=10, marks=MARKS), alone) == "within_limits"


@pytest.mark.parametrize(("token", "rule"), [(7, "gross_exposure"), (8, "within_limits")])
def test_a_sum_of_one_instrument_counts_that_one(token: int, rule: str) -> None:
    row = msgspec.structs.replace(ROW, token=token, units=1)
    limited = context({"gross_exposure": Decimal(1_000)}, row, level=LimitLevel.INSTRUMENT, token=7)

    assert rule_on(a_signal(quantity=10, marks=MARKS), limited) == rule


@pytest.mark.parametrize(
    ("limit", "row"),
    [
        ("gross_exposure", msgspec.structs.replace(UNLISTED, price_e4=0)),
        ("net_exposure", msgspec.structs.replace(UNLISTED, price_e4=0)),
        ("margin", msgspec.structs.replace(ROW, margin=None)),
        ("underlying_exposure", msgspec.structs.replace(ROW, underlying="")),
    ],
)
def test_what_cannot_be_told_of_it_refuses_entries_and_no_exit(limit: str, row: Outside) -> None:
    unknown = context({limit: Decimal(10**9)}, row)
    assert rule_on(a_signal(quantity=10, marks=MARKS), unknown) == limit

    held = msgspec.structs.replace(unknown, holdings={7: a_holding(10, 100)})
    assert rule_on(a_signal(Side.SELL, 10, marks=MARKS), held) == "exit"
