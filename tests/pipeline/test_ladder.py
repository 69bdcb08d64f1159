"""The loss ladder and the pause of repeated entries do the same in the pipeline as in the fold."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from django.core.exceptions import ObjectDoesNotExist
from django.test import override_settings
from django.utils import timezone

from alphapanda.core.clock import ist_day
from alphapanda.core.vocabulary import DeploymentStatus
from alphapanda.deploying import Definition
from alphapanda.proof import parity
from marketdata.domain.stretch import stretch_of
from marketdata.domain.ticks import FIRST_SEQ
from marketdata.reference import YESBANK_FILES
from risk import loading
from risk.models import Alert, LimitSet
from risk.services.halts import halt_throw
from strategies import loading as commands_of
from strategies.models import Command, Deployment
from tests.pipeline.hand import Hand, first_days, packed, recording, seeded

pytestmark = pytest.mark.django_db(transaction=True)
FILES = [str(YESBANK_FILES[0])]
YESBANK = ("NSE:YESBANK",)
LADDER = {"daily_loss": "50", "loss_cancel": "80", "loss_flatten": "160"}
ALONE = [
    Definition("wall", "wall", YESBANK, limits=LADDER),
    Definition("crossing", "ema_cross", YESBANK, {"fast": 3, "slow": 8, "quantity": 200}, limits=LADDER),
]
TOGETHER = [msgspec.structs.replace(definition, limits={}) for definition in ALONE]
SHARED = {"level": "GLOBAL"} | {name: Decimal(limit) for name, limit in LADDER.items()}


@pytest.fixture(autouse=True)
def own_strategies(settings) -> None:
    settings.STRATEGIES = Path(__file__).parent / "own"


def played(monkeypatch, definitions, *, batch: int, levels: list[dict], days: int) -> dict:
    """The rows of the pipeline over the first days, after they were compared with those of the fold."""
    recorded = recording(FILES, definitions)
    source = recorded.source()
    items = first_days(source.iter_from(), days)
    with override_settings(SHARDS=1):
        seeded(definitions)
    for values in levels:
        LimitSet.objects.create(**values)
    hand = Hand(packed(items, source=source.source, batch=batch))
    hand.attach(monkeypatch)
    hand.run()

    stream = [stretch_of(items, first_seq=FIRST_SEQ)]
    runs = recorded.fold(stream, source=source.source, levels=loading.levels())
    found = parity.of_database()
    assert parity.compare(parity.of_accounts([run.account for run in runs]), found) == (0, [])
    return found


def acts(rows: dict, name: str) -> set[str]:
    """What the ladder made a deployment do."""
    return {row["kind"] for row in rows[name]["signals"] if row["origin"] == "LADDER"}


@pytest.mark.parametrize(
    ("definitions", "levels", "batch", "days"), [(ALONE, [], 2000, 1), (TOGETHER, [SHARED], 61, 2)]
)
def test_the_ladder(monkeypatch, definitions, levels, batch, days):
    rows = played(monkeypatch, definitions, batch=batch, levels=levels, days=days)

    assert acts(rows, "wall") == {"CANCEL", "ORDER"}
    rules = {row["rule"] for kinds in rows.values() for row in kinds["decisions"]}
    assert rules >= {"daily_loss", "exit", "cancel"}
    assert [row["quantity"] for kinds in rows.values() for row in kinds["positions"]] == [0, 0]
    fired = Alert.objects.filter(code="loss_ladder")
    assert {alert.severity for alert in fired} == {"CRITICAL"}
    told = [
        alert.text.partition(":")[0][-1] for alert in fired.filter(deployment__name="wall").order_by("pk")
    ]
    assert told == ["2", "3"] * days, "a rung is news though nobody has taken the one before"
    assert Deployment.objects.filter(is_laddered=True).count() == 2


def test_the_second_rung_cancels_entries_and_closes_nothing(monkeypatch):
    """What it asks for is asked of the rows themselves: both sides of the comparison are the same machine."""
    limits = {name: LADDER[name] for name in ("daily_loss", "loss_cancel")}
    definition = msgspec.structs.replace(ALONE[0], limits=limits)

    rows = played(monkeypatch, [definition], batch=500, levels=[], days=1)["wall"]

    (asked,) = [row for row in rows["signals"] if row["origin"] == "LADDER"]
    assert (asked["kind"], asked["reason"]) == ("CANCEL", "loss ladder: cancel")
    (resting,) = [row for row in rows["orders"] if row["id"] == asked["target"]]
    assert (resting["status"], resting["side"], resting["filled_quantity"]) == ("CANCELLED", "BUY", 0)
    closed = {row["origin"] for row in rows["signals"] if row["side"] == "SELL"}
    assert closed == {"SQUARE_OFF"}, "the position is left to the end of the day"


def test_nothing_enters_after_the_ladder_until_the_next_session(monkeypatch):
    rows = played(monkeypatch, ALONE[:1], batch=500, levels=[], days=2)["wall"]

    days = {ist_day(row["at_ms"]) for row in rows["signals"]}
    assert len(days) == 2
    for day in days:
        down_ms = [
            row["at_ms"]
            for row in rows["signals"]
            if row["origin"] == "LADDER" and ist_day(row["at_ms"]) == day
        ]
        entered_ms = [
            row["at_ms"]
            for row in rows["decisions"]
            if row["rule"] == "within_limits" and ist_day(row["at_ms"]) == day
        ]
        assert entered_ms
        assert max(entered_ms) < min(down_ms, default=2**63)
    assert any(row["origin"] == "LADDER" for row in rows["signals"])


def test_repeated_entries_pause_the_deployment_the_same_way(monkeypatch):
    limits = {"repeated_entries": 3, "repeated_ms": 3_600_000}
    definition = msgspec.structs.replace(ALONE[1], limits=limits)

    rows = played(monkeypatch, [definition], batch=300, levels=[], days=1)

    rules = [row["rule"] for row in rows["crossing"]["decisions"]]
    assert rules.count("within_limits") >= 3
    assert "repeated_entries" in rules
    after = rules[rules.index("repeated_entries") :]
    assert set(after) <= {"repeated_entries", "exit"}
    assert Deployment.objects.get().status == DeploymentStatus.PAUSED
    assert Alert.objects.get().code == "repeated_entries"
    with pytest.raises(ObjectDoesNotExist):
        Alert.objects.get(code="loss_ladder")


@pytest.mark.parametrize(("kind", "acts_by_kind"), [("CANCEL", {"CANCEL"}), ("FLATTEN", {"CANCEL", "ORDER"})])
def test_a_halt_in_steps_is_replayed_at_its_steps(monkeypatch, kind, acts_by_kind):
    """Thrown while the log is being read: what works is cancelled, what is held closed, nothing enters again."""
    definition = msgspec.structs.replace(ALONE[0], limits={})
    recorded = recording(FILES, [definition])
    source = recorded.source()
    items = first_days(source.iter_from(), 1)
    seeded([definition])
    hand = Hand(packed(items, source=source.source, batch=50))
    hand.attach(monkeypatch)
    every, hand.readers[0].values = hand.readers[0].values, hand.readers[0].values[:3]
    hand.run()
    halt_throw(level="GLOBAL", step=kind, reason="drill", actor="alice", now=timezone.now())
    hand.readers[0].values = every
    hand.run()

    (command,) = Command.objects.all()
    assert command.step
    rows = parity.of_database()["wall"]
    asked = [row for row in rows["signals"] if row["origin"] == "OPERATOR"]
    assert {row["kind"] for row in asked} == acts_by_kind
    assert {row["step"] for row in asked} == {command.step}
    later = [row for row in rows["decisions"] if row["at_ms"] > asked[0]["at_ms"]]
    assert {row["rule"] for row in later if not row["is_approved"]} == {"kill_switch"}
    commands = {command.deployment_id: {command.step: commands_of.command_row(command)}}
    stream = [stretch_of(items, first_seq=FIRST_SEQ)]
    (run,) = recorded.fold(stream, source=source.source, commands=commands)
    replayed = parity.of_accounts([run.account])["wall"]["signals"]
    assert [row for row in replayed if row["step"] == command.step] == asked
