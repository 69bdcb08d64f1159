"""Rows of a past moment: what had begun, what had not ended, what was known of it."""

from __future__ import annotations

import html
import re
from typing import Any
from uuid import uuid4, uuid5

import pytest
from django.test import override_settings
from django.utils import timezone

from accounts.services import act_record
from alphapanda.core.clock import to_ms
from alphapanda.core.vocabulary import CommandKind, HaltStep, Severity, Side
from alphapanda.dashboard import lists
from alphapanda.web.formats import UNKNOWN
from execution.models import BrokerCall, BrokerOrder, Difference, Fill, Order
from marketdata.models import Bar
from portfolio.models import LedgerEntry
from risk.models import Decision
from risk.services.alerts import alert_acknowledge, alert_raise
from risk.services.halts import halt_release, halt_throw
from strategies.models import Approval, Command, Deployment, Signal
from strategies.services import lifecycle
from strategies.services.quarantine import quarantine
from tests.cockpit import world
from tests.cockpit.test_moment import now_passed, rows
from tests.cockpit.test_pages import browser
from tests.rows import an_approval

pytestmark = pytest.mark.django_db


def test_lists_end_where_the_moment_is() -> None:
    own = world.desk(count=1)
    world.trade(own.deployments[0], 60, Side.BUY, 100, 15_000_000)
    at = now_passed()
    world.trade(own.deployments[0], 90, Side.SELL, 100, 15_100_000)
    world.trade(own.deployments[0], 95, Side.BUY, 400, 15_100_000, denied="position_limit")
    viewer = browser("viewer")
    for kind in ("orders", "fills", "signals"):
        (shown,) = rows(viewer, f"/{kind}/", at, kind)
        assert "BUY" in shown
        assert len(rows(viewer, f"/{kind}/", now_passed(), kind)) == {"signals": 3}.get(kind, 2)
    assert rows(viewer, "/signals/", at, "signals", verdict="denied") == []
    assert len(rows(viewer, "/signals/", at, "signals", verdict="approved")) == 1
    (trader,) = rows(viewer, "/strategies/", at, "traders")
    assert "position_limit" not in trader


def test_a_verdict_is_known_from_when_it_was_given() -> None:
    own = world.desk(count=1)
    world.trade(own.deployments[0], 60, Side.BUY, 400, 15_000_000, denied="position_limit")
    signal, decision = Signal.objects.get(), Decision.objects.get()
    signal.pk, signal.step = uuid5(signal.pk, "next"), 61
    signal.save(force_insert=True)
    at = now_passed()
    decision.pk, decision.signal = uuid5(decision.pk, "next"), signal
    decision.save(force_insert=True)
    viewer = browser("viewer")
    newest, _ = rows(viewer, "/signals/", at, "signals")
    assert "deciding" in newest
    assert len(rows(viewer, "/signals/", at, "signals", verdict="denied")) == 1
    assert len(rows(viewer, "/signals/", now_passed(), "signals", verdict="denied")) == 2


def test_older_rows_are_of_the_same_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "PAGE", 1)
    own = world.desk(count=1)
    world.trade(own.deployments[0], 60, Side.BUY, 100, 15_000_000)
    world.trade(own.deployments[0], 90, Side.BUY, 200, 15_000_000)
    at, viewer = now_passed(), browser("viewer")
    world.trade(own.deployments[0], 120, Side.BUY, 300, 15_000_000)
    answer = viewer.get("/orders/", {"at": at})
    assert "</span> 200<" in answer.context["rows"][0]
    (older,) = re.findall(r'href="([^"]*older=[^"]*)"', answer.content.decode())
    assert len(re.findall(r"[?;]at=", older)) == 1
    (row,) = viewer.get("/orders/" + html.unescape(older)).context["rows"]
    assert "</span> 100<" in row


@pytest.mark.usefixtures("live_enabled")
def test_halts_alerts_and_differences_are_open_until_they_were_not() -> None:
    world.desk("zerodha", count=1)
    viewer, now = browser("viewer"), timezone.now
    halt = halt_throw(level="BROKER", broker="zerodha", reason="odd", actor="bob", now=now())
    alert = alert_raise(code="odd", subject="INFY", text="it is odd", severity=Severity.CRITICAL, now=now())
    stamps = {"first_seen_at": now(), "seen_at": now()}
    difference = Difference.objects.create(kind="POSITION", key="NSE:INFY", ours="1", theirs="0", **stamps)
    at = now_passed()
    halt_throw(level="BROKER", broker="zerodha", step=HaltStep.CANCEL, reason="worse", actor="bob", now=now())
    halt_release(halt_id=halt.pk, actor="ann", reason="fine", now=now())
    alert_acknowledge(alert_id=alert.pk, actor="ann", reason="seen", now=now())
    difference.settled_at, difference.settled_by, difference.note = now(), "ann", "stamp"
    difference.halted_at = difference.seen_at = now()
    difference.rounds, difference.theirs = 7, "77"
    difference.save()

    live = {"broker": "zerodha"}
    (shown,) = rows(viewer, "/risk/", at, "switches", **live)
    assert "in force" in shown
    assert "<td>pause</td>" in shown
    (shown,) = rows(viewer, "/risk/", now_passed(), "switches", **live)
    assert "released" in shown
    assert "<td>cancel</td>" in shown
    (frame,) = rows(viewer, "/risk/", at, "halts", **live)
    assert "zerodha: odd" in frame
    _, shown = rows(viewer, "/alerts/", at, "alerts")  # behind its group
    assert "it is odd" in shown
    assert rows(viewer, "/alerts/", now_passed(), "alerts") == []
    (shown,) = rows(viewer, "/reconciliation/", at, "differences")
    assert "paused" not in shown
    assert f'<td class="words theirs">{UNKNOWN}</td>' in shown
    assert f'<td class="n looks">{UNKNOWN}</td>' in shown
    assert rows(viewer, "/reconciliation/", at, "settled") == []
    (shown,) = rows(viewer, "/reconciliation/", now_passed(), "settled")
    assert "stamp" in shown
    assert "77" in shown
    assert rows(viewer, "/reconciliation/", now_passed(), "differences") == []


def test_a_command_waited_until_it_was_taken_up() -> None:
    deployment = world.desk(count=1).deployments[0]
    told = Command.objects.create(
        id=uuid4(), deployment=deployment, kind=CommandKind.CANCEL, reason="cancel: odd", actor="bob"
    )
    at, viewer = now_passed(), browser("viewer")
    Command.objects.filter(pk=told.pk).update(step=9, taken_at=timezone.now())
    (shown,) = rows(viewer, f"/strategies/{deployment.pk}/", at, "commands")
    assert "waits for its next step" in shown
    (shown,) = rows(viewer, f"/strategies/{deployment.pk}/", now_passed(), "commands")
    assert "taken up at step 9" in shown


def test_an_entry_waited_until_it_was_answered() -> None:
    own = world.desk(count=1)
    world.trade(own.deployments[0], 60, Side.BUY, 100, 15_000_000, denied="approval")
    now = timezone.now()
    asked = Approval.objects.create(
        signal=Signal.objects.get(),
        deployment=own.deployments[0],
        expires_at_ms=1,
        expires_at=now,
        asked_at=now,
    )
    at, viewer = now_passed(), browser("viewer")
    asked.state, asked.answered_at, asked.answered_by = Approval.State.DENIED, timezone.now(), "ann"
    asked.save()
    (shown,) = rows(viewer, "/approvals/", at, "waits")
    assert "would" not in shown
    assert rows(viewer, "/approvals/", at, "answers") == []
    assert rows(viewer, "/approvals/", now_passed(), "waits") == []
    (shown,) = rows(viewer, "/approvals/", now_passed(), "answers")
    assert "ann" in shown


def test_an_entry_that_was_let_pass_and_dropped_later_had_been_let_pass() -> None:
    own = world.desk(count=1)
    world.trade(own.deployments[0], 60, Side.BUY, 100, 15_000_000, denied="approval")
    now = timezone.now()
    asked = an_approval(Signal.objects.get(), asked_at=now, expires_at=now, state=Approval.State.APPROVED)
    viewer, waited = browser("viewer"), now_passed()
    Command.objects.create(
        id=uuid4(),
        deployment=own.deployments[0],
        kind=CommandKind.APPROVE,
        actor="ann",
        reason="it is good",
        entry=asked.signal,
    )
    passed = now_passed()
    facts = {"state": Approval.State.DROPPED, "answered_by": "bob", "reason": "halted"}
    Approval.objects.update(answered_at=timezone.now(), **facts)

    def shown(at: str) -> tuple[int, list[str]]:
        waits = rows(viewer, "/approvals/", at, "waits")
        return len(waits), rows(viewer, "/approvals/", at, "answers")

    assert shown(waited) == (1, [])
    (waits, (answer,)) = shown(passed)
    assert (waits, "approved" in answer, "ann" in answer, "it is good" in answer) == (0, True, True, True)
    assert "dropped" not in answer
    (waits, (answer,)) = shown(now_passed())
    assert (waits, "dropped" in answer, "bob" in answer) == (0, True, True)


def test_a_deployment_has_the_state_code_and_parameters_of_then() -> None:
    own = world.desk(count=1)
    deployment = own.deployments[0]
    viewer, who = browser("viewer"), {"actor": "bob", "reason": "try", "now": timezone.now()}
    Deployment.objects.filter(pk=deployment.pk).update(params={"fast": 9})
    running = now_passed()
    assert quarantine(deployment_id=deployment.pk, error="Traceback:\nValueError: 7")
    failed = now_passed()
    lifecycle.deployment_release_quarantine(deployment_id=deployment.pk, **who)
    lifecycle.deployment_stop(deployment_id=deployment.pk, **who)
    stopped = now_passed()
    lifecycle.deployment_configure(deployment_id=deployment.pk, changes={"params": {"fast": 12}}, **who)
    Deployment.objects.filter(pk=deployment.pk).update(checkpointed_at=timezone.now(), step=77)

    def page(at: str) -> str:
        return viewer.get(f"/strategies/{deployment.pk}/", {"at": at}).content.decode()

    told = [page(at) for at in (running, failed, stopped)]
    for words, state in zip(told, ("running", "quarantined", "stopped"), strict=True):
        assert f">{state}</span>" in words
        assert "<b>9</b>" in words
        assert "<dd>77</dd>" not in words
    assert ["ValueError: 7" in words for words in told] == [False, True, True]  # then in its history alone
    assert "Nobody since it was made" in told[0]
    last = page(now_passed())
    assert "<b>12</b>" in last
    assert "<dd>77</dd>" in last
    assert "deployment.configure" in last


def test_an_upgrade_is_undone_by_its_hash() -> None:
    own = world.desk(count=1)
    deployment, before = own.deployments[0], own.deployments[0].strategy_version
    after = before.strategy.versions.create(version="1.3", source_hash="1" * 64, schema={})
    at = now_passed()
    Deployment.objects.filter(pk=deployment.pk).update(strategy_version=after, params={"fast": 3})
    told = {"version": str(before), "hash": before.source_hash, "params": {}}
    act_record(
        actor="bob", action="deployment.upgrade", target=f"deployment:{deployment.name}", reason="try",
        details={"from": told, "to": {}}, now=timezone.now(),
    )  # fmt: skip
    viewer = browser("viewer")
    assert "v1.2" in rows(viewer, "/strategies/", at, "traders")[0]
    assert "v1.3" in rows(viewer, "/strategies/", now_passed(), "traders")[0]


def test_why_ends_where_the_moment_is() -> None:
    own = world.desk("zerodha", count=1)
    world.trade(own.deployments[0], 60, Side.BUY, 100, 15_000_000)
    order = Order.objects.get()
    at_broker = BrokerOrder.objects.create(order=order, state={})
    sent = to_ms(timezone.now())
    at = now_passed()
    BrokerCall.objects.create(
        id=order.pk, order=at_broker, kind="ORDER", lane="ENTRY", attempt=1, queued_at_ms=1, sent_at_ms=sent,
        answered_at_ms=sent + 60_000, http_status=200, state="DONE", reason="taken",
    )  # fmt: skip
    BrokerCall.objects.create(
        id=order.decision_id, order=at_broker, kind="CANCEL", lane="CANCEL", attempt=1, queued_at_ms=1,
        sent_at_ms=sent + 60_000, state="SENDING",
    )  # fmt: skip
    answer = browser("viewer").get(f"/orders/{order.pk}/", {"at": at})
    (call,) = answer.context["calls"]
    assert (call.kind, call.state, call.reason) == ("ORDER", "SENDING", "")
    assert (call.answered_at_ms, call.http_status) == (None, None)
    assert len(answer.context["fills"]) == 1
    now = browser("operator").get(f"/orders/{order.pk}/")
    assert [call.http_status for call in now.context["calls"]] == [200, None]


def bar(own: Any, minute: int) -> None:
    Bar.objects.create(
        instrument=own.instruments[0], minutes=1, starts_ms=world.START + 60_000 * minute, open_e4=1,
        high_e4=1, low_e4=1, close_e4=10_000 * (minute + 1), volume=1, ticks=1,
    )  # fmt: skip


def test_a_chart_of_then_has_the_bars_of_then_and_what_was_done_by_then() -> None:
    own = world.desk(count=1)
    bar(own, 0)
    world.trade(own.deployments[0], 60, Side.BUY, 100, 15_000_000)
    at = now_passed()
    bar(own, 1)
    world.trade(own.deployments[0], 90, Side.BUY, 100, 15_000_000, denied="position_limit")
    viewer = browser("viewer")
    told = viewer.get("/chart/NSE:INFY/bars", {"at": at}).json()
    later = viewer.get("/chart/NSE:INFY/bars", {"at": now_passed()}).json()
    assert [[bar[4] for bar in one["bars"]] for one in (told, later)] == [[1.0], [1.0, 2.0]]
    assert [[one["kind"] for one in found["markers"]] for found in (told, later)] == [
        ["signal", "fill"],
        ["signal", "fill", "denied"],
    ]


@override_settings(FEED="recorded")
def test_the_last_price_is_of_a_bar_that_had_ended_by_the_clock_of_the_ticks(exchange_hours: None) -> None:
    """The clock of a recording stands where the newest fact does: a price of later is not known, stored or not."""
    own = world.desk(count=1)
    viewer = browser("viewer")

    def price(at: str) -> str:
        (mark,) = rows(viewer, "/chart/NSE:INFY/", at, "marks")
        return re.findall(r'price">([^<]*)<', mark)[0]

    before = now_passed()
    bar(own, 0)
    first = now_passed()
    bar(own, 4)  # of before the recording was played
    bar(own, 1)
    second = now_passed()
    world.trade(own.deployments[0], 310, Side.BUY, 100, 15_000_000)
    assert [price(at) for at in (before, first, second, now_passed())] == ["–", "1.00", "2.00", "5.00"]  # noqa: RUF001
    strip = rows(viewer, "/orders/", second, "strip")[0]
    assert "2019-07-09 09:17:00 IST" in strip
    assert "2019-07-09 09:16:00 IST" in rows(viewer, "/orders/", first, "strip")[0]
    assert "Market open" in strip
    with override_settings(
        FEED="kite"
    ):  # there the clock is that of the wall, and the newest bar is the last price
        assert price(second) == "5.00"


def test_performance_is_what_had_been_booked() -> None:
    own = world.desk(count=1)
    world.trade(own.deployments[0], 60, Side.BUY, 100, 15_000_000)
    fill = Fill.objects.get()

    def entry(number: int, amount: int) -> None:
        LedgerEntry.objects.create(
            id=uuid5(fill.pk, str(number)), book_id=fill.deployment_id, portfolio=own.portfolio,
            instrument=fill.instrument, fill_id=fill.pk, number=number, account="REALISED", amount=-amount,
            at_ms=fill.at_ms,
        )  # fmt: skip

    entry(1, 40)
    at = now_passed()
    entry(2, 7)
    viewer = browser("viewer")
    assert viewer.get("/performance/", {"at": at}).context["total"].net == 40
    assert viewer.get("/performance/").context["total"].net == 47


def test_redis_has_no_part_in_the_past(settings: pytest.FixtureRequest) -> None:
    own = world.desk(count=1)
    world.trade(own.deployments[0], 60, Side.BUY, 100, 15_000_000)
    at = now_passed()
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    page = browser("viewer").get("/", {"at": at}).content.decode()
    assert "Live state cannot be read" not in page
    assert "fast crossed slow" in page
