"""Time travel: an address with a moment is a page of then, marked, with links of then, and nothing on it acts."""

from __future__ import annotations

import html
import re
import time
from typing import Any
from uuid import uuid5

import pytest
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone

from accounts.models import ApiKey
from accounts.services import act_record
from alphapanda.core.clock import to_ms
from alphapanda.core.vocabulary import HaltStep, Severity, Side
from alphapanda.dashboard import lists, moment
from alphapanda.dashboard.rail import ELSEWHERE, FIRST, RAIL
from execution.models import BrokerCall, BrokerOrder, Difference, Fill, Order
from marketdata.models import Bar
from portfolio.models import LedgerEntry
from risk.models import Decision
from risk.services.alerts import alert_acknowledge, alert_raise
from risk.services.halts import halt_release, halt_throw
from strategies.models import Approval, Deployment, Signal
from strategies.services import lifecycle
from strategies.services.quarantine import quarantine
from tests.cockpit import world
from tests.cockpit.test_pages import ROWS, browser

pytestmark = pytest.mark.django_db
PAGES = [page.name for group in RAIL.values() for page in group if page.name not in ELSEWHERE]


def now_passed() -> str:
    """The present as an address has it, with nothing else in its millisecond."""
    time.sleep(0.003)
    at = moment.written(to_ms(timezone.now()))
    time.sleep(0.003)
    return at


def rows(client: Client, path: str, at: str, kind: str, **asked: Any) -> list[str]:
    return list(client.get(path, {"at": at, **asked}, headers=ROWS).json()["rows"][kind].values())


def test_a_moment_in_words() -> None:
    now = timezone.now()
    ten = moment.parsed("2019-07-09T10:15:30", now)
    assert moment.written(ten) == "2019-07-09T10:15:30"
    assert moment.parsed("2019-07-09T10:15", now) == ten - 30_000
    assert moment.parsed(" 2019-07-09 10:15:30.250 ", now) == ten + 250
    assert moment.written(ten + 250) == "2019-07-09T10:15:30.250"
    assert moment.parsed("2019-07-09T04:45:30Z", now) == ten
    assert moment.parsed(moment.written(to_ms(now)), now) == to_ms(now)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("yesterday", "is no moment"),
        ("2019-13-09T10:15:30", "is no moment"),
        ("<b>10:15</b>", "is no moment"),
        ("0001-01-01T00:00:00", "before the year 1990"),
        ("9999-12-31T23:59:59", "is still to come"),
    ],
)
def test_what_is_no_moment_is_a_page_in_words(text: str, why: str) -> None:
    viewer = browser("viewer")
    answer = viewer.get("/orders/", {"at": text})
    page = answer.content.decode()
    assert answer.status_code == 400
    assert why in page
    assert "2026-11-28T10:15:30" in page
    assert "<b>10:15" not in page
    told = viewer.get("/orders/", {"at": text}, headers=ROWS)
    assert told.status_code == 400
    assert why in told.json()["words"]


def test_the_address_that_asks_for_no_moment_is_of_now() -> None:
    page = browser("operator").get("/orders/", {"at": ""}).content.decode()
    assert "PAST" not in page
    assert 'id="halt"' in page
    assert 'data-socket="/ws/live/' in page


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_marked_and_says_whether_it_is_of_then(name: str) -> None:
    own = world.desk(count=1)
    world.trade(own.deployments[0], 60, Side.BUY, 100, 15_000_000)
    at = now_passed()
    address = reverse(FIRST.get(name, name))
    answer = browser("operator").get(address, {"at": at}, follow=True)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert '<b class="badge">PAST</b>' in page
    assert (moment.OF_NOW in page) is (name not in moment.FOLLOWS)
    assert moment.FOLLOWS.get(name, moment.OF_NOW) in html.unescape(page)
    assert "js/past.js" in page
    alive = ("data-socket", "js/page.js", 'id="halt"', "may-act")
    assert [words for words in alive if words in page] == []


def test_who_acts_finds_nothing_to_act_with() -> None:
    world.desk(count=1)
    halt_throw(level="GLOBAL", reason="odd", actor="bob", now=timezone.now())
    page = browser("operator").get("/", {"at": now_passed()}).content.decode()
    assert "everything: odd" in page
    assert 'id="act-dialog"' not in page
    assert 'id="halt-dialog"' not in page
    assert 'class="page is-past"' in page


def test_a_form_that_is_sent_from_the_past_does_nothing() -> None:
    world.desk(count=1)
    operator = browser("operator")
    page = operator.get("/keys/", {"at": now_passed()}).content.decode()
    assert moment.OF_NOW in page
    made = {"name": "script", "scope": "READ", "days": ""}
    answer = operator.post(f"/keys/?at={now_passed()}", made)
    assert answer.status_code == 400
    assert "Nothing can be done at a moment that is over" in answer.content.decode()
    assert not ApiKey.objects.exists()
    operator.post("/keys/", made)
    assert ApiKey.objects.count() == 1


def test_every_link_and_every_form_keeps_the_moment() -> None:
    own = world.desk(count=1)
    world.trade(own.deployments[0], 60, Side.BUY, 100, 15_000_000)
    at = now_passed()
    page = browser("operator").get("/orders/", {"at": at, "side": "BUY", "broker": "paper"}).content.decode()
    links = re.findall(r'<(?:a|li)\b([^>]*)\s(?:href|data-address)="([^"]*)"', page)
    ours = [link for _, link in links if link[0] in "/?" and not link.startswith(("/api/", "/admin/"))]
    assert len(ours) > 30
    free = [link for link in ours if f"at={at}" not in link]
    before, after = (moment.written(moment.parsed(at, timezone.now()) + by) for by in (-60_000, 60_000))
    assert free == [f"?side=BUY&amp;broker=paper&amp;at={before}", "?side=BUY&amp;broker=paper"]
    assert after not in page, "a minute on is still to come"
    assert f'/orders/{Order.objects.get().pk}/?at={at}"' in page
    assert (
        '<input type="hidden" name="at" value="' + at
        in page.partition('id="filters"')[2].partition("</form>")[0]
    )
    travel = page.partition('id="travel"')[2].partition("</form>")[0]
    assert travel.count('name="at"') == 1
    assert 'type="hidden" name="side" value="BUY"' in travel
    early = browser("viewer").get("/orders/", {"at": before}).content.decode()
    assert 'id="minute-after"' in early


def test_before_the_first_fact_there_is_nothing() -> None:
    own = world.desk(count=2)
    world.morning(own, rounds=1)
    viewer = browser("viewer")
    for path in (
        "/",
        "/positions/",
        "/orders/",
        "/fills/",
        "/signals/",
        "/strategies/",
        "/performance/",
        "/alerts/",
    ):
        answer = viewer.get(path, {"at": "2019-07-09T10:15:30"}, headers=ROWS)
        assert answer.status_code == 200
        found = answer.json()["rows"]
        empty = {
            kind: html
            for kind, html in found.items()
            if kind not in ("strip", "halts", "tiles", "held", "curve")
        }
        assert not any(empty.values()), path
    assert "No orders" in viewer.get("/orders/", {"at": "2019-07-09T10:15:30"}).content.decode()
    order = Order.objects.first()
    named = {"orders": order.pk, "signals": order.decision.signal_id, "strategies": own.deployments[0].pk}
    for address in (f"/{kind}/{name}/" for kind, name in named.items()):
        assert viewer.get(address).status_code == 200
        assert viewer.get(address, {"at": "2019-07-09T10:15:30"}).status_code == 404


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
    (shown,) = rows(viewer, "/alerts/", at, "alerts")
    assert "it is odd" in shown
    assert rows(viewer, "/alerts/", now_passed(), "alerts") == []
    (shown,) = rows(viewer, "/reconciliation/", at, "differences")
    assert rows(viewer, "/reconciliation/", at, "settled") == []
    (shown,) = rows(viewer, "/reconciliation/", now_passed(), "settled")
    assert "stamp" in shown
    assert rows(viewer, "/reconciliation/", now_passed(), "differences") == []


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
