"""Kill switches: thrown and released by service, by API, by command."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.models import AuditEntry
from alphapanda.eventlog.models import OutboxEvent
from portfolio.models import Position
from risk.models import Alert, KillSwitch
from risk.services.halts import HaltNotFound, HaltReasonMissing, HaltTargetInvalid, halt_release, halt_throw
from strategies.models import Command, Deployment
from tests.people import client_of
from tests.rows import SOME, a_book, a_deployment, an_instrument

pytestmark = pytest.mark.django_db
NOW = datetime(2019, 7, 9, 4, 0, tzinfo=UTC)
BY = {"actor": "alice", "reason": "drill", "now": NOW}


def test_thrown_twice_it_is_one_halt_and_after_its_release_there_may_be_another():
    first, again = (halt_throw(level="BROKER", broker="paper", **BY) for _ in range(2))
    halt_release(halt_id=first.pk, **BY)
    halt_release(halt_id=first.pk, **BY | {"actor": "bob"})
    new = halt_throw(level="BROKER", broker="paper", **BY)

    first.refresh_from_db()
    assert first == again != new
    assert (first.released_by, first.released_at) == ("alice", NOW)
    assert list(AuditEntry.objects.order_by("id").values_list("action", flat=True)) == [
        "halt.throw",
        "halt.release",
        "halt.throw",
    ]
    assert OutboxEvent.objects.filter(type="operator.acted").count() == 3


@pytest.mark.parametrize(
    "target",
    [
        {"level": "GLOBAL", "broker": "paper"},
        {"level": "BROKER"},
        {"level": "BROKER", "broker": "shared"},
        {"level": "DEPLOYMENT"},
        {"level": "DEPLOYMENT", "deployment_id": SOME},
        {"level": "ELSEWHERE"},
    ],
)
def test_a_halt_names_exactly_what_it_halts(target: dict):
    with pytest.raises(HaltTargetInvalid):
        halt_throw(**target, **BY)
    assert not KillSwitch.objects.exists()


def test_no_reason_no_halt_and_no_halt_no_release():
    with pytest.raises(HaltReasonMissing):
        halt_throw(level="GLOBAL", **BY | {"reason": ""})
    with pytest.raises(HaltNotFound):
        halt_release(halt_id=77, **BY)


@pytest.mark.django_db(transaction=True)
def test_thrown_by_many_at_once_it_is_one_halt():
    seen: list[int] = []

    def throw() -> None:
        seen.append(halt_throw(level="GLOBAL", **BY).pk)
        connection.close()

    threads = [threading.Thread(target=throw) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(seen) == 8
    assert len(set(seen)) == KillSwitch.objects.count() == OutboxEvent.objects.count() == 1


def test_over_rest():
    deployment = a_deployment()
    alice = client_of("alice")

    thrown = alice.post(
        "/api/v1/halts/", {"level": "DEPLOYMENT", "deployment": str(deployment.pk), "reason": "odd"}
    )
    active = alice.get("/api/v1/halts/", {"is_active": True}).json()["results"]
    released = alice.post(f"/api/v1/halts/{thrown.json()['id']}/release/", {"reason": "fine"})
    wrong = alice.post("/api/v1/halts/", {"level": "BROKER", "reason": "odd"})
    missing = alice.post("/api/v1/halts/99/release/", {"reason": "fine"})

    assert thrown.status_code == 201
    assert [halt["deployment_name"] for halt in active] == ["ma-infy"]
    assert released.json()["is_active"] is False
    assert released.json()["still_halted"] == []
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "halt_target_invalid")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "halt_not_found")


def test_a_release_names_the_halts_that_still_hold_there():
    own, other = a_deployment(), a_deployment("other")
    alice = client_of("alice")
    thrown = {
        level: halt_throw(level=level, **target, **BY).pk
        for level, target in (
            ("GLOBAL", {}),
            ("BROKER", {"broker": "paper"}),
            ("DEPLOYMENT", {"deployment_id": own.pk}),
        )
    }
    halt_throw(level="DEPLOYMENT", deployment_id=other.pk, **BY)
    halt_throw(level="BROKER", broker="zerodha", **BY)

    def still(level: str) -> list[str]:
        address = f"/api/v1/halts/{thrown[level]}/release/"
        return sorted(alice.post(address, {"reason": "fine"}).json()["still_halted"])

    assert still("DEPLOYMENT") == ["everything", "paper"]
    assert still("BROKER") == ["everything", "other"]
    assert still("GLOBAL") == ["other", "zerodha"]
    assert still("DEPLOYMENT") == []


def test_the_commands(capsys):
    a_deployment()
    call_command("halt", "global", "--reason", "drill", "--actor", "alice")
    call_command("halt", "deployment", "ma-infy", "--reason", "drill", "--json")
    halted = json.loads(capsys.readouterr().out.splitlines()[-1])
    call_command("release", "global", "--reason", "over", "--json")

    assert [row["target"] for row in halted] == ["ma-infy", ""]
    assert len(json.loads(capsys.readouterr().out)) == 1
    with pytest.raises(CommandError, match="no active halt"):
        call_command("release", "global", "--reason", "over")
    with pytest.raises(CommandError, match="names exactly"):
        call_command("halt", "broker", "--reason", "x")


def test_a_halt_goes_further_and_never_back(capsys):
    runs, holds = a_deployment("runs"), a_deployment("holds", status="STOPPED")
    a_deployment("flat", status="STOPPED")
    a_deployment("other", broker="zerodha")
    Position.objects.create(book=a_book(holds), instrument=an_instrument(), quantity=5)
    halt = halt_throw(level="BROKER", broker="paper", **BY)
    assert not Command.objects.exists()

    for step in ("FLATTEN", "CANCEL", "PAUSE", "FLATTEN"):
        halt_throw(level="BROKER", broker="paper", step=step, **BY)

    halt.refresh_from_db()
    assert halt.step == "FLATTEN"
    command = Command.objects.get()
    assert (command.deployment_id, command.kind, command.actor) == (runs.pk, "FLATTEN", "alice")
    (alert,) = Alert.objects.all()
    assert (alert.severity, alert.code) == ("CRITICAL", "halt_out_of_reach")
    assert "holds" in alert.text
    assert "flat" not in alert.text.split(";")[0].split(": ")[1]
    acts = list(AuditEntry.objects.order_by("id").values_list("action", "details__step"))
    assert acts == [("halt.throw", "PAUSE"), ("halt.escalate", "FLATTEN")]


def test_thrown_again_it_reaches_who_could_not_be_told_and_nobody_twice():
    a_deployment("runs")
    holds, flat = a_deployment("holds", status="STOPPED"), a_deployment("flat", status="STOPPED")
    Position.objects.create(book=a_book(holds), instrument=an_instrument(), quantity=5)
    halt_throw(level="GLOBAL", step="FLATTEN", **BY)
    assert Command.objects.get().deployment.name == "runs"

    Deployment.objects.filter(pk__in=[holds.pk, flat.pk]).update(status="RUNNING")
    for step in ("PAUSE", "FLATTEN", "FLATTEN", "CANCEL"):
        halt_throw(level="GLOBAL", step=step, **BY | {"reason": "it runs again"})
        assert Command.objects.filter(deployment=holds).count() == (step != "PAUSE")
        Command.objects.filter(deployment=holds, step=None).update(step=7)

    assert sorted(Command.objects.values_list("deployment__name", "kind")) == [
        ("holds", "FLATTEN"),
        ("runs", "FLATTEN"),
    ]
    again = AuditEntry.objects.get(action="halt.repeat")
    assert (again.details["told"], again.reason) == (["holds"], "it runs again")


def test_steps_by_command_and_api(capsys):
    runs = a_deployment("runs")

    for step in ("cancel", "CANCEL"):
        call_command("halt", "deployment", "runs", "--step", step, "--reason", "drill", "--json")
        assert json.loads(capsys.readouterr().out)[0]["step"] == "CANCEL"
    answer = client_of("alice").post(
        "/api/v1/halts/",
        {"level": "DEPLOYMENT", "deployment": str(runs.pk), "step": "FLATTEN", "reason": "drill"},
    )
    assert (answer.status_code, answer.json()["step"]) == (201, "FLATTEN")
    assert sorted(Command.objects.values_list("kind", flat=True)) == ["CANCEL", "FLATTEN"]
    wrong = {"level": "GLOBAL", "step": "REVOKE", "reason": "drill"}
    assert client_of("alice").post("/api/v1/halts/", wrong).status_code == 400
    with pytest.raises(HaltTargetInvalid, match="'REVOKE' is not one of PAUSE, CANCEL, FLATTEN"):
        halt_throw(level="GLOBAL", step="REVOKE", **BY)
