"""A kill switch waits for the decisions being made, and decisions wait for it: two connections, one lock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from django.db import connection, transaction
from django.utils import timezone

from risk.models import KillSwitch
from risk.services.halts import halt_release, halt_throw
from risk.services.terms import share_kill_lock

pytestmark = pytest.mark.django_db(transaction=True)


def throw() -> KillSwitch:
    return halt_throw(level="GLOBAL", reason="drill", actor="alice", now=timezone.now())


def release() -> KillSwitch:
    halt = KillSwitch.objects.create(level="GLOBAL", reason="drill", thrown_by="alice")
    return halt_release(halt_id=halt.pk, reason="over", actor="alice", now=timezone.now())


def elsewhere(pool: ThreadPoolExecutor, work: Callable[[], object]) -> Future[object]:
    """Do it on a connection of its own."""

    def run() -> object:
        try:
            return work()
        finally:
            connection.close()

    return pool.submit(run)


@pytest.mark.parametrize("act", [throw, release])
def test_an_act_waits_for_decisions_that_are_being_made(act: Callable[[], KillSwitch]) -> None:
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            share_kill_lock()
            acting = elsewhere(pool, act)
            with pytest.raises(TimeoutError):
                acting.result(timeout=0.3)
        acting.result(timeout=5)


@pytest.mark.parametrize("act", [throw, release])
def test_a_decision_waits_for_an_act_and_then_sees_it(act: Callable[[], KillSwitch]) -> None:
    def decide() -> int:
        with transaction.atomic():
            share_kill_lock()
            return KillSwitch.objects.filter(released_at=None).count()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            act()
            deciding = elsewhere(pool, decide)
            with pytest.raises(TimeoutError):
                deciding.result(timeout=0.3)
        assert deciding.result(timeout=5) == (1 if act is throw else 0)


def test_decisions_do_not_wait_for_each_other() -> None:
    both_hold_it = threading.Barrier(2, timeout=5)

    def decide() -> None:
        with transaction.atomic():
            share_kill_lock()
            both_hold_it.wait()

    with ThreadPoolExecutor(2) as pool:
        for deciding in [elsewhere(pool, decide), elsewhere(pool, decide)]:
            deciding.result(timeout=6)
