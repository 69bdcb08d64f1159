"""To flatten is to be flat: what could not be closed at once is closed as soon as it can be."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from alphapanda.core.vocabulary import Side, SignalKind, SignalOrigin
from alphapanda.engine.account import Account
from tests.strategies.test_guards import TOKEN, Told, a_tick, an_account, at, fed, flatten, ticks

LIMITS = {"daily_orders": 2}  # the entry and its stop use them up: only exits pass


def protected(latency_ms: int) -> Account:
    """A purchase with a stop that rests for all of it, which an operator makes flat at the third step."""

    def on_start(view: Any) -> Any:
        yield view.buy(10)

    def on_fill(view: Any, fill: Any) -> Any:
        if fill.side is Side.BUY:
            yield view.sell(10, trigger_price=Decimal(90))

    strategy = Told(on_start=on_start, on_fill=on_fill)
    how = {"latency_ms": latency_ms, "slippage_ticks": 0}
    return an_account(strategy, flatten(4), execution=how, limits=LIMITS)


@pytest.mark.parametrize("latency_ms", [0, 50, 3_000])
def test_a_position_whose_stop_is_cancelled_is_closed_after_it(latency_ms: int) -> None:
    account = fed(protected(latency_ms), *ticks(100, 100, 100, 100, 100, 100, 100, 100))

    by_operator = [row for row in account.journal.signals if row.origin is SignalOrigin.OPERATOR]
    verdicts = {verdict.signal_id: verdict.rule for verdict in account.journal.verdicts}
    assert by_operator[0].kind is SignalKind.CANCEL
    assert verdicts[by_operator[-1].id] == "exit"
    assert account.holdings[TOKEN].quantity == 0
    assert not account.open
    assert len(by_operator) <= 3, "it is asked for once more, not at every tick"


def test_flat_once_it_leaves_what_comes_after_alone() -> None:
    account = fed(protected(50), *ticks(100, 100, 100, 100, 100, 100))
    assert account.machine.state.guards.clearing == {}
    count = len(account.journal.signals)

    for seq in range(100, 110):
        account.take(a_tick(100, at_ms=at("10:30") + seq), source=1, seq=seq)

    assert len(account.journal.signals) == count
