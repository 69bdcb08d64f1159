"""Restarts: what is stopped, or loses its log, in the middle of a session goes on where it was."""

from __future__ import annotations

from collections.abc import Callable

from django.db import OperationalError, connection, transaction
from django.db.models import Min
from django.utils import timezone

from alphapanda.core.vocabulary import Waiting
from alphapanda.proof import parity
from alphapanda.stack import Stack
from strategies.models import Deployment
from strategies.services.lifecycle import deployment_start, deployment_stop

WAIT_S = 300.0  # a bound, no measure: machines are shared and slow
STANDS_ITEMS = 500  # what others read while one deployment is stopped
OPERATOR = {"actor": "proof", "reason": "restarts"}


class BooksDiffer(AssertionError):
    """The books did not add up in the middle of a run."""


def interrupt(stack: Stack, last_seq: int, tell: Callable[[str], None]) -> None:
    """Interrupt a paced run in three ways. Raises StackFailed, BooksDiffer."""
    acts = (stop_all, lose_log, stop_one)
    for number, act in enumerate(acts, start=1):
        goal = last_seq * number // (len(acts) + 1)
        stack.wait(lambda goal=goal: _reached() >= goal, timeout_s=WAIT_S, what=f"item {goal}")
        tell(f"{act.__name__} at {goal:,} of {last_seq:,}")
        act(stack)
        if wrong := parity.unbalanced():
            raise BooksDiffer(f"{wrong} differences after {act.__name__} at {goal}")


def stop_all(stack: Stack) -> None:
    """As by Ctrl-C, then the same command again: the embedded log is a new one."""
    stack.stop()
    connection.close()
    stack.start()


def lose_log(stack: Stack) -> None:
    """SIGKILL of the embedded log."""
    pid = stack.kill_server("kafka")
    stack.wait_restarted("kafka", pid)


def stop_one(stack: Stack) -> None:
    """An operator stops a deployment and starts it when the others have gone on."""
    one = Deployment.objects.order_by("name")[0]
    stack.wait(lambda: _stopped_between_signals(one), timeout_s=WAIT_S, what="moment between two signals")
    one.refresh_from_db()
    others = Deployment.objects.exclude(id=one.id)
    goal = one.seq + STANDS_ITEMS
    stack.wait(lambda: _reached(others) >= goal, timeout_s=WAIT_S, what="the other deployments")
    deployment_start(deployment_id=one.id, now=timezone.now(), **OPERATOR)


def _stopped_between_signals(deployment: Deployment) -> bool:
    """Stop it unless a signal of it is under way: risk would deny that one, as it should, and no backtest does."""
    with transaction.atomic():
        row = Deployment.objects.select_for_update().get(id=deployment.id)
        if row.waiting != Waiting.NOTHING:
            return False
        deployment_stop(deployment_id=row.id, now=timezone.now(), **OPERATOR)
        return True


def _reached(deployments: object = None) -> int:
    """The item up to which every deployment is done."""
    rows = Deployment.objects.all() if deployments is None else deployments
    try:
        return rows.aggregate(seq=Min("seq"))["seq"] or 0
    except OperationalError:
        connection.close()
        return 0
