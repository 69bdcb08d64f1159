"""Lists of a trading day, and the page that says why."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from alphapanda import projections
from alphapanda.core.vocabulary import Side
from alphapanda.dashboard import lists
from alphapanda.web.formats import price
from execution.models import Fill, Order
from strategies.models import Deployment, Signal
from tests.cockpit import world
from tests.cockpit.test_pages import ROWS, browser

pytestmark = pytest.mark.django_db


@pytest.fixture
def viewer() -> Client:
    """Two deployments with a morning of trading, and one signal that risk denied."""
    own = world.desk(count=2)
    world.morning(own, rounds=2)
    world.trade(own.deployments[0], 900, Side.BUY, 400, 15_000_000, denied="position_limit")
    projections.rebuild()
    return browser("viewer")


def rows(viewer: Client, path: str, kind: str) -> dict[str, str]:
    return viewer.get(path, headers=ROWS).json()["rows"][kind]


@pytest.mark.parametrize(
    ("path", "kind"), [("/orders/", "orders"), ("/fills/", "fills"), ("/signals/", "signals")]
)
def test_a_list_shows_what_is_stored_and_its_snapshot_the_same(viewer: Client, path: str, kind: str) -> None:
    stored = {"orders": Order, "fills": Fill, "signals": Signal}[kind].objects.count()
    page = viewer.get(path).content.decode()
    found = rows(viewer, path, kind)
    assert len(found) == stored > 0
    assert all(html in page for html in found.values())
    assert 'data-hints="' + kind in page


def test_a_signal_says_why_its_strategy_raised_it_and_at_what_price(viewer: Client) -> None:
    world.trade(Deployment.objects.first(), 950, Side.BUY, 10, 15_000_000, seen_e4=14_995_500)
    found = rows(viewer, "/signals/", "signals")
    for one in Signal.objects.select_related("instrument"):
        seen = one.marks.get(str(one.instrument.instrument_token))
        told = price(seen["price_e4"]) if seen else "–"  # noqa: RUF001
        assert f'<td class="n wide">{told}</td>' in found[str(one.pk)]
        assert f'<td class="wide words because">{one.reason}</td>' in found[str(one.pk)]
    assert sum("1,499.55" in html for html in found.values()) == 1


def test_filters_narrow_and_nonsense_is_told_beside_its_field(viewer: Client) -> None:
    (denied,) = rows(viewer, "/signals/?verdict=denied", "signals").values()
    assert "would hold 400" in denied
    order = Order.objects.filter(instrument__tradingsymbol="INFY").first()
    assert len(rows(viewer, "/orders/?symbol=NSE:INFY&side=BUY&day=2019-07-09", "orders")) == (
        Order.objects.filter(instrument=order.instrument, side="BUY").count()
    )
    assert not rows(viewer, "/orders/?day=2019-07-10", "orders")
    assert not rows(viewer, "/orders/?state=open", "orders")
    bad = viewer.get("/orders/?day=yesterday&older=nowhere")
    assert bad.status_code == 400
    assert "Enter a valid date" in bad.content.decode()
    assert "no place in this list" in bad.content.decode()


def test_older_pages_begin_where_the_one_before_ended(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "PAGE", 3)
    seen: list[str] = []
    address = "/fills/"
    while address:
        answer = viewer.get(address)
        seen += rows(viewer, address, "fills")
        older = answer.context["older"]
        address = "/fills/" + older if older else ""
    assert len(seen) == len(set(seen)) == Fill.objects.count() > 3


@pytest.mark.usefixtures("live_enabled")
def test_the_other_namespace_has_its_own_lists(viewer: Client) -> None:
    assert not rows(viewer, "/orders/?broker=zerodha", "orders")
    assert "LIVE" in viewer.get("/orders/?broker=zerodha").content.decode()


def test_lists_go_on_without_redis(viewer: Client, settings: pytest.FixtureRequest) -> None:
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    page = viewer.get("/orders/")
    assert page.status_code == 200
    assert "Live state cannot be read" in page.content.decode()
    assert len(rows(viewer, "/orders/", "orders")) == Order.objects.count()


@pytest.mark.parametrize("view", ["compact", "timeline", "raw"])
def test_an_order_says_why(viewer: Client, view: str) -> None:
    order = Order.objects.filter(fills_count__gt=0).first()
    page = viewer.get(f"/orders/{order.id}/?view={view}").content.decode()
    told = {
        "compact": ["fast crossed slow", "all_rules", "within every limit", "STT", "brokerage"],
        "timeline": ["the clock of the wall", "intent", "fill"],
        "raw": [str(order.decision_id), "correlation_id"],
    }[view]
    assert [words for words in told if words not in page] == []


def test_a_denied_signal_says_which_rule(viewer: Client) -> None:
    signal = Signal.objects.get(decision__is_approved=False)
    page = viewer.get(f"/signals/{signal.id}/").content.decode()
    assert "position_limit" in page
    assert "None: risk denied the signal." in page
    assert viewer.get("/orders/00000000-0000-0000-0000-000000000000/").status_code == 404


def test_positions_have_their_sums(viewer: Client) -> None:
    found = viewer.get("/positions/", headers=ROWS).json()["rows"]
    page = viewer.get("/positions/").content.decode()
    assert found["held"]["paper"] in page
    assert f">{len(found['positions'])} open<" in found["held"]["paper"]


def test_a_namespace_that_is_not_enabled_is_not_shown_as_live(viewer: Client) -> None:
    page = viewer.get("/orders/?broker=zerodha").content.decode()
    assert ">PAPER<" in page
    assert not re.findall(r"href=\"[^\"]*broker=zerodha", page)


@pytest.mark.usefixtures("live_enabled")
def test_from_live_there_always_is_a_way_back_to_paper(viewer: Client) -> None:
    page = viewer.get("/orders/?broker=zerodha").content.decode()
    assert '<a class="switch" href="/orders/">to paper</a>' in page
    assert (
        '<a class="switch" href="/orders/?broker=zerodha">to live</a>'
        in viewer.get("/orders/").content.decode()
    )


def test_the_page_of_one_live_thing_leads_back_to_paper(viewer: Client) -> None:
    one = world.desk("zerodha", count=1).deployments[0]
    page = viewer.get(f"/strategies/{one.pk}/").content.decode()
    assert '<a class="switch" href="/">to paper</a>' in page
    assert ">LIVE<" in page
    assert '<a class="brand" href="/"' in page
