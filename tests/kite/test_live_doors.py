"""What people see and settle of the account at the broker: API, command, admin."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, User
from execution.models import BrokerDesk, Difference
from tests.people import client_of
from tests.rows import one_of_each

pytestmark = pytest.mark.django_db
LIVE = "/api/v1/live/"


def listed(route: str, **query: Any) -> list[dict[str, Any]]:
    return client_of("bob").get(LIVE + route, query).json()["results"]


def test_lists_show_calls_orders_of_others_and_differences() -> None:
    rows = one_of_each()

    (call,) = listed("calls/", lane="ENTRY", since="2019-07-09T09:20:00+05:30")
    assert (call["tag"], call["instrument"], call["sent_at"]) == ("t", "NSE:INFY", None)
    assert listed("calls/", state="DONE") == []
    (other,) = listed("external-orders/", is_open=True)
    assert (other["broker_order_id"], other["worst_value"]) == ("1", None)
    assert [row["id"] for row in listed("differences/", is_open=True)] == [rows[Difference].pk]
    assert listed("differences/", is_open=False) == []


def test_the_desk_tells_what_waits_and_what_is_left() -> None:
    one_of_each()
    BrokerDesk.objects.update(stopped="no token")

    shown = client_of("bob").get(LIVE).json()
    assert (shown["waiting"], shown["differences"], shown["external_open"]) == ({"READY": 1}, 1, 1)
    assert shown["desk"]["stopped"] == "no token"
    assert "house" not in shown["desk"]
    assert {"lane": "ENTRY", "second": 7, "minute": 300, "day": 4800} in shown["left"]

    out = StringIO()
    call_command("broker_state", stdout=out)
    assert "nothing: no token" in out.getvalue()
    assert "held outside      none" in out.getvalue()
    BrokerDesk.objects.update(outside={"units": {"NSE:INFY CNC": 7, "NFO:NIFTY26DECFUT NRML": -65}})
    call_command("broker_state", stdout=out)
    assert "held outside      NFO:NIFTY26DECFUT NRML -65, NSE:INFY CNC 7" in out.getvalue()
    out = StringIO()
    call_command("broker_state", as_json=True, stdout=out)
    assert json.loads(out.getvalue())["waiting"] == {"READY": 1}


def test_a_command_without_a_desk_says_so() -> None:
    out = StringIO()
    call_command("broker_state", stdout=out)

    assert "never ran" in out.getvalue()


def test_a_difference_is_settled_once_with_a_note_and_an_audit_entry() -> None:
    row = one_of_each()[Difference]
    alice, place = client_of("alice"), f"{LIVE}differences/{row.pk}/settle/"

    assert alice.post(place, {"reason": " "}).status_code == 400
    assert alice.post(place, {"reason": "bought by phone"}).status_code == 200
    assert alice.post(place, {"reason": "bought by phone"}).json()["note"] == "bought by phone"
    assert alice.post(f"{LIVE}differences/999/settle/", {"reason": "x"}).status_code == 404

    row.refresh_from_db()
    assert (row.settled_by, row.note, row.settled_at is None) == ("alice", "bought by phone", False)
    entry = AuditEntry.objects.get(action="difference.settle")
    assert (entry.actor, entry.reason, entry.details["theirs"]) == ("alice", "bought by phone", "2")


@pytest.mark.parametrize("act", ["settle", "accept"])
def test_what_is_settled_already_is_refused_with_who_did_it_and_how(act: str) -> None:
    row = one_of_each()[Difference]
    Difference.objects.update(key="NSE:INFY NRML", ours="10", theirs="60")
    settled = client_of("alice").post(f"{LIVE}differences/{row.pk}/settle/", {"reason": "a gift"})
    answer = client_of("alice").post(f"{LIVE}differences/{row.pk}/{act}/", {"reason": "sold in the app"})

    assert (settled.status_code, answer.status_code) == (200, 409)
    said = answer.json()["error"]
    assert said["code"] == "difference_over"
    assert said["message"].startswith("POSITION NSE:INFY NRML was settled already, by alice at ")
    assert said["message"].endswith(" IST: a gift")
    assert AuditEntry.objects.filter(action__startswith="difference.").count() == 1
    assert BrokerDesk.objects.get().outside == {}

    Difference.objects.update(settled_by="", note="")
    gone = client_of("alice").post(f"{LIVE}differences/{row.pk}/{act}/", {"reason": "sold in the app"})
    assert "is gone by itself since" in gone.json()["error"]["message"]


def test_to_accept_with_the_note_of_a_settlement_is_not_the_same_act() -> None:
    row = one_of_each()[Difference]
    Difference.objects.update(key="NSE:INFY NRML", ours="10", theirs="60")
    alice, place = client_of("alice"), f"{LIVE}differences/{row.pk}/"

    answers = [alice.post(f"{place}{act}/", {"reason": "a gift"}) for act in ("settle", "accept", "settle")]

    assert [answer.status_code for answer in answers] == [200, 409, 200]
    assert BrokerDesk.objects.get().outside == {}


def test_a_difference_of_positions_is_accepted_and_no_other() -> None:
    row = one_of_each()[Difference]
    Difference.objects.update(key="NSE:INFY NRML", ours="10", theirs="60")
    alice, place = client_of("alice"), f"{LIVE}differences/{row.pk}/accept/"

    assert alice.post(place, {"reason": " "}).status_code == 400
    for _ in range(2):
        assert alice.post(place, {"reason": "mine"}).json()["note"] == "mine"
    assert BrokerDesk.objects.get().outside["before"] == {"NSE:INFY NRML": 50}
    assert AuditEntry.objects.get(action="difference.accept").actor == "alice"

    Difference.objects.update(kind="CHARGES", settled_at=None)
    assert alice.post(place, {"reason": "mine"}).status_code == 400


def test_the_admin_settles_with_a_note_alone() -> None:
    row = one_of_each()[Difference]
    desk = Client()
    root = User.objects.create_superuser("root", password="x" * 20)
    desk.force_login(root, backend="django.contrib.auth.backends.ModelBackend")
    page = reverse("admin:execution_difference_changelist")
    chosen = {"action": "settle", "_selected_action": [row.pk]}

    assert "Say in the note" in desk.post(page, chosen | {"note": " "}, follow=True).content.decode()
    row.refresh_from_db()
    assert row.settled_at is None
    desk.post(page, chosen | {"note": "a gift"}, follow=True)
    row.refresh_from_db()
    assert (row.note, row.settled_by) == ("a gift", "root")
