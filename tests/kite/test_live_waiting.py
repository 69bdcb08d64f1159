"""Calls that wait: for a look at the book, a login, a free turn; and what has waited too long."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from execution.domain.kite.budgets import Spent
from execution.models import BrokerDesk
from execution.services.live import answers, calls, looking, outages
from strategies.models import Deployment
from tests.kite.test_live_way_out import DEAR, FAR, at_work, call_of, held

pytestmark = pytest.mark.django_db


def test_an_entry_that_meets_a_dead_token_is_dropped_at_once(world):
    BrokerDesk.objects.update(stopped=answers.TOKEN_DEAD)
    order = world.want(**FAR)

    calls.claim(Spent(), world.now())

    call = call_of(order)
    assert (call.state, call.reason) == ("DROPPED", answers.TOKEN_DEAD)


def test_an_exit_that_meets_a_dead_token_waits_for_the_login(world):
    held(world)
    BrokerDesk.objects.update(stopped=answers.TOKEN_DEAD)
    order = world.want(**DEAR, quantity=10)

    calls.claim(Spent(), world.now())

    assert call_of(order).state == "READY"
    BrokerDesk.objects.update(stopped="")
    world.advance(calls.ENTRY_PATIENCE_MS + 5_000)
    assert calls.claim(Spent(), world.now()).said.form["quantity"] == "10"


def test_an_exit_that_waited_for_the_login_leaves_after_the_look_that_follows_it(world):
    held(world)
    BrokerDesk.objects.update(stopped=answers.TOKEN_DEAD)
    order = world.want(**DEAR, quantity=10)
    world.access = world.logged_in()
    world.desk._take_access()
    at = world.now()

    assert calls.claim(Spent(), at).said is None
    assert calls.claim(Spent(), at + timedelta(milliseconds=outages.LOOK_MS)).said is not None
    assert call_of(order).state == "SENDING"


def test_an_entry_waits_two_minutes_at_most(world):
    BrokerDesk.objects.update(reconciled_at=None)
    order = world.want(**FAR)
    world.advance(calls.ENTRY_PATIENCE_MS)
    calls.claim(Spent(), world.now())
    assert call_of(order).state == "READY"
    world.advance(1)

    calls.claim(Spent(), world.now())

    call = call_of(order)
    assert (call.state, "waited" in call.reason) == ("DROPPED", True)


def test_an_entry_waits_where_the_books_were_compared_long_ago(world):
    BrokerDesk.objects.update(reconciled_at=world.now() - calls.COMPARED_MAX - timedelta(seconds=1))
    order = world.want(**FAR)

    assert calls.claim(Spent(), world.now()).call is None
    BrokerDesk.objects.update(reconciled_at=world.now())
    assert calls.claim(Spent(), world.now()).said is not None
    assert call_of(order).state == "SENDING"


def test_an_entry_waits_after_a_login_for_a_look_that_began_after_it(world):
    at_work(world, **FAR)
    door = world.desk._door(lambda: world.access)
    before = looking.look(door, world.now(), lambda: world.advance(500), looking.Wanted(is_whole=True))
    assert before.positions is not None
    world.access = world.logged_in()

    world.desk._take_access()
    world.desk._compare(before)

    assert world.reconciled_at() is None
    world.work(until=lambda: world.reconciled_at() is not None, ends_ms=10_000)
    assert world.reconciled_at() is not None


def test_no_entry_leaves_after_a_pause_that_commits_while_it_is_claimed(world, monkeypatch):
    order = world.want(**FAR)
    look = calls._drop_halted

    def paused_meanwhile(*given: Any) -> int:
        Deployment.objects.update(status="PAUSED")
        return look(*given)

    monkeypatch.setattr(calls, "_drop_halted", paused_meanwhile)
    assert calls.claim(Spent(), world.now()).said is None

    assert (call_of(order).state, call_of(order).reason) == ("DROPPED", "its deployment is PAUSED")


def test_an_entry_that_was_decided_on_old_ticks_is_dropped(world):
    came_ms = world.broker.clock.now_ms() - calls.ENTRY_PATIENCE_MS - 1
    old, new = world.want(**FAR, received_at_ms=came_ms), world.want(**FAR, received_at_ms=came_ms + 1)

    calls.claim(Spent(), world.now())
    calls.claim(Spent(), world.now())

    assert (call_of(old).state, "came in" in call_of(old).reason) == ("DROPPED", True)
    assert call_of(new).state == "SENDING"


def test_an_exit_does_not_leave_after_its_session(world):
    held(world)
    BrokerDesk.objects.update(stopped=answers.TOKEN_DEAD)
    order = world.want(**DEAR, quantity=10)
    BrokerDesk.objects.update(stopped="")
    world.advance(order.expires_at_ms - world.broker.clock.now_ms() + 1)

    calls.claim(Spent(), world.now())

    call = call_of(order)
    assert (call.state, "session" in call.reason) == ("DROPPED", True)
    assert len(world.posts()) == 1
