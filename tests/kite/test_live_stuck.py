"""A worker that stands still in the middle of its work holds up its own deployment, and no kill switch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread, Timer
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from alphapanda.core.vocabulary import CommandKind
from execution.domain.kite.budgets import Spent
from execution.models import BrokerCall, BrokerDesk, Order
from execution.services.live import calls, containing, evidence
from marketdata.reference import load_calendars
from risk.models import Alert, KillSwitch
from risk.services import halts
from risk.services.terms import share_kill_lock
from strategies import loading as deployments
from strategies.models import Command, Deployment, Report
from strategies.services.lifecycle import command_give
from tests.kite.live import Live
from tests.kite.server import a_simulator, quoted, serving

pytestmark = pytest.mark.django_db(transaction=True)
FAR = {"order_type": "LIMIT", "limit_price_e4": 14_000_000, "quantity": 10}


@pytest.fixture
def live(monkeypatch: Any) -> Iterator[Live]:
    with serving(a_simulator([quoted(1500, second) for second in range(600)])) as served:
        yield Live(served, monkeypatch)


@contextmanager
def standing_still(take: Callable[[], object]) -> Iterator[Event]:
    """Another connection holds what it takes, and asks nothing more until this is over."""
    taken, let_go = Event(), Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                take()
                taken.set()
                assert let_go.wait(60)
        except DatabaseError:  # it has lost its connection
            pass
        finally:
            connection.close()

    thread = Thread(target=hold)
    thread.start()
    assert taken.wait(30)
    try:
        yield let_go
    finally:
        let_go.set()
        thread.join()


def throw(live: Live, step: str = "CANCEL") -> None:
    halts.halt_throw(level="GLOBAL", step=step, reason="drill", actor="alice", now=live.now())


def rounds(live: Live, count: int = 10) -> None:
    for _ in range(count):
        live.served.advance(600)
        live.desk.round()


def test_a_kill_switch_cancels_orders_of_a_deployment_whose_worker_stands_still(live: Live) -> None:
    order = live.want(**FAR)
    live.work(rounds=20)
    with standing_still(lambda: deployments.locked(live.deployment.id)):
        began_s = time.monotonic()
        throw(live)
        rounds(live)
        took_s = time.monotonic() - began_s
        cancels = list(BrokerCall.objects.filter(kind="CANCEL").values_list("state", flat=True))

    assert (cancels, took_s < 9) == (["DONE"], True)
    live.work()
    assert Order.objects.get(id=order.id).status == "CANCELLED"
    assert not Alert.objects.filter(code=containing.CODE).exists()


def test_an_entry_of_a_deployment_whose_worker_stands_still_waits_and_is_not_dropped(live: Live) -> None:
    live.work(rounds=5)
    live.want(**FAR)
    BrokerDesk.objects.update(reconciled_at=live.now())
    with standing_still(lambda: deployments.locked(live.deployment.id)):
        began_s = time.monotonic()
        assert calls.claim(Spent(), live.now()).said is None
        assert time.monotonic() - began_s < 5
        assert BrokerCall.objects.get().state == "READY"

    live.served.advance(containing.BUSY_MS + 1)
    BrokerDesk.objects.update(reconciled_at=live.now())
    assert calls.claim(Spent(), live.now()).said is not None


def test_an_answer_waits_for_a_worker_that_stands_still_and_is_written_down_then(live: Live) -> None:
    order = live.want(**FAR)
    BrokerDesk.objects.update(reconciled_at=live.now())
    live.desk._send()
    with standing_still(lambda: deployments.locked(live.deployment.id)):
        rounds(live, 3)
        assert BrokerCall.objects.get().state == "SENDING"

    live.work(rounds=20, advance_ms=1_100)
    assert (BrokerCall.objects.get().state, Order.objects.get(id=order.id).status) == ("DONE", "OPEN")
    assert Deployment.objects.get().status == "RUNNING"


def test_a_kill_switch_commits_while_a_decision_stands_still(live: Live) -> None:
    with standing_still(share_kill_lock):
        time.sleep(2.1)
        began_s = time.monotonic()
        throw(live)
        took_s = time.monotonic() - began_s

    assert (KillSwitch.objects.filter(released_at=None).count(), took_s < 8) == (1, True)


def test_a_kill_switch_is_not_lost_where_somebody_gives_a_command_at_the_same_moment(live: Live) -> None:
    given = {"deployment": live.deployment, "kind": CommandKind.FLATTEN, "reason": "out", "actor": "bob"}
    with standing_still(lambda: command_give(**given)) as let_go:
        Timer(0.5, let_go.set).start()
        throw(live)

    assert sorted(Command.objects.values_list("kind", flat=True)) == ["CANCEL", "FLATTEN"]
    assert KillSwitch.objects.filter(released_at=None).exists()


def test_a_report_of_a_stopped_deployment_whose_worker_stands_still_holds_up_nobody(
    live: Live, monkeypatch: Any
) -> None:
    monkeypatch.setattr(evidence.market, "calendars", load_calendars)
    live.want(**FAR)
    BrokerDesk.objects.update(reconciled_at=live.now())
    live.desk._send()  # a report of its leaving, which no worker takes up
    Deployment.objects.update(status="STOPPED")
    with standing_still(lambda: deployments.locked(live.deployment.id)):
        began_s = time.monotonic()
        evidence.book_what_is_left(timezone.now() + timedelta(seconds=1))
        took_s = time.monotonic() - began_s
        assert (Report.objects.get().booked_at, took_s < 5) == (None, True)

    evidence.book_what_is_left(timezone.now() + timedelta(seconds=3))
    assert Report.objects.get().booked_at is not None
