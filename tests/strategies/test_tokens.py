"""Lists give instruments other tokens, and theirs to others: what is stored follows the instrument, not the number."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from alphapanda.core.vocabulary import OrderStatus, Side
from alphapanda.engine.account import Account
from execution.domain.settlement import consequences
from marketdata.domain.instruments import InstrumentSpec
from strategies.domain.base import Bracket
from strategies.domain.consequences import Consequences
from strategies.domain.machine import Machine
from tests.builders import NSE, a_deployment, a_holding, a_tick, an_instrument, an_order, at
from tests.strategies.test_guards import Told, an_account, exits, fed, ticks


def listed(**tokens: int) -> list[InstrumentSpec]:
    return [an_instrument(token, symbol=symbol) for symbol, token in tokens.items()]


def buys_first(view: Any) -> Any:
    yield view.buy(10, instrument="NSE:FIRST", bracket=Bracket(stop=Decimal(2)))


def on_bar(view: Any, bar: Any) -> Any:
    return ()


def held() -> Account:
    """Long ten of FIRST at 100 with a stop two below; the last price of SECOND is 500."""
    account = an_account(Told(on_start=buys_first, on_bar=on_bar), instruments=listed(FIRST=7, SECOND=8))
    fed(account, *ticks(100), *ticks(500, start="10:01", token=8), *ticks(100, start="10:02"))
    assert account.machine.consequences.positions == {7: 10}
    return account


def resumed(before: Account, **tokens: int) -> Account:
    """As after a new list and a restart: what was stored, under the tokens of another day."""
    instruments = listed(**tokens)
    account = an_account(Told(on_start=buys_first, on_bar=on_bar), instruments=instruments)
    account.machine.restore(before.machine.checkpoint())
    account.machine.consequences = before.machine.consequences.under(account.machine.token_of)
    now = {one.key: one.token for one in instruments}
    account.holdings = {now[before.names[token]]: one for token, one in before.holdings.items()}
    return account


@pytest.mark.parametrize(
    "tokens", [{"FIRST": 70, "SECOND": 8}, {"FIRST": 8, "SECOND": 7}], ids=["another", "swapped"]
)
def test_a_bracket_follows_its_instrument_to_another_token(tokens):
    account = resumed(held(), **tokens)
    first, second = tokens["FIRST"], tokens["SECOND"]

    account.take(a_tick(97, token=7 if second != 7 else second, at_ms=at("10:05")), source=1, seq=90)
    assert exits(account) == []  # whosever the old token is now, its price is nothing to the position

    account.take(a_tick(97, token=first, at_ms=at("10:06")), source=1, seq=91)
    account.take(a_tick(97, token=first, at_ms=at("10:07")), source=1, seq=92)

    assert exits(account) == [("BRACKET", 10, "stop 98.00")]
    (*_, fill) = account.journal.fills
    assert (fill.fill.instrument, fill.fill.token, fill.fill.side) == ("NSE:FIRST", first, Side.SELL)
    assert account.machine.consequences.positions == {}


def test_prices_gates_and_bars_follow_too():
    before = held().machine.state
    machine = Machine(
        a_deployment(instruments=listed(FIRST=8, SECOND=7)), Told(on_start=buys_first, on_bar=on_bar), NSE
    )
    machine.restore(held().machine.checkpoint())
    after = machine.state

    assert (after.marks[7], after.marks[8]) == (before.marks[8], before.marks[7])
    assert (after.gates[7], after.gates[8]) == (before.gates[8], before.gates[7])
    assert [(one.instrument, one.token, one.ticks) for one in after.builders] == [
        ("NSE:FIRST", 8, 1),
        ("NSE:SECOND", 7, 1),
    ]


def test_a_token_that_a_new_instrument_took_brings_nothing_of_the_old_one():
    """The old one is no more of the deployment: neither its last price nor its bars are the new one's."""
    machine = Machine(a_deployment(instruments=listed(THIRD=7)), Told(on_bar=on_bar), NSE)
    machine.restore(held().machine.checkpoint())

    assert machine.state.marks.keys() == {8}  # of what may still be held
    assert machine.state.guards.protections == {}
    assert [(one.instrument, one.ticks) for one in machine.state.builders] == [("NSE:THIRD", 0)]


def test_the_same_tokens_change_nothing():
    before = held().machine
    assert before.consequences.under(before.token_of) is before.consequences
    assert resumed(held(), FIRST=7, SECOND=8).machine.checkpoint() == before.checkpoint()


def a_view() -> Consequences:
    return consequences(
        {7: a_holding(10)},
        [an_order(Side.SELL, 4, limit=105, token=7), an_order(Side.BUY, 5, limit=95, token=8)],
        names={7: "NSE:STOCK7", 8: "NSE:STOCK8"},
        matched_step=3,
        check_ms=at("11:00"),
    )


def test_orders_and_what_wakes_execution_follow():
    found = a_view().under({"NSE:STOCK7": 8, "NSE:STOCK8": 7})

    assert found.positions == {8: 10}
    assert (found.working[8].sell, found.working[7].buy) == (4, 5)
    assert [(order.instrument, order.token, order.status) for order in found.orders] == [
        ("NSE:STOCK7", 8, OrderStatus.OPEN),
        ("NSE:STOCK8", 7, OrderStatus.OPEN),
    ]
    assert [(watch.token, watch.side) for watch in found.watches] == [
        (8, Side.SELL),
        (7, Side.BUY),
        (8, Side.BUY),
    ]
    assert found.watches[0].is_triggered(a_tick(105, token=8, at_ms=at("10:05")))
    assert not found.watches[0].is_triggered(a_tick(105, token=7, at_ms=at("10:05")))
    assert found.under({"NSE:STOCK7": 7, "NSE:STOCK8": 8}) == a_view()
