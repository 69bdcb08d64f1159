"""Pages, probes and numbers as people read them."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from accounts.models import User
from alphapanda import health_checks, projections
from alphapanda.core.vocabulary import Phase, Side
from alphapanda.dashboard import screen
from alphapanda.health import registry
from alphapanda.push import readmodel
from alphapanda.web import formats
from risk.services.halts import halt_throw
from tests.cockpit import world

pytestmark = pytest.mark.django_db
ROWS = {"accept": "application/json"}


@pytest.fixture(autouse=True)
def _log_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    group, _ = registry._checks["log"]
    monkeypatch.setitem(registry._checks, "log", (group, lambda: registry.ok("answers")))


def browser(role: str = "") -> Client:
    user = User.objects.create_user(role or "nobody", password="x")
    if role:
        user.groups.add(Group.objects.get_or_create(name=role)[0])
    client = Client()
    client.force_login(user)
    return client


def test_the_page_and_the_snapshot_show_the_same_fragments() -> None:
    own = world.desk(count=2)
    world.morning(own, rounds=2)
    viewer = browser("viewer")
    page = viewer.get("/").content.decode()
    rows = viewer.get("/", headers=ROWS).json()["rows"]
    assert all(html in page for kind in rows.values() for html in kind.values())
    assert 'id="halt"' not in page
    assert 'id="halt"' in browser("operator").get("/").content.decode()


def test_a_halt_is_told_and_released_by_operators() -> None:
    world.desk(count=1)
    halt_throw(level="GLOBAL", reason="try", actor="bob", now=timezone.now())
    projections.rebuild()
    page = browser("operator").get("/").content.decode()
    assert "everything: try" in page
    assert 'data-title="Release the halt"' in page
    assert 'id="act-dialog"' in page
    assert 'id="act-dialog"' not in browser("viewer").get("/").content.decode()


def test_a_row_of_an_earlier_day_says_so() -> None:
    own = world.desk(count=1)
    world.morning(own, rounds=1)
    projections.rebuild()
    rows = screen.rows(readmodel.overview())
    (fill, *_) = rows["fills"].values()
    assert not fill["is_past"]
    later = screen.rows(readmodel.overview() | {"day": "2099-01-01"})
    assert all(row["is_past"] for row in later["fills"].values())
    assert formats.ist_past(fill["at_ms"])[:5] in screen.fragment("fills", fill | {"is_past": True})


def test_pages_carry_no_inline_script_or_style() -> None:
    world.desk(count=1)
    answer = browser("operator").get("/")
    page = answer.content.decode()
    assert " style=" not in page
    assert "<style" not in page
    assert page.count("<script ") == page.count("<script src") + page.count('<script type="module" src')
    assert "script-src 'self'" in answer["Content-Security-Policy"]


def test_who_has_no_role_is_told_and_anonymous_is_sent_to_log_in() -> None:
    refused = browser().get("/")
    assert refused.status_code == 403
    assert "no role" in refused.content.decode()
    assert Client().get("/").status_code == 302


def test_empty_lists_say_the_next_step() -> None:
    page = browser("viewer").get("/").content.decode()
    for words in ("No deployments. Next:", "No orders yet", "Nothing is watched. Next:"):
        assert words in page


def test_without_redis_the_page_says_so(settings: pytest.FixtureRequest) -> None:
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    viewer = browser("viewer")
    assert viewer.get("/").status_code == 503
    assert viewer.get("/", headers=ROWS).json()["type"] == "unavailable"


def test_probes() -> None:
    assert Client().get("/health/live").json() == {"status": "ok"}
    assert Client().get("/health/ready").status_code == 503  # not built
    projections.rebuild()
    ready = Client().get("/health/ready/")
    assert ready.status_code == 200
    assert ready.json()["checks"]["read model"] == "ok"


def test_health_page_and_command_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    projections.rebuild()
    page = browser("viewer").get("/health/", headers={"accept": "application/json"}).json()
    call_command("health", "--json")
    told = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in told["checks"]] == [row["name"] for row in page["checks"]]
    assert browser("operator").get("/health/").status_code == 200


def test_a_quiet_live_market_is_said_to_be_closed_not_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    hours = type("Closed", (), {"phase_at": lambda self, at_ms: Phase.CLOSED})
    monkeypatch.setattr(health_checks, "calendar", lambda exchange: hours())
    assert health_checks.tick_received().words == "market closed"
    readmodel.stream_write(source="recorded", received_at_ms=1_000)
    assert health_checks.tick_received().words == "no recent data"


@pytest.mark.parametrize(("source", "session"), [("recorded", "recorded"), ("simulator", "simulated")])
@pytest.mark.parametrize("is_over", [False, True])
def test_a_recording_is_judged_by_its_own_clock(
    source: str, session: str, is_over: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    phase = Phase.POST_CLOSE if is_over else Phase.CONTINUOUS
    hours = type("Recorded", (), {"phase_at": lambda self, at_ms: phase})
    monkeypatch.setattr(health_checks, "calendar", lambda exchange: hours())
    readmodel.stream_write(source=source, last_at_ms=1)
    assert health_checks.is_quiet() == (f"the {session} session is over" if is_over else "")


def test_a_check_that_raises_fails_with_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> registry.Status:
        raise ValueError("no such thing")

    monkeypatch.setitem(registry._checks, "log", (registry.Group.READY, broken))
    results = {result.name: result.status for result in registry.run([registry.Group.READY])}
    assert results["log"].words == "ValueError: no such thing"
    with pytest.raises(SystemExit):
        call_command("health", "--json")


def test_numbers() -> None:
    assert formats.rupees("1234567.5") == "₹12,34,567.50"
    assert formats.rupees_signed(Decimal("1200")) == "+₹1,200.00"
    assert formats.rupees_signed("-35.1") == "-₹35.10"
    assert formats.rupees_signed("0.001") == "₹0.00"
    assert formats.rupees_signed(None) == formats.UNKNOWN
    assert formats.rupees_compact("12345678") == "₹1.23Cr"
    assert formats.price(15_304_000) == "1,530.40"
    assert formats.price(825_425) == "82.5425"
    assert [formats.reading(one) for one in (1530.123456789, 123456.5, -0.000123456, 0.0, 2.99999, None)] == [
        "1,530.1235", "1,23,456.50", "-0.0001235", "0.00", "3.00", formats.UNKNOWN,
    ]  # fmt: skip
    assert formats.reading(float("nan")) == formats.reading(float("inf")) == formats.UNKNOWN
    assert formats.ist_stamp(world.START) == "2019-07-09 09:15:00"
    assert [formats.age(s) for s in (0.42, 12, 200, 7500, 200_000)] == [
        "0.4 s", "12 s", "3 min", "2 h 05 min", "2 d",
    ]  # fmt: skip


def test_rebuild_command(capsys: pytest.CaptureFixture[str]) -> None:
    own = world.desk(count=1)
    world.trade(own.deployments[0], 10, Side.BUY, 100, 15_000_000)
    call_command("rebuild_read_model", "--json")
    assert json.loads(capsys.readouterr().out)["fills"] == 1
