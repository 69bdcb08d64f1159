"""The way out of calls: what a kill switch takes and leaves, what changes come to, and who must still be cleared."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from datetime import timedelta
from threading import Event
from typing import Any
from uuid import uuid4

import pytest

from accounts import live as clearance
from accounts.models import User
from alphapanda.core.vocabulary import Side
from alphapanda.kite_simulator.faults import Fault, Kind
from alphapanda.proof.kite_parts import PRICE_E4
from execution.domain.kite.budgets import MODIFICATIONS_MAX, Spent
from execution.domain.kite.reducer import Traded
from execution.domain.kite.rows import TradeRow
from execution.models import BrokerCall, BrokerDesk, BrokerOrder, Fill, Order, OrderEvent
from execution.services.live import calls, desk, evidence, killing
from execution.services.live.http import Answer, KiteHttp
from risk.models import Alert
from risk.services import halts
from strategies.models import Deployment
from tests.kite.live import Live
from tests.kite.server import a_simulator, quoted, serving

pytestmark = pytest.mark.django_db
FAR = {"order_type": "LIMIT", "limit_price_e4": PRICE_E4 - 500_000, "quantity": 10}
DEAR = {"order_type": "LIMIT", "limit_price_e4": PRICE_E4 + 500_000, "side": "SELL"}


def states_of(kind: str = "ORDER") -> list[str]:
    rows = BrokerCall.objects.filter(kind=kind).order_by("queued_at_ms", "sent_at_ms")
    return list(rows.values_list("state", flat=True))


def call_of(order: Order, kind: str = "ORDER") -> BrokerCall:
    return BrokerCall.objects.get(order_id=order.id, kind=kind)


def at_work(world, **signal: Any) -> Order:
    """An order that rests at the broker."""
    order = world.want(**signal)
    world.work(until=lambda: _status(order) == "OPEN", ends_ms=20_000)
    assert _status(order) == "OPEN"
    return order


def held(world, quantity: int = 10) -> None:
    world.want(quantity=quantity)
    world.work(until=lambda: sum(fill.quantity for fill in Fill.objects.all()) == quantity, ends_ms=20_000)


def _status(order: Order) -> str:
    return Order.objects.get(id=order.id).status


def throw(world, step: str = "CANCEL") -> None:
    halts.halt_throw(level="GLOBAL", step=step, reason="drill", actor="alice", now=world.now())
    world.advance(10)


def pass_ms(world, ms: int) -> None:
    world.work(until_ms=world.broker.clock.now_ms() + ms)


# ---- kill switches and exits


def test_a_kill_switch_cancels_exits_of_before_and_leaves_those_of_after(world):
    held(world)
    before = at_work(world, **DEAR, quantity=4)
    throw(world)
    after = world.want(**DEAR, quantity=6)

    pass_ms(world, 20_000)

    assert (_status(before), _status(after)) == ("CANCELLED", "OPEN")
    assert not Alert.objects.filter(code="order_will_not_die").exists()


def test_a_kill_switch_drops_no_exit_of_after_that_still_waits(world):
    held(world)
    throw(world)
    BrokerDesk.objects.update(stopped="a test")
    order = world.want(**DEAR, quantity=6)
    pass_ms(world, 2_000)
    BrokerDesk.objects.update(stopped="")

    pass_ms(world, 10_000)

    assert _status(order) == "OPEN"


def test_a_kill_switch_that_goes_further_takes_what_came_before_it_went_so_far(world):
    held(world)
    throw(world, "PAUSE")
    order = at_work(world, **DEAR, quantity=4)
    throw(world, "CANCEL")

    pass_ms(world, 20_000)

    assert _status(order) == "CANCELLED"


def test_a_cancellation_of_unknown_outcome_is_asked_for_again_soon(world):
    order = at_work(world, **FAR)
    world.broker.faults.arm([Fault(kind=Kind.LOST)])
    throw(world)

    pass_ms(world, 20_000)

    assert _status(order) == "CANCELLED"


def test_a_cancellation_of_an_order_that_nobody_sees_any_more_is_asked_for_again_later(world):
    order = at_work(world, **FAR)
    throw(world)
    at = world.now()
    evidence.cancel_wanted(BrokerOrder.objects.get(), now=at)
    said_ms = world.broker.clock.now_ms()
    BrokerCall.objects.filter(kind="CANCEL").update(state="DONE", sent_at_ms=said_ms, answered_at_ms=said_ms)

    killing.sweep(at + timedelta(milliseconds=killing.UNSEEN_MS - 1))
    assert states_of("CANCEL") == ["DONE"]
    killing.sweep(at + timedelta(milliseconds=killing.UNSEEN_MS))
    assert (states_of("CANCEL"), _status(order)) == (["DONE", "READY"], "OPEN")


# ---- changes


def _change(world, order: Order, *, quantity: int, **more: Any) -> None:
    terms = {"order_type": "LIMIT", "limit_price_e4": PRICE_E4 - 500_000} | more
    world.want(kind="MODIFY", target=order.id, quantity=quantity, replaces=order.quantity, **terms)


def _traded(world, order: Order, quantity: int) -> None:
    broker_id = next(iter(BrokerOrder.objects.get(order_id=order.id).state["parts"]))
    trade = TradeRow(
        trade_id="1",
        order_id=broker_id,
        exchange="NSE",
        instrument="NSE:INFY",
        side=Side(order.side),
        product="MIS",
        quantity=quantity,
        price_e4=PRICE_E4 - 500_000,
        at_ms=world.broker.clock.now_ms(),
    )
    evidence.take(order.id, [Traded(trade, world.broker.clock.now_ms())], now=world.now())


def test_a_change_that_may_add_waits_no_longer_than_any_entry(world):
    order = at_work(world, **FAR)
    _change(world, order, quantity=20)
    world.advance(calls.ENTRY_PATIENCE_MS + 1)

    calls.claim(Spent(), world.now())

    assert call_of(order, "MODIFY").state == "DROPPED"
    assert _status(order) != "CANCELLED"


def test_a_change_does_not_ask_again_for_what_traded_while_it_waited(world):
    order = at_work(world, **FAR)
    _change(world, order, quantity=6)
    _traded(world, order, 4)

    found = calls.claim(Spent(), world.now())

    assert found.said.form["quantity"] == "6"


def test_a_change_to_what_has_traded_already_is_dropped(world):
    order = at_work(world, **FAR)
    _change(world, order, quantity=4)
    _traded(world, order, 4)

    assert calls.claim(Spent(), world.now()).said is None

    call = call_of(order, "MODIFY")
    assert (call.state, call.reason[:14]) == ("DROPPED", "4 units had tr")


def test_a_change_of_which_no_update_comes_shows_once_it_was_taken(world):
    """Else its strategy would ask for it again with each tick, and a change of the quantity would undo it."""
    order = at_work(world, **FAR)
    world.is_pushed, price_e4 = False, PRICE_E4 - 600_000
    _change(world, order, quantity=10, limit_price_e4=price_e4)

    world.work(until=lambda: _status(order) == "OPEN", ends_ms=2_000)

    assert (states_of("MODIFY"), Order.objects.get().limit_price_e4) == (["DONE"], price_e4)


def test_a_change_of_unknown_outcome_is_not_done_where_the_one_before_shows(world):
    """Back to the terms that it was placed with, and the broker shows those of the change between."""
    order = at_work(world, **FAR)
    _change(world, order, quantity=10, limit_price_e4=PRICE_E4 - 600_000)
    world.work(until=lambda: states_of("MODIFY") == ["DONE"], ends_ms=10_000)
    pass_ms(world, 6_000)
    world.broker.faults.arm([Fault(kind=Kind.LOST)])
    _change(world, order, quantity=10)

    pass_ms(world, 20_000)

    assert states_of("MODIFY") == ["DONE", "UNKNOWN"]


def test_a_change_while_another_is_on_its_way_is_refused_in_words(world):
    order = at_work(world, **FAR)
    _change(world, order, quantity=10, limit_price_e4=PRICE_E4 - 600_000)
    _change(world, order, quantity=10, limit_price_e4=PRICE_E4 - 700_000)

    last = OrderEvent.objects.filter(order_id=order.id).order_by("number").last()

    assert last.reason == "Order cannot be modified as it is being processed. Try later."
    assert states_of("MODIFY") == ["READY"]


def test_changes_are_counted_and_the_last_ones_not_sent(world):
    order = at_work(world, **FAR)
    _change(world, order, quantity=10, limit_price_e4=PRICE_E4 - 600_000)
    world.work(until=lambda: states_of("MODIFY") == ["DONE"], ends_ms=10_000)
    pass_ms(world, 6_000)
    assert Order.objects.get(id=order.id).modifications == 1

    (made,) = BrokerCall.objects.filter(kind="MODIFY")
    for number in range(1, MODIFICATIONS_MAX):
        made.id, made.attempt = uuid4(), 100 + number
        made.save(force_insert=True)
    _change(world, order, quantity=10)
    pass_ms(world, 2_000)

    assert states_of("MODIFY") == ["DONE"] * MODIFICATIONS_MAX + ["DROPPED"]


# ---- who must still be cleared


def lose_permission() -> None:
    User.objects.get(username="trader").user_permissions.clear()


def lose_account() -> None:
    User.objects.update(is_active=False)


def new_terms() -> None:
    clearance.TERMS_VERSION = "2027-01-01"


def nobody_started() -> None:
    Deployment.objects.update(started_by="")


@pytest.mark.parametrize(
    ("lose", "word"),
    [
        (lose_permission, "no operator"),
        (lose_account, "no operator"),
        (new_terms, "2027-01-01"),
        (nobody_started, "Nobody"),
    ],
)
def test_an_entry_leaves_only_while_who_started_it_is_cleared(world, monkeypatch, lose, word):
    monkeypatch.setattr(clearance, "TERMS_VERSION", clearance.TERMS_VERSION)  # put back afterwards
    held(world)
    lose()
    entry, way_out = world.want(**FAR), world.want(**DEAR, quantity=10)

    pass_ms(world, 5_000)

    call = call_of(entry)
    assert (call.state, word in call.reason) == ("DROPPED", True)
    assert _status(way_out) == "OPEN"
    assert Alert.objects.get(code="live_not_cleared").deployment_id == Deployment.objects.get().id


# ---- threads


class _Blocked(KiteHttp):
    """Nobody answers until it is let go."""

    def __init__(self, root: str, credentials: Any, let_go: Event, begun: list[str]) -> None:
        super().__init__(root, credentials)
        self._let_go, self._begun = let_go, begun

    def _ask(self, method: str, path: str, **_more: Any) -> Answer:
        self._begun.append(method)
        assert self._let_go.wait(30)
        return Answer(503, b"")


class _Idle(Executor):
    """Threads that never come to it."""

    def submit(self, *_given: Any, **_named: Any) -> Future[Any]:
        return Future()


@pytest.mark.django_db(transaction=True)
def test_a_look_takes_no_thread_from_the_calls(monkeypatch):
    let_go, begun = Event(), list[str]()
    with serving(a_simulator([quoted(1500, second) for second in range(600)])) as served:
        live = Live(served, monkeypatch)
        for _ in range(desk.SENDERS):
            live.want(quantity=1, order_type="LIMIT", limit_price_e4=14_000_000)
        live.desk = desk.Desk(
            served.url, lambda: live.access, live.now, http=lambda *signed: _Blocked(*signed, let_go, begun)
        )
        live.desk.begin()
        live.desk.round()  # a look is under way
        BrokerDesk.objects.update(reconciled_at=live.now())
        served.advance(1_000)
        live.desk.round()
        served.advance(1_000)
        live.desk.round()
        found = sorted(begun)
        let_go.set()
        live.desk.end()

    assert found == ["GET"] + ["POST"] * desk.SENDERS


@pytest.mark.django_db
def test_a_call_that_no_thread_begins_is_taken_back_before_the_lock_goes(world, monkeypatch):
    monkeypatch.setattr(desk, "BEGIN_S", 0.01)
    order = world.want(**FAR)
    world.desk._pool = _Idle()
    world.advance(100)

    world.desk._send()
    world.desk._gather()

    first, second = BrokerCall.objects.filter(order_id=order.id).order_by("attempt")
    assert (first.state, second.state) == ("REFUSED", "READY")
    assert not world.posts()
