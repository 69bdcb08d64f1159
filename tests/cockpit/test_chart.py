"""The chart: bars as they are stored, and what deployments did on them."""

from __future__ import annotations

import pytest
from django.test import Client

from alphapanda import projections
from alphapanda.core.vocabulary import Side
from alphapanda.dashboard import chart
from execution.models import Fill
from marketdata.models import Bar
from tests.cockpit import world
from tests.cockpit.test_pages import ROWS, browser

pytestmark = pytest.mark.django_db
NAME = "NSE:INFY"


@pytest.fixture
def viewer() -> Client:
    own = world.desk(count=1)
    world.trade(own.deployments[0], 60, Side.BUY, 100, 15_000_000)
    world.trade(own.deployments[0], 90, Side.BUY, 400, 15_000_000, denied="position_limit")
    for minute in range(3):
        price_e4 = 15_000_000 + 500 * minute
        Bar.objects.create(
            instrument=own.instruments[0], minutes=1, starts_ms=world.START + 60_000 * minute,
            open_e4=price_e4, high_e4=price_e4 + 1000, low_e4=price_e4 - 500, close_e4=price_e4 + 500,
            volume=10 + minute, ticks=5,
        )  # fmt: skip
    projections.rebuild()
    return browser("viewer")


def test_bars_and_what_was_done_on_them(viewer: Client) -> None:
    told = viewer.get(f"/chart/{NAME}/bars?minutes=1").json()
    start_s = world.START // 1000
    assert told["bars"][0] == [start_s, 1500.0, 1500.1, 1499.95, 1500.05, 10]
    assert [bar[0] for bar in told["bars"]] == [start_s, start_s + 60, start_s + 120]
    assert [(one["kind"], one["side"]) for one in told["markers"]] == [("fill", "BUY"), ("denied", "BUY")]
    assert told["markers"][0]["address"] == f"/orders/{Fill.objects.get().order_id}/"
    assert told["places"] == 2
    later = viewer.get(f"/chart/{NAME}/bars?minutes=1&since_ms={world.START + 60_000}").json()
    assert len(later["bars"]) == 2


def test_no_more_than_a_chart_can_hold_and_the_newest_of_them(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chart, "BARS", 2)
    told = viewer.get(f"/chart/{NAME}/bars").json()
    assert [bar[5] for bar in told["bars"]] == [11, 12]


def test_what_makes_no_sense_is_refused(viewer: Client) -> None:
    assert viewer.get(f"/chart/{NAME}/bars?minutes=7").status_code == 400
    unknown = viewer.get("/chart/NSE:NOBODY/")
    assert unknown.status_code == 404


def test_the_page_has_the_last_price_and_the_way_there(viewer: Client) -> None:
    page = viewer.get(f"/chart/{NAME}/")
    (mark,) = viewer.get(f"/chart/{NAME}/", headers=ROWS).json()["rows"]["marks"].values()
    assert mark in page.content.decode()
    assert viewer.get("/chart/").url == f"/chart/{NAME}/"
    assert "No instrument is in use" in viewer.get("/chart/?broker=zerodha").content.decode()
