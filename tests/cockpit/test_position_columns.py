"""Product and change of the day of an open position."""

from __future__ import annotations

import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from alphapanda import projections
from alphapanda.core.clock import DAY_MS, ist_ms
from alphapanda.core.vocabulary import Side
from alphapanda.dashboard import screen
from alphapanda.push import readmodel
from marketdata.models import Bar
from portfolio.models import CorporateAction
from strategies.models import Deployment
from tests.cockpit import world
from tests.cockpit.test_moment import now_passed, rows
from tests.cockpit.test_pages import ROWS, browser

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("exchange_hours")]
NOON = world.START + 3 * 3_600_000
LAST_MINUTE = ist_ms(datetime.date(2019, 7, 8), datetime.time(15, 29))


def bar(own: SimpleNamespace, starts_ms: int, close_e4: int) -> None:
    Bar.objects.create(
        instrument=own.instruments[0], minutes=1, starts_ms=starts_ms, open_e4=close_e4, high_e4=close_e4,
        low_e4=close_e4, close_e4=close_e4, volume=1, ticks=1,
    )  # fmt: skip


def held(product: str = "") -> SimpleNamespace:
    own = world.desk(count=1)
    world.trade(own.deployments[0], 60, Side.BUY, 10, 15_000_000)
    if product:
        Deployment.objects.update(execution={"product": product})
    return own


def seen(price_e4: int = 15_300_000, at_ms: int = NOON) -> dict[str, Any]:
    readmodel.marks_write({world.NAMES["INFY"][0]: (price_e4, at_ms)})
    readmodel.stream_write(last_at_ms=at_ms)
    projections.rebuild()
    (row,) = screen.rows(readmodel.overview())["positions"].values()
    return row


@pytest.mark.parametrize(("given", "shown"), [("", "MIS"), ("CNC", "CNC")])
def test_the_product_is_that_of_its_deployment(given: str, shown: str) -> None:
    held(given)
    assert seen()["product"] == shown
    told = browser("viewer").get("/positions/", headers=ROWS).json()["rows"]["positions"]
    assert f">{shown}<" in next(iter(told.values()))


def test_the_change_of_the_day_is_from_the_last_price_of_the_session_before() -> None:
    own = held()
    bar(own, LAST_MINUTE - 60_000, 14_000_000)
    bar(own, LAST_MINUTE, 15_000_000)
    bar(own, world.START, 15_200_000)
    assert seen()["day_change"] == "+2.00"
    page = browser("viewer").get("/positions/").content.decode()
    assert "+2.00 %" in page


def test_what_is_not_known_is_a_dash() -> None:
    own = held()
    assert seen()["day_change"] is None
    bar(own, LAST_MINUTE - 3_600_000, 15_000_000)
    assert seen()["day_change"] is None, "of that session we saw a part"
    bar(own, LAST_MINUTE, 15_000_000)
    assert seen(at_ms=NOON + DAY_MS)["day_change"] is None, "the session before is another then"
    readmodel.stream_write(last_at_ms=NOON)
    projections.refresh()
    (row,) = screen.rows(readmodel.overview())["positions"].values()
    assert row["day_change"] is None, "its mark is of another day"


def test_a_share_that_was_split_overnight_has_no_change() -> None:
    own = held()
    bar(own, LAST_MINUTE, 15_000_000)
    CorporateAction.objects.create(
        id=own.portfolio.pk, instrument=own.instruments[0], kind="SPLIT", ex_date="2019-07-09", new=2, old=1
    )
    assert seen()["day_change"] is None


def test_a_past_moment_knows_the_change_of_then() -> None:
    own = held()
    bar(own, LAST_MINUTE, 15_000_000)
    bar(own, world.START, 15_450_000)
    world.trade(own.deployments[0], 600, Side.BUY, 10, 15_000_000)
    (row,) = rows(browser("viewer"), "/positions/", now_passed(), "positions")
    assert ">MIS<" in row
    assert "+3.00 %" in row
