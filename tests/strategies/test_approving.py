"""An approval is a command with a step of its own: the entry that waited is raised again there, as of then."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from alphapanda.core import ids
from alphapanda.core.vocabulary import CommandKind, Side
from alphapanda.engine.account import Account
from strategies.domain.signals import CommandRow, SignalRow
from tests.strategies.test_guards import AT_ONCE, TOKEN, Told, an_account, at, fed, once, ticks

WAITS = AT_ONCE | {"approval_s": 60}


def entry_of(**bracket: Any) -> SignalRow:
    """The entry that waits, as its first fold has raised it."""
    [entry] = fed(
        an_account(Told(on_start=once(10, **bracket)), execution=WAITS), *ticks(100)
    ).journal.signals
    return entry


def approving(entry: SignalRow, *, expires_at_ms: int | None = None) -> CommandRow:
    expires = entry.at_ms + 60_000 if expires_at_ms is None else expires_at_ms
    return CommandRow(UUID(int=9), CommandKind.APPROVE, "approve: drill", entry, expires)


def folded(*prices: object, step: int = 4, expires_at_ms: int | None = None, **bracket: Any) -> Account:
    command = approving(entry_of(**bracket), expires_at_ms=expires_at_ms)
    account = an_account(Told(on_start=once(10, **bracket)), {step: command}, execution=WAITS)
    return fed(account, *ticks(*prices))


def test_what_is_approved_is_raised_again_at_the_step_with_the_prices_of_then() -> None:
    account = folded(100, 101, 102, 103, 104)

    first, again = account.journal.signals
    rules = [verdict.rule for verdict in account.journal.verdicts]
    assert rules == ["approval", "within_limits"]
    assert again.id == ids.signal_id(account.spec.id, 4, 0) != first.id
    assert (again.approves, again.side, again.quantity) == (first.id, Side.BUY, 10)
    assert (again.at_ms, again.marks[TOKEN].price_e4) == (at("10:00") + 2000, 1_020_000)
    assert account.holdings[TOKEN].quantity == 10


def test_at_the_expiry_in_event_time_it_is_too_late() -> None:
    """The third tick, at two seconds, is the last before the command."""
    on_time, late = at("10:00") + 2001, at("10:00") + 2000

    assert len(folded(100, 101, 102, 103, expires_at_ms=on_time).journal.signals) == 2
    account = folded(100, 101, 102, 103, expires_at_ms=late)
    assert len(account.journal.signals) == 1
    assert account.machine.state.step == 5, "the command has taken its step all the same"


def test_its_bracket_waits_for_the_fill_of_the_order_that_is_placed() -> None:
    account = folded(100, 100, 100, 100, 100, 94, 94, 94, stop=Decimal(5))

    *_, exit_ = account.journal.signals
    assert (exit_.side, exit_.quantity) == (Side.SELL, 10)
    assert account.journal.verdicts[-1].rule == "exit"
    assert account.holdings[TOKEN].quantity == 0


def test_exits_of_the_strategy_wait_for_nobody() -> None:
    def on_tick(view: Any, tick: Any) -> Any:
        if tick.at_ms == at("10:00") + 4000:
            yield view.sell(10)

    command = approving(entry_of())
    strategy = Told(on_start=once(10), on_tick=on_tick)
    strategy.wants_ticks = lambda: True  # type: ignore[method-assign]
    account = fed(an_account(strategy, {4: command}, execution=WAITS), *ticks(*[100] * 8))

    assert [verdict.rule for verdict in account.journal.verdicts] == ["approval", "within_limits", "exit"]
    assert account.holdings[TOKEN].quantity == 0


def test_an_approval_for_what_is_not_traded_any_more_raises_nothing() -> None:
    entry = entry_of()
    gone = CommandRow(
        UUID(int=9),
        CommandKind.APPROVE,
        "drill",
        msgspec.structs.replace(entry, instrument="NSE:OTHER"),
        entry.at_ms + 60_000,
    )
    account = fed(an_account(Told(), {2: gone}, execution=WAITS), *ticks(100, 101, 102))

    assert account.journal.signals == []
