"""What empty lists say: figures against the database, in the page and in what is read again."""

from __future__ import annotations

import datetime
from html import unescape

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags

from alphapanda import projections
from alphapanda.core.clock import ist_ms, to_datetime
from alphapanda.core.vocabulary import Side
from alphapanda.push import readmodel
from strategies.models import Deployment
from tests.cockpit import world
from tests.cockpit.test_pages import ROWS, browser

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("exchange_hours")]
DAY = datetime.date(2019, 7, 9)


@pytest.fixture
def viewer() -> Client:
    return browser("viewer")


def at(hour: int, minute: int, day: datetime.date = DAY) -> int:
    return ist_ms(day, datetime.time(hour, minute))


def said(viewer: Client, path: str, kind: str) -> str:
    """The words, which the page and its snapshot have alike."""
    html = viewer.get(path, headers=ROWS).json()["rows"]["idle"][kind]
    assert html in viewer.get(path).content.decode()
    return " ".join(unescape(strip_tags(html)).split())


def deployed(monkeypatch: pytest.MonkeyPatch, at_ms: int, *, running: int = 2) -> None:
    """Three deployments of which some run, at a time of the wall's clock."""
    own = world.desk(count=3).deployments
    Deployment.objects.filter(pk__in=[one.pk for one in own[running:]]).update(status="STOPPED")
    monkeypatch.setattr(timezone, "now", lambda: to_datetime(at_ms))
    projections.rebuild()


@pytest.mark.parametrize(
    ("clock", "words"),
    [
        ((11, 20), "2 strategies run but gave no signal since 09:15 IST."),
        ((9, 15), "2 strategies run but gave no signal since 09:15 IST."),
        ((8, 59), "2 strategies run and wait for the market, which opens 9 Jul 09:15 IST."),
        ((16, 0), "2 strategies run but gave no signal from 09:15 to 15:30 IST, when the market closed."),
    ],
)
def test_strategies_that_run_and_gave_no_signal_are_told_with_since_when(
    clock: tuple[int, int], words: str, viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed(monkeypatch, at(*clock))
    assert said(viewer, "/signals/", "signals").startswith(words)


def test_on_a_holiday_they_wait_for_the_next_session(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed(monkeypatch, at(11, 0, datetime.date(2019, 7, 13)), running=1)
    told = said(viewer, "/signals/", "signals")
    assert told.startswith("1 strategy runs and waits for the market, which opens 15 Jul 09:15 IST.")


def test_in_a_recorded_session_its_own_clock_counts(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    readmodel.stream_write(source="recorded", last_at_ms=at(10, 0))
    deployed(monkeypatch, at(8, 0))
    assert "since 09:15 IST" in said(viewer, "/signals/", "signals")
    readmodel.stream_write(source="recorded", last_at_ms=0)
    assert "gave no signal yet: no tick has come" in said(viewer, "/signals/", "signals")


def test_where_no_strategy_runs_the_next_step_is_said(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    projections.rebuild()
    assert "none is deployed. Next: choose one under" in said(viewer, "/signals/", "signals")
    deployed(monkeypatch, at(11, 0), running=0)
    told = said(viewer, "/signals/", "signals")
    assert told.startswith("No strategy runs: 3 are deployed, none of them started. Next: press Start")


def test_no_orders_today_says_how_many_signals_there_were(viewer: Client) -> None:
    own = world.desk(count=1)
    projections.rebuild()
    assert said(viewer, "/orders/", "orders").startswith("No orders today. No strategy has given a signal")
    assert said(viewer, "/fills/", "fills").startswith("No fills today. Orders today: 0;")
    for step in (60, 70):
        world.trade(own.deployments[0], step, Side.BUY, 400, 15_000_000, denied="position_quantity")
    readmodel.stream_write(last_at_ms=world.START + 100_000)
    told = said(viewer, "/orders/", "orders")
    assert told.startswith(
        "No orders today. Signals today: 2, denied by risk: 2; each says why under Signals."
    )
    assert 'href="/signals/"' in viewer.get("/orders/").content.decode()


@pytest.mark.parametrize("kind", ["orders", "fills", "signals"])
def test_what_a_filter_leaves_nothing_of_is_not_called_none(kind: str, viewer: Client) -> None:
    world.morning(world.desk(count=2), rounds=2)
    projections.rebuild()
    stored = len(viewer.get(f"/{kind}/", headers=ROWS).json()["rows"][kind])
    assert said(viewer, f"/{kind}/?symbol=NONE", kind) == f"None like this; {stored} in all. Show all."


@pytest.mark.usefixtures("live_enabled")
def test_no_open_positions_says_how_many_were_closed_today(viewer: Client) -> None:
    own = world.desk(count=3).deployments
    for one in own[:2]:
        world.trade(one, 60, Side.BUY, 100, 15_000_000)
        world.trade(one, 90, Side.SELL, 100, 15_100_000)
    projections.rebuild()
    assert said(viewer, "/positions/", "positions") == "No open positions. Closed today: 2."
    assert said(viewer, "/positions/?broker=zerodha", "positions") == "No open positions. Closed today: 0."
    assert 'href="/positions/?view=day">2</a>' in viewer.get("/positions/").content.decode()
    readmodel.stream_write(last_at_ms=world.START + 86_400_000)
    assert said(viewer, "/positions/", "positions") == "No open positions. Closed today: 0."


def test_of_a_past_moment_no_figures_of_now_are_told(viewer: Client) -> None:
    world.desk(count=1)
    projections.rebuild()
    for path in ("/positions/", "/orders/"):
        asked = {"at": "2019-07-09T10:15:30"}
        assert viewer.get(path, asked, headers=ROWS).json()["rows"]["idle"] == {}
        assert "None at that moment." in viewer.get(path, asked).content.decode()
