"""A deployment whose instruments keep different hours: a stock with derivatives, and an option on it."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest

from alphapanda.core.vocabulary import SignalOrigin, TickFault
from alphapanda.engine.account import Account
from alphapanda.engine.backtest import Run
from execution.reference import charge_cards
from marketdata.domain.instruments import InstrumentSpec
from marketdata.domain.stretch import stretch_of
from marketdata.domain.ticks import Item
from marketdata.reference import load_calendars
from strategies.domain.base import Strategy
from strategies.domain.machine import Machine
from tests.builders import a_clock, a_deployment, a_tick, an_instrument, at

DAY = date(2026, 8, 3)  # the first with a closing auction
STOCK = msgspec.structs.replace(an_instrument(7), has_derivatives=True)
OPTION = InstrumentSpec(
    "NFO:X26AUGCE", "NFO", "X26AUGCE", 8, 500, 1, "NFO-OPT", 0, instrument_type="CE", expiry=date(2026, 8, 25)
)


class BuysBoth(Strategy):
    """Buys of each instrument at the first tick of the other day's half."""

    class State(msgspec.Struct):
        pass

    def __init__(self) -> None:
        super().__init__(self.Params())

    def on_tick(self, state: Any, tick: Any, view: Any) -> Any:
        if not view.position() and not view.working() and tick.at_ms < at("15:00", DAY):
            yield view.buy(10)


def an_account() -> Account:
    spec = a_deployment(instruments=(STOCK, OPTION), execution={"latency_ms": 0, "slippage_ticks": 0})
    account = Account(spec, calendar=load_calendars(), cards=charge_cards())
    account.machine = Machine(spec, BuysBoth(), load_calendars())
    return account


def an_afternoon() -> list[Item]:
    """A clock item and a tick of each instrument every minute from 14:58 to 15:45."""
    items: list[Item] = []
    for minute in range(48):
        now = at("14:58", DAY) + minute * 60_000
        items.append(a_clock()._replace(at_ms=now))
        items += [a_tick(100 + minute % 3, at_ms=now + 1_000 + token, token=token) for token in (7, 8)]
    return items


def run(items: list[Item], size: int) -> Run:
    one = Run(an_account(), 0)
    for start in range(0, len(items), size):
        one.read(stretch_of(items[start : start + size], first_seq=1 + start), 1)
    one.end()
    assert one.error == ""
    return one


def test_each_instrument_keeps_the_hours_of_its_market():
    account = an_account()
    for seq, item in enumerate(an_afternoon(), 1):
        account.take(item, source=1, seq=seq)

    marks = account.machine.state.marks
    assert marks[7].at_ms == at("15:14", DAY) + 1_007, "the stock's last tick before the auction"
    assert marks[8].at_ms == at("15:39", DAY) + 1_008
    assert account.machine.state.faults == {TickFault.OUT_OF_SESSION: 31 + 6}


def test_each_is_squared_off_at_its_markets_time():
    account = an_account()
    for seq, item in enumerate(an_afternoon(), 1):
        account.take(item, source=1, seq=seq)

    exits = [s for s in account.journal.signals if s.origin is SignalOrigin.SQUARE_OFF]
    assert [(s.token, s.at_ms) for s in exits] == [(7, at("15:10", DAY)), (8, at("15:25", DAY))]
    assert not any(account.machine.consequences.positions.values())


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_read_in_stretches_it_comes_to_the_same(size: int):
    items = an_afternoon()
    account = an_account()
    one = Run(account, 0)
    for seq, item in enumerate(items, 1):
        one.take(item, 1, seq)
    one.end()

    read = run(items, size)

    assert read.account.journal == account.journal
    assert read.account.machine.state == account.machine.state
    assert list(read.curve) == list(one.curve)
    assert one.curve[-1].at_ms == at("15:40", DAY), "as long as any market of the deployment trades"
