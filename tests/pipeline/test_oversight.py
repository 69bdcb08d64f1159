"""A replay repeats what people did: halts, releases, pauses and starts count at the steps at which they did."""

from __future__ import annotations

import pytest
from django.test import override_settings
from django.utils import timezone

from alphapanda.core.vocabulary import DeploymentStatus
from alphapanda.deploying import Definition
from alphapanda.proof import parity
from marketdata.reference import YESBANK_FILES
from risk import loading
from risk.domain.oversight import Oversight, seen_at
from risk.services.halts import halt_release, halt_throw
from strategies import loading as commands_of
from strategies.models import Command, Deployment
from strategies.services.lifecycle import deployment_pause, deployment_start
from tests.pipeline.hand import Hand, packed, recording, seeded

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
    every = packed(source.iter_from(), source=source.source, batch=50)
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
    assert [seen.status for _, seen in oversights[one.id]].count(DeploymentStatus.PAUSED) == 1
    runs = recorded.backtest(source, commands=commands, oversights=oversights)
    assert parity.compare(parity.of_accounts([run.account for run in runs]), found) == (0, [])
    blind = recorded.backtest(source, commands=commands)
    assert parity.compare(parity.of_accounts([run.account for run in blind]), found)[0] > 0


ITEMS = 1_500
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
    items = list(source.iter_from())[:ITEMS]
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
    assert {seen.status for _, seen in oversights[one.id]} == {DeploymentStatus.RUNNING}
    runs = recorded.fold(source.stretches(0, ITEMS), source=source.source, oversights=oversights)
    assert parity.compare(parity.of_accounts([run.account for run in runs]), found) == (0, [])


def test_what_is_seen_holds_until_it_changes():
    halted = Oversight(halts=("GLOBAL: drill",))
    changes = [(5, halted), (9, Oversight())]
    assert [seen_at(changes, step) for step in (4, 5, 8, 9)] == [None, halted, halted, Oversight()]
