"""A session with a person behind each entry is the same in the pipeline and in its replay, row by row."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import override_settings
from django.utils import timezone

from alphapanda.deploying import Definition
from alphapanda.proof import parity
from execution.models import Order
from marketdata.reference import YESBANK_FILES
from risk import loading
from risk.models import Decision
from risk.services.approvals import approvals_answer
from risk.services.halts import halt_release, halt_throw
from strategies import loading as commands_of
from strategies.models import Approval, Command, Deployment, Signal
from strategies.services.approvals import approvals_expire
from strategies.services.lifecycle import deployment_pause, deployment_start
from tests.pipeline.hand import Hand, packed, recording, seeded

FILES = [str(YESBANK_FILES[0])]
WAIT_S = 900
ASKING = [
    Definition(
        "asking",
        "ema_cross",
        ("NSE:YESBANK",),
        {"fast": 3, "slow": 8, "quantity": 200},
        execution={"approval_s": WAIT_S},
    )
]
State = Approval.State


class Session:
    """A recorded session in messages of a few items; between two of them a person acts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, batch: int = 50, items: int = 400) -> None:
        self.items = items
        self.recorded = recording(FILES, ASKING)
        self.source = self.recorded.source()
        with override_settings(SHARDS=1):
            seeded(ASKING)
        self.every = packed(list(self.source.iter_from())[:items], source=self.source.source, batch=batch)
        self.hand = Hand(self.every)
        self.hand.attach(monkeypatch)

    def go(self, act: Callable[[int], None]) -> None:
        for until in range(1, len(self.every) + 1):
            self.hand.readers[0].values = self.every[:until]
            self.hand.run()
            act(until)
        self.hand.run()

    def differing(self, *, is_blind: bool = False) -> int:
        """Rows of the replay, from ticks, commands and oversights alone, that are not those of the pipeline;
        `is_blind`: without what the person did."""
        commands: dict = {}
        for row in [] if is_blind else Command.objects.exclude(step=None).select_related("entry__instrument"):
            commands.setdefault(row.deployment_id, {})[row.step] = commands_of.command_row(row)
        runs = self.recorded.fold(
            self.source.stretches(0, self.items),
            source=self.source.source,
            commands=commands,
            oversights=loading.oversights(),
        )
        return parity.compare(parity.of_accounts([run.account for run in runs]), parity.of_database())[0]


def waiting() -> list:
    return list(
        Approval.objects.filter(state=State.WAITING).order_by("asked_at").values_list("pk", flat=True)
    )


def answer(ids: list, *, is_approved: bool = True) -> None:
    by = {"actor": "alice", "reason": "drill", "now": timezone.now()}
    assert not [one for one in approvals_answer(signal_ids=ids, is_approved=is_approved, **by) if one.problem]


def states() -> dict[str, int]:
    every = list(Approval.objects.values_list("state", flat=True))
    return {state: every.count(state) for state in every}


@pytest.mark.django_db(transaction=True)
def test_a_session_with_approvals_is_replayed_row_by_row(monkeypatch):
    """Of every three entries the first is approved, the second denied, the third left to itself."""
    session, answered = Session(monkeypatch, batch=29, items=1_500), []

    def act(_until: int) -> None:
        for one in waiting():
            if one not in answered:
                answered.append(one)
                if len(answered) % 3:
                    answer([one], is_approved=len(answered) % 3 == 1)
        approvals_expire(now=timezone.now())

    session.go(act)

    found = states()
    found[State.EXPIRED] = found.get(State.EXPIRED, 0) + found.get(State.REPLACED, 0)  # left to itself
    assert min(found.get(state, 0) for state in (State.APPROVED, State.DENIED, State.EXPIRED)) > 0, found
    again = Signal.objects.exclude(approves=None).select_related("approves", "decision")
    assert {row.decision.rule for row in again} <= {"within_limits", "exit"}
    assert all(row.at_ms >= row.approves.at_ms and row.step > row.approves.step for row in again)
    assert Order.objects.count() > again.count(), "exits have orders without anybody's approval"
    assert Decision.objects.filter(rule="exit", is_approved=True).exists()
    assert session.differing() == 0
    assert session.differing(is_blind=True) > 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("what", ["halt", "pause", "halt and release", "late"])
def test_an_approval_that_was_dropped_before_it_was_carried_out_places_nothing(monkeypatch, what: str):
    """The person approves, and before the deployment takes that up somebody else stops it."""
    session, done = Session(monkeypatch), []
    by = {"actor": "bob", "reason": "enough", "now": timezone.now()}

    def act(_until: int) -> None:
        if done or not (ids := waiting()):
            return
        answer(ids)
        done.extend(ids)
        deployment = Deployment.objects.get()
        if what.startswith("halt"):
            halt = halt_throw(level="GLOBAL", step="PAUSE", **by)
            if what == "halt and release":
                halt_release(halt_id=halt.pk, **by)
        elif what == "pause":
            deployment_pause(deployment_id=deployment.pk, **by)
            deployment_start(deployment_id=deployment.pk, **by)
        else:  # whoever was to carry it out was away for longer than the entry may wait
            later = timezone.now() + timedelta(seconds=WAIT_S)
            monkeypatch.setattr("risk.services.decisions.timezone.now", lambda: later)

    session.go(act)

    again = Signal.objects.get(approves__in=done)
    assert not again.decision.is_approved
    assert again.decision.rule == ("kill_switch" if what == "halt" else "approval")
    told = "carried out too late" if what == "late" else "dropped"
    assert what == "halt" or told in again.decision.reason
    assert Approval.objects.get(pk=done[0]).state == (State.APPROVED if what == "late" else State.DROPPED)
    assert not Order.objects.filter(decision=again.decision).exists()
    assert session.differing() == 0


@pytest.mark.django_db(transaction=True)
def test_another_entry_in_the_instrument_takes_the_place_of_the_one_that_waits(monkeypatch):
    monkeypatch.setitem(ASKING[0].execution, "approval_s", 21_600)
    session = Session(monkeypatch)
    session.go(lambda _until: None)

    found = states()
    assert found[State.REPLACED] > 0
    assert found[State.WAITING] == 1, "only the newest is what the strategy wants"
    newest = Signal.objects.order_by("step", "ordinal").last()
    assert waiting() == [newest.pk]
    assert not Order.objects.exists()
