"""What others do is on Journal, Reconciliation and Approvals by a push alone: these pages have no look of their own
here. `--log-cli-level INFO` tells how long each took."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from alphapanda.core.vocabulary import Side
from alphapanda.eventlog import outbox
from alphapanda.eventlog.relay import Relay
from alphapanda.proof.browser import Person
from execution.models import Difference, ExternalOrder
from portfolio.journal import note_write
from portfolio.models import Position, Posting
from strategies.services.approvals import approvals_drop
from tests.browser.test_live import never_looking, relay, steps, told  # noqa: F401 (a fixture)
from tests.cockpit import world
from tests.rows import a_signal, an_approval

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("relay")]
log = logging.getLogger(__name__)
Act = Callable[[], str]


@pytest.fixture(autouse=True)
def both_namespaces(settings: Any) -> None:
    """As the web process has them: the pusher works in this one."""
    settings.BROKERS = ["paper", "zerodha"]


@pytest.fixture
def shown(operator: Person) -> Callable[..., None]:
    """A page that has no look of its own changes by what somebody does elsewhere; `act` tells by what that is seen."""

    def shown(path: str, act: Act, state: str = "attached") -> None:
        never_looking(operator, path)
        sight, began = act(), time.monotonic()
        operator.page.wait_for_selector(sight, state=state)
        log.info("%s %s after %.0f ms", path, state, 1000 * (time.monotonic() - began))
        assert operator.faults == []

    return shown


def test_a_note_of_another_person_is_in_the_journal(shown: Any) -> None:
    trade = Posting.objects.order_by("sequence").last().fill_id

    def note(*tags: str, revision: int) -> str:
        now = timezone.now()
        note_write(trade_id=trade, text="", tags=tags, revision=revision, actor="bob", now=now)
        return f"#trips-{trade}:has-text('told at once')"

    shown("/journal/", lambda: note("told at once", revision=0))
    shown("/journal/", lambda: note(revision=1), state="detached")


def test_a_trade_is_in_the_journal(shown: Any, desk: SimpleNamespace, relay: Relay) -> None:  # noqa: F811
    own = desk.deployments[5]
    held = Position.objects.get(book_id=own.pk)
    side = Side.SELL if held.quantity > 0 else Side.BUY

    def trade() -> str:
        """The position is closed, and another like it opened."""
        known = set(Posting.objects.values_list("fill_id", flat=True))
        for one in (side, side.opposite):
            events = world.trade(own, next(steps), one, abs(held.quantity), 8_124_500)
            with transaction.atomic():
                outbox.publish([envelope for envelope, _ in events])
        world.posted(but=known)
        told(relay)
        return f"#trips-{Posting.objects.order_by('sequence').last().fill_id}"

    shown("/journal/", trade)


def test_a_difference_comes_and_goes_on_reconciliation(shown: Any) -> None:
    def differ() -> str:
        now = timezone.now()
        facts = {"first_seen_at": now, "seen_at": now, "rounds": 1}
        found = Difference.objects.create(kind="POSITION", key="NSE:SBIN MIS", ours="3", theirs="0", **facts)
        return f"#differences-{found.pk}"

    def settle() -> str:
        found = Difference.objects.get(key="NSE:SBIN MIS", settled_at=None)
        found.settled_at, found.settled_by = timezone.now(), "the next look"
        found.save()
        return f"#differences-{found.pk}"

    shown("/reconciliation/?broker=zerodha", differ)
    shown("/reconciliation/?broker=zerodha", settle, state="detached")


def test_an_order_of_others_comes_and_goes_on_reconciliation(shown: Any) -> None:
    def place() -> str:
        snapshot = {"status": "OPEN", "side": "BUY", "quantity": 5}
        facts = {"instrument": "NSE:TCS", "snapshot": snapshot, "seen_at": timezone.now()}
        return f"#externals-{ExternalOrder.objects.create(broker_order_id='777', **facts).pk}"

    def end() -> str:
        ExternalOrder.objects.filter(pk="777").update(is_open=False)
        return "#externals-777"

    shown("/reconciliation/?broker=zerodha", place)
    shown("/reconciliation/?broker=zerodha", end, state="detached")


def test_an_entry_comes_to_wait_and_waits_no_more_on_approvals(shown: Any, desk: SimpleNamespace) -> None:
    def ask() -> str:
        return f"#waits-{an_approval(a_signal(desk.deployments[4], next(steps))).pk}"

    def drop() -> str:
        own = desk.deployments[4].pk
        with transaction.atomic():
            (signal,) = approvals_drop([own], why="it is over", actor="bob", now=timezone.now())
        return f"#waits-{signal}"

    shown("/approvals/", ask)
    shown("/approvals/", drop, state="detached")
