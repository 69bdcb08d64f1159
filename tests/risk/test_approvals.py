"""Entries that wait for a person: answered by service, API, command and admin, and over without an answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from accounts import live
from accounts.models import AuditEntry, User
from alphapanda import health_checks
from alphapanda.core import ids
from alphapanda.core.vocabulary import Side
from alphapanda.health.registry import Level
from alphapanda.tasks import watch
from risk.models import Decision
from risk.services import approvals as service
from risk.services.approvals import (
    ApprovalNotFound,
    ApprovalOver,
    ApprovalReasonMissing,
    KeyReused,
    approval_answer,
    approvals_answer,
)
from risk.services.halts import halt_throw
from risk.services.outlook import approval_outlook
from strategies.loading import signal_row
from strategies.models import Approval, Command, Deployment, Signal
from strategies.services.approvals import approvals_drop, approvals_expire
from strategies.services.lifecycle import deployment_pause, deployment_stop
from strategies.services.quarantine import quarantine
from tests.builders import a_holding
from tests.people import a_person, client_of
from tests.rows import AT_MS, SOME, a_decision, a_deployment, a_signal, an_approval

pytestmark = pytest.mark.django_db
NOW = datetime(2019, 7, 9, 3, 50, 30, tzinfo=UTC)
BY: dict[str, Any] = {"actor": "alice", "reason": "looked at it", "now": NOW}
State = Approval.State


def waiting(step: int = 1, **deployment: Any) -> Approval:
    found = Deployment.objects.filter(name="ma-infy").first() or a_deployment(**deployment)
    return an_approval(a_signal(found, step))


def state_of(approval: Approval) -> str:
    return Approval.objects.get(pk=approval.pk).state


def test_an_approval_is_a_command_that_names_the_entry_and_when_it_is_too_late() -> None:
    approval = waiting()

    found = approval_answer(signal_id=approval.pk, is_approved=True, **BY)

    command = Command.objects.get()
    assert (found.state, found.answered_by, found.answered_at) == (State.APPROVED, "alice", NOW)
    assert (command.kind, command.entry_id, command.step) == ("APPROVE", approval.pk, None)
    assert command.expires_at_ms == AT_MS + 60_000
    entry = AuditEntry.objects.get(action="approval.approve")
    assert (entry.actor, entry.target, entry.reason) == ("alice", "deployment:ma-infy", "looked at it")
    assert entry.details["signal"] == str(approval.pk)


def test_approved_twice_it_is_one_command_and_denied_twice_one_entry_of_the_audit() -> None:
    one, other = waiting(), waiting(2)
    for actor in ("alice", "bob"):
        approval_answer(signal_id=one.pk, is_approved=True, **BY | {"actor": actor})
        approval_answer(signal_id=other.pk, is_approved=False, **BY | {"actor": actor})

    assert Command.objects.count() == 1
    assert list(AuditEntry.objects.order_by("id").values_list("actor", "action")) == [
        ("alice", "approval.approve"),
        ("alice", "approval.deny"),
    ]


def test_who_has_denied_does_not_approve_later_nor_the_other_way_round() -> None:
    one, other = waiting(), waiting(2)
    approval_answer(signal_id=one.pk, is_approved=False, **BY)
    approval_answer(signal_id=other.pk, is_approved=True, **BY)

    with pytest.raises(ApprovalOver, match="denied, looked at it"):
        approval_answer(signal_id=one.pk, is_approved=True, **BY)
    with pytest.raises(ApprovalOver, match="approved"):
        approval_answer(signal_id=other.pk, is_approved=False, **BY)


def test_a_key_stands_for_one_answer_whatever_has_come_after() -> None:
    approval = waiting()
    approval_answer(signal_id=approval.pk, is_approved=True, key="k1", **BY)
    approvals_drop([approval.deployment_id], why="stopped", actor="bob", now=NOW)
    other = waiting(2)

    again = approval_answer(signal_id=approval.pk, is_approved=True, key="k1", **BY)
    assert (again.state, Command.objects.count()) == (State.DROPPED, 1)
    with pytest.raises(ApprovalOver):
        approval_answer(signal_id=approval.pk, is_approved=True, key="k2", **BY)
    with pytest.raises(KeyReused):
        approval_answer(signal_id=other.pk, is_approved=False, key="k1", **BY)
    approval_answer(signal_id=other.pk, is_approved=False, key="k3", **BY)
    with pytest.raises(KeyReused):
        approval_answer(signal_id=approval.pk, is_approved=True, key="k3", **BY)


def test_an_answer_needs_a_reason_and_an_entry() -> None:
    approval = waiting()
    with pytest.raises(ApprovalReasonMissing):
        approval_answer(signal_id=approval.pk, is_approved=True, **BY | {"reason": " "})
    with pytest.raises(ApprovalNotFound):
        approval_answer(signal_id=SOME, is_approved=True, **BY)
    assert state_of(approval) == State.WAITING


def test_of_several_what_is_over_keeps_out_none_of_the_others() -> None:
    first, over, last = waiting(), waiting(2), waiting(3)
    Approval.objects.filter(pk=over.pk).update(state=State.REPLACED)

    answers = approvals_answer(
        signal_ids=[first.pk, over.pk, SOME, last.pk, first.pk], is_approved=True, **BY
    )

    assert [(one.signal, one.state, bool(one.problem)) for one in answers] == [
        (first.pk, "APPROVED", False),
        (over.pk, "REPLACED", True),
        (SOME, "", True),
        (last.pk, "APPROVED", False),
    ]
    assert Command.objects.count() == 2


# ---- over without an answer


@pytest.mark.parametrize(
    ("at_ms", "later_s", "state"),
    [
        (AT_MS + 59_999, 29, State.WAITING),
        (AT_MS + 60_000, 29, State.EXPIRED),
        (AT_MS, 30, State.EXPIRED),
    ],
)
def test_it_expires_by_the_log_and_by_the_wall_clock_where_the_log_stands(
    at_ms: int, later_s: int, state: str
) -> None:
    approval = waiting()
    Deployment.objects.update(at_ms=at_ms)

    approvals_expire(now=NOW + timedelta(seconds=later_s))

    assert state_of(approval) == state


def test_too_late_is_told_to_who_approves_and_written_down() -> None:
    approval = waiting()
    Deployment.objects.update(at_ms=AT_MS + 60_000)

    with pytest.raises(ApprovalOver, match="expired"):
        approval_answer(signal_id=approval.pk, is_approved=True, **BY)
    assert state_of(approval) == State.EXPIRED
    assert not Command.objects.exists()


def test_what_was_taken_up_too_late_is_expired_and_what_was_raised_is_not() -> None:
    late, raised, still = waiting(), waiting(2), waiting(3)
    for one in (late, raised, still):
        approval_answer(signal_id=one.pk, is_approved=True, **BY)
    Command.objects.filter(entry=late.pk).update(step=8)
    Command.objects.filter(entry=raised.pk).update(step=9)
    again = Signal.objects.get(pk=raised.pk)
    again.id, again.step, again.approves_id = SOME, 9, raised.pk
    again.save(force_insert=True)

    watch()

    assert [state_of(one) for one in (late, raised, still)] == ["EXPIRED", "APPROVED", "APPROVED"]


@pytest.mark.parametrize("what", ["halt", "halt of the broker", "pause", "stop", "quarantine"])
def test_who_stops_entries_drops_what_waits_and_what_is_not_carried_out_yet(what: str) -> None:
    approved, unanswered, denied = waiting(), waiting(2), waiting(3)
    other = an_approval(a_signal(a_deployment("elsewhere")))
    approval_answer(signal_id=approved.pk, is_approved=True, **BY)
    approval_answer(signal_id=denied.pk, is_approved=False, **BY)
    deployment_id = approved.deployment_id
    {
        "halt": lambda: halt_throw(level="DEPLOYMENT", deployment_id=deployment_id, **BY),
        "halt of the broker": lambda: halt_throw(level="BROKER", broker="paper", **BY),
        "pause": lambda: deployment_pause(deployment_id=deployment_id, **BY),
        "stop": lambda: deployment_stop(deployment_id=deployment_id, **BY),
        "quarantine": lambda: quarantine(deployment_id=deployment_id, error="boom"),
    }[what]()

    found = [state_of(one) for one in (approved, unanswered, denied)]
    assert found == [State.DROPPED, State.DROPPED, State.DENIED]
    assert state_of(other) == (State.DROPPED if what == "halt of the broker" else State.WAITING)
    with pytest.raises(ApprovalOver, match="dropped"):
        approval_answer(signal_id=unanswered.pk, is_approved=True, **BY)


@pytest.mark.parametrize("what", ["halt", "pause"])
def test_nothing_passes_that_began_to_wait_as_entries_were_stopped(what: str) -> None:
    approval = waiting()
    if what == "halt":
        halt_throw(level="GLOBAL", **BY)
    else:
        deployment_pause(deployment_id=approval.deployment_id, **BY)
    Approval.objects.update(state=State.WAITING)

    with pytest.raises(ApprovalOver, match="halted" if what == "halt" else "PAUSED"):
        approval_answer(signal_id=approval.pk, is_approved=True, **BY)
    approval_answer(signal_id=approval.pk, is_approved=False, **BY)


# ---- who may


def test_at_zerodha_who_approves_has_the_permission_to_trade_live_and_anybody_may_deny(settings) -> None:
    from tests.kite.test_clearance import a_trader

    settings.ZERODHA_ENABLED = settings.LIVE_TRADING = True
    one, other = waiting(broker="zerodha"), waiting(2)
    a_person("bob", role="operator")
    a_trader()

    with pytest.raises(live.NotCleared):
        approval_answer(signal_id=one.pk, is_approved=True, **BY | {"actor": "bob"})
    assert state_of(one) == State.WAITING
    approval_answer(signal_id=one.pk, is_approved=True, **BY)
    approval_answer(signal_id=other.pk, is_approved=False, **BY | {"actor": "bob"})
    settings.LIVE_TRADING = False
    with pytest.raises(live.NotCleared):
        approval_answer(signal_id=waiting(3).pk, is_approved=True, **BY)


# ---- what it would do


@pytest.mark.usefixtures("exchange_hours")
def test_the_outlook_tells_exposures_before_and_after_and_who_would_object() -> None:
    """The log has stood still since: at its time the market is open, and no price is known."""
    from marketdata.selectors import calendars

    approval = waiting()

    found = approval_outlook(approval, calendar=calendars(), now=NOW)

    assert (found["would_pass"], found["rule"]) == (False, "stale_price")
    assert found["gross_exposure_before"] == "0"
    assert found["numbers"]["worst_position"] == 10
    assert found["numbers"]["order_value"] == "12490.5"
    assert not Decision.objects.exists()


# ---- shells


@pytest.fixture
def hours(exchange_hours: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shells ask the wall clock, which is at the time of the entry."""
    for module in ("risk.approvals_api", "risk.approvals_admin", "risk.management.commands.approvals"):
        monkeypatch.setattr(f"{module}.timezone.now", lambda: NOW)


@pytest.mark.usefixtures("hours")
def test_over_rest_they_are_listed_and_answered_in_bulk() -> None:
    one, other = waiting(), waiting(2)
    a_person("vera", role="viewer")
    a_person("alice", role="operator")
    viewer, operator = client_of("vera"), client_of("alice")
    body = {"signals": [str(one.pk), str(other.pk)], "reason": "fine"}

    listed = viewer.get("/api/v1/approvals/", {"state": "WAITING"}).json()["results"]
    assert [row["signal"] for row in listed] == [str(other.pk), str(one.pk)]
    assert (listed[0]["instrument"], listed[0]["limit_price"]) == ("NSE:INFY", "1249.05")
    assert listed[0]["outlook"]["rule"] == "stale_price"
    assert viewer.post("/api/v1/approvals/approve/", body, format="json").status_code == 403
    assert operator.post("/api/v1/approvals/approve/", {"signals": []}, format="json").status_code == 400

    for _ in range(2):
        answer = operator.post(
            "/api/v1/approvals/approve/", body, format="json", headers={"Idempotency-Key": "k1"}
        )
        assert answer.json() == [
            {"signal": str(row.pk), "state": "APPROVED", "problem": ""} for row in (one, other)
        ]
    assert Command.objects.count() == 2
    denied = operator.post("/api/v1/approvals/deny/", body, format="json", headers={"Idempotency-Key": "k1"})
    assert denied.status_code == 409
    detail = viewer.get(f"/api/v1/approvals/{one.pk}/").json()
    assert (detail["state"], detail["answered_by"], detail["verdict"]) == ("APPROVED", "alice", None)
    assert detail["outlook"] is None


@pytest.mark.usefixtures("hours")
def test_the_verdict_at_approval_is_shown(capsys) -> None:
    approval = waiting()
    approval_answer(signal_id=approval.pk, is_approved=True, **BY)
    again = Signal.objects.get(pk=approval.pk)
    again.id, again.step, again.approves_id = ids.derived("test", "again"), 9, approval.pk
    again.save(force_insert=True)
    Decision.objects.create(
        id=SOME, signal=again, deployment=again.deployment, broker="paper", is_approved=False,
        rule="price_collar", reason="too far", numbers={}, at_ms=AT_MS,
    )  # fmt: skip
    a_person("vera", role="viewer")

    found = client_of("vera").get(f"/api/v1/approvals/{approval.pk}/").json()["verdict"]
    call_command("approvals", "--all", "--json")

    assert (found["rule"], found["is_approved"]) == ("price_collar", False)
    assert json.loads(capsys.readouterr().out)[0]["verdict"] == "price_collar: too far"


@pytest.mark.usefixtures("hours")
def test_the_command_lists_and_answers(capsys) -> None:
    one, other = waiting(), waiting(2)

    call_command("approvals", "--json")
    listed = json.loads(capsys.readouterr().out)
    assert [row["signal"] for row in listed] == [str(other.pk), str(one.pk)]
    assert listed[0]["numbers"]["worst_position"] == 10
    call_command("approvals", "approve", str(one.pk), "--reason", "fine", "--actor", "alice", "--json")
    assert json.loads(capsys.readouterr().out) == [
        {"signal": str(one.pk), "state": "APPROVED", "problem": ""}
    ]
    with pytest.raises(SystemExit) as ended:
        call_command("approvals", "deny", str(one.pk), str(other.pk), "--reason", "no")
    assert ended.value.code == 1
    assert state_of(other) == State.DENIED
    with pytest.raises(CommandError, match="Name the entries"):
        call_command("approvals", "approve")
    with pytest.raises(CommandError, match="Say why"):
        call_command("approvals", "approve", str(one.pk))


@pytest.mark.usefixtures("hours")
def test_in_the_admin_operators_approve_and_deny(client) -> None:
    one, other = waiting(), waiting(2)
    root = User.objects.create_superuser("alice", password="x" * 20)
    client.force_login(root)
    page = reverse("admin:strategies_approval_changelist")

    shown = client.get(reverse("admin:strategies_approval_change", args=[one.pk])).content.decode()
    assert "stale_price" in shown
    for action, row in (("approve", one), ("deny", other)):
        client.post(page, {"action": action, "_selected_action": [str(row.pk)]})

    assert (state_of(one), state_of(other)) == (State.APPROVED, State.DENIED)
    assert "crossed above" in client.get(page).content.decode()


def test_health_tells_how_many_wait() -> None:
    assert health_checks.approvals().level is Level.OK
    waiting()
    found = health_checks.approvals()
    assert (found.level, found.value) == (Level.WARN, 1)


@pytest.mark.parametrize(
    ("side", "held", "is_refused"), [("SELL", 0, True), ("SELL", 100, False), ("BUY", 0, False)]
)
def test_what_was_to_turn_a_position_does_not_pass_once_that_is_another(
    side: str, held: int, is_refused: bool
) -> None:
    """Closed meanwhile by a square-off: the same order would open all of it."""
    approval = waiting()
    a_decision(approval.signal, position=100)
    approval_answer(signal_id=approval.pk, is_approved=True, **BY)
    row = msgspec.structs.replace(signal_row(approval.signal), side=Side(side), approves=approval.pk)

    said = service.approval_guard([row], {row.token: a_holding(held)}, NOW)

    told = "it was to turn a position of 100 units, and 0 are held now"
    assert said == ((("approval", told),) if is_refused else ())
