"""Costs and spreads that a backtest leaves out: found, however small a token hides them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from alphapanda.core.money import ZERO
from alphapanda.engine.costs import CostModel, Costs
from alphapanda.research import evidence
from alphapanda.research.findings import Doubt, of_costs
from alphapanda.research.folding import folded
from marketdata.domain.ticks import HAS_DEPTH
from tests.builders import an_instrument
from tests.research.test_findings import codes, found_in
from tests.research.waves import a_definition, read, waves


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    return waves(tmp_path_factory.mktemp("waves") / "bars.csv")


def test_costs_that_were_forgotten_are_found(file: str) -> None:
    assert Doubt.COSTS_FORGOTTEN in found_in(read(file, costs=Costs(CostModel.NONE)))


@pytest.mark.parametrize(("points", "is_found"), [("0.001", True), ("2", True), ("2.5", False), ("3", False)])
def test_costs_that_are_a_token_of_the_rate_card_are_found(file: str, points: str, *, is_found: bool) -> None:
    """Delivery pays some eleven basis points of turnover, STT most of it: a fifth of them are 2.2."""
    found = found_in(read(file, costs=Costs(CostModel.OF_TURNOVER, Decimal(points))))

    assert (Doubt.COSTS_FORGOTTEN in found) is is_found


def test_an_order_that_was_refused_in_an_index_without_rates_costs_nothing(file: str) -> None:
    opened = read(file, costs=Costs(CostModel.NONE))
    (run,) = folded(opened)
    journal, index = run.account.journal, msgspec.structs.replace(an_instrument(99, lot=0), exchange="MCX")
    known, order = run.account.machine.instruments, next(iter(journal.orders.values()))
    before = codes(of_costs(run.performance(), [run], opened.cards))
    known[index.token] = index
    refused = msgspec.structs.replace(order, id=uuid4(), token=index.token, filled_quantity=0, turnover=ZERO)
    journal.orders[refused.id] = refused

    assert codes(of_costs(run.performance(), [run], opened.cards)) == before == {Doubt.COSTS_FORGOTTEN}


def test_costs_that_eat_the_profit_are_found(file: str) -> None:
    dear = read(file, costs=Costs(CostModel.OF_TURNOVER, Decimal(60)))

    assert found_in(dear).keys() == {Doubt.COSTS_EAT_PROFIT}


@pytest.mark.parametrize(
    ("execution", "words"),
    [
        ({"slippage_ticks": 0}, "slippage_ticks is 0"),
        ({"slippage": "random", "slippage_ticks": 0}, "slippage_ticks is 0"),
        ({"slippage": "bps", "slippage_ticks": 5}, "slippage_bps is 0"),
    ],
)
def test_fills_without_a_spread_are_found(file: str, execution: dict[str, Any], words: str) -> None:
    found = found_in(read(file, a_definition(execution=execution)))

    assert found.keys() == {Doubt.FREE_FILLS}
    assert words in found[Doubt.FREE_FILLS].text


@pytest.mark.parametrize(
    ("without", "is_found"), [(0.0, False), (0.05, False), (0.5, True), (0.97, True), (1.0, True)]
)
def test_a_few_ticks_with_depth_do_not_hide_fills_without_a_spread(
    file: str, without: float, *, is_found: bool
) -> None:
    """Depth is planted behind all fills but a share of them."""
    runs = folded(read(file, a_definition(execution={"slippage_ticks": 0})))
    seen = evidence.seen_at(read(file).excerpt.items(), evidence.places_of(runs))
    places = sorted(seen)
    for place in places[int(without * len(places)) :]:
        seen[place] = [one._replace(flags=one.flags | HAS_DEPTH) for one in seen[place]]

    assert (codes(evidence.of_spread(runs, seen)) == {Doubt.FREE_FILLS}) is is_found
