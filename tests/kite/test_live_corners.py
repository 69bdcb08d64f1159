"""Corners of the broker's process, each of which a seeded scenario (or reading) has found broken once."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from django.db import OperationalError

from alphapanda.kite_simulator.faults import Fault, Kind
from alphapanda.proof.kite_kills import intents
from alphapanda.proof.kite_parts import PRICE_E4
from execution.domain.kite.budgets import Lane, Spent
from execution.domain.kite.lookup import PATIENCE_MS
from execution.domain.kite.rows import Rows, order_of
from execution.models import BrokerCall, BrokerDesk, Difference, ExternalOrder, Order
from execution.services.live import answers, calls, dayend, external, looking, reconciling
from risk.models import Alert
from risk.services import halts
from strategies.models import Deployment
from tests.kite_builders import snapshot

pytestmark = pytest.mark.django_db
FAR = {"order_type": "LIMIT", "limit_price_e4": PRICE_E4 - 500_000, "quantity": 1}


def states_of(kind: str = "ORDER") -> list[str]:
    return list(BrokerCall.objects.filter(kind=kind).values_list("state", flat=True))


def test_a_refusal_of_the_token_before_says_nothing_of_the_new_one(world):
    world.want(**FAR)
    world.broker.sessions.end()
    world.pool.late_ms = lambda: 5_000  # the refusal is on its way
    world.work(until=lambda: "SENDING" in states_of(), ends_ms=1_000)
    world.pool.late_ms = lambda: 0
    world.access = world.logged_in()
    world.work(until_ms=world.broker.clock.now_ms() + 10_000)

    assert states_of() == ["REFUSED"]
    assert BrokerDesk.objects.get().stopped == ""
    world.want(**FAR)
    world.work(until=lambda: "DONE" in states_of(), ends_ms=5_000)
    assert sorted(states_of()) == ["DONE", "REFUSED"]


def test_an_answer_that_could_not_be_written_down_is_written_down_later(world, monkeypatch):
    world.want(**FAR)
    record = answers.record

    def away(*_args, **_named):
        monkeypatch.setattr(answers, "record", record)
        raise OperationalError("the database is away")

    monkeypatch.setattr(answers, "record", away)
    with pytest.raises(OperationalError):
        world.work(until_ms=world.broker.clock.now_ms() + 5_000)
    world.work(until=lambda: "DONE" in states_of(), ends_ms=5_000)
    assert states_of() == ["DONE"]


def test_a_call_that_nobody_waits_for_is_looked_up(world):
    """Its claim was committed, and whoever committed it has not heard so."""
    world.want(**FAR)
    calls.claim(Spent(), world.now())
    assert states_of() == ["SENDING"]
    world.work(until=lambda: states_of() == ["UNKNOWN"], ends_ms=2_000)
    assert (states_of(), dict(world.posts())) == (["UNKNOWN"], {})


def test_a_cancellation_goes_before_any_number_of_entries_that_wait_longer(world):
    first = world.want(**FAR)
    world.work(until=lambda: states_of() == ["DONE"], ends_ms=5_000)
    intents(world, calls.CLAIMED_MAX + 10)
    BrokerCall.objects.filter(state="READY").update(queued_at_ms=1)
    first.refresh_from_db()
    world.want(kind="CANCEL", target=first.id, quantity=1, replaces=1, order_type="LIMIT")

    found = calls.claim(Spent(), world.now())

    assert found.call.lane is Lane.CANCEL


def test_a_halt_drops_entries_a_few_at_a_time_and_cancellations_go_on(world):
    first = world.want(**FAR)
    world.work(until=lambda: states_of() == ["DONE"], ends_ms=5_000)
    intents(world, 50)
    world.want(kind="CANCEL", target=first.id, quantity=1, replaces=1, order_type="LIMIT")
    halts.halt_throw(level="GLOBAL", reason="drill", actor="alice", now=world.now())

    found = calls.claim(Spent(), world.now())

    assert (found.call.lane, found.halted) == (Lane.CANCEL, calls.DROPPED_MAX)
    assert states_of().count("DROPPED") == calls.DROPPED_MAX
    world.work(until=lambda: "READY" not in states_of(), ends_ms=5_000)
    assert states_of().count("DROPPED") == 50
    assert len(world.posts()) == 1


def test_a_book_that_cannot_be_read_is_not_asked_for_twice_a_second(world):
    world.want(**FAR)
    calls.claim(Spent(), world.now())
    world.work(until=lambda: states_of() == ["UNKNOWN"], ends_ms=2_000)
    now_ms = world.broker.clock.now_ms()

    looking.take_book(looking.Book(now_ms), world.now())

    assert looking.searches_due_ms(world.now()) > now_ms


def test_an_order_that_was_taken_and_comes_to_light_late_halts_nobody(world):
    world.broker.faults.arm([Fault(kind=Kind.LATE, ms=(60_000, 60_000))])
    order = world.want(**FAR)
    world.work(until_ms=world.broker.clock.now_ms() + 50_000)
    assert not Difference.objects.exists()
    world.work(until_ms=world.broker.clock.now_ms() + 30_000)
    order.refresh_from_db()
    assert (order.status, Deployment.objects.get().status) == ("OPEN", "RUNNING")


def test_an_order_that_was_taken_and_never_comes_to_light_halts(world):
    world.broker.faults.arm([Fault(kind=Kind.LATE, ms=(10**9, 10**9))])
    world.want(**FAR)
    world.work(until_ms=world.broker.clock.now_ms() + PATIENCE_MS + 20_000)
    assert Difference.objects.get().kind == "ORDER_MISSING"
    assert Deployment.objects.get().status == "PAUSED"


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_cancellation_of_what_never_comes_to_light_is_not_looked_for_all_day(world, monkeypatch, is_whole):
    """Where a row could not be read, it may be that of the order."""
    world.broker.faults.arm([Fault(kind=Kind.LATE, ms=(10**9, 10**9), on=["place"])])
    world.broker.faults.arm([Fault(kind=Kind.LOST, on=["cancel"])])
    world.want(**FAR)
    world.work(until=lambda: states_of() == ["DONE"], ends_ms=5_000)
    if not is_whole:
        unreadable(monkeypatch, "/orders", lambda _: False)
    halts.halt_throw(level="GLOBAL", step="CANCEL", reason="race", actor="alice", now=world.now())
    world.work(until=lambda: "UNKNOWN" in states_of("CANCEL"), ends_ms=5_000)
    first = BrokerCall.objects.get(kind="CANCEL")
    assert first.state == "UNKNOWN"
    world.work(until_ms=world.broker.clock.now_ms() + PATIENCE_MS + 20_000)

    first.refresh_from_db()
    assert first.state == ("REFUSED" if is_whole else "UNKNOWN")


def test_trades_that_an_update_tells_of_are_asked_for_at_once(world):
    world.want(quantity=10)
    began_at = world.now()
    world.work(until=lambda: Order.objects.filter(filled_quantity=10).exists(), ends_ms=10_000)
    assert world.now() - began_at < timedelta(seconds=4)


def test_what_has_ended_is_not_merged_again_at_each_look(world, monkeypatch):
    """A look comes every few seconds, and in the afternoon most orders of the day are over."""
    world.want(quantity=1)
    world.work(until=lambda: Order.objects.filter(status="COMPLETE").exists(), ends_ms=20_000)
    book = looking.look(world.desk._door(lambda: world.access), world.now(), lambda: None)
    asked = []
    monkeypatch.setattr(looking.evidence, "take", lambda order_id, told, now: asked.append(told))

    looking.take_book(book, world.now())

    assert (len(book.orders), len(book.trades)) == (1, 1)
    assert asked == []


def unreadable(monkeypatch, path: str, is_bad: Any) -> None:
    """Rows of a list that say nothing to us."""
    read = looking.read_list

    def faulty(http: Any, asked: str, *told: Any, **named: Any) -> Any:
        found = read(http, asked, *told, **named)
        if asked != path or found is None:
            return found
        kept = {name: tuple(one for one in getattr(found, name) if not is_bad(one)) for name in KEPT}
        return msgspec.structs.replace(found, **kept, faults=("order 7: no order",))

    monkeypatch.setattr(looking, "read_list", faulty)


KEPT = ("orders", "trades")


@pytest.mark.parametrize("path", ["/orders", "/trades"])
def test_a_row_that_cannot_be_read_hides_no_other(world, monkeypatch, path):
    """It is anybody's, and stays in the list until tomorrow: fills and ends of ours are found beside it."""
    unreadable(monkeypatch, path, lambda _: False)
    world.is_pushed = False
    order = world.want(quantity=1)
    world.work(until=lambda: Order.objects.filter(status="COMPLETE").exists(), ends_ms=40_000)

    assert Order.objects.get(id=order.id).filled_quantity == 1
    alert = Alert.objects.get(code="broker_row_unreadable")
    assert (alert.severity, alert.times) == ("CRITICAL", 1)
    assert "1 rows of the broker's" in alert.text


def test_what_is_unknown_is_found_beside_a_row_that_cannot_be_read(world, monkeypatch):
    unreadable(monkeypatch, "/orders", lambda _: False)
    world.want(**FAR)
    calls.claim(Spent(), world.now())
    call = BrokerCall.objects.get()
    form = {"order_type": "LIMIT", "price": "1450", "exchange": "NSE", "tradingsymbol": "INFY"}
    form |= {"transaction_type": "BUY", "quantity": "1", "product": "MIS", "validity": "DAY", "tag": call.tag}
    world.desk._door(lambda: world.access).write("POST", "/orders/regular", form)
    world.work(until=lambda: states_of() == ["DONE"], ends_ms=20_000)

    assert states_of() == ["DONE"]


def test_what_a_list_with_a_row_that_cannot_be_read_does_not_show_may_be_there(world, monkeypatch):
    """The row may be what is looked for."""
    order = world.want(**FAR)
    world.work(until=lambda: states_of() == ["DONE"], ends_ms=5_000)
    BrokerCall.objects.update(state="UNKNOWN", lookup={"sent_ms": 0, "unknown_ms": 0})
    unreadable(monkeypatch, "/orders", lambda _: True)
    external.keep([looking_row("theirs")], world.now())
    Order.objects.update(expires_at_ms=1)
    book = looking.look(world.desk._door(lambda: world.access), world.now(), lambda: None)

    assert (book.orders, book.whole_orders) == ((), None)
    looking.take_book(book, world.now())
    assert dayend.end_days(book, world.now()) == 0
    assert BrokerCall.objects.get().lookup.get("absent", 0) == 0
    assert ExternalOrder.objects.get().is_open
    reconciling.compare(book, world.now())
    assert not Difference.objects.exists()
    assert Order.objects.get(id=order.id).status == "OPEN"


def looking_row(order_id: str) -> Any:
    body = {"order_id": order_id, "status": "OPEN", "exchange": "NSE", "tradingsymbol": "INFY", "quantity": 1}
    body |= {"transaction_type": "BUY", "filled_quantity": 0, "order_type": "MARKET", "product": "MIS"}
    return order_of(json.dumps(body).encode(), {})


def test_what_was_sent_today_is_not_over_because_its_session_is_one_of_another_year(world):
    """A book that began before it was sent does not show it; a recording has a clock of its own."""
    world.want(**FAR)
    world.work(until=lambda: states_of() == ["DONE"], ends_ms=5_000)
    Order.objects.update(expires_at_ms=1)
    before = looking.Book(world.broker.clock.now_ms(), orders=())

    assert dayend.end_days(before, world.now()) == 0
    BrokerCall.objects.update(sent_at_ms=1)
    assert dayend.end_days(before, world.now()) == 1


def test_an_order_that_only_comes_to_be_during_a_look_moves_no_position():
    """Else a new one in each look would keep entries for ever: positions count in a look in which nothing traded."""
    first, new = snapshot(order_id="1", filled=3), snapshot(order_id="2", filled=0)
    traded = msgspec.structs.replace(new, filled=1)

    assert looking._moved(Rows((first,), ()), Rows((first, new), ())) == frozenset()
    assert looking._moved(Rows((first, new), ()), Rows((first, traded), ())) == {"2"}
