"""A deployment folded with all that it causes, over made-up sessions: laws that hold whatever happened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal
from itertools import count
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alphapanda.core.vocabulary import OrderStatus, OrderType, Phase
from alphapanda.engine.account import Account
from alphapanda.engine.rows import of_account
from execution.reference import charge_cards
from marketdata.domain.ticks import Item, Tick, pack, unpack
from marketdata.reference import load_calendars
from portfolio.domain.books import cash_moved, cash_of
from portfolio.domain.history import rebuild
from risk.domain.review import review
from strategies.domain.base import DeploymentSpec, Strategy, View, Wish
from strategies.domain.consequences import Consequences, Working
from strategies.domain.library.ema_cross import EmaCross
from strategies.domain.library.mean_reversion import MeanReversion
from strategies.domain.machine import Machine
from tests.builders import NSE, a_clock, a_deployment, a_tick, an_instrument, at
from tests.strategies.samples import EveryNth
from tests.walks import a_walk

BOTH = [an_instrument(7), an_instrument(8)]


class Both(Strategy):
    """Buys all of its instruments at each tick, in the order of its parameter."""

    class Params(msgspec.Struct, frozen=True):
        order: tuple[str, ...] = ()

    def on_tick(self, state: Any, tick: Any, view: View) -> Iterable[Wish]:
        for key in self.params.order:
            yield view.buy(100, instrument=key)


CLASSES = {"both": Both, "ema_cross": EmaCross, "mean_reversion": MeanReversion, "every_nth": EveryNth}
DEPLOYMENTS: dict[str, DeploymentSpec] = {
    "crossing": a_deployment("ema_cross", instruments=BOTH, fast=2, slow=4, quantity=20, bar_minutes=2),
    "reverting": a_deployment(
        "mean_reversion",
        instruments=BOTH,
        limits={"position_quantity": 30, "daily_orders": 40, "daily_loss": "500"},
        length=5,
        enter_at=1.2,
        quantity=20,
    ),
    "busy": a_deployment(
        "every_nth",
        instruments=BOTH,
        execution={"latency_ms": 20_000, "slippage_ticks": 2, "square_off": False},
        limits={"orders_per_minute": 2, "order_value": "2000"},
        every=5,
    ),
}
NAMES = st.sampled_from(sorted(DEPLOYMENTS))
SEEDS = st.integers(0, 2**32)


@pytest.fixture(autouse=True, scope="module")
def _sample_is_known() -> Iterable[None]:
    """The engine finds strategies by name; here also the one of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("alphapanda.engine.account.find", CLASSES.__getitem__)
        yield


def an_account(name: str) -> Account:
    return Account(DEPLOYMENTS[name], calendar=NSE, cards=charge_cards())


def folded(
    name: str, items: Iterable[Item], between: Callable[[Account], None] = lambda _account: None
) -> Account:
    account = an_account(name)
    for seq, item in enumerate(items):
        between(account)
        account.take(item, source=1, seq=seq)
    return account


def check_laws(account: Account) -> None:
    journal = account.journal
    orders = journal.orders
    fills = [row.fill for row in journal.fills]
    for token, holding in account.holdings.items():
        assert holding.quantity == sum(one.side.sign * one.quantity for one in fills if one.token == token)
    assert rebuild(fills) == {account.names[token]: held for token, held in account.holdings.items()}
    entries = journal.entries
    of_fill, of_order = defaultdict(Decimal), defaultdict(list)
    for entry in entries:
        of_fill[entry.fill_id] += entry.amount
    for row in journal.fills:
        of_order[row.fill.order_id].append(row)
        assert of_fill[row.id] == 0
        assert NSE.phase_at(row.fill.at_ms) is Phase.CONTINUOUS
        order = orders[row.fill.order_id]
        assert order.eligible_from_ms <= row.fill.at_ms < order.expires_at_ms
        assert row.step > order.step
        if order.order_type is OrderType.LIMIT:
            assert order.limit_price_e4 is not None
            assert order.side.sign * (row.fill.price_e4 - order.limit_price_e4) <= 0
    assert cash_moved(entries) == sum(map(cash_of, account.holdings.values()))
    for order in orders.values():
        own = of_order[order.id]
        assert sum(row.fill.quantity for row in own) == order.filled_quantity <= order.quantity
        assert [row.number for row in own] == list(range(1, order.fills_count + 1))
        assert (order.status is OrderStatus.COMPLETE) == (order.unfilled == 0)
        assert (order.status is OrderStatus.OPEN) == (order.id in account.open)
    check_identities(account)


def check_identities(account: Account) -> None:
    """Every signal has one verdict, every approved one an order of the same quantity, or one act on an order;
    nothing is there twice."""
    journal = account.journal
    approved = {verdict.id for verdict in journal.verdicts if verdict.is_approved}
    quantities = {signal.id: signal.quantity for signal in journal.signals}
    of_decision = {verdict.id: quantities[verdict.signal_id] for verdict in journal.verdicts}
    assert [verdict.signal_id for verdict in journal.verdicts] == [signal.id for signal in journal.signals]
    acts = [row.decision_id for row in journal.order_events if row.decision_id is not None]
    assert len(set(acts)) == len(acts)
    assert {order.decision_id for order in journal.orders.values()} | set(acts) == approved
    assert all(order.quantity == of_decision[order.decision_id] for order in journal.orders.values())
    for kind, rows in of_account(account).items():
        assert len({row["id"] for row in rows}) == len(rows), kind


@settings(max_examples=40, deadline=None)
@given(NAMES, SEEDS)
def test_the_laws_hold_after_any_sessions(name: str, seed: int) -> None:
    check_laws(folded(name, a_walk(seed, minutes=60)))


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_the_sessions_of_these_tests_have_something_to_show(name: str) -> None:
    account = folded(name, a_walk(1))
    orders = account.journal.orders.values()

    check_laws(account)
    assert len(account.journal.fills) > 40
    assert any(order.fills_count > 1 for order in orders)
    if name == "busy":
        assert {order.status for order in orders} >= {OrderStatus.COMPLETE, OrderStatus.CANCELLED}
    if name != "crossing":
        assert {verdict.rule for verdict in account.journal.verdicts} >= {"exit", "within_limits"}
        assert not all(verdict.is_approved for verdict in account.journal.verdicts)


def reborn(account: Account) -> None:
    """The machine dies; another takes up the stored checkpoint and consequences, both once through bytes."""
    old = account.machine
    account.machine = Machine(old.spec, old.strategy, NSE)
    account.machine.restore(old.checkpoint())
    stored = msgspec.json.encode(msgspec.to_builtins(old.consequences, str_keys=True))
    account.machine.consequences = msgspec.convert(msgspec.json.decode(stored), Consequences, strict=False)
    assert account.machine.consequences == old.consequences


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_dying_between_all_items_changes_no_row(name: str) -> None:
    items = a_walk(2, minutes=150)

    assert of_account(folded(name, items, reborn)) == of_account(folded(name, items))


@settings(max_examples=15, deadline=None)
@given(NAMES, SEEDS, st.randoms(use_true_random=False))
def test_neither_packing_nor_overlap_changes_a_row(name: str, seed: int, random: Random) -> None:
    """Messages of any sizes, some of them sent again from further back."""
    items = a_walk(seed, days=1, minutes=60)
    account, start = an_account(name), 0
    while start < len(items):
        first = max(0, start - random.randint(0, 10))
        end = min(len(items), start + random.randint(1, 60))
        batch = unpack(pack(items[first:end], source=1, first_seq=first))
        for index, item in enumerate(batch.items()):
            account.take(item, source=batch.source, seq=batch.seq(index))
        start = end

    assert of_account(account) == of_account(folded(name, items))


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_items_of_others_change_no_row(name: str) -> None:
    """What a deployment does not read is not there for it, so partitions can be shared."""
    items = a_walk(3, days=1, minutes=100)
    account = an_account(name)
    for seq, item in enumerate(items):
        account.take(item, source=1, seq=2 * seq)
        account.take(a_tick(1, token=99, at_ms=item.at_ms), source=1, seq=2 * seq + 1)

    alone = an_account(name)
    for seq, item in enumerate(items):
        alone.take(item, source=1, seq=2 * seq)
    assert of_account(account) == of_account(alone)


def none_comes_back(items: list[Item]) -> list[Item]:
    """The items with sizes a little larger where a level of depth that had gone comes back just as it was: the exchange
    knows it again, and what was taken from it, unless it was asked in between."""
    seen: set[tuple[int, bool, int, int]] = set()
    before: dict[int, dict[tuple[bool, int, int], int]] = {}

    def told(tick: Tick, is_ask: bool, price_e4: int, size: int) -> int:
        new = before.get(tick.token, {}).get((is_ask, price_e4, size))
        if new is None:
            new = next(one for one in count(size) if (tick.token, is_ask, price_e4, one) not in seen)
            seen.add((tick.token, is_ask, price_e4, new))
        now[is_ask, price_e4, size] = new
        return new

    changed: list[Item] = []
    for item in items:
        if isinstance(item, Tick):
            now: dict[tuple[bool, int, int], int] = {}
            bids = tuple((price_e4, told(item, False, price_e4, size)) for price_e4, size in item.bids)
            asks = tuple((price_e4, told(item, True, price_e4, size)) for price_e4, size in item.asks)
            before[item.token] = now
        changed.append(item._replace(bids=bids, asks=asks) if isinstance(item, Tick) else item)
    return changed


@settings(max_examples=15, deadline=None)
@given(SEEDS)
@example(seed=805702)  # of one that came back
def test_deliberate_waking_changes_no_row(seed: int) -> None:
    """A watch may wake idly: matching every open order at every item gives the same rows."""
    items = none_comes_back(a_walk(seed, days=1, minutes=60))

    def restless(account: Account) -> None:
        told = account.machine.consequences
        awake = tuple(
            msgspec.structs.replace(one, limit_price_e4=None, from_ms=0, until_ms=0) for one in told.watches
        )
        account.machine.consequences = msgspec.structs.replace(told, watches=awake)

    assert of_account(folded("busy", items, restless)) == of_account(folded("busy", items))


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_the_machine_sees_what_orders_and_books_came_to(name: str) -> None:
    def agrees(account: Account) -> None:
        told = account.machine.consequences
        for token in account.names:
            position = told.positions.get(token, 0)
            orders = told.working.get(token, Working())
            working = orders.buy - orders.sell
            held = account.holdings.get(token)
            own = [order for order in account.open.values() if order.token == token]
            assert position == (held.quantity if held else 0)
            assert working == sum(order.side.sign * order.unfilled for order in own)
        assert len(told.watches) == len(account.open)

    folded(name, a_walk(4, minutes=100), agrees)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_signals_that_are_judged_again_get_the_same_verdicts(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decision that is computed twice (a task that died after it) comes out the same, and changes nothing."""

    def twice(signals: Any, context: Any) -> Any:
        first, second = review(signals, context), review(signals, context)
        assert first == second
        return first

    monkeypatch.setattr("alphapanda.engine.account.review", twice)
    folded(name, a_walk(5, days=1, minutes=60))


@pytest.mark.parametrize("turn", [1, -1])
def test_instruments_of_two_markets_keep_their_own_hours(turn: int) -> None:
    """At 16:00 the shares' market is closed, the metals' is not."""
    gold = msgspec.structs.replace(an_instrument(9, lot=100, symbol="GOLD26AUGFUT"), key="MCX:GOLD26AUGFUT")
    gold = msgspec.structs.replace(gold, exchange="MCX", segment="MCX-FUT", instrument_type="FUT")
    order = ["NSE:STOCK7", gold.key][::turn]
    spec = a_deployment("both", instruments=[an_instrument(7), gold], order=order)
    account = Account(spec, calendar=load_calendars(), cards=charge_cards())
    day = date(2026, 6, 10)
    account.take(a_tick(100, at_ms=at("15:29:50", day)), source=1, seq=0)
    account.take(a_tick(100, at_ms=at("16:00", day), token=9), source=1, seq=1)

    last = zip(account.journal.signals[-2:], account.journal.verdicts[-2:], strict=True)
    rules = {signal.instrument: verdict.rule for signal, verdict in last}
    assert rules == {"NSE:STOCK7": "session_phase", gold.key: "within_limits"}


def test_a_day_by_hand() -> None:
    """One purchase of 10 at 100.05 (one tick of slippage), marked into nothing but rows that add up."""
    spec = a_deployment("every_nth", every=1, execution={"latency_ms": 50})
    account = Account(spec, calendar=NSE, cards=charge_cards())
    items: list[Item] = [
        a_clock("09:59"),
        a_tick(100, at_ms=at()),  # wants 10: bought at the next tick after 50 ms
        a_tick(90, at_ms=at() + 49),  # too early; working 10, so nothing more is wanted
        a_tick(100, at_ms=at() + 50),  # fills at 100.05; now wants -10: closes, then turns
        a_tick(101, at_ms=at() + 200, size=15),
    ]
    for seq, item in enumerate(items):
        account.take(item, source=1, seq=seq)

    fills = [
        (row.step, row.fill.side.value, row.fill.quantity, row.fill.price_e4) for row in account.journal.fills
    ]
    assert fills == [(4, "BUY", 10, 1_000_500), (5, "SELL", 10, 1_009_500), (5, "SELL", 5, 1_009_500)]
    holding = account.holdings[7]
    assert (holding.quantity, holding.cost) == (-5, Decimal("-504.75"))
    assert holding.realised == 10 * (Decimal("100.95") - Decimal("100.05"))
    check_laws(account)
