"""The breakout with resting stops, on the data that ships: what it sends, moves and takes back."""

from __future__ import annotations

from collections import Counter

import pytest

from alphapanda.core.vocabulary import OrderStatus, Side, SignalKind
from alphapanda.deploying import Definition
from alphapanda.engine.account import Account
from alphapanda.engine.recorded import Recording
from alphapanda.engine.rows import of_account
from marketdata.domain.ticks import FIRST_SEQ
from marketdata.reference import YESBANK_FILES, load_calendars
from strategies.domain.base import BadParameters, build
from strategies.domain.library.resting_breakout import RestingBreakout

DEFINITION = Definition(
    name="breakout",
    strategy="resting_breakout",
    instruments=("NSE:YESBANK",),
    params={"length": 4, "quantity": 60, "bar_minutes": 1, "legs": 3, "target_bps": 30, "minutes": 2},
    execution={"market_protection": -1},
)


@pytest.fixture(scope="module")
def account() -> Account:
    recording = Recording([str(YESBANK_FILES[0])], [DEFINITION], [])
    [run] = recording.backtest(recording.source())
    assert run.error == ""
    return run.account


def test_item_by_item_it_does_the_same(account: Account) -> None:
    """A backtest reads stretches of the log; here a signal follows a trade at the very next item."""
    recording = Recording([str(YESBANK_FILES[0])], [DEFINITION], [])
    source = recording.source()
    [spec] = recording.specs()
    singly = Account(spec, calendar=load_calendars(), cards=account.cards)
    for seq, item in enumerate(source.iter_from(), FIRST_SEQ):
        singly.take(item, source=source.source, seq=seq)

    assert of_account(singly) == of_account(account)


def test_it_enters_and_leaves_by_stops_and_at_the_limit(account: Account) -> None:
    sent = Counter(
        (row.tag, row.order_type) for row in account.journal.signals if row.kind is SignalKind.ORDER
    )

    assert {tag for tag, _ in sent} == {"entry", "stop", "exit", ""}  # without a tag: the square-off
    assert sent["entry", "SL"] > 10
    assert sent["stop", "SL-M"] > 10
    assert sent["exit", "LIMIT"] > 5


def test_it_is_never_short(account: Account) -> None:
    held = 0
    for row in account.journal.fills:
        held += row.fill.side.sign * row.fill.quantity
        assert 0 <= held <= 60


def test_a_stop_is_only_ever_raised(account: Account) -> None:
    triggers: dict[object, int] = {}
    moved = 0
    for row in account.journal.order_events:
        order = account.journal.orders[row.order_id]
        if order.side is Side.SELL and row.status is OrderStatus.MODIFIED and row.trigger_price_e4:
            assert row.trigger_price_e4 >= triggers.get(order.id, 0)
            moved += 1
        triggers[order.id] = row.trigger_price_e4 or 0
    assert moved > 3


def test_it_takes_back_what_it_no_longer_wants(account: Account) -> None:
    kinds = Counter(row.kind for row in account.journal.signals)
    assert kinds[SignalKind.CANCEL] > 20
    assert kinds[SignalKind.MODIFY] > 20
    assert max(order.leg for order in account.journal.orders.values()) == 3


def test_one_leg_is_none() -> None:
    with pytest.raises(BadParameters, match="`legs` is 0 or from 2"):
        build(RestingBreakout, {"legs": 1})
