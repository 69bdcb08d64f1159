"""One deployment in the cockpit: other parameters, with difference and trial; why it does not trade; its shadow."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from django.test import Client, override_settings
from django.utils import timezone

from accounts.models import AuditEntry
from alphapanda import projection_rows, projections
from alphapanda.dashboard.standing import standings
from alphapanda.deploying import Definition
from alphapanda.shadows import shadow_create
from risk.services.halts import halt_throw
from strategies.domain.memory import State
from strategies.domain.signals import Mark
from strategies.models import Approval, BacktestRun, Deployment
from tests.cockpit import world
from tests.cockpit.test_pages import ROWS, browser
from tests.pipeline.hand import seeded

pytestmark = pytest.mark.django_db
TREND = Definition(
    name="Trend",
    strategy="ema_cross",
    instruments=("NSE:YESBANK",),
    params={"fast": 5, "slow": 13},
    limits={"daily_loss": "5000.50"},
)
TICKED = msgspec.msgpack.encode(State(marks={1: Mark(price_e4=1_500_000, at_ms=1)}))
WISH = {"params__fast": "8", "params__slow": "13", "params__quantity": "1", "params__bar_minutes": "1"}
SENT = WISH | {"params__short": "on", "was": '{"fast": 5, "slow": 13}', "reason": "slower"}


@pytest.fixture
def trend() -> Deployment:
    with override_settings(SHARDS=1):
        seeded([TREND])
    projections.rebuild()
    return Deployment.objects.get(name="Trend")


@pytest.fixture
def operator() -> Client:
    return browser("operator")


def place(trend: Deployment, what: str = "parameters") -> str:
    return f"/strategies/{trend.pk}/{what}/"


def test_the_difference_is_shown_and_nothing_changes_before_it_is_confirmed(
    trend: Deployment, operator: Client
) -> None:
    page = operator.get(place(trend)).content.decode()
    assert 'name="params__fast" value="5"' in page
    shown = operator.post(place(trend), SENT | {"step": "show"}).content.decode()
    assert '<td class="n was">5</td><td class="n"><b>8</b></td>' in shown
    assert "before 13 more bars" in shown
    assert shown.count('<td class="n was">') == 1
    assert Deployment.objects.get().params == TREND.params


def test_saved_the_same_code_goes_on_with_other_parameters_and_the_page_tells_of_it(
    trend: Deployment, operator: Client
) -> None:
    Deployment.objects.update(step=40)
    page = operator.post(place(trend), SENT | {"step": "save"}, follow=True).content.decode()
    after = Deployment.objects.get()
    assert after.params == {"fast": 8, "slow": 13}
    assert after.strategy_version == trend.strategy_version
    assert after.revision == trend.revision + 1
    told = AuditEntry.objects.get(action="deployment.upgrade")
    assert (told.actor, told.reason, told.details["step"]) == ("operator", "slower", 40)
    assert "after step 40" in page
    assert "from and to" in page


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"params__fast": "20"}, "`fast` must be below `slow`"),
        ({"params__fast": "5"}, "Nothing differs from what runs."),
        ({"was": '{"fast": 6, "slow": 13}'}, "Somebody has changed the parameters meanwhile"),
        ({"reason": ""}, "This field is required."),
    ],
)
def test_what_does_not_fit_is_told_and_nothing_changes(
    trend: Deployment, operator: Client, wrong: dict[str, str], words: str
) -> None:
    answer = operator.post(place(trend), SENT | {"step": "save"} | wrong)
    assert answer.status_code == 400
    assert words in answer.content.decode()
    assert Deployment.objects.get().params == TREND.params


def test_real_money_asks_for_the_name_and_a_viewer_is_refused(trend: Deployment, operator: Client) -> None:
    Deployment.objects.update(broker="zerodha")
    asked = operator.post(place(trend), SENT | {"step": "save"})
    assert "type Trend to confirm" in asked.content.decode()
    assert Deployment.objects.get().params == TREND.params
    assert operator.post(place(trend), SENT | {"step": "save", "typed": "Trend"}).status_code == 302
    assert Deployment.objects.get().params["fast"] == 8
    assert browser("viewer").get(place(trend)).status_code == 403


def test_both_are_tried_on_the_recorded_session_under_the_same_limits(
    trend: Deployment, operator: Client
) -> None:
    answer = operator.post(place(trend), SENT | {"step": "try"})
    runs = BacktestRun.objects.order_by("name")
    assert answer["Location"].startswith("/backtests/compare/?run=")
    assert all(str(run.pk) in answer["Location"] for run in runs)
    plans = [run.plan["definitions"][0] for run in runs]
    assert [plan["params"]["fast"] for plan in plans] == [5, 8]
    assert all(plan["limits"]["daily_loss"].startswith("5000.5") for plan in plans)
    assert Deployment.objects.get().params == TREND.params
    beside = operator.get(answer["Location"]).content.decode()
    (back,) = re.findall(r'href="([^"]+\?like=[^"]+)"', beside)
    form = operator.get(back).content.decode()
    assert 'name="params__fast" value="8"' in form
    assert "&quot;fast&quot;: 5" in form  # what runs is what the difference is to


def test_a_trial_is_taken_over_as_it_was_whatever_runs_since(trend: Deployment, operator: Client) -> None:
    operator.post(place(trend), SENT | {"step": "try"})
    tried = BacktestRun.objects.get(plan__definitions__0__params__fast=8)
    assert "quantity" not in tried.plan["definitions"][0]["params"]  # it had its default there
    Deployment.objects.filter(pk=trend.pk).update(params=trend.params | {"quantity": 700})

    form = operator.get(place(trend), {"like": str(tried.pk)}).content.decode()
    assert 'name="params__fast" value="8"' in form
    assert 'name="params__quantity" value="1"' in form


def test_what_was_never_recorded_cannot_be_tried(trend: Deployment, operator: Client) -> None:
    trend.instruments.set([world._instrument("INFY")])
    answer = operator.post(place(trend), SENT | {"step": "try"})
    assert answer.status_code == 400
    assert "no session of NSE:INFY is recorded" in answer.content.decode()
    assert not BacktestRun.objects.exists()


def why(phase: str = "CONTINUOUS") -> str:
    rows = projection_rows.deployments(Deployment.objects.all())
    return standings(rows, {"phase": phase}, set())[rows[0]["id"]]


def a_halt(_trend: Deployment) -> None:
    halt_throw(level="GLOBAL", reason="odd prices", actor="bob", now=timezone.now())


def an_approval(trend: Deployment) -> None:
    world.trade(trend, 60, world.Side.BUY, 1, 15_000_000, denied="approval_mode")
    signal = trend.signals.get()
    soon = timezone.now()
    Approval.objects.create(
        signal=signal, deployment=trend, expires_at_ms=signal.at_ms + 1, expires_at=soon, asked_at=soon
    )


@pytest.mark.parametrize(
    ("facts", "before", "phase", "words"),
    [
        ({"status": "STOPPED"}, None, "CONTINUOUS", "until it is started"),
        ({"status": "PAUSED"}, None, "CONTINUOUS", "entries are refused, exits pass"),
        ({}, a_halt, "CONTINUOUS", "Halted by bob: odd prices."),
        ({}, an_approval, "CONTINUOUS", "1 entry of it wait"),
        ({}, None, "CLOSED", "Market closed"),
        ({}, None, "CONTINUOUS", "No tick yet of NSE:YESBANK"),
        ({"step": 9}, None, "CONTINUOUS", "No tick yet of NSE:YESBANK"),  # the clock has ticked, no price has
        ({"checkpoint": TICKED}, None, "CONTINUOUS", "Warming up: 0 of 14 bars of 1 min seen"),
        (
            {"checkpoint": TICKED, "params": {"fast": 5, "slow": 20}},
            None,
            "CONTINUOUS",
            "0 of 21 bars",
        ),
    ],
)
def test_one_that_never_traded_says_why(
    trend: Deployment, facts: dict[str, Any], before: Any, phase: str, words: str
) -> None:
    if before:
        before(trend)
    Deployment.objects.update(**facts)
    assert words in why(phase)


def test_a_warm_one_only_waits_for_its_strategy(trend: Deployment) -> None:
    seen = msgspec.msgpack.decode(TICKED, type=State)
    seen.bars_seen["NSE:YESBANK 1"] = 7
    Deployment.objects.update(step=9, checkpoint=msgspec.msgpack.encode(seen))
    assert "7 of 14 bars" in why()
    seen.bars_seen["NSE:YESBANK 1"] = 14
    Deployment.objects.update(checkpoint=msgspec.msgpack.encode(seen))
    assert why() == ""
    [row] = browser("viewer").get("/strategies/", headers=ROWS).json()["rows"]["traders"].values()
    assert "No signal yet: it has read 9 items" in row


def test_a_shadow_stands_beside_its_original(trend: Deployment, operator: Client) -> None:
    facts = {"actor": "bob", "reason": "try", "now": timezone.now()}
    with override_settings(SHARDS=1):
        made = shadow_create(deployment_id=trend.pk, params={"fast": 8, "slow": 30}, name="Slow", **facts)
    assert (
        f'href="/strategies/{made.pk}/shadow/"' in operator.get(f"/strategies/{trend.pk}/").content.decode()
    )
    page = operator.get(place(made, "shadow")).content.decode()
    assert "Slow beside Trend" in page
    assert "They have decided the same so far." in page
    assert operator.get(place(trend, "shadow")).status_code == 404
