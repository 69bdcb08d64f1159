"""Approvals and reconciliation: what waits for a person, and how it is answered."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from alphapanda import projections
from execution.models import BrokerDesk, Difference, ExternalOrder
from risk.services.approvals import approval_answer
from strategies.models import Signal
from tests.cockpit import world
from tests.cockpit.test_pages import ROWS, browser
from tests.rows import a_deployment, a_signal, an_approval

pytestmark = pytest.mark.django_db
NOW = datetime(2019, 7, 9, 3, 50, 30, tzinfo=UTC)


def rows(client, path: str, kind: str) -> list[str]:
    return list(client.get(path, headers=ROWS).json()["rows"][kind].values())


def test_an_approved_entry_and_what_came_of_it_lead_to_each_other() -> None:
    entry = a_signal(a_deployment("asks"), 5)
    same = {field.name: getattr(entry, field.name) for field in Signal._meta.concrete_fields}
    again = Signal.objects.create(**same | {"id": uuid4(), "step": 6, "approves": entry})
    viewer = browser("viewer")
    assert f'href="/signals/{again.pk}/" id="again"' in viewer.get(f"/signals/{entry.pk}/").content.decode()
    assert (
        f'href="/signals/{entry.pk}/" id="approved"' in viewer.get(f"/signals/{again.pk}/").content.decode()
    )


def test_an_entry_of_a_market_without_hours_still_waits_for_its_answer() -> None:
    world.desk(count=1)
    an_approval(a_signal(a_deployment("asks"), 5))
    projections.rebuild()
    viewer = browser("viewer")
    (row,) = rows(viewer, "/approvals/", "waits")
    assert "would be denied" in row
    assert "no session hours are known for the market" in row
    assert 'data-title="Deny"' in row
    (told,) = viewer.get("/api/v1/approvals/?state=WAITING").json()["results"]
    assert viewer.get(f"/api/v1/approvals/{told['signal']}/").json()["outlook"]["would_pass"] is False


def test_differences_are_shown_with_a_way_to_settle_them() -> None:
    world.desk("zerodha", count=1)
    projections.rebuild()
    operator = browser("operator")
    now = timezone.now()
    assert "Nothing is compared" in operator.get("/reconciliation/").content.decode()
    desk = BrokerDesk.objects.create(
        broker="zerodha", house="x", stopped="Kite does not know the token any more"
    )
    assert "No difference is known" in operator.get("/reconciliation/").content.decode()
    desk.reconciled_at = now
    desk.save()
    assert "No difference is open" in operator.get("/reconciliation/").content.decode()
    common = {"first_seen_at": now - timedelta(minutes=14), "seen_at": now, "rounds": 2}
    held = Difference.objects.create(kind="POSITION", key="NSE:INFY MIS", ours="10", theirs="0", **common)
    odd = Difference.objects.create(kind="ORDER", key="1234", ours="OPEN", theirs="COMPLETE", **common)
    Difference.objects.create(
        kind="CHARGES",
        key="55",
        ours="1",
        theirs="2",
        settled_at=now,
        settled_by="ann",
        note="stamp",
        **common,
    )
    ExternalOrder.objects.create(
        broker_order_id="99", instrument="NSE:TCS", snapshot={"status": "OPEN"}, seen_at=now
    )
    found = {html.partition('id="differences-')[2].partition('"')[0]: html for html in rows(
        operator, "/reconciliation/", "differences"
    )}  # fmt: skip
    assert "/accept/" in found[str(held.pk)]
    assert "/accept/" not in found[str(odd.pk)]
    assert "<td>14 min <" in found[str(odd.pk)]
    assert f"/api/v1/live/differences/{odd.pk}/settle/" in found[str(odd.pk)]
    (settled,) = rows(operator, "/reconciliation/", "settled")
    assert "stamp" in settled
    (other,) = rows(operator, "/reconciliation/", "externals")
    assert "NSE:TCS" in other
    page = operator.get("/reconciliation/").content.decode()
    assert "Nothing is sent: Kite does not know the token any more" in page
    assert 'zerodha"' not in page  # a look at the account's books takes nobody to live
    assert ">PAPER<" in page


def test_an_empty_list_of_approvals_says_how_they_come() -> None:
    assert "approval_mode" in browser("viewer").get("/approvals/").content.decode()


def test_entries_wait_with_what_they_would_do(exchange_hours: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alphapanda.dashboard.waiting.timezone.now", lambda: NOW)
    approval = an_approval(a_signal(a_deployment(), 1))
    projections.rebuild()
    operator = browser("operator")
    (waits,) = rows(operator, "/approvals/", "waits")
    assert f'"signals": ["{approval.pk}"]'.replace('"', "&quot;") in waits
    assert "stale_price" in waits
    assert waits in operator.get("/approvals/").content.decode()
    approval_answer(signal_id=approval.pk, is_approved=False, actor="ann", reason="no", now=timezone.now())
    assert rows(operator, "/approvals/", "waits") == []
    (answer,) = rows(operator, "/approvals/", "answers")
    assert "ann" in answer


@pytest.mark.usefixtures("live_enabled", "exchange_hours")
@pytest.mark.parametrize(("broker", "typed"), [("paper", ("", "")), ("zerodha", ("INFY", "LIVE"))])
def test_real_money_is_approved_by_typing_what_it_is(broker: str, typed: tuple[str, str]) -> None:
    own = world.desk(broker, count=1)
    projections.rebuild()
    an_approval(a_signal(own.deployments[0], 5))
    page = browser("operator").get(f"/approvals/?broker={broker}").content.decode()
    acts = re.findall(r'<button[^>]*approvals/approve/"[^>]*>', page)
    one, chosen = (
        next(act for act in acts if ("data-chosen" in act) == is_bulk) for is_bulk in (False, True)
    )

    assert f'data-type="{typed[0]}"' in one
    assert f'data-type="{typed[1]}"' in chosen


@pytest.mark.usefixtures("exchange_hours")
def test_many_entries_that_wait_cost_no_more_questions_than_few() -> None:
    viewer = browser("viewer")

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert viewer.get("/approvals/", headers=ROWS).status_code == 200
        return len(asked)

    counts = []
    for number in range(3):
        an_approval(a_signal(a_deployment(f"asks-{number}"), 1))
        projections.rebuild()
        queries()  # what is asked once in a process
        counts.append(queries())
    assert counts[0] == counts[1] == counts[2]
    assert (
        viewer.get("/api/v1/approvals/?state=WAITING").json()["results"][2]["outlook"]["rule"]
        == "stale_price"
    )
