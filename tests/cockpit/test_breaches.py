"""What went against a limit today, on the page of risk."""

from __future__ import annotations

from datetime import timedelta
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import strip_tags

from alphapanda import projections
from alphapanda.core.vocabulary import Severity, Side, SignalOrigin
from alphapanda.dashboard import breaches, screen
from risk.domain.ladder import ALERT
from risk.models import Decision, LimitSet
from risk.services.alerts import alert_raise
from risk.services.halts import halt_release, halt_throw
from risk.services.terms import terms_refresh
from strategies.models import Deployment
from tests import rows
from tests.cockpit import world
from tests.cockpit.test_moment import now_passed
from tests.cockpit.test_pages import ROWS, browser

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("exchange_hours")]


@pytest.fixture
def viewer() -> Client:
    world.desk(count=2)
    projections.rebuild()
    return browser("viewer")


def told(viewer: Client, **asked: str) -> list[str]:
    """The rows, the newest first."""
    found = viewer.get("/risk/", asked, headers=ROWS).json()["rows"]["breaches"]
    return [unescape(html) for html in found.values()]


def words(html: str) -> str:
    return " ".join(strip_tags(html.replace("<", " <")).split())


def idle(viewer: Client, **asked: str) -> str:
    return words(viewer.get("/risk/", asked, headers=ROWS).json()["rows"]["idle"]["breaches"])


def denied(rule: str = "gross_exposure", **numbers: object) -> Decision:
    """An entry of 10 INFY that risk refused, with the figures that it saw."""
    signal = rows.a_signal(Deployment.objects.first(), 70)
    return Decision.objects.create(
        id=rows.ids.decision_id(signal.pk), signal=signal, deployment=signal.deployment, broker=signal.broker,
        is_approved=False, rule=rule, reason="1,24,905 would be above 1,00,000", numbers=numbers, at_ms=signal.at_ms,
    )  # fmt: skip


def test_a_denial_says_its_rule_what_it_saw_of_which_limit_and_why(viewer: Client) -> None:
    decision = denied(gross_exposure="124905", limits={"gross_exposure": "100000"})
    (row,) = told(viewer)
    assert "denied BUY 10 NSE:INFY gross exposure" in words(row)
    assert "gross exposure ₹1,24,905.00 of ₹1,00,000.00" in words(row)
    assert decision.reason in row
    assert f'href="/signals/{decision.signal_id}/"' in row
    assert f'href="/strategies/{decision.deployment_id}/">{decision.deployment.name}' in row
    assert row in unescape(viewer.get("/risk/").content.decode())
    assert viewer.get(f"/signals/{decision.signal_id}/").status_code == 200


def test_what_is_approved_or_asks_a_person_is_no_breach(viewer: Client) -> None:
    own = Deployment.objects.first()
    world.trade(own, 60, Side.BUY, 100, 15_000_000)
    world.trade(own, 61, Side.BUY, 100, 15_000_000, denied="approval")
    assert told(viewer) == []


def test_a_halt_and_its_next_step_are_two_and_its_end_is_none(viewer: Client) -> None:
    now = timezone.now()
    halt_throw(level="GLOBAL", reason="odd prices", actor="bob", now=now)
    halt = halt_throw(level="GLOBAL", step="CANCEL", reason="still odd", actor="ann", now=now)
    halt_release(halt_id=halt.pk, reason="over", actor="ann", now=now)
    halt_throw(level="BROKER", broker="zerodha", reason="of live", actor="bob", now=now)
    further, thrown = told(viewer)
    assert "halt halt cancel – everything, by ann: still odd" in words(further)  # noqa: RUF001
    assert "halt halt pause – everything, by bob: odd prices" in words(thrown)  # noqa: RUF001


def test_a_step_of_the_loss_ladder_and_what_it_closes_stand_there(viewer: Client) -> None:
    own, other = Deployment.objects.order_by("name")
    for one in (own, other):
        alert_raise(
            code=ALERT, subject=one.name, text="the day's loss has reached rung 2", deployment_id=one.pk,
            severity=Severity.CRITICAL, now=timezone.now(),
        )  # fmt: skip
    signal = rows.a_signal(own, 70)
    signal.pk, signal.step = rows.ids.signal_id(own.pk, 71, 0), 71
    signal.origin, signal.reason = SignalOrigin.LADDER, "loss ladder: flatten"
    signal.save(force_insert=True)
    closes, *alerts = told(viewer)
    assert f"/signals/{signal.pk}/" in closes
    assert "ladder BUY 10 NSE:INFY loss ladder" in words(closes)
    assert {name in "".join(alerts) for name in (own.name, other.name)} == {True}
    assert "rung 2" in alerts[0]


def test_nothing_today_is_said_with_whether_limits_are_used(viewer: Client) -> None:
    assert idle(viewer).startswith("No breach today: nothing was denied")
    assert "limits" not in idle(viewer)
    LimitSet.objects.create(level="GLOBAL", daily_orders=10)
    terms_refresh()
    assert idle(viewer).endswith("All limits unused.")
    page = viewer.get("/risk/").content.decode()
    assert 'id="idle-breaches"' in page
    assert page.count('id="idle-') == 1


def test_limits_in_use_are_not_called_unused() -> None:
    limits = {str(percent): {"percent": percent} for percent in (12.5, 0.0, None)}
    said = words(screen.fragment("idle", breaches.idle(limits)))
    assert said.endswith("1 of 3 limits is used in part.")


def test_what_was_denied_yesterday_is_not_of_today(viewer: Client) -> None:
    denied()
    assert len(breaches.breaches("paper", timezone.now())) == 1
    assert breaches.breaches("paper", timezone.now() + timedelta(days=1)) == {}


def test_the_other_namespace_has_its_own(viewer: Client) -> None:
    denied()
    assert breaches.breaches("zerodha", timezone.now()) == {}


def test_at_a_past_moment_there_is_what_had_been_by_then(viewer: Client) -> None:
    before = now_passed()
    denied()
    after = now_passed()
    assert (len(told(viewer, at=before)), len(told(viewer, at=after))) == (0, 1)
    assert idle(viewer, at=before).startswith("No breach on that day by then")


def test_many_cost_no_more_queries_than_one(viewer: Client) -> None:
    own = Deployment.objects.first()
    counts = []
    for step in (80, 90, 100):
        world.trade(own, step, Side.BUY, 400, 15_000_000, denied="position_quantity")
        halt_throw(
            level="DEPLOYMENT", deployment_id=own.pk, reason=f"n {step}", actor="bob", now=timezone.now()
        )
        with CaptureQueriesContext(connection) as asked:
            breaches.breaches("paper", timezone.now())
        counts.append(len(asked))
    assert len(set(counts)) == 1


@pytest.mark.parametrize(("broker", "address"), [("paper", ""), ("zerodha", "&broker=zerodha")])
def test_who_looks_behind_a_breach_stays_with_its_broker(
    broker: str, address: str, viewer: Client, live_enabled: None
) -> None:
    halt_throw(level="BROKER", broker=broker, reason="odd", actor="bob", now=timezone.now())
    (row,) = told(viewer, broker=broker)
    assert f'href="/logs/?action=halt.{address}"' in row


def test_what_a_halt_has_denied_does_not_push_the_halt_off(viewer: Client, monkeypatch) -> None:
    monkeypatch.setattr(breaches, "SHOWN", 2)
    halt_throw(level="GLOBAL", reason="odd prices", actor="bob", now=timezone.now())
    for step in (80, 90, 100):
        world.trade(Deployment.objects.first(), step, Side.BUY, 400, 15_000_000, denied="position_quantity")
    assert [row["kind"] for row in breaches.breaches("paper", timezone.now()).values()] == [
        *("denied", "denied"),
        "halt",
    ]
