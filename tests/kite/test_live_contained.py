"""A bad row, update or answer costs itself only: the broker's process goes on with the others, and a person is told."""

from __future__ import annotations

import json
import random
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import DataError

from accounts.vault import Unreadable
from alphapanda import health_broker
from alphapanda.health.registry import Level
from alphapanda.kite_simulator.listing import load_listing
from alphapanda.kite_simulator.sessions import checksum
from alphapanda.proof.kite_parts import PRICE_E4, simulator
from alphapanda.proof.kite_served import serving
from alphapanda.proof.kite_world import World, set_up
from execution.models import BrokerCall, BrokerDesk, BrokerOrder, BrokerPush, Difference, ExternalOrder, Order
from execution.services.live import (
    answers,
    booking,
    calls,
    containing,
    desk,
    evidence,
    external,
    killing,
    looking,
    pushes,
    reconciling,
)
from execution.services.live.containing import CODE
from execution.services.live.http import KiteHttp
from risk.models import Alert
from risk.services import halts
from strategies.models import Deployment

pytestmark = pytest.mark.django_db
FAR = {"order_type": "LIMIT", "limit_price_e4": PRICE_E4 - 500_000, "quantity": 1}
BAD = {"nothing": "of an order"}


@pytest.fixture
def world():
    set_up()
    chance = random.Random(1)
    with serving(simulator(load_listing(), chance)) as served, World(served, chance) as world:
        world.work(until=lambda: world.reconciled_at() is not None, ends_ms=60_000)
        yield world


def on(world: World, ms: int = 12_000) -> None:
    world.work(until_ms=world.broker.clock.now_ms() + ms)


def bad_only(act: Any, is_bad: Any) -> Any:
    """The function, which the database refuses for what is bad."""

    def tried(*told: Any, **named: Any) -> Any:
        if is_bad(*told):
            raise DataError("value too long for type character varying(40)")
        return act(*told, **named)

    return tried


def call_of(order: Order) -> BrokerCall:
    return BrokerCall.objects.get(order_id=order.id, kind="ORDER")


def cancels_of(order: Order) -> set[str]:
    """The states of its cancellations: the halt's, and its deployment's own."""
    return set(BrokerCall.objects.filter(order_id=order.id, kind="CANCEL").values_list("state", flat=True))


def parked() -> list[str]:
    """What is parked, as alerts, and as the command and health show it."""
    alerts = list(Alert.objects.filter(code=CODE).values_list("subject", flat=True))
    out = StringIO()
    call_command("broker_state", as_json=True, stdout=out)
    shown = json.loads(out.getvalue())["faults"]
    assert sorted(one.split(":")[0] for one in shown) == sorted(alerts)
    out = StringIO()
    call_command("broker_state", stdout=out)
    assert all(one in out.getvalue() for one in shown)
    return sorted(alerts)


def lives(world: World) -> bool:
    """Whether an order placed now is sent and taken."""
    order = world.want(**FAR)
    return world.work(until=lambda: call_of(order).state == "DONE", ends_ms=10_000)


def test_an_update_that_the_database_refuses_is_kept_with_its_reason_and_met_once(world, monkeypatch):
    monkeypatch.setattr(
        looking, "take_pushed", bad_only(looking.take_pushed, lambda row, *_: row.order_id == "bad")
    )
    body = {"order_id": "bad", "status": "OPEN", "exchange": "NSE", "tradingsymbol": "INFY", "quantity": 1}
    body |= {"transaction_type": "BUY", "filled_quantity": 0, "order_type": "LIMIT", "product": "MIS"}
    body |= {"validity": "DAY", "price": 1, "trigger_price": 0}
    pushes.keep(json.dumps(body).encode(), "stream")
    pushes.keep(json.dumps(body | {"order_id": "good"}).encode(), "stream")
    pushes.keep(b"\x00{", "postback")
    world.is_kept = True

    on(world, 1_000)
    row = BrokerPush.objects.get()
    assert row.fault.startswith("DataError: value too long")
    assert ExternalOrder.objects.filter(pk="good").exists()
    assert parked() == [f"push {row.pk}"]
    world.desk, world.pool = world._begun()
    on(world)
    assert (Alert.objects.get(code=CODE).times, lives(world)) == (1, True)


def test_a_call_that_cannot_be_prepared_holds_up_no_other(world, monkeypatch):
    placed = world.want(**FAR)
    world.work(until=lambda: call_of(placed).state == "DONE", ends_ms=10_000)
    entry = world.want(**FAR)
    monkeypatch.setattr(
        calls, "_prepared", bad_only(calls._prepared, lambda row, *_: row.order_id == entry.id)
    )
    on(world)

    assert call_of(entry).state == "DROPPED"
    assert call_of(entry).reason.startswith("DataError")
    assert Order.objects.get(id=entry.id).status == "REJECTED"
    assert parked() == [f"call {call_of(entry).id}"]
    assert Alert.objects.get(code=CODE).deployment_id == world.deployment.id
    assert lives(world)


def test_a_cancellation_that_cannot_be_prepared_is_tried_again(world, monkeypatch):
    first, second = world.want(**FAR), world.want(**FAR)
    world.work(until=lambda: call_of(second).state == "DONE", ends_ms=10_000)
    with monkeypatch.context() as patch:
        bad = bad_only(calls._prepared, lambda row, *_: row.order_id == first.id)
        patch.setattr(calls, "_prepared", bad)
        halts.halt_throw(level="GLOBAL", step="CANCEL", reason="a test", actor="alice", now=world.now())
        on(world, 4_000)
        assert "DONE" in cancels_of(second)
        assert cancels_of(first) == {"READY"}
        assert BrokerCall.objects.filter(order_id=first.id, reason__startswith="DataError").exists()
    on(world)

    assert "DONE" in cancels_of(first)
    assert not BrokerOrder.objects.filter(is_open=True).exists()


def test_an_answer_that_cannot_be_written_down_is_looked_for(world, monkeypatch):
    bad, good = world.want(**FAR), world.want(**FAR)
    of_bad = call_of(bad).id
    monkeypatch.setattr(answers, "record", bad_only(answers.record, lambda call_id, *_: call_id == of_bad))
    on(world)

    assert (call_of(bad).state, call_of(good).state) == ("DONE", "DONE")
    assert parked() == [f"answer {of_bad}"]
    assert set(world.posts().values()) == {1}


def test_a_request_or_a_look_that_fails_in_its_own_way_ends_nothing(world, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(answers, "of_answer", bad_only(answers.of_answer, lambda *_: True))
        order = world.want(**FAR)
        world.work(until=lambda: call_of(order).state == "UNKNOWN", ends_ms=5_000)
    with monkeypatch.context() as patch:
        patch.setattr(looking, "orders_of", bad_only(looking.orders_of, lambda *_: True))
        on(world)
        assert call_of(order).state == "UNKNOWN"
        assert parked() == ["book reading", f"request {call_of(order).id}"]
    on(world, 15_000)

    assert call_of(order).state == "DONE"
    assert set(world.posts().values()) == {1}


def test_an_order_whose_row_is_none_costs_itself_only(world):
    """It is in the way of nobody: not of a look, not of a kill switch, not of a start."""
    bad, good = world.want(**FAR), world.want(**FAR)
    world.work(until=lambda: call_of(good).state == "DONE", ends_ms=10_000)
    BrokerOrder.objects.filter(pk=bad.id).update(state=BAD)
    world.desk, world.pool = world._begun()
    on(world, 6_000)
    halts.halt_throw(level="GLOBAL", step="CANCEL", reason="a test", actor="alice", now=world.now())
    on(world)

    assert Order.objects.get(id=good.id).status == "CANCELLED"
    assert f"order {bad.id}" in parked()
    cancels = BrokerCall.objects.filter(order_id=bad.id, kind="CANCEL")
    assert {call.state for call in cancels} == {"READY"}
    assert any(call.reason.startswith("ValidationError") for call in cancels)


def test_a_change_of_an_order_whose_row_is_none_costs_itself_only(world):
    """Counting changes reads no order: not at a start, and not before each call."""
    bad, good = world.want(**FAR), world.want(**FAR)
    world.work(until=lambda: call_of(good).state == "DONE", ends_ms=10_000)
    BrokerOrder.objects.filter(pk=bad.id).update(state=BAD)
    for attempt, state in enumerate(("DONE", "READY")):
        row = call_of(bad)
        row.id, row.kind, row.lane, row.tag, row.attempt = uuid4(), "MODIFY", "EXIT", None, 9 + attempt
        row.state, row.terms = state, {}
        row.save(force_insert=True)
    world.desk, world.pool = world._begun()
    evidence.cancel_wanted(BrokerOrder.objects.get(pk=good.id), now=world.now())
    assert world.work(until=lambda: Order.objects.get(id=good.id).status == "CANCELLED", ends_ms=9_000)
    assert not any(one.startswith("process") for one in parked())


def test_what_an_order_whose_row_is_none_has_traded_is_not_of_others(world):
    order = world.want(quantity=1)
    world.work(until=lambda: Order.objects.filter(status="COMPLETE").exists(), ends_ms=20_000)
    BrokerOrder.objects.filter(pk=order.id).update(state=BAD)
    world.desk, world.pool = world._begun()
    on(world, 65_000)

    assert BrokerDesk.objects.get().outside["fills"] == {}
    assert list(Difference.objects.values_list("kind", flat=True)) == ["ORDER_UNCLAIMED"]


def test_a_dead_token_stops_all_writes_though_its_session_cannot_be_ended(world, monkeypatch):
    held = world.want(**FAR)
    world.work(until=lambda: call_of(held).state == "DONE", ends_ms=10_000)
    monkeypatch.setattr(desk, "session_died", bad_only(desk.session_died, lambda *_: True))
    asked = []
    write = KiteHttp.write
    monkeypatch.setattr(KiteHttp, "write", lambda *told: asked.append(1) or write(*told))
    sessions, account = world.broker.sessions, world.broker.account
    request = sessions.login()  # elsewhere: what this process holds is dead, and nobody has told it
    sessions.exchange(account.api_key, request, checksum(account.api_key, request, account.api_secret))
    evidence.cancel_wanted(BrokerOrder.objects.get(pk=held.id), now=world.now())
    on(world, 25_000)

    assert len(asked) <= 1
    assert BrokerDesk.objects.get().stopped == answers.TOKEN_DEAD
    assert "login session" in parked()
    world.desk._refused(None)  # as of a call that left without any
    on(world, 12_000)
    assert (len(asked) <= 1, world.desk._access) == (True, None)
    world.access = world.logged_in()
    assert world.work(until=lambda: Order.objects.get(id=held.id).status == "CANCELLED", ends_ms=20_000)


def test_a_book_that_cannot_be_merged_is_not_compared(world, monkeypatch):
    order = world.want(quantity=1)
    with monkeypatch.context() as patch:
        patch.setattr(looking, "take_book", bad_only(looking.take_book, lambda *_: True))
        patch.setattr(looking, "take_pushed", lambda *_: None)
        on(world, 35_000)
        assert (parked(), world.reconciled_at()) == (["book merging"], None)
    assert not Difference.objects.exists()
    on(world, 35_000)
    assert Order.objects.get(id=order.id).status == "COMPLETE"
    assert world.reconciled_at() is not None


def test_a_call_lost_in_a_crash_whose_order_is_none_is_unknown_and_shown(world):
    bad = world.want(**FAR)
    BrokerCall.objects.filter(order_id=bad.id).update(state="SENDING", sent_at_ms=1)
    BrokerOrder.objects.filter(pk=bad.id).update(state=BAD)
    world.desk, world.pool = world._begun()
    on(world)

    assert call_of(bad).state == "UNKNOWN"
    assert {f"call {call_of(bad).id}", f"search {call_of(bad).id}"} <= set(parked())
    assert lives(world)


def test_a_search_that_fails_holds_up_no_other_and_asks_no_more_often(world):
    bad, good = world.want(**FAR), world.want(**FAR)
    BrokerCall.objects.update(state="UNKNOWN", sent_at_ms=world.broker.clock.now_ms(), lookup=BAD)
    search = {"sent_ms": world.broker.clock.now_ms() - 121_000, "unknown_ms": world.broker.clock.now_ms()}
    BrokerCall.objects.filter(order_id=good.id).update(lookup=search)
    on(world, 20_000)

    assert (call_of(bad).state, call_of(good).state) == ("UNKNOWN", "REFUSED")
    assert f"search {call_of(bad).id}" in parked()
    assert looking.searches_due_ms(world.now()) is None


def test_an_order_of_others_that_cannot_be_kept_costs_itself_only(world, monkeypatch):
    bad = bad_only(external.keep, lambda rows, _at: any(one.order_id == "bad" for one in rows))
    monkeypatch.setattr(external, "keep", bad)
    rows = [a_row("good"), a_row("bad")]
    looking.take_book(looking.Book(world.broker.clock.now_ms(), tuple(rows)), world.now())

    assert list(ExternalOrder.objects.values_list("pk", flat=True)) == ["good"]
    assert parked() == ["external bad"]


def test_an_order_of_others_whose_row_is_none_is_written_anew(world):
    external.keep([a_row("theirs")], world.now())
    kept = ExternalOrder.objects.get().snapshot
    ExternalOrder.objects.update(snapshot=BAD)
    external.keep([a_row("theirs")], world.now())

    assert ExternalOrder.objects.get().snapshot == kept


def test_a_report_that_cannot_be_booked_keeps_no_other_deployment_waiting(world, monkeypatch):
    order = world.want(**FAR)
    world.work(until=lambda: call_of(order).state == "DONE", ends_ms=10_000)
    monkeypatch.setattr(booking, "book", bad_only(booking.book, lambda *_: True))
    monkeypatch.setattr(evidence, "ACTIVE", ())
    evidence.cancel_wanted(BrokerOrder.objects.get(pk=order.id), now=world.now())
    on(world)

    assert [one.split()[0] for one in parked()] != []
    assert BrokerDesk.objects.get().seen_at is not None
    assert not BrokerOrder.objects.filter(pk=order.id, is_open=False).exists()


def test_a_sealed_token_that_does_not_open_ends_nothing_and_is_shown(world, monkeypatch):
    monkeypatch.setattr(world.desk, "_find_access", bad_vault)
    on(world)
    assert parked() == ["login token"]
    assert lives(world)  # with the login of before, until Kite refuses it

    world.desk._access = None
    on(world)
    assert BrokerDesk.objects.get().seen_at is not None


def bad_vault() -> None:
    raise Unreadable("the key of a stored secret is not among ALPHAPANDA_CREDENTIAL_KEYS: put it back")


def test_books_that_cannot_be_compared_let_no_entry_out(world, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(reconciling, "compare", bad_only(reconciling.compare, lambda *_: True))
        on(world, 35_000)
        assert (parked(), world.reconciled_at()) == (["book comparing"], None)
        order = world.want(**FAR)
        on(world, 3_000)
        assert call_of(order).state == "READY"
    world.work(until=lambda: call_of(order).state == "DONE", ends_ms=60_000)
    assert call_of(order).state == "DONE"


def test_a_deployment_that_cannot_be_paused_keeps_no_other_from_it(world, monkeypatch):
    monkeypatch.setattr(reconciling, "deployment_pause", bad_only(reconciling.deployment_pause, lambda: True))
    row = reconciling._row(
        reconciling.reconciling.Difference(reconciling.Kind.POSITION, "x", "1", "2"), world.now()
    )
    reconciling._stop_entries(row, world.now())

    assert parked() == [f"pause {world.deployment.id}"]
    assert Alert.objects.filter(code="broker_differs").exists()
    assert Deployment.objects.get().status == "RUNNING"


def test_what_nobody_has_foreseen_costs_its_part_of_a_round(world, monkeypatch):
    parts = ("_gather", "_take_pushes", "_send", "_look_if_due", "_recover")
    for owner, part in (*((world.desk, name) for name in parts), (killing, "sweep")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, part, bad_only(getattr(owner, part), lambda *_told: True))
            on(world, 2_000)
            assert [one.split()[0] for one in parked()] == ["process"], part
            assert Alert.objects.get(code=CODE).severity == "CRITICAL"
            assert Alert.objects.get(code=CODE).times <= 2_000 // containing.PART_REST_MS
        Alert.objects.filter(code=CODE).delete()
        on(world, containing.PART_REST_MS)
        assert lives(world)


def test_what_is_parked_is_a_warning_of_health(world, settings):
    settings.ZERODHA_ENABLED = True
    assert health_broker.live_desk()["faults"].level is Level.OK
    containing.park("push", 7, DataError("too long"), world.now())
    shown = health_broker.live_desk()["faults"]
    assert (shown.level, "push 7: DataError: too long" in shown.words) == (Level.WARN, True)
    containing.park("process", "send", DataError("too long"), world.now())
    assert health_broker.live_desk()["faults"].level is Level.FAIL


def test_after_a_gap_of_the_stream_the_book_is_read_at_once(world):
    world.work(until=lambda: world.desk.due_ms() > world.broker.clock.now_ms() + 20_000, ends_ms=90_000)
    world.advance(1_000)  # looks begin no nearer to each other
    pushes.missed()
    world.is_kept = True
    world.round()
    world.advance(1)

    assert world.desk._looking is not None or world.desk._looked_ms > world.broker.clock.now_ms() - 1_000
    assert not BrokerPush.objects.exists()


def a_row(order_id: str) -> Any:
    body = {"order_id": order_id, "status": "OPEN", "exchange": "NSE", "tradingsymbol": "INFY", "quantity": 1}
    body |= {"transaction_type": "BUY", "filled_quantity": 0, "order_type": "LIMIT", "product": "MIS"}
    body |= {"validity": "DAY", "price": 1, "trigger_price": 0}
    return pushes.order_of(json.dumps(body).encode(), {})
