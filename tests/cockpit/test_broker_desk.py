"""Where orders at the broker stand, and what is left of the limits, on the page Broker."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from execution import live_selectors
from execution.domain.kite.budgets import Lane, Left
from execution.models import BrokerDesk, Difference
from tests.cockpit.test_pages import browser

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def is_live(settings: LazySettings) -> None:
    settings.ZERODHA_ENABLED = True
    settings.BROKERS = ["paper", "zerodha"]


def page() -> str:
    return " ".join(browser("viewer").get("/broker/?broker=zerodha").content.decode().split())


def test_what_is_left_of_the_limits_stands_by_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    left = (Left(Lane.CANCEL, 8, 380, 5_000), Left(Lane.EXIT, 6, 341, 4_321), Left(Lane.ENTRY, 0, 291, 4_121))
    monkeypatch.setattr(live_selectors.budgets, "left", lambda *_: left)
    BrokerDesk.objects.create(broker="zerodha", house="x", seen_at=timezone.now())

    told = page()

    assert '<td>Exits</td><td class="n">6</td><td class="n">341</td><td class="n">4,321</td>' in told
    assert '<td>Entries</td><td class="n">0</td><td class="n">291</td><td class="n">4,121</td>' in told
    assert (
        'Cancellations</td><td class="n">8</td><td class="n">380</td><td class="n">not counted</td>' in told
    )


def test_why_nothing_is_sent_and_what_differs_stand_there() -> None:
    now = timezone.now()
    funds: dict[str, Any] = {"equity": {"opening": "100000", "net": "250000.5"}}
    BrokerDesk.objects.create(broker="zerodha", house="x", stopped="Kite knows no token", funds=funds)
    seen = {"first_seen_at": now - timedelta(minutes=1), "seen_at": now}
    Difference.objects.create(kind="ORDER", key="1234", ours="OPEN", theirs="COMPLETE", rounds=1, **seen)

    told = page()

    assert "<b>Nothing is sent:</b> Kite knows no token" in told
    assert 'class="warn" href="/reconciliation/?broker=zerodha">1</a>' in told
    assert "2,50,000.50" in told


def test_a_broker_that_was_never_at_work_is_told_how_to_begin() -> None:
    assert "the process of the broker has never run" in page()


@pytest.mark.parametrize(("age_s", "pill"), [(1, 's-ok">sent'), (3_600, 's-fail">not at work')])
def test_a_process_that_has_gone_sends_nothing(age_s: int, pill: str) -> None:
    seen_at = timezone.now() - timedelta(seconds=age_s)
    BrokerDesk.objects.create(broker="zerodha", house="x", seen_at=seen_at)

    told = page()

    assert f'Orders at Zerodha <span class="pill {pill}</span>' in told
    assert ("the process of the broker is not at work" in told) == (age_s > 60)


def test_nothing_of_it_stands_where_orders_to_zerodha_are_off(settings: LazySettings) -> None:
    settings.ZERODHA_ENABLED = False
    assert "Orders at Zerodha" not in page()


def test_what_is_left_at_the_broker_stands_there_too_where_orders_were_switched_off(
    settings: LazySettings,
) -> None:
    settings.ZERODHA_ENABLED = False
    BrokerDesk.objects.create(broker="zerodha", house="x")
    assert 'Orders at Zerodha <span class="pill s-warn">off</span>' in page()
