"""Open risk: what the stops of open positions would lose from the last price, and what has no bound."""

from __future__ import annotations

import re

import msgspec
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.html import strip_tags

from alphapanda import exits, projections
from alphapanda.core.vocabulary import OrderStatus, Side
from alphapanda.dashboard import screen
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
        status=OrderStatus.TRIGGER_PENDING,
        trigger_price_e4=14_900_000,
        side=side,
        quantity=100,
        filled_quantity=0,
    )
    assert words in told(viewer)[0]


@pytest.mark.parametrize("after", [{"status": OrderStatus.OPEN}, {"triggered_at_ms": world.START}])
def test_a_stop_order_whose_price_has_come_bounds_nothing_any_more(viewer: Client, after: dict) -> None:
    """It is a limit order then: where the price has jumped over it, it waits and closes nothing."""
    held(mark_e4=14_000_000)
    stop_order = {"status": OrderStatus.TRIGGER_PENDING, "trigger_price_e4": 14_900_000, "side": "SELL"}
    Order.objects.update(**stop_order | {"quantity": 100, "filled_quantity": 0} | after)
    assert "no bound: 100 without a stop" in told(viewer)[0]


def test_without_a_price_nothing_is_summed(viewer: Client) -> None:
    held(stop(14_850_000), mark_e4=0)
    row, total = told(viewer)
    assert "no price is known" in row
    assert "1 without a price, not counted" in total
    assert "₹" not in row + total


def test_what_is_not_known_is_not_said_to_be_nothing(viewer: Client) -> None:
    held(stop(14_850_000))
    at = now_passed()
    assert "title-openrisks" in viewer.get("/risk/").content.decode()
    assert "title-openrisks" not in viewer.get("/risk/", {"at": at}).content.decode()
    assert "openrisk" not in viewer.get("/risk/", {"at": at}, headers=ROWS).json()["rows"]


# ---- the line on top of every page ---------------------------------------------------------------------------


def on_top(viewer: Client, page: str = "/orders/", **asked: str) -> tuple[str, str]:
    """The fact in the strip as text, and what is under the pointer."""
    strip = viewer.get(page, asked, headers=ROWS).json()["rows"]["strip"][asked.get("broker", "paper")]
    fact = re.search(r'<a class="fact open-risk".*?title="(.*?)">(.*?)</a>', strip, re.DOTALL)
    assert fact
    return " ".join(strip_tags(fact[2].replace("<", " <")).split()), fact[1]


def test_the_open_risk_of_all_positions_is_on_top_of_every_page(viewer: Client) -> None:
    held(stop(14_850_000))
    for page in ("/", "/positions/", "/orders/", "/health/"):
        assert on_top(viewer, page)[0] == "Open risk ₹1,500.00"


def test_it_follows_the_price_without_a_query(viewer: Client) -> None:
    held(stop(14_850_000))
    readmodel.marks_write({INFY: (14_900_000, world.START)})
    with CaptureQueriesContext(connection) as asked:
        rows = screen.rows(readmodel.overview())
    assert rows["strip"]["paper"]["open_risk"]["at_risk"] == "500.0000"
    assert not asked.captured_queries


def test_what_has_no_stop_is_counted_in_words_with_its_worth_under_the_pointer(viewer: Client) -> None:
    held()
    text, pointed = on_top(viewer)
    assert text == "Open risk 1 without stop –"  # noqa: RUF001
    assert "1 of 1 has no stop for all of it" in pointed
    assert "worth ₹1,50,000.00" in pointed


def test_the_part_without_a_stop_is_told_beside_the_sum_of_the_rest(viewer: Client) -> None:
    held(stop(14_850_000, 60))
    text, pointed = on_top(viewer)
    assert text == "Open risk 1 without stop ₹900.00"
    assert "worth ₹60,000.00" in pointed


def test_without_a_price_it_is_a_dash(viewer: Client) -> None:
    held(stop(14_850_000), mark_e4=0)
    assert on_top(viewer)[0] == "Open risk 1 without price –"  # noqa: RUF001


def test_nothing_held_is_nothing_at_risk(viewer: Client) -> None:
    world.desk(count=1)
    projections.rebuild()
    assert on_top(viewer)[0] == "Open risk ₹0.00"


@pytest.mark.usefixtures("live_enabled")
def test_paper_and_live_have_each_their_own(viewer: Client) -> None:
    held(stop(14_850_000))
    assert on_top(viewer, broker="zerodha")[0] == "Open risk ₹0.00"  # nobody trades there yet
    live = world.desk("zerodha", count=1)
    world.trade(live.deployments[0], 60, Side.BUY, 10, 15_000_000)
    projections.rebuild()
    assert on_top(viewer)[0] == "Open risk ₹1,500.00"
    assert on_top(viewer, broker="zerodha")[0] == "Open risk 1 without stop –"  # noqa: RUF001


def test_stops_of_a_past_moment_are_not_kept(viewer: Client) -> None:
    held(stop(14_850_000))
    text, pointed = on_top(viewer, at=now_passed())
    assert text == "Open risk –"  # noqa: RUF001
    assert "not kept" in pointed


def test_the_exits_of_all_deployments_are_read_in_as_many_queries_as_of_one() -> None:
    own = world.desk(count=4)
    counts = []
    for some in (own.deployments[:1], own.deployments):
        with CaptureQueriesContext(connection) as asked:
            exits.waiting({one.pk for one in some})
        counts.append(len(asked))
    assert counts == [2, 2]


# ---- the column of positions ---------------------------------------------------------------------------------


def to_stop(viewer: Client, **asked: str) -> str:
    (row,) = viewer.get("/positions/", asked, headers=ROWS).json()["rows"]["positions"].values()
    return row.split("<td")[12].partition("</td>")[0]


def test_a_position_says_how_far_its_nearest_stop_is(viewer: Client) -> None:
    held(stop(14_000_000, 50), stop(14_850_000, 50, target_e4=15_010_000))
    told = to_stop(viewer)
    assert told.endswith(">-1.00 %")
    assert 'title="stop at 1,485.00"' in told


def test_of_a_short_position_the_nearest_stop_lies_above(viewer: Client) -> None:
    held(stop(15_300_000, side=Side.SELL), stop(15_150_000, side=Side.SELL), side=Side.SELL)
    assert to_stop(viewer).endswith(">+1.00 %")


def test_a_position_without_a_stop_says_so_and_what_is_not_known_is_a_dash(viewer: Client) -> None:
    held(stop(0, target_e4=15_600_000))
    assert "no stop" in to_stop(viewer)
    assert to_stop(viewer, at=now_passed()).endswith(">–")  # noqa: RUF001
    Deployment.objects.update(
        checkpoint=msgspec.msgpack.encode(State(guards=Guards(protections={INFY: [stop(14_850_000)]})))
    )
    projections.refresh()
    readmodel.marks_forget([INFY])
    assert to_stop(viewer).endswith('title="stop at 1,485.00">–')  # noqa: RUF001
