"""The tear sheet of what was booked, against the ledger and the journal."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from html import unescape

import pytest
from django.test import Client
from django.utils.html import strip_tags

from alphapanda import journal, projections
from alphapanda.core.clock import DAY_MS
from alphapanda.core.vocabulary import Side
from alphapanda.dashboard import booked, performance
from alphapanda.engine.statistics import daily_returns
from alphapanda.research import tear_sheet
from alphapanda.web.formats import rupees, rupees_signed
from portfolio.models import LedgerEntry, Portfolio
from strategies.models import Deployment
from tests.cockpit import world
from tests.cockpit.test_moment import now_passed
from tests.cockpit.test_pages import browser
from tests.cockpit.test_performance import entry

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("exchange_hours")]
SHEET = "/performance/sheet/"
GIVEN = {"first": None, "last": None, "portfolio": None, "deployment": None}


@pytest.fixture
def viewer() -> Client:
    return traded(10_00_000)


def traded(cash: int) -> Client:
    """Tuesday 9 July earns 460, Friday the 12th loses 100; one trade is over, which cost 40.27."""
    own = world.desk(count=2, cash=cash)
    entry(own, 1, "REALISED", "-500", world.START)
    entry(own, 2, "CHARGES:stt", "40", world.START)
    entry(own, 3, "REALISED", "100", world.START + 3 * DAY_MS)
    world.trade(own.deployments[0], 60, Side.BUY, 100, 15_000_000)
    world.trade(own.deployments[0], 90, Side.SELL, 100, 15_050_000)
    world.posted()
    projections.rebuild()
    return browser("viewer")


def result(**given: object) -> dict:
    asked = GIVEN | given
    entries = performance.entries_of("paper", asked)
    days = {
        performance.EPOCH + performance.timedelta(days=day): sums
        for day, sums in performance.sums_by(entries, "day").items()
    }
    return booked.booked("paper", asked, entries, days)


def words(html: str) -> str:
    return " ".join(unescape(strip_tags(html.partition("</style>")[2].replace("<", " <"))).split())


def test_it_is_led_to_from_performance_with_what_that_shows(viewer: Client) -> None:
    page = viewer.get("/performance/?first=2019-07-09").content.decode()
    (address,) = re.findall(r'<a href="(/performance/sheet/[^"]*)">Tear sheet</a>', page)
    answer = viewer.get(unescape(address))
    assert answer.status_code == 200
    told = words(answer.content.decode())
    assert "All portfolios PAPER Simulated orders, no real money" in told
    assert f"Profit after charges {rupees_signed(360)}" in told
    assert "Backtest" not in told
    assert "What was run" not in told
    assert "Reasons to doubt" not in told
    assert "<script" not in answer.content.decode()


def test_its_figures_are_those_of_the_ledger_and_its_trades_those_of_the_journal(viewer: Client) -> None:
    found = result()
    cash = Portfolio.objects.get().starting_cash
    assert Decimal(found["statistics"]["net_pnl"]) == Decimal(360)
    assert Decimal(found["statistics"]["charges"]) == Decimal(40)
    assert Decimal(found["statistics"]["max_drawdown"]) == Decimal(100)
    assert found["costs"]["by_line"] == {"stt": "40"}
    (trip,) = [one.trip for one in journal.entries("paper", booked.EVERY | {"deployment": None})]
    (trade,) = found["trades"]
    assert (Decimal(trade["net"]), trade["quantity"], trade["direction"]) == (trip.net, 100, "LONG")
    assert Decimal(trade["exit_price"]) == Decimal("1505")
    assert Decimal(found["costs"]["turnover"]) == Decimal(100 * 1500 + 100 * 1505)
    assert [Decimal(one["equity"]) - cash for one in found["equity"]] == [0, 460, 460, 460, 360]
    assert [one["time"][:10] for one in found["equity"][1:]] == [
        f"2019-07-{day:02}" for day in (9, 10, 11, 12)
    ]


def test_a_trading_day_without_a_booking_is_a_return_of_nothing(viewer: Client) -> None:
    days = {date(2019, 7, 5): performance.Sums(), date(2019, 7, 9): performance.Sums()}
    curve = booked.curve_of(Decimal(1000), days)  # a Friday to a Tuesday
    assert len(daily_returns(Decimal(1000), curve)) == 3


def test_what_was_earned_before_the_first_day_is_in_what_it_began_with(viewer: Client) -> None:
    found = result(first=date(2019, 7, 10))
    assert Decimal(found["meta"]["starting_cash"]) == Portfolio.objects.get().starting_cash + 460
    assert Decimal(found["statistics"]["net_pnl"]) == Decimal(-100)
    assert found["trades"] == []


def test_it_is_of_one_deployment_where_that_is_asked_for(viewer: Client) -> None:
    first = Deployment.objects.get(pk=LedgerEntry.objects.first().book_id)
    second = Deployment.objects.exclude(pk=first.pk).get()
    page = viewer.get("/performance/", {"deployment": first.pk})
    assert page.context["total"].net == Decimal(360)
    assert f"deployment={first.pk}" in page.context["sheet"]
    told = words(viewer.get(SHEET, {"deployment": first.pk}).content.decode())
    assert told.startswith(first.name)
    assert viewer.get(SHEET, {"deployment": second.pk}).status_code == 404


@pytest.mark.usefixtures("live_enabled")
def test_of_fewer_than_two_days_there_is_none(viewer: Client) -> None:
    answer = viewer.get(SHEET, {"last": "2019-07-09"})
    assert answer.status_code == 404
    assert "needs 2 trading days" in answer.content.decode()
    assert "1 day has something booked" in answer.content.decode()
    one_day = viewer.get("/performance/", {"last": "2019-07-09"}).content.decode()
    assert "Tear sheet: needs 2 trading days, here is 1" in one_day
    assert "Needs 2 trading days: so far 1 has something booked." in one_day
    assert "here are 0" in viewer.get("/performance/?broker=zerodha").content.decode()
    assert viewer.get(SHEET, {"first": "never"}).status_code == 404


def test_only_who_may_look_sees_it_and_at_a_moment_it_is_of_then(viewer: Client) -> None:
    assert Client().get(SHEET).status_code == 302
    assert browser().get(SHEET).status_code == 403
    assert viewer.get(SHEET, {"at": "2019-07-20T10:00:00"}).status_code == 404
    then = words(viewer.get(SHEET, {"at": now_passed()}).content.decode())
    assert rupees(40) in then


@pytest.mark.parametrize("cash", [0, -400])
def test_of_a_portfolio_that_began_with_nothing_no_share_is_told(cash: int) -> None:
    told = words(traded(cash).get(SHEET).content.decode())
    assert f"Profit after charges {rupees_signed(360)} {tear_sheet.NOT_DEFINED} Deepest drawdown" in told
