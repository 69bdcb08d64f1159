"""To flatten is to be flat: what could not be closed at once is closed as soon as it can be."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest

from alphapanda.core.vocabulary import CommandKind, Side, SignalKind, SignalOrigin
from alphapanda.engine.account import Account
from strategies.domain.consequences import Consequences
from strategies.domain.signals import CommandRow, Raised, ReportRow, SignalRow
from tests.builders import a_clock
from tests.strategies.test_acts import a_working_order
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


class Refused:
    """A deployment whose orders a broker refuses, one report after the other, at the time of the last item."""

    def __init__(self, rung: int = 0) -> None:
        self.machine = an_account(Told()).machine
        self.machine.advance(a_clock("10:00"), source=1, seq=1)
        self.knows = Consequences(positions={TOKEN: 10}, rung=rung)
        self.seq = 1

    def hear(self, **known: Any) -> list[SignalRow]:
        self.knows = msgspec.structs.replace(self.knows, **known)
        step = self.machine.state.step + 1
        self.machine.consequences = msgspec.structs.replace(self.knows, matched_step=step)
        raised = self.machine.take_report(ReportRow(UUID(int=step), step))
        return list(raised.signals) if raised else []

    def flatten(self) -> list[SignalRow]:
        self.machine.consequences = self.knows
        raised = self.machine.carry_out(CommandRow(UUID(int=1), CommandKind.FLATTEN, "drill"))
        return list(raised.signals) if raised else []

    def wait(self, hhmm: str) -> list[SignalRow]:
        self.seq += 1
        raised = self.machine.advance(a_clock(hhmm), source=1, seq=self.seq)
        return list(raised.signals) if isinstance(raised, Raised) else []


@pytest.mark.parametrize("rung", [0, 3])
def test_an_exit_that_is_refused_is_asked_for_again_after_a_minute_and_not_at_once(rung: int) -> None:
    refused = Refused(rung)
    first = refused.hear() if rung else refused.flatten()
    assert [row.quantity for row in first] == [10]

    assert [refused.hear() for _ in range(20)] == [[]] * 20
    refused.wait("10:01")
    assert not rung or len(refused.hear()) == 1, "the ladder looks at the item of each minute"
    assert [refused.hear() for _ in range(20)] == [[]] * 20


def test_a_flatten_whose_exits_are_refused_asks_once_a_minute() -> None:
    refused = Refused()
    refused.flatten()
    refused.hear()
    assert [len(refused.wait(hhmm)) for hhmm in ("10:01", "10:02", "10:03")] == [1, 1, 1]
    assert len(refused.flatten()) == 1, "a person who asks again is heard at once"


def test_what_is_left_after_a_part_has_traded_is_asked_for_at_once() -> None:
    refused = Refused()
    refused.flatten()

    assert [row.quantity for row in refused.hear(positions={TOKEN: 4})] == [4]
    assert refused.hear() == []


@pytest.mark.parametrize("rung", [0, 2, 3])
def test_a_cancellation_that_is_refused_is_asked_for_again_after_a_minute(rung: int) -> None:
    refused = Refused(rung)
    buying = a_working_order(1, Side.BUY)
    refused.knows = msgspec.structs.replace(refused.knows, orders=(buying,))
    first = refused.hear() if rung else refused.flatten()
    assert [row.kind for row in first if row.kind is SignalKind.CANCEL] == [SignalKind.CANCEL]

    assert [refused.hear() for _ in range(20)] == [[]] * 20
    other = msgspec.structs.replace(buying, id=UUID(int=99))
    heard = refused.hear(orders=(buying, other))
    assert other.id in {row.target for row in heard}, "what is new is cancelled at once"
