"""The page of strategies: state, last decision, why not, and what may be done."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone
from django.utils.html import strip_tags

from accounts.services import act_record
from alphapanda import projections
from alphapanda.core.vocabulary import Severity, Side
from alphapanda.dashboard.earned import ALL
from alphapanda.journal import entries
from alphapanda.web.formats import rupees_signed
from execution.models import Order
from risk.services.alerts import alert_raise
from strategies.models import Deployment
from tests.cockpit import world
from tests.cockpit.test_pages import ROWS, browser
from tests.rows import a_signal, an_approval

pytestmark = pytest.mark.django_db


def rows(client, path: str, kind: str) -> list[str]:
    return list(client.get(path, headers=ROWS).json()["rows"][kind].values())


def test_the_last_decision_says_why_not_and_acts_fit_the_state() -> None:
    own = world.desk(count=2)
    world.trade(own.deployments[0], 60, Side.BUY, 400, 15_000_000, denied="position_limit")
    Deployment.objects.filter(id=own.deployments[1].id).update(
        status="QUARANTINED", error="Traceback: boom\nValueError: 7"
    )
    projections.rebuild()
    operator = browser("operator")
    page = operator.get("/strategies/").content.decode()
    first, second = rows(operator, "/strategies/", "traders")
    assert first in page
    assert second in page
    assert "position_limit" in first
    assert "would hold 400" in first
    assert "/pause/" in first
    assert "/flatten/" in first
    assert "/start/" not in first
    assert "ValueError: 7" in second
    assert "/release/" in second
    assert "/pause/" not in second


def test_the_last_decision_tells_of_an_order_that_was_rejected() -> None:
    own = world.desk(count=1)
    world.trade(own.deployments[0], 60, Side.BUY, 400, 15_000_000)
    Order.objects.update(status="REJECTED", reason="RMS:Margin Exceeds")
    projections.rebuild()
    (row,) = rows(browser("viewer"), "/strategies/", "traders")
    assert '<span class="no">rejected</span> RMS:Margin Exceeds' in row
    assert "approved" not in row


def test_what_waits_for_approval_is_counted_in_good_english() -> None:
    (deployment,) = world.desk(count=1).deployments
    viewer = browser("viewer")
    an_approval(a_signal(deployment, 60))
    projections.rebuild()
    assert "1 entry of it waits for approval." in rows(viewer, "/strategies/", "traders")[0]
    an_approval(a_signal(deployment, 61))
    assert "2 entries of it wait for approval." in rows(viewer, "/strategies/", "traders")[0]


def test_one_deployment_with_parameters_signals_and_who_changed_it() -> None:
    own = world.desk(count=1)
    world.trade(own.deployments[0], 60, Side.BUY, 100, 15_000_000)
    deployment = own.deployments[0]
    Deployment.objects.filter(id=deployment.id).update(params={"fast": 9})
    act_record(
        actor="ann", action="deployment.pause", target=f"deployment:{deployment.name}", reason="lunch",
        details={}, now=timezone.now(),
    )  # fmt: skip
    alert_raise(
        code="order_rejected", subject="INFY", text="no margin", severity=Severity.WARNING,
        now=timezone.now(), deployment_id=deployment.id,
    )  # fmt: skip
    projections.rebuild()
    page = browser("viewer").get(f"/strategies/{deployment.id}/").content.decode()
    assert '<b title="order_rejected">order rejected</b>' in page
    for words in ("<code>fast</code>", "<b>9</b>", "lunch", "fast crossed slow", "NSE:INFY"):
        assert words in page


def test_on_a_recording_it_is_said_that_days_that_are_over_are_traded(settings: Any) -> None:
    own, operator = world.desk(count=1), browser("operator")
    for path in (f"/strategies/{own.deployments[0].id}/", "/strategies/deploy/ema_cross/"):
        settings.FEED = "recorded"
        assert "reads it from its beginning" in operator.get(path).content.decode()
        settings.FEED = "kite"
        assert "reads it from its beginning" not in operator.get(path).content.decode()


@pytest.mark.usefixtures("live_enabled")
def test_real_money_asks_for_the_name() -> None:
    own = world.desk("zerodha", count=1)
    projections.rebuild()
    (row,) = rows(browser("operator"), "/strategies/?broker=zerodha", "traders")
    assert f'data-type="{own.deployments[0].name}"' in row


def test_its_page_has_its_trades_and_what_they_earned_and_no_others() -> None:
    own = world.desk(count=2)
    first, second = own.deployments
    price = 15_000_000
    for step, side, moved in (
        (10, Side.BUY, 0),
        (20, Side.SELL, 90_000),
        (30, Side.BUY, 0),
        (40, Side.SELL, 0),
    ):
        world.trade(first, step, side, 100, price + moved)
    world.trade(second, 10, Side.BUY, 100, price)
    world.posted()
    projections.rebuild()
    viewer, path = browser("viewer"), f"/strategies/{first.pk}/"
    found = {one.trip.net for one in entries("paper", ALL | {"deployment": first}) if one.trip.closed_at_ms}
    page = viewer.get(path).content.decode()
    assert len(rows(viewer, path, "trips")) == len(found) == 2
    assert all(row in page for row in rows(viewer, path, "trips"))
    (line,) = rows(viewer, path, "earned")
    assert line in page
    assert "Net of 2 trades, 1 won" in line
    assert f"{rupees_signed(sum(found))}</b>" in line
    assert f'href="/journal/?broker=paper&amp;deployment={first.pk}"' in page
    (none,) = rows(viewer, f"/strategies/{second.pk}/", "earned")
    assert "Net of 0 trades<" in none
    assert "starts with the second trade that is over" in none


def test_a_deployment_says_which_instruments_it_trades_whether_it_holds_them_or_not() -> None:
    own = world.desk(count=1)
    own.deployments[0].instruments.set(own.instruments[:5])
    projections.rebuild()
    (row,) = browser("viewer").get("/strategies/", headers=ROWS).json()["rows"]["traders"].values()
    told = " ".join(strip_tags(row).split())
    assert "ema_cross v1.2 · HDFCBANK · INFY · RELIANCE and 2 more" in told
