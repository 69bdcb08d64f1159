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
from risk.models import KillSwitch
from risk.services.halts import HaltNotFound, HaltReasonMissing, HaltTargetInvalid, halt_release, halt_throw
from tests.people import client_of
from tests.rows import SOME, a_deployment

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
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "halt_target_invalid")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "halt_not_found")


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
