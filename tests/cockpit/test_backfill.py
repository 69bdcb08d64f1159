"""Candles asked for on the page Data: refused in words without a session, fetched by the worker, shown as they come."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEntry
from alphapanda import backfills
from alphapanda.kite.client import KiteProblem
from marketdata.domain.kite_candles import Interval
from marketdata.models import CandleFetch
from marketdata.services.kite_candles import DaysRefused
from tests.cockpit import world
from tests.cockpit.test_pages import ROWS, browser
from tests.people import client_of

pytestmark = pytest.mark.django_db
ASKED = {
    "instrument": "NSE:INFY",
    "interval": "day",
    "first": "2019-07-01",
    "last": "2019-07-08",
    "reason": "x",
}
ROW = ["2019-07-05T00:00:00+0530", 100, 110, 90, 105, 7]


class Kite:
    """Answers with one candle, or not at all."""

    pk = 1

    def __init__(self, problem: Exception | None = None) -> None:
        self.problem, self.count = problem, 0

    def __call__(self, *_route: Any, **_how: Any) -> Any:
        self.count += 1
        if self.problem is not None:
            raise self.problem
        return {"candles": [ROW]}


@pytest.fixture
def kite(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Any) -> Kite:
    settings.RUN_DIR = tmp_path
    world.desk(count=1)
    kite = Kite()
    for where in ("alphapanda.backfills", "alphapanda.dashboard.data"):
        monkeypatch.setattr(f"{where}.the_account", lambda: kite)
        monkeypatch.setattr(f"{where}.access_token", lambda *_which, **_when: None)
    monkeypatch.setattr(backfills, "reader", lambda *_which, **_how: kite)
    return kite


def shown(viewer: Client) -> str:
    (row,) = viewer.get("/data/", headers=ROWS).json()["rows"]["fetches"].values()
    return row


def test_what_is_asked_for_is_fetched_once_and_shown(kite: Kite) -> None:
    alice, viewer = client_of("alice"), browser("viewer")
    answers = [alice.post("/api/v1/data/candles/", ASKED, format="json") for _ in range(2)]

    assert [one.status_code for one in answers] == [201, 201]
    assert CandleFetch.objects.count() == AuditEntry.objects.filter(action="candles.fetch").count() == 1
    assert "queued" in shown(viewer)
    assert backfills.run_next()
    assert not backfills.run_next()

    row = CandleFetch.objects.get()
    assert (row.state, row.done, row.total, len(row.files), kite.count) == ("DONE", 1, 1, 1, 1)
    assert "1 file in" in shown(viewer)
    page = browser("operator").get("/data/").content.decode()
    assert shown(viewer) in page
    assert 'data-act="/api/v1/data/candles/"' in page
    assert "They go at 06:00 IST" in page
    assert 'data-act="/api/v1/data/candles/"' not in viewer.get("/data/").content.decode()


def test_what_kite_refuses_is_told(kite: Kite) -> None:
    client_of("alice").post("/api/v1/data/candles/", ASKED, format="json")
    kite.problem = KiteProblem("no permission for history")
    backfills.run_next()

    assert CandleFetch.objects.get().state == "FAILED"
    assert "no permission for history" in shown(browser("viewer"))


def test_what_a_dead_worker_left_goes_on(kite: Kite) -> None:
    client_of("alice").post("/api/v1/data/candles/", ASKED, format="json")
    now = timezone.now()
    CandleFetch.objects.update(state="RUNNING", progressed_at=now)
    assert not backfills.run_next()
    CandleFetch.objects.update(progressed_at=now - backfills.SILENT_AFTER * 2)
    assert backfills.run_next()
    assert CandleFetch.objects.get().state == "DONE"


def test_bad_requests_are_refused_in_words(kite: Kite) -> None:
    alice = client_of("alice")
    for wrong in (
        {"instrument": "NSE:NOSUCH"},
        {"first": "2019-07-09"},
        {"last": "2999-01-01"},
        {"interval": "2"},
    ):
        answer = alice.post("/api/v1/data/candles/", ASKED | wrong, format="json")
        assert answer.status_code == 400, wrong
    assert not CandleFetch.objects.exists()
    given = {
        "instrument": "NSE:INFY",
        "interval": Interval.DAY,
        "first": date(2019, 7, 9),
        "last": date(2019, 7, 8),
    }
    with pytest.raises(DaysRefused, match="From 2019-07-09 to 2019-07-08"):
        backfills.backfill_ask(**given, actor="alice", reason="x", now=timezone.now())


def test_without_a_session_the_page_leads_to_the_broker() -> None:
    world.desk(count=1)
    page = browser("operator").get("/data/").content.decode()
    assert "There is no active broker account" in page
    assert 'data-act="/api/v1/data/candles/"' not in page
    answer = client_of("alice").post("/api/v1/data/candles/", ASKED, format="json")
    assert "no active broker account" in answer.json()["error"]["message"]
