"""Alerts wait for a person: raised once, acknowledged once, and left alone too long they keep entries out."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import AuditEntry
from alphapanda import tasks
from alphapanda.core.vocabulary import OrderStatus, Severity
from alphapanda.eventlog.models import OutboxEvent
from marketdata.domain.instruments import COLUMNS
from marketdata.services.instruments import load
from portfolio.models import Position
from risk.models import Alert, StartOfDay
from risk.services.alerts import AlertNoteMissing, AlertNotFound, alert_acknowledge, alert_raise
from risk.services.gates import gates_by_deployment, gates_now, start_of_day_record
from risk.services.halts import halt_throw
from strategies.models import Deployment
from tests.people import client_of
from tests.rows import SOME, a_book, a_decision, a_deployment, a_signal, an_instrument, an_order

pytestmark = pytest.mark.django_db
NOW = datetime(2019, 7, 9, 4, 0, tzinfo=UTC)
BY = {"actor": "alice", "reason": "looking at it", "now": NOW}


def raised(**facts: object) -> Alert:
    values = {
        "code": "drill",
        "subject": "all",
        "text": "x",
        "severity": Severity.CRITICAL,
        "now": NOW,
    } | facts
    return alert_raise(**values)  # type: ignore[arg-type]


def test_an_open_alert_is_counted_and_after_its_end_there_may_be_another():
    first, again, other = raised(), raised(), raised(subject="paper")
    alert_acknowledge(alert_id=first.pk, **BY)
    new = raised()

    first.refresh_from_db()
    assert first == again != other
    assert (first.times, first.acknowledged_by, first.note) == (2, "alice", "looking at it")
    assert new.pk not in (first.pk, other.pk)
    assert OutboxEvent.objects.filter(type="alert.raised").count() == 3
    assert OutboxEvent.objects.filter(type="alert.raised", topic="operator.actions").count() == 3


def test_what_is_raised_once_does_not_come_back():
    first = raised(once=True)
    alert_acknowledge(alert_id=first.pk, **BY)

    assert raised(once=True) == first
    assert Alert.objects.count() == 1


def test_acknowledging_needs_a_word_and_is_done_once():
    alert = raised()
    with pytest.raises(AlertNoteMissing):
        alert_acknowledge(alert_id=alert.pk, **BY | {"reason": " "})
    with pytest.raises(AlertNotFound):
        alert_acknowledge(alert_id=alert.pk + 1, **BY)
    for actor in ("alice", "bob"):
        alert_acknowledge(alert_id=alert.pk, **BY | {"actor": actor})

    alert.refresh_from_db()
    assert alert.acknowledged_by == "alice"
    assert AuditEntry.objects.filter(action="alert.acknowledge").count() == 1


@pytest.mark.parametrize(
    ("severity", "minutes", "setting", "is_refused"),
    [
        (Severity.CRITICAL, 16, 15, True),
        (Severity.CRITICAL, 14, 15, False),
        (Severity.CRITICAL, 999, 0, False),
        (Severity.WARNING, 999, 15, False),
    ],
)
def test_a_critical_alert_left_alone_keeps_entries_out(settings, severity, minutes, setting, is_refused):
    settings.ALERT_PAUSES_MINUTES = setting
    alert = raised(severity=severity)
    at = timezone.now()
    Alert.objects.update(raised_at=at - timedelta(minutes=minutes))

    assert [rule for rule, _ in gates_now(at, SOME, "paper").guards] == (
        ["unacknowledged_alert"] if is_refused else []
    )
    waits = setting and severity is Severity.CRITICAL
    known = {"alert": alert.pk, "waited_s": minutes * 60} if waits else {}
    assert gates_now(at, SOME, "paper").seen["unacknowledged_alert"] == {"minutes": setting} | known
    alert_acknowledge(alert_id=alert.pk, **BY)
    assert gates_now(at, SOME, "paper").guards == ()


def test_an_alert_about_one_deployment_stops_no_other():
    failing, other = a_deployment("failing", status="QUARANTINED", error="boom"), a_deployment("other")
    tasks.watch()
    at = timezone.now() + timedelta(minutes=16)

    assert Alert.objects.get().deployment == failing
    assert [rule for rule, _ in gates_now(at, failing.pk, "paper").guards] == ["unacknowledged_alert"]
    assert gates_now(at, other.pk, "paper").guards == ()
    raised()
    assert [rule for rule, _ in gates_now(at, other.pk, "paper").guards] == ["unacknowledged_alert"]


def test_an_alert_about_a_namespace_stops_no_other():
    paper, live = a_deployment("paper"), a_deployment("live", broker="zerodha")
    raised(broker="zerodha")
    at = timezone.now() + timedelta(minutes=16)

    def stopped() -> dict[str, list[str]]:
        both = gates_by_deployment(at, [paper.pk, live.pk])
        for one in (paper, live):
            assert gates_now(at, one.pk, one.broker) == both[one.pk]
        return {one.name: [rule for rule, _ in both[one.pk].guards] for one in (paper, live)}

    assert stopped() == {"paper": [], "live": ["unacknowledged_alert"]}
    raised(subject="elsewhere", broker="paper")
    Alert.objects.filter(broker="zerodha").update(acknowledged_at=at)
    assert stopped() == {"paper": ["unacknowledged_alert"], "live": []}


@pytest.mark.parametrize("level", ["BROKER", "DEPLOYMENT"])
def test_a_halt_on_paper_that_does_not_reach_everybody_keeps_no_live_entry_out(level: str):
    holds, live = a_deployment("holds", status="STOPPED"), a_deployment("live", broker="zerodha")
    Position.objects.create(book=a_book(holds), instrument=an_instrument(), quantity=5)
    target = {"broker": "paper"} if level == "BROKER" else {"deployment_id": holds.pk}
    halt_throw(level=level, step="FLATTEN", **target, **BY)
    at = timezone.now() + timedelta(minutes=16)

    assert Alert.objects.get().code == "halt_out_of_reach"
    assert gates_now(at, holds.pk, "paper").guards
    assert gates_now(at, live.pk, "zerodha").guards == ()


def test_the_day_is_a_gate_where_the_setting_asks_for_it(settings):
    settings.START_OF_DAY_REQUIRED = True
    bad, good = [{"name": "clock", "is_good": False}], [{"name": "clock", "is_good": True}]
    assert [rule for rule, _ in gates_now(NOW, SOME, "paper").guards] == ["start_of_day"]

    start_of_day_record(findings=bad, actor="alice", now=NOW)
    assert [rule for rule, _ in gates_now(NOW, SOME, "paper").guards] == ["start_of_day"]
    start_of_day_record(findings=good, actor="alice", now=NOW)
    start_of_day_record(findings=bad, actor="alice", now=NOW)  # a day that has passed stays passed

    assert gates_now(NOW, SOME, "paper").guards == ()
    assert gates_now(NOW, SOME, "paper").seen["start_of_day"] == {"is_required": True, "is_passed": True}
    assert [rule for rule, _ in gates_now(NOW + timedelta(days=1), SOME, "paper").guards] == ["start_of_day"]
    row = StartOfDay.objects.get()
    assert (str(row.day), row.is_passed, row.findings) == ("2019-07-09", True, bad)
    assert Alert.objects.get().text == "did not pass: clock"
    settings.START_OF_DAY_REQUIRED = False
    assert gates_now(NOW + timedelta(days=1), SOME, "paper").guards == ()
    assert gates_now(NOW, SOME, "paper").seen["start_of_day"] == {"is_required": False}


def test_alerts_by_command(capsys):
    alert = raised()
    call_command("alerts", "--json")
    (shown,) = json.loads(capsys.readouterr().out)
    assert (shown["id"], shown["severity"], shown["code"]) == (alert.pk, "CRITICAL", "drill")

    with pytest.raises(CommandError, match="Say what you do"):
        call_command("alerts", "ack", alert.pk)
    with pytest.raises(CommandError, match="by their ids"):
        call_command("alerts", "ack")
    call_command("alerts", "ack", alert.pk, "--reason", "mended")
    assert "No alert is open" in capsys.readouterr().out
    call_command("alerts", "--all", "--json")
    assert json.loads(capsys.readouterr().out)[0]["note"] == "mended"


def test_alerts_by_api():
    alert = raised()
    reader, operator = client_of("bob"), client_of("alice")

    assert len(reader.get("/api/v1/alerts/", {"is_open": "true"}).json()["results"]) == 1
    address = f"/api/v1/alerts/{alert.pk}/acknowledge/"
    assert reader.post(address, {"reason": "me"}).status_code == 403
    assert operator.post(address, {}).status_code == 400
    answer = operator.post(address, {"reason": "on it"})
    assert (answer.status_code, answer.json()["acknowledged_by"]) == (200, "alice")
    assert operator.post("/api/v1/alerts/999/acknowledge/", {"reason": "on it"}).status_code == 404
    assert reader.get("/api/v1/alerts/", {"is_open": "true"}).json()["results"] == []


def test_a_list_that_changes_what_is_in_use_is_an_alert_once():
    deployment = a_deployment(name="nifty")
    infy = an_instrument()
    deployment.instruments.add(infy)
    columns = "408065,1594,INFY,INFOSYS,0.0,,0.0,0.05,{lot},EQ,NSE,NSE"
    for lot in (infy.lot_size, 25):
        load(io.StringIO("\n".join([",".join(COLUMNS), columns.format(lot=lot)])), now=timezone.now())
    for _ in range(2):
        tasks.watch()
    found = Alert.objects.filter(code="instrument_changed", subject__contains="lot_size 1 is 25")
    assert "used by deployment nifty" in found.get().text
    alert_acknowledge(alert_id=found.get().pk, **BY)
    tasks.watch()
    assert found.count() == 1


def test_the_alert_of_one_that_hung_says_what_was_wrong():
    a_deployment(
        status="QUARANTINED", error="did not come back; it was at\n  File x, line 1\n    while 1: pass"
    )
    tasks.watch()
    assert Alert.objects.get().text == "did not come back"


def test_every_quarantine_is_an_alert_of_its_own():
    deployment = a_deployment(status="QUARANTINED", error="Traceback\nValueError: boom", step=41)
    for _ in range(2):
        tasks.watch()
    (alert,) = Alert.objects.all()
    assert (alert.severity, alert.text) == ("CRITICAL", "ValueError: boom")
    alert_acknowledge(alert_id=alert.pk, **BY)
    tasks.watch()
    assert Alert.objects.count() == 1

    deployment.revision += 1
    deployment.save()
    tasks.watch()
    assert Alert.objects.count() == 2


def test_orders_rejected_one_after_the_other_are_a_warning_once_a_day():
    unlucky, working = a_deployment("unlucky"), a_deployment("working")
    bad, good = OrderStatus.REJECTED, OrderStatus.COMPLETE
    for deployment, statuses in ((unlucky, (good, bad, bad)), (working, (bad, bad, bad, good))):
        for step, status in enumerate(statuses, start=1):
            _ended(deployment, step, status)
    tasks.watch()
    assert not Alert.objects.exists()

    _ended(unlucky, 4, bad)
    for _ in range(2):
        tasks.watch()
    (alert,) = Alert.objects.all()
    assert (alert.deployment, alert.severity, alert.code) == (unlucky, "WARNING", "orders_rejected")
    assert "last 3 orders were rejected, NSE:INFY with: margin of step 4" in alert.text
    alert_acknowledge(alert_id=alert.pk, **BY)
    tasks.watch()
    assert Alert.objects.count() == 1


def _ended(deployment: Deployment, step: int, status: OrderStatus) -> None:
    order = an_order(a_decision(a_signal(deployment, step)))
    order.status, order.reason, order.placed_at_ms = status, f"margin of step {step}", step
    order.save()
