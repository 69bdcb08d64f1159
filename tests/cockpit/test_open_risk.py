"""Open risk: what the stops of open positions would lose from the last price, and what has no bound."""

from __future__ import annotations

import msgspec
import pytest
from django.test import Client

from alphapanda import projections
from alphapanda.core.vocabulary import OrderStatus, Side
from alphapanda.push import readmodel
from execution.models import Order
from strategies.domain.guards import Guards
from strategies.domain.memory import State
from strategies.domain.protection import Protection
from strategies.models import Deployment
from tests.cockpit import world
from tests.cockpit.test_moment import now_passed
from tests.cockpit.test_pages import ROWS, browser

pytestmark = pytest.mark.django_db
INFY = world.NAMES["INFY"][0]


@pytest.fixture
def viewer() -> Client:
    return browser("viewer")


def held(*stops: Protection, side: Side = Side.BUY, mark_e4: int = 15_000_000) -> None:
    own = world.desk(count=1)
    world.trade(own.deployments[0], 60, side, 100, 15_000_000)
    state = State(guards=Guards(protections={INFY: list(stops)}))
    Deployment.objects.update(checkpoint=msgspec.msgpack.encode(state))
    projections.rebuild()
    if mark_e4:
        readmodel.marks_write({INFY: (mark_e4, world.START)})


def told(viewer: Client) -> tuple[str, str]:
    rows = viewer.get("/risk/", headers=ROWS).json()["rows"]
    return "".join(rows["openrisks"].values()), rows["openrisk"]["all"]


def stop(level_e4: int, quantity: int = 100, side: Side = Side.BUY, **more: int) -> Protection:
    return Protection(token=INFY, side=side, quantity=quantity, stop_e4=level_e4, **more)


def test_from_the_last_price_to_the_stop_in_rupees(viewer: Client) -> None:
    held(stop(14_850_000, target_e4=15_600_000))
    row, total = told(viewer)
    assert "₹1,500.00" in row
    assert "₹1,500.00" in total
    assert "bound" not in row + total
    page = viewer.get("/risk/").content.decode()
    assert row in page
    assert total in page


def test_of_a_short_position_the_stop_lies_above(viewer: Client) -> None:
    held(stop(15_200_000, side=Side.SELL), side=Side.SELL)
    assert "₹2,000.00" in told(viewer)[0]


def test_what_has_no_stop_has_no_bound_and_that_is_said(viewer: Client) -> None:
    held(stop(0, target_e4=15_600_000))
    row, total = told(viewer)
    assert "no bound: 100 without a stop" in row
    assert "and 1 without a bound" in total
    assert "₹" not in row + total


def test_a_part_is_bound_and_the_nearest_stop_closes_first(viewer: Client) -> None:
    held(stop(14_000_000, 50), stop(14_900_000, 30))
    row, _ = told(viewer)
    assert f"₹{30 * 10 + 50 * 100:,}.00" in row
    assert "no bound: 20 without a stop" in row


def test_stops_of_more_than_is_held_lose_no_more_than_is_held(viewer: Client) -> None:
    held(stop(14_900_000), stop(14_000_000))
    assert "₹1,000.00" in told(viewer)[0]


def test_a_stop_that_the_price_has_passed_in_profit_adds_no_gain(viewer: Client) -> None:
    held(stop(15_100_000))
    assert "₹0.00" in told(viewer)[0]


@pytest.mark.parametrize(("side", "words"), [("SELL", "₹1,000.00"), ("BUY", "no bound: 100 without a stop")])
def test_a_stop_order_bounds_what_it_would_close(viewer: Client, side: str, words: str) -> None:
    held()
    Order.objects.update(
        status=OrderStatus.OPEN, trigger_price_e4=14_900_000, side=side, quantity=100, filled_quantity=0
    )
    assert words in told(viewer)[0]


def test_without_a_price_nothing_is_summed(viewer: Client) -> None:
    held(stop(14_850_000), mark_e4=0)
    row, total = told(viewer)
    assert "no price is known" in row
    assert "1 without a price, not counted" in total
    assert "₹" not in row + total


def test_what_is_not_known_is_not_said_to_be_nothing(viewer: Client) -> None:
    held(stop(14_850_000))
    at = now_passed()
    assert "Open risk" in viewer.get("/risk/").content.decode()
    assert "Open risk" not in viewer.get("/risk/", {"at": at}).content.decode()
    assert "openrisk" not in viewer.get("/risk/", {"at": at}, headers=ROWS).json()["rows"]
