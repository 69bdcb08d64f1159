"""What the trades of a result say against it: too few, too many parameters for them, one that carries the rest."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import pytest

from alphapanda.core.money import ZERO
from alphapanda.engine.statistics import EquityPoint, Performance, statistics_of
from alphapanda.engine.trades import Trade
from alphapanda.research import findings
from alphapanda.research.findings import Doubt, Finding
from tests.research.waves import KEY, a_definition


def codes(found: Iterable[Finding]) -> set[Doubt]:
    return {one.code for one in found}


def performance(nets: Iterable[int]) -> Performance:
    trades = [Trade(KEY, 1, Decimal(100), Decimal(100 + net), Decimal(net), ZERO, 0, 60_000) for net in nets]
    return Performance(trades, [], statistics_of(Decimal(1_000), trades, [], ZERO))


@pytest.mark.parametrize(
    ("nets", "expected"),
    [
        ([1] * 30, set()),
        ([1] * 29, {Doubt.TOO_FEW_TRADES, Doubt.TOO_MANY_PARAMETERS}),
        ([1] * 40 + [40], set()),
        ([1] * 40 + [41], {Doubt.ONE_TRADE}),
        ([-1] * 60 + [50], set()),  # no profit to carry
    ],
)
def test_trades(nets: list[int], expected: set[Doubt]) -> None:
    assert codes(findings.of_trades(performance(nets), [a_definition()])) == expected


@pytest.mark.parametrize(("open_profit", "is_found"), [(41, True), (40, False), (-41, False)])
def test_a_profit_that_is_still_open_is_found_where_it_carries_the_rest(
    open_profit: int, *, is_found: bool
) -> None:
    trades = performance([1] * 40).trades
    curve = [EquityPoint(0, Decimal(1_040 + open_profit), ZERO)]
    told = Performance(trades, curve, statistics_of(Decimal(1_000), trades, curve, ZERO))
    found = [one for one in findings.of_trades(told, [a_definition()]) if one.code is Doubt.ONE_TRADE]

    assert bool(found) is is_found
    assert all("what is still open" in one.text for one in found)


@pytest.mark.parametrize(("count", "words"), [(0, "0 closed trades;"), (1, "1 closed trade;")])
def test_one_trade_is_no_trades(count: int, words: str) -> None:
    told = findings.of_trades(performance([1] * count), [a_definition()])
    assert next(told).text.startswith(words)


def test_parameters_are_counted_without_size_and_clock() -> None:
    assert findings.parameters_of(a_definition("ema_cross")) == 3  # fast, slow, short
    many = codes(findings.of_trades(performance([1] * 35), [a_definition("mean_reversion")]))
    assert many == {Doubt.TOO_MANY_PARAMETERS}  # length, enter_at, leave_at, short
