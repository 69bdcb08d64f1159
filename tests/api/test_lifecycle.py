"""Starting, pausing, stopping and releasing deployments: by service, by API, by command."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command

from accounts.models import AuditEntry
from alphapanda.core.envelope import decode
from alphapanda.core.vocabulary import CommandKind
from alphapanda.eventlog.models import OutboxEvent
from execution.models import Order
from strategies.models import Command, Deployment
from strategies.services.lifecycle import (
    ACTS,
    DeploymentNotFound,
    DeploymentNotStopped,
    IllegalTransition,
    NotItsInstrument,
    ReasonMissing,
    StrategyNotEnabled,
    command_give,
    deployment_configure,
    deployment_exit,
    deployment_flatten,
    deployment_release_quarantine,
    deployment_start,
)
from tests.people import client_of
from tests.rows import SOME, a_decision, a_deployment, a_signal, an_order

pytestmark = pytest.mark.django_db
NOW = datetime(2019, 7, 9, 4, 0, tzinfo=UTC)
BY = {"actor": "alice", "reason": "drill", "now": NOW}

LEGAL = {
    ("PAUSED", "start"): "RUNNING",
    ("STOPPED", "start"): "RUNNING",
    ("RUNNING", "pause"): "PAUSED",
    ("RUNNING", "stop"): "STOPPED",
    ("PAUSED", "stop"): "STOPPED",
    ("QUARANTINED", "release_quarantine"): "RUNNING",
    ("RUNNING", "flatten"): "PAUSED",
    ("PAUSED", "flatten"): "PAUSED",
    # asked for where it is already: nothing happens
    ("RUNNING", "start"): "RUNNING",
    ("PAUSED", "pause"): "PAUSED",
    ("STOPPED", "stop"): "STOPPED",
    ("RUNNING", "release_quarantine"): "RUNNING",
}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("status", ["RUNNING", "PAUSED", "STOPPED", "QUARANTINED"])
def test_every_status_and_act(status: str, act: str):
    deployment = a_deployment(status=status, error="boom" if status == "QUARANTINED" else "")

    if (status, act) not in LEGAL:
        with pytest.raises(IllegalTransition):
            ACTS[act](deployment_id=deployment.pk, **BY)
    else:
        assert ACTS[act](deployment_id=deployment.pk, **BY).status == LEGAL[status, act]
    deployment.refresh_from_db()
    changed = deployment.status != status
    assert deployment.revision == (1 if changed else 0)
    acts = (1 if changed else 0) + Command.objects.count()
    assert AuditEntry.objects.count() == OutboxEvent.objects.count() == acts


def test_flattening_pauses_and_leaves_one_command_however_often_it_is_asked_for():
    deployment = a_deployment(status="RUNNING")

    for _ in range(2):
        deployment_flatten(deployment_id=deployment.pk, **BY)

    command = Command.objects.get()
    assert (command.kind, command.reason, command.actor, command.step) == (
        "FLATTEN",
        "flatten: drill",
        "alice",
        None,
    )
    assert [entry.action for entry in AuditEntry.objects.order_by("id")] == [
        "deployment.pause",
        "deployment.flatten",
    ]


@pytest.mark.parametrize("status", ["RUNNING", "PAUSED"])
def test_an_exit_of_one_instrument_leaves_the_state_and_one_command(status: str):
    deployment = a_deployment(status=status)
    facts = {"deployment_id": deployment.pk, "instrument": "NSE:INFY"} | BY

    for _ in range(2):
        assert deployment_exit(**facts).status == status

    command = Command.objects.get()
    assert (command.kind, str(command.instrument), command.reason) == ("EXIT", "NSE:INFY", "exit: drill")
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.details["instrument"]) == ("deployment.exit", "NSE:INFY")
    with pytest.raises(NotItsInstrument, match="it trades NSE:INFY"):
        deployment_exit(**facts | {"instrument": "NSE:TCS"})
    with pytest.raises(ReasonMissing):
        deployment_exit(**facts | {"reason": " "})


@pytest.mark.parametrize("status", ["STOPPED", "QUARANTINED"])
def test_what_reads_nothing_exits_nothing(status: str):
    deployment = a_deployment(status=status)
    with pytest.raises(IllegalTransition, match=f"is {status}: exit is not possible"):
        deployment_exit(deployment_id=deployment.pk, instrument="NSE:INFY", **BY)
    with pytest.raises(
        IllegalTransition, match=f"is {status}: flatten is not possible, for it reads nothing"
    ):
        deployment_flatten(deployment_id=deployment.pk, **BY)
    assert not Command.objects.exists()


def test_an_exit_is_asked_for_over_rest_and_by_command(capsys):
    deployment = a_deployment(status="RUNNING")
    alice, address = client_of("alice"), f"/api/v1/deployments/{deployment.pk}/exit/"

    told = alice.post(address, {"instrument": "NSE:INFY", "reason": "news"})
    strange = alice.post(address, {"instrument": "NSE:TCS", "reason": "news"})
    unsaid = alice.post(address, {"reason": "news"})
    call_command("deployments", "exit", "ma-infy", "--instrument", "NSE:INFY", "--reason", "x", "--json")

    assert (told.status_code, told.json()["status"]) == (200, "RUNNING")
    assert (strange.status_code, strange.json()["error"]["code"]) == (400, "not_its_instrument")
    assert list(unsaid.json()["error"]["fields"]) == ["instrument"]
    assert [row["status"] for row in json.loads(capsys.readouterr().out)] == ["RUNNING"]
    assert Command.objects.get().reason == "exit: news"


def test_an_act_tells_who_what_where_in_the_log_and_why():
    deployment = a_deployment(status="QUARANTINED", error="boom", step=41)

    released = deployment_release_quarantine(deployment_id=deployment.pk, **BY)

    assert released.error == ""
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action) == ("alice", "deployment.release_quarantine")
    assert (entry.target, entry.reason) == ("deployment:ma-infy", "drill")
    assert entry.details == {"from": "QUARANTINED", "to": "RUNNING", "step": 41, "revision": 1}
    envelope, payload = decode(bytes(OutboxEvent.objects.get().body))
    assert envelope.broker == "shared"
    assert payload.details == entry.details


def test_a_strategy_that_is_switched_off_does_not_start():
    deployment = a_deployment(status="STOPPED")
    strategy = deployment.strategy_version.strategy
    strategy.is_enabled = False
    strategy.save()

    with pytest.raises(StrategyNotEnabled):
        deployment_start(deployment_id=deployment.pk, **BY)


def test_no_reason_no_act_and_no_deployment_no_act():
    with pytest.raises(ReasonMissing):
        deployment_start(deployment_id=a_deployment().pk, **BY | {"reason": " "})
    with pytest.raises(DeploymentNotFound):
        deployment_start(deployment_id=SOME, **BY)


def test_configuring_needs_a_stopped_deployment_and_leaves_the_checkpoint_alone():
    deployment = a_deployment(status="RUNNING", step=9)
    change = {"changes": {"params": {"fast": 5}}} | BY
    with pytest.raises(DeploymentNotStopped):
        deployment_configure(deployment_id=deployment.pk, **change)
    Deployment.objects.update(status="STOPPED", step=10)

    deployment_configure(deployment_id=deployment.pk, **change)

    deployment.refresh_from_db()
    assert (deployment.params, deployment.step, deployment.revision) == ({"fast": 5}, 10, 1)
    assert AuditEntry.objects.get().details["before"] == {"params": {}}


def test_over_rest_an_act_may_be_asked_twice_and_an_illegal_one_is_a_conflict():
    deployment = a_deployment(status="RUNNING")
    alice = client_of("alice")
    address = f"/api/v1/deployments/{deployment.pk}/"

    answers = [alice.post(address + "pause/", {"reason": "news"}) for _ in range(2)]
    conflict = alice.post(address + "release/", {"reason": "news"})
    unsaid = alice.post(address + "stop/", {})

    assert [answer.json()["status"] for answer in answers] == ["PAUSED", "PAUSED"]
    assert AuditEntry.objects.get().ip == "127.0.0.1"
    assert (conflict.status_code, conflict.json()["error"]["code"]) == (409, "illegal_transition")
    assert unsaid.status_code == 400
    assert list(unsaid.json()["error"]["fields"]) == ["reason"]
    assert alice.get(address).json()["at"] == "2019-07-09T09:20:00.000+05:30"


def test_the_command_lists_and_acts(capsys):
    a_deployment(status="STOPPED")

    call_command("deployments", "start", "ma-infy", "--reason", "open", "--actor", "alice", "--json")
    started = json.loads(capsys.readouterr().out)
    call_command("deployments")

    assert [row["status"] for row in started] == ["RUNNING"]
    assert "ma-infy" in capsys.readouterr().out
    with pytest.raises(CommandError, match="no deployment"):
        call_command("deployments", "stop", "nobody", "--reason", "x")
    with pytest.raises(CommandError, match="Say why"):
        call_command("deployments", "stop", "ma-infy")


def test_the_cancellation_of_one_order_is_asked_for_over_rest():
    order = an_order(a_decision(a_signal(a_deployment(status="RUNNING"))))
    alice, address = client_of("alice"), f"/api/v1/orders/{order.pk}/cancel/"

    told = [alice.post(address, {"reason": "news"}) for _ in range(2)]
    everything = command_give(
        deployment=order.deployment, kind=CommandKind.CANCEL, reason="drill", actor="bob"
    )

    assert [(one.status_code, one.json()["id"]) for one in told] == [(200, str(order.pk))] * 2
    one, all_ = Command.objects.order_by("created_at")
    assert (one.kind, one.order_id, one.reason) == ("CANCEL", order.pk, "cancel: news")
    assert (all_, all_.order_id) == (everything, None), "that of one order is none of all"
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.details["order"]) == ("order.cancel", str(order.pk))
    assert alice.post(address, {}).status_code == 400
    assert alice.post(f"/api/v1/orders/{order.deployment_id}/cancel/", {"reason": "x"}).status_code == 404
    Deployment.objects.update(status="STOPPED")
    assert (
        "STOPPED: cancel is not possible" in alice.post(address, {"reason": "x"}).json()["error"]["message"]
    )
    Order.objects.update(status="CANCELLED")
    ended = alice.post(address, {"reason": "news"})
    assert (ended.status_code, ended.json()["error"]["code"]) == (409, "order_ended")
