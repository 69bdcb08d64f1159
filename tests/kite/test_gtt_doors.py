"""Triggers as people ask for them and see them: API, command, desk."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from execution.gtt_models import Gtt, GttCall
from execution.models import BrokerDesk
from strategies.models import Report
from tests.people import client_of
from tests.rows import SOME, one_of_each

pytestmark = pytest.mark.django_db
GTTS = "/api/v1/live/gtts/"
ASK = {
    "instrument": "NSE:INFY",
    "quantity": 5,
    "stop": "1400",
    "target": "1600.5",
    "last_price": "1500",
    "key": "k9",
    "reason": "a net",
}
CHANGE = {name: value for name, value in ASK.items() if name != "instrument"}


@pytest.fixture
def standing() -> Gtt:
    """An active trigger over ten of the twenty shares that the account holds."""
    one_of_each()
    Report.objects.update(booked_at=timezone.now())
    BrokerDesk.objects.update(outside={"units": {"NSE:INFY CNC": 20}})
    GttCall.objects.update(state="DONE")
    return Gtt.objects.get()


def shown(*words: str, **options: Any) -> str:
    out = StringIO()
    call_command("gtt", *words, stdout=out, **options)
    return out.getvalue()


@pytest.mark.usefixtures("standing")
def test_the_list_shows_prices_as_text_and_what_was_said() -> None:
    (row,) = client_of("bob").get(GTTS, {"status": "ACTIVE", "is_ours": True}).json()["results"]

    assert row["legs"] == [{"trigger": "1400.00", "limit": "1386.00", "quantity": 10}]
    assert [(call["kind"], call["state"], call["actor"]) for call in row["calls"]] == [
        ("PLACE", "DONE", "alice")
    ]
    assert client_of("bob").get(GTTS, {"status": "DELETED"}).json()["results"] == []


@pytest.mark.usefixtures("standing")
def test_a_trigger_is_asked_for_once_by_its_key() -> None:
    alice = client_of("alice")

    first, again = alice.post(GTTS, ASK), alice.post(GTTS, ASK)

    assert (first.status_code, first.json()["id"]) == (201, again.json()["id"])
    assert first.json()["kind"] == "two-leg"
    assert first.json()["legs"][1] == {"trigger": "1600.50", "limit": "1600.50", "quantity": 5}
    assert GttCall.objects.filter(state="READY").count() == 1
    assert alice.post(GTTS, ASK | {"instrument": "NSE:SBIN"}).status_code == 409, "the key is used"
    assert alice.post(GTTS, ASK | {"key": "k10", "quantity": 6}).status_code == 400, "too many"
    assert alice.post(GTTS, ASK | {"key": "k10", "stopp": "1"}).status_code == 400, "a field misspelt"


def test_one_is_changed_and_deleted_by_its_id(standing: Gtt) -> None:
    alice, place = client_of("alice"), f"{GTTS}{standing.pk}/"

    assert alice.post(f"{place}modify/", CHANGE | {"target": None}).status_code == 200
    assert alice.post(f"{place}delete/", {"key": "k10", "reason": "x"}).status_code == 409, "under way"
    GttCall.objects.update(state="DONE")
    assert alice.post(f"{place}delete/", {"key": "k10", "reason": " "}).status_code == 400
    assert alice.post(f"{place}delete/", {"key": "k10", "reason": "closed"}).status_code == 200
    assert alice.post(f"{GTTS}{'1' * 32}/delete/", {"key": "k11", "reason": "x"}).status_code == 404
    assert list(GttCall.objects.order_by("key").values_list("key", "kind")) == [
        ("k", "PLACE"),
        ("k10", "DELETE"),
        ("k9", "MODIFY"),
    ]


def test_a_change_of_kind_or_of_nothing_is_refused(standing: Gtt) -> None:
    alice, place = client_of("alice"), f"{GTTS}{standing.pk}/modify/"
    same = CHANGE | {"target": None, "quantity": 10}

    assert "changes nothing" in alice.post(place, same).content.decode()
    assert "stays single" in alice.post(place, CHANGE).content.decode()


@pytest.mark.usefixtures("standing")
def test_the_command_places_lists_and_deletes() -> None:
    prices = ["--stop", "1400", "--target", "1600", "--last-price", "1500"]
    why = ["--reason", "a net", "--actor", "alice"]

    shown("place", "--instrument", "NSE:INFY", "--quantity", "10", *prices, *why)
    shown("delete", str(SOME), *why)

    rows = json.loads(shown(as_json=True))
    assert [(row["status"], row["under way"]) for row in rows] == [("PENDING", "PLACE"), ("ACTIVE", "DELETE")]
    assert rows[0]["at"] == "1400.00 limit 1386.00 or 1600.00 limit 1600.00"
    out = StringIO()
    call_command("broker_state", stdout=out)
    assert "GTTs that stand   1, read never" in out.getvalue()


@pytest.mark.usefixtures("standing")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["delete", "7"], "no id of a GTT"),
        (["place", "--stop", "x"], "--stop 'x' is no price"),
        (["place", "--instrument", "NSE:NONE", "--reason", "x"], "no instrument NSE:NONE"),
        (["place", "--instrument", "NSE:INFY", "--quantity", "1"], "Say why"),
        (["place", "--instrument", "NSE:INFY", "--stop", "NaN", "--reason", "x"], "not a price"),
    ],
)
def test_what_the_command_does_not_understand_it_names(words: list[str], told: str) -> None:
    with pytest.raises(CommandError, match=told):
        shown(*words)


def test_nothing_is_asked_of_a_process_that_never_ran() -> None:
    answer = client_of("alice").post(GTTS, ASK)

    assert (answer.status_code, "never run" in answer.content.decode()) == (409, True)
