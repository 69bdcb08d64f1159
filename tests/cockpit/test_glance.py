"""The overview in one line and the steps that a new installation lacks; positions by net, day and strategy."""

from __future__ import annotations

import html
import json
import re
from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest
from django.test import Client
from django.utils import timezone

from alphapanda import projections
from alphapanda.core.clock import to_ms
from alphapanda.core.vocabulary import Phase, Severity, Side
from alphapanda.dashboard import glance as glancing
from alphapanda.dashboard import moment, screen
from alphapanda.health import registry
from alphapanda.push import readmodel
from alphapanda.web.formats import rupees_signed
from execution.models import Order
from marketdata.services.calendar import calendars_load_shipped
from risk.models import Alert, LimitSet
from risk.services.alerts import alert_acknowledge, alert_raise
from risk.services.halts import halt_throw
from strategies.domain.guards import Guards
from strategies.domain.memory import State
from strategies.domain.protection import Protection
from strategies.models import Deployment
from tests.cockpit import world
from tests.cockpit.test_pages import ROWS, browser

pytestmark = pytest.mark.django_db
INFY = world.NAMES["INFY"][0]


@pytest.fixture
def viewer() -> Client:
    return browser("viewer")


def rows(client: Client, path: str, kind: str) -> list[str]:
    return list(client.get(path, headers=ROWS).json()["rows"][kind].values())


def test_one_line_tells_of_market_strategies_risk_and_health(viewer: Client) -> None:
    own = world.desk(count=3)
    Deployment.objects.filter(id=own.deployments[0].id).update(status="PAUSED")
    LimitSet.objects.create(level="DEPLOYMENT", deployment=own.deployments[1], daily_orders=1)
    world.trade(own.deployments[1], 60, Side.BUY, 100, 15_000_000)
    halt_throw(level="BROKER", broker="paper", reason="odd", actor="bob", now=timezone.now())
    halt_throw(level="BROKER", broker="zerodha", reason="other", actor="bob", now=timezone.now())
    projections.rebuild()
    page = viewer.get("/").content.decode()
    (line,) = rows(viewer, "/", "glance")
    assert line.partition("<dt>Health</dt>")[0] in page
    assert "2 running" in line
    assert "1 paused" in line
    assert "1 halt in force" in line
    assert '<span title="daily_orders">orders of the day</span>' in line
    assert f'<span class="pill s-{registry.worst(registry.run())}">' in line


@pytest.mark.parametrize(
    ("phase", "at", "words"),
    [
        (Phase.CONTINUOUS, "14:00", "closes 15:30, in 1 h 30 min"),
        (Phase.CLOSED, "08:15", "opens 09:15, in 1 h 00 min"),
    ],
)
def test_a_recorded_session_counts_down_by_its_own_clock(phase: Phase, at: str, words: str) -> None:
    calendars_load_shipped()
    hours, minutes = map(int, at.split(":"))
    at_ms = world.START + ((hours - 9) * 60 + minutes - 15) * 60_000
    strip = {"session": "recorded", "at_ms": at_ms, "phase": phase, "phase_words": "x"}
    assert glancing._market(strip)["next"] == words


@pytest.mark.parametrize(
    ("at", "turn"),
    [("08:15", "opens 9 Jul 09:15"), ("14:00", "closes 15:30"), ("15:35", "opens 10 Jul 09:15")],
)
def test_the_line_on_top_of_every_page_says_when_the_market_turns(at: str, turn: str) -> None:
    calendars_load_shipped()
    hours, minutes = map(int, at.split(":"))
    at_ms = world.START + ((hours - 9) * 60 + minutes - 15) * 60_000
    turns = projections.turn_at(projections.phase_at(at_ms), at_ms)
    html = screen.fragment("strip", {"broker": "paper", "phase_words": "x", "turn": turns})
    assert f'<small class="turn">{turn}<span' in html
    assert projections.turn_at(None, at_ms) is None


def test_the_bell_tells_of_alerts_as_they_stood_at_a_moment(viewer: Client) -> None:
    now, facts = timezone.now(), {"code": "odd", "text": "it is odd"}
    for subject, severity in (("a", Severity.CRITICAL), ("b", Severity.WARNING)):
        alert = alert_raise(subject=subject, severity=severity, now=now, **facts)
        Alert.objects.filter(pk=alert.pk).update(raised_at=now - timedelta(minutes=2))
    taken = Alert.objects.get(subject="a")
    alert_acknowledge(alert_id=taken.pk, actor="ann", reason="seen", now=now - timedelta(minutes=1))
    projections.rebuild()
    (bell,) = rows(viewer, "/orders/", "bell")
    assert "1 alert<" in bell
    for seconds, words in ((90, "1 critical"), (150, "no alerts")):
        at = moment.written(to_ms(now - timedelta(seconds=seconds)))
        assert words in viewer.get("/orders/", {"at": at}, headers=ROWS).json()["rows"]["bell"]["paper"]


def test_a_new_installation_shows_the_steps_still_missing(viewer: Client) -> None:
    projections.rebuild()
    page = viewer.get("/").content.decode()
    assert "Before it trades" in page
    assert "Broker login" not in page  # paper on a recorded session needs none
    assert 'href="/strategies/#gallery">Choose a strategy and deploy it' in page
    own = world.desk(count=1)
    missing = [step.name for step in glancing.steps_missing("paper") if not step.is_done]
    assert missing == ["Strategies", "Its first fill"] or missing == ["Its first fill"]
    world.trade(own.deployments[0], 60, Side.BUY, 100, 15_000_000)
    assert glancing.steps_missing("paper") == []
    assert "Broker login" in [step.name for step in glancing.steps_missing("zerodha")]


@pytest.mark.usefixtures("live_enabled")
def test_positions_tell_profit_in_percent_and_offer_an_exit() -> None:
    own = world.desk(count=1)
    world.trade(own.deployments[0], 60, Side.BUY, 100, 15_000_000)
    projections.rebuild()
    readmodel.marks_write({INFY: (15_300_000, world.START)})
    operator = browser("operator")
    (row,) = rows(operator, "/positions/", "positions")
    assert "+2.00 %" in row
    assert f'data-act="/api/v1/deployments/{own.deployments[0].id}/exit/"' in row
    (facts,) = re.findall('data-facts="([^"]*)"', row)
    assert json.loads(html.unescape(facts)) == {"instrument": "NSE:INFY"}
    assert 'data-type=""' in row
    page = operator.get("/positions/").content.decode()
    assert row in page
    (sums,) = rows(operator, "/positions/", "held")
    assert "+2.00 %" in sums
    live = world.desk("zerodha", count=1)
    world.trade(live.deployments[0], 60, Side.BUY, 100, 15_000_000)
    projections.rebuild()
    (row,) = rows(operator, "/positions/?broker=zerodha", "positions")
    assert 'data-type="INFY"' in row


@pytest.mark.usefixtures("live_enabled")
def test_an_order_that_works_can_be_cancelled_where_it_stands() -> None:
    operator = browser("operator")
    for broker, typed in (("paper", ""), ("zerodha", "INFY")):
        own = world.desk(broker, count=1)
        world.trade(own.deployments[0], 60, Side.BUY, 100, 15_000_000)
        order = Order.objects.get(broker=broker)
        for status, count in (("OPEN", 1), ("COMPLETE", 0)):
            Order.objects.filter(pk=order.pk).update(status=status)
            projections.rebuild()
            (row,) = rows(operator, f"/orders/?broker={broker}", "orders")
            acts = re.findall('data-act="([^"]*)".*data-type="([^"]*)"', row)
            assert acts == [(f"/api/v1/orders/{order.pk}/cancel/", typed)] * count


def test_the_day_is_what_it_traded_and_strategies_are_summed(viewer: Client) -> None:
    own = world.desk(count=2)
    world.trade(own.deployments[0], 60, Side.BUY, 100, 15_000_000)
    world.trade(own.deployments[0], 90, Side.SELL, 100, 15_100_000)
    world.trade(own.deployments[1], 60, Side.BUY, 50, 28_000_000)
    projections.rebuild()
    readmodel.marks_write({world.NAMES["RELIANCE"][0]: (28_100_000, world.START)})
    done, left = rows(viewer, "/positions/?view=day", "traded")
    assert rupees_signed(Decimal(1_000)) in done
    assert rupees_signed(Decimal(500)) in left
    (group,) = rows(viewer, "/positions/?view=strategy", "groups")
    assert "mean_reversion" in group
    assert rupees_signed(Decimal(500)) in group
    assert group in viewer.get("/positions/?view=strategy").content.decode()
    odd = viewer.get("/positions/?view=odd")
    assert odd.status_code == 400
    assert "choose net, day or strategy" in odd.content.decode()


@pytest.mark.usefixtures("live_enabled")
def test_the_distance_of_a_stop_from_the_last_price(viewer: Client) -> None:
    own = world.desk(count=1)
    world.trade(own.deployments[0], 60, Side.BUY, 100, 15_000_000)
    stop = Protection(token=INFY, side=Side.BUY, quantity=100, stop_e4=14_850_000, target_e4=15_600_000)
    state = State(guards=Guards(protections={INFY: [stop]}))
    Deployment.objects.update(checkpoint=msgspec.msgpack.encode(state))
    projections.rebuild()
    assert "No stop or target" in viewer.get("/positions/?broker=zerodha").content.decode()
    readmodel.marks_write({INFY: (15_000_000, world.START)})
    below, above = rows(viewer, "/positions/", "stops")
    assert "-1.00 %" in below
    assert rupees_signed(Decimal(-15)) in below
    assert "+4.00 %" in above


def test_figures_that_are_not_of_today_say_so() -> None:
    own = world.desk(count=1)
    world.trade(own.deployments[0], 60, Side.BUY, 100, 15_000_000)
    projections.rebuild()
    viewer = browser("viewer")
    page = viewer.get("/").content.decode()
    for label in ("Realised", "Charges"):
        assert f"<dt>{label} <small>since start</small></dt>" in page
    assert "<small>gross</small></td>" in viewer.get("/positions/").content.decode()
