"""A replay repeats what people did: halts, releases, pauses and starts count at the steps at which they did."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.test import override_settings
from django.utils import timezone

from alphapanda.core.vocabulary import DeploymentStatus
from alphapanda.deploying import Definition
from alphapanda.proof import parity
from marketdata.domain.stretch import stretch_of
from marketdata.domain.ticks import FIRST_SEQ
from marketdata.reference import YESBANK_FILES
from portfolio.models import Position
from risk import loading
from risk.domain.context import Outside
from risk.domain.oversight import Change, Oversight, change_at
from risk.models import Decision, LimitSet
from risk.services.decisions import signals_decide
from risk.services.halts import halt_release, halt_throw
from strategies import loading as commands_of
from strategies.models import Command, Deployment, Signal
from strategies.services.lifecycle import deployment_pause, deployment_start
from tests.pipeline.hand import Hand, first_days, packed, recording, seeded

FILES = [str(YESBANK_FILES[0])]
YESBANK = ("NSE:YESBANK",)
TWO = [
    Definition("one", "ema_cross", YESBANK, {"fast": 3, "slow": 8, "quantity": 200}),
    Definition("two", "mean_reversion", YESBANK, {"quantity": 100}),
]


def acted(hand: Hand, until: int, every: list[bytes]) -> None:
    hand.readers[0].values = every[:until]
    hand.run()


@pytest.mark.django_db(transaction=True)
def test_a_replay_sees_what_people_did_where_the_pipeline_saw_it(monkeypatch):
    recorded = recording(FILES, TWO)
    source = recorded.source()
    with override_settings(SHARDS=1):
        seeded(TWO)
    items = first_days(source.iter_from(), 1)
    every = packed(items, source=source.source, batch=50)
    hand = Hand(every)
    hand.attach(monkeypatch)
    one = Deployment.objects.get(name="one")
    by_hand = {"reason": "drill", "actor": "alice", "now": timezone.now()}
    share = len(every) // 6

    acted(hand, share, every)
    halt = halt_throw(level="GLOBAL", step="PAUSE", **by_hand)
    acted(hand, 2 * share, every)
    halt_release(halt_id=halt.pk, **by_hand)
    acted(hand, 3 * share, every)
    deployment_pause(deployment_id=one.id, **by_hand)
    acted(hand, 4 * share, every)
    deployment_start(deployment_id=one.id, **by_hand)
    halt_throw(level="BROKER", broker="paper", step="FLATTEN", **by_hand)
    acted(hand, len(every), every)

    found = parity.of_database()
    rules = {row["rule"] for kinds in found.values() for row in kinds["decisions"]}
    assert {"kill_switch", "deployment_status", "within_limits"} <= rules
    commands: dict = {}
    for row in Command.objects.exclude(step=None):
        commands.setdefault(row.deployment_id, {})[row.step] = commands_of.command_row(row)
    oversights = loading.oversights()
    assert [change.seen.status for change in oversights[one.id]].count(DeploymentStatus.PAUSED) == 1
    stream = [stretch_of(items, first_seq=FIRST_SEQ)]
    runs = recorded.fold(stream, source=source.source, commands=commands, oversights=oversights)
    assert parity.compare(parity.of_accounts([run.account for run in runs]), found) == (0, [])
    blind = recorded.fold(stream, source=source.source, commands=commands)
    assert parity.compare(parity.of_accounts([run.account for run in blind]), found)[0] > 0


ITEMS = 1_500
LADDER = {"daily_loss": Decimal(50), "loss_cancel": Decimal(80), "loss_flatten": Decimal(160)}
# What bounds each deployment in each fifth of the run.
FIFTHS: list[list[dict[str, Any]]] = [
    [{}, {"order_quantity": 150}, {}, {"gross_exposure": Decimal(1)}, {"order_quantity": 50}],
    [{}, LADDER, {name: 3 * limit for name, limit in LADDER.items()}, {}, LADDER],
    [LADDER, {}, {"daily_orders": 1}, LADDER, {}],
]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("fifths", "batch"), zip(FIFTHS, (40, 7, 21), strict=True))
def test_a_replay_sees_limits_change_where_the_pipeline_saw_it(monkeypatch, settings, fifths, batch):
    settings.STRATEGIES = Path(__file__).parent / "own"
    definitions = [TWO[0], Definition("wall", "wall", YESBANK)]
    recorded = recording(FILES, definitions)
    source = recorded.source()
    with override_settings(SHARDS=1):
        seeded(definitions)
    rows = {row.name: row for row in Deployment.objects.all()}
    every = packed(list(source.iter_from())[:ITEMS], source=source.source, batch=batch)
    hand = Hand(every)
    hand.attach(monkeypatch)
    for number, limits in enumerate(fifths, 1):
        LimitSet.objects.all().delete()
        for row in rows.values():
            if limits:
                LimitSet.objects.create(level="DEPLOYMENT", deployment=row, **limits)
        acted(hand, number * len(every) // len(fifths), every)

    found = parity.of_database()
    oversights = loading.oversights()
    assert max(len({change.seen.limits for change in changes}) for changes in oversights.values()) > 1
    runs = recorded.fold(source.stretches(0, ITEMS), source=source.source, oversights=oversights)
    assert parity.compare(parity.of_accounts([run.account for run in runs]), found) == (0, [])
    blind = recorded.fold(source.stretches(0, ITEMS), source=source.source, levels=loading.levels())
    assert parity.compare(parity.of_accounts([run.account for run in blind]), found)[0] > 0


def everything_counts(*units: int) -> tuple[Outside, ...]:
    return tuple(Outside("NSE:OTHERS", "NRML", one, price_e4=10_000) for one in units)


@pytest.mark.django_db(transaction=True)
def test_a_replay_counts_what_the_account_held_outside_where_it_was_counted(monkeypatch):
    recorded = recording(FILES, [TWO[0]])
    source = recorded.source()
    with override_settings(SHARDS=1):
        seeded([TWO[0]])
    LimitSet.objects.create(level="BROKER", broker="paper", gross_exposure=Decimal(1_000_000))
    every = packed(list(source.iter_from())[:ITEMS], source=source.source, batch=40)
    hand = Hand(every)
    hand.attach(monkeypatch)
    for number, units in enumerate([0, 2_000_000, 5, -2_000_000], 1):
        outside = everything_counts(units)
        monkeypatch.setattr(loading, "outside_of", lambda _broker, outside=outside: outside)
        acted(hand, number * len(every) // 4, every)

    found = parity.of_database()
    rules = {row["rule"] for kinds in found.values() for row in kinds["decisions"]}
    assert {"gross_exposure", "within_limits"} <= rules
    oversights = loading.oversights()
    runs = recorded.fold(source.stretches(0, ITEMS), source=source.source, oversights=oversights)
    assert parity.compare(parity.of_accounts([run.account for run in runs]), found) == (0, [])
    blind = recorded.fold(source.stretches(0, ITEMS), source=source.source, levels=loading.levels())
    assert parity.compare(parity.of_accounts([run.account for run in blind]), found)[0] > 0


HELD = Definition(
    "held",
    "ema_cross",
    YESBANK,
    {"fast": 3, "slow": 8, "quantity": 200},
    limits={"repeated_entries": 1, "repeated_ms": 3_600_000},
)


@pytest.mark.django_db(transaction=True)
def test_a_replay_lets_go_what_a_person_has_started_again_before_it_wished_for_anything(monkeypatch):
    recorded = recording(FILES, [HELD])
    source = recorded.source()
    items = list(source.iter_from())[: ITEMS // 2]
    with override_settings(SHARDS=1):
        seeded([HELD])
    hand = Hand(packed(items, source=source.source, batch=50))
    hand.attach(monkeypatch)
    one = Deployment.objects.get()
    settle = hand.settle

    def start_again(deployment: str) -> None:
        settle(deployment)
        if Deployment.objects.get().status == DeploymentStatus.PAUSED:
            deployment_start(deployment_id=one.id, reason="drill", actor="alice", now=timezone.now())

    hand.settle = start_again
    hand.run()

    found = parity.of_database()
    rules = [row["rule"] for kinds in found.values() for row in kinds["decisions"]]
    assert rules.count("repeated_entries") > 1
    assert "deployment_status" not in rules
    oversights = loading.oversights()
    assert {change.seen.status for change in oversights[one.id]} == {DeploymentStatus.RUNNING}
    runs = recorded.fold(source.stretches(0, ITEMS // 2), source=source.source, oversights=oversights)
    assert parity.compare(parity.of_accounts([run.account for run in runs]), found) == (0, [])


@pytest.mark.django_db(transaction=True)
def test_who_enters_too_often_in_the_step_that_lets_it_go_is_held_anew(monkeypatch):
    source = recording(FILES, [HELD]).source()
    with override_settings(SHARDS=1):
        seeded([HELD])
    hand = Hand(packed(list(source.iter_from())[:ITEMS], source=source.source, batch=50))
    hand.attach(monkeypatch)
    hand.run()
    one = Deployment.objects.get()
    assert one.status == DeploymentStatus.PAUSED
    deployment_start(deployment_id=one.id, reason="drill", actor="alice", now=timezone.now())
    position = Position.objects.get(book_id=one.id).quantity
    entry = Signal.objects.filter(decision__rule="repeated_entries").latest("step")
    assert position * (1 if entry.side == "BUY" else -1) >= 0, "more of it is an entry"
    for ordinal in range(2):
        entry.id, entry.ordinal, entry.state = uuid4(), 10 + ordinal, Signal.State.NEW
        entry.save(force_insert=True)

    assert signals_decide(deployment_id=one.id, calendar=hand.calendar) == 2

    rules = Decision.objects.filter(signal__ordinal__gte=10).order_by("signal__ordinal")
    assert list(rules.values_list("rule", flat=True)) == ["within_limits", "repeated_entries"]
    assert Deployment.objects.get().status == DeploymentStatus.PAUSED


def test_what_is_seen_holds_until_it_changes():
    halted = Oversight(halts=("GLOBAL: drill",))
    changes = [Change(5, halted), Change(9, Oversight())]
    found = [change_at(changes, step) for step in (4, 5, 8, 9)]
    assert [change and change.seen for change in found] == [None, halted, halted, Oversight()]
    looked = [Change(5, halted, is_look=True), Change(5, Oversight()), Change(9, halted)]
    assert [change_at(looked, step, is_look=True) for step in (5, 6, 9)] == [looked[0], *looked[1:2] * 2]
    assert change_at(looked, 5) == looked[1]
