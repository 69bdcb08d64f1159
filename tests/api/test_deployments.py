"""Making, upgrading and shadowing deployments over REST; strategies with their schema, files with their faults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from accounts.models import AuditEntry
from alphapanda.core.vocabulary import Broker
from portfolio.models import Book
from portfolio.services import portfolio_create
from strategies.models import Deployment
from tests.engine import libraries
from tests.people import client_of
from tests.rows import a_deployment, an_instrument

pytestmark = pytest.mark.django_db
AREA = "/api/v1/"


@pytest.fixture
def alice() -> APIClient:
    return client_of("alice")


@pytest.fixture
def new() -> dict[str, Any]:
    an_instrument()
    portfolio_create(name="paper", broker=Broker.PAPER)
    return {
        "name": "Trend",
        "strategy": "ema_cross",
        "instruments": ["NSE:INFY"],
        "portfolio": "paper",
        "params": {"fast": 3},
        "limits": {"daily_orders": 4},
        "reason": "a try",
    }


def test_a_deployment_is_made_stopped_and_audited(alice: APIClient, new: dict[str, Any]) -> None:
    answer = alice.post(f"{AREA}deployments/", new)

    assert answer.status_code == 201
    assert (answer.json()["status"], answer.json()["params"]) == ("STOPPED", {"fast": 3})
    made = Deployment.objects.get()
    assert Book.objects.get(pk=made.pk).portfolio.name == "paper"
    entry = AuditEntry.objects.get(action="deployment.add")
    assert (entry.reason, entry.details["limits"]) == ("a try", {"daily_orders": 4})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"params": {"fast": 0}}, "Expected `int` >= 1 - at `$.fast`"),
        ({"params": {"pace": 1}}, "unknown field `pace`"),
        ({"params": []}, "params"),
        ({"strategy": "nobody"}, "no strategy is called 'nobody'"),
        ({"instruments": ["NSE:NOSUCH"]}, "no instrument NSE:NOSUCH"),
        ({"instruments": []}, "instruments"),
        ({"portfolio": "mine"}, "no portfolio named 'mine'"),
        ({"execution": {"delay": 1}}, "unknown field"),
        ({"limits": {"luck": 1}}, "unknown field"),
        ({"broker": "moon"}, "broker"),
        ({"reason": ""}, "reason"),
    ],
)
def test_what_does_not_fit_is_refused(
    alice: APIClient, new: dict[str, Any], wrong: dict[str, Any], said: str
) -> None:
    answer = alice.post(f"{AREA}deployments/", new | wrong)

    assert answer.status_code == 400, answer.content
    assert said in answer.content.decode().replace('\\"', '"')
    assert not Deployment.objects.exists()


def test_a_name_is_given_once(alice: APIClient, new: dict[str, Any]) -> None:
    alice.post(f"{AREA}deployments/", new)

    assert "of that name already" in alice.post(f"{AREA}deployments/", new).content.decode()


def test_the_schema_of_a_strategy_judges_as_the_strategy_does(alice: APIClient) -> None:
    rows = {row["name"]: row for row in alice.get(f"{AREA}strategies/").json()["results"]}
    [version] = rows["ema_cross"]["versions"]

    assert version["is_installed"]
    jsonschema.validate({"fast": 3}, version["schema"])
    with pytest.raises(jsonschema.ValidationError, match="less than the minimum"):
        jsonschema.validate({"fast": 0}, version["schema"])


@pytest.fixture
def broken() -> Iterator[Path]:
    path = libraries.drop("broken", "import os\n")
    yield path
    libraries.taken_away(path)


def test_a_file_that_does_not_load_is_listed_by_line(alice: APIClient, broken: Path) -> None:
    rows = alice.get(f"{AREA}strategies/files/").json()["results"]

    [row] = [row for row in rows if row["file"].endswith("broken.py")]
    assert row["faults"][0]["line"] == 1
    assert row["faults"][0]["text"].startswith("imports os")


def test_an_upgrade_by_hash_and_parameters(alice: APIClient) -> None:
    deployment = a_deployment()
    address = f"{AREA}deployments/{deployment.pk}/upgrade/"

    answer = alice.post(address, {"reason": "slower", "params": {"fast": 5, "slow": 50}})
    assert answer.status_code == 200
    assert (answer.json()["params"], answer.json()["revision"]) == ({"fast": 5, "slow": 50}, 1)
    assert alice.post(address, {"reason": "x", "version": "no"}).status_code == 404
    assert alice.post(address, {"reason": "x", "params": {"fast": 99}}).status_code == 400
    assert alice.post(address, {"reason": "x", "params": [1]}).status_code == 400
    assert alice.post(address, {}).status_code == 400


def test_a_shadow_and_its_difference(alice: APIClient) -> None:
    deployment = a_deployment()
    address = f"{AREA}deployments/{deployment.pk}/"

    assert alice.get(f"{address}shadow-difference/").status_code == 404
    answer = alice.post(f"{address}shadow/", {"reason": "a try", "params": {"fast": 5}})
    assert answer.status_code == 201
    assert answer.json()["shadow_of"] == str(deployment.pk)
    found = alice.get(f"{address}shadow-difference/").json()
    assert found["counts"] == {"same": 0, "only here": 0, "only there": 0, "other": 0}
    assert (found["profit_here"], found["profit_there"]) == ("0", "0")
    assert alice.post(f"{address}shadow/", {"reason": "again"}).status_code == 409


def test_approval_mode_is_set_while_stopped_and_taken_back(alice: APIClient) -> None:
    deployment = a_deployment(status="STOPPED", execution={"product": "MIS", "latency_ms": 9})
    page = f"{AREA}deployments/{deployment.pk}/approval-mode/"

    answer = alice.post(page, {"seconds": 90, "reason": "until I trust it"})
    assert answer.json()["execution"] == {"product": "MIS", "latency_ms": 9, "approval_s": 90}
    assert AuditEntry.objects.get(action="deployment.configure").reason == "until I trust it"
    for wrong in ({"seconds": 21_601}, {"seconds": -1}, {"seconds": "x"}):
        assert alice.post(page, {"reason": "drill"} | wrong).status_code == 400
    assert alice.post(page, {"seconds": 0, "reason": "I do"}).json()["execution"] == {
        "product": "MIS",
        "latency_ms": 9,
    }
    call_command("approval_mode", deployment.name, "60", "--reason", "drill")
    assert Deployment.objects.get().execution["approval_s"] == 60
    with pytest.raises(CommandError, match="Say why"):
        call_command("approval_mode", deployment.name, "60")
    Deployment.objects.update(status="RUNNING")
    assert alice.post(page, {"seconds": 5, "reason": "drill"}).status_code == 409
