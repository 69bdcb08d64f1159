"""Risk: what a halt would touch before it is thrown, how far it has come, and how soon a limit is used up."""

from __future__ import annotations

import json
from html import unescape

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from alphapanda import projections
from alphapanda.core.vocabulary import Side
from alphapanda.dashboard.pace import with_pace
from execution.models import Order
from marketdata.selectors import calendars_forget
from marketdata.services.calendar import calendars_load_shipped
from portfolio.models import Position
from risk.models import KillSwitch, LimitSet
from risk.services.halts import halt_throw
from strategies.models import Command, Deployment
from tests.cockpit import world
from tests.cockpit.test_pages import ROWS, browser

CLOSE = world.START + 375 * 60_000  # 15:30

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator() -> Client:
    own = world.desk(count=3)
    for deployment in own.deployments[:2]:
        world.trade(deployment, 60, Side.BUY, 100, 15_000_000)
    Order.objects.filter(deployment=own.deployments[1]).update(status="OPEN", filled_quantity=40)
    projections.rebuild()
    return browser("operator")


def rows(client: Client, kind: str) -> list[str]:
    return [unescape(html) for html in client.get("/risk/", headers=ROWS).json()["rows"][kind].values()]


def test_what_would_be_cancelled_and_closed_is_told_before_it_is_thrown(operator: Client) -> None:
    everything, paper, one, other = rows(operator, "scopes")
    assert "1 working order (BUY 60 NSE:RELIANCE)" in everything
    assert "2 open positions" in paper
    assert "+100 NSE:INFY of ema_cross-infy-paper" in one
    assert "0 working orders" in one
    assert "BUY 60 NSE:RELIANCE" in other
    assert all(html.count("data-act=") == 3 for html in (everything, paper, one, other))
    assert "scopes-1-" in operator.get("/risk/").content.decode()


def test_the_dialog_is_told_what_its_target_has_at_stake(operator: Client) -> None:
    assert 'data-from="/risk/touched/"' in operator.get("/").content.decode()
    infy = Deployment.objects.get(name="ema_cross-infy-paper")

    def told(**asked: object) -> str:
        return operator.get("/risk/touched/", asked).json()["words"]

    assert told(level="GLOBAL").startswith("1 working order (BUY 60 NSE:RELIANCE); 2 open positions")
    assert told(level="BROKER", broker="zerodha").startswith("0 working orders; 0 open positions")
    assert "+100 NSE:INFY" in told(level="DEPLOYMENT", deployment=infy.pk)
    assert "RELIANCE" not in told(level="DEPLOYMENT", deployment=infy.pk)
    assert operator.get("/risk/touched/", {"level": "ODD"}).status_code == 400
    assert Client().get("/risk/touched/", {"level": "GLOBAL"}).status_code == 302


def test_its_buttons_throw_exactly_that_halt(operator: Client) -> None:
    html = rows(operator, "scopes")[-1]
    facts = [json.loads(part.partition('" data-title')[0]) for part in html.split('data-facts="')[1:]]
    assert [one["step"] for one in facts] == ["PAUSE", "CANCEL", "FLATTEN"]
    answer = operator.post("/api/v1/halts/", facts[2] | {"reason": "drill"}, content_type="application/json")
    assert answer.status_code == 201, answer.content
    halt = KillSwitch.objects.get()
    assert (halt.level, halt.step, halt.reason) == ("DEPLOYMENT", "FLATTEN", "drill")
    assert halt.deployment.name == "mean_reversion-reliance-paper"


def test_a_halt_tells_how_far_it_is_until_all_is_flat(operator: Client) -> None:
    halt_throw(level="BROKER", broker="paper", step="FLATTEN", reason="x", actor="bob", now=timezone.now())
    (shown,) = rows(operator, "switches")
    assert "1 order at work, 2 positions open, 3 commands not taken up yet" in shown
    Order.objects.update(status="CANCELLED")
    Command.objects.update(step=99)
    Position.objects.filter(book__name__startswith="ema").update(quantity=0)
    (shown,) = rows(operator, "switches")
    assert "<b>1 position open</b>" in shown
    Position.objects.update(quantity=0)
    (shown,) = rows(operator, "switches")
    assert "<b>flat</b>" in shown
    assert "/release/" in shown


def test_a_halt_that_was_taken_further_tells_the_step_and_the_newest_reason(operator: Client) -> None:
    target = {"level": "BROKER", "broker": "paper"}
    halt_throw(**target, reason="odd prices", actor="bob", now=timezone.now())
    halt_throw(**target, step="FLATTEN", reason="worse prices", actor="ann", now=timezone.now())
    projections.rebuild()
    banner = unescape(operator.get("/").context["frame"]["halts"])
    (shown,) = rows(operator, "switches")
    assert "paper, what is held is closed: worse prices" in banner
    for html in (banner, shown):
        assert "worse prices" in html
        assert "odd prices" not in html
        assert "by ann" in html
    kept = KillSwitch.objects.get()
    assert (kept.reason, kept.thrown_by) == ("odd prices", "bob")


def test_real_money_is_typed_in_both_dialogs_before_it_is_cancelled_or_closed(
    operator: Client, settings: pytest.FixtureRequest
) -> None:
    def asked(broker: str = "") -> list[list[str]]:
        page = operator.get(f"/risk/{broker}").content.decode()
        scopes = [row.partition("</tr>")[0] for row in page.split('<tr id="scopes-')[1:3]]
        dialog = page.partition('id="halt-target"')[2].partition("</select>")[0].split("<option")[1:3]
        typed = [[part.partition('"')[0] for part in row.split('data-type="')[1:]] for row in scopes]
        return [*typed, ["zerodha" if 'data-type="zerodha"' in option else "" for option in dialog]]

    never, beyond = ["", "", ""], ["", "zerodha", "zerodha"]
    assert asked() == [never, never, ["", ""]]
    settings.BROKERS = ["paper", "zerodha"]
    assert asked() == [beyond, never, ["zerodha", ""]]
    assert asked("?broker=zerodha") == [beyond, beyond, ["zerodha", "zerodha"]]


def test_what_reads_nothing_is_out_of_reach_and_said_to_be(operator: Client) -> None:
    Deployment.objects.filter(name__startswith="mean").update(status="STOPPED")
    everything = rows(operator, "scopes")[0]
    assert "out of reach, for they read nothing: mean_reversion-reliance-paper" in everything
    halt_throw(level="GLOBAL", step="CANCEL", reason="x", actor="bob", now=timezone.now())
    (shown,) = rows(operator, "switches")
    assert "out of reach: mean_reversion-reliance-paper" in shown


def test_the_time_to_breach_follows_from_the_rate_of_the_last_minutes() -> None:
    def after(minutes: float, used: str, left: str, limit: str = "daily_loss") -> int | None:
        at_ms = world.START + int(minutes * 60_000)
        row = {"used": used, "left": left, "limit": limit, "at_ms": at_ms, "ends_ms": CLOSE}
        return with_pace({"a": row}, key="test")["a"]["breach_s"]

    assert after(0, "10", "90") is None
    assert after(0.3, "12", "88") is None  # too short to be a rate
    assert after(2, "30", "70") == 7 * 60
    assert after(4, "30", "70") == 14 * 60
    assert after(5, "10", "90") is None  # another day: it begins anew
    assert after(20, "10", "90") is None
    assert after(21, "12", "706") == 353 * 60  # a minute before the close
    assert after(21, "12", "710") is None  # the day is over before
    assert after(1, "13", "1") is None  # the recording begins anew
    assert after(2, "20", "80", "position_quantity") is None  # it goes up and down


def test_the_page_of_risk_tells_it(operator: Client) -> None:
    LimitSet.objects.create(level="GLOBAL", daily_orders=10)
    Deployment.objects.update(at_ms=world.START + 3_600_000)
    calendars_load_shipped()
    calendars_forget()
    first, *_ = [html for html in rows(operator, "limits") if "daily_orders" in html]
    assert "Its use does not grow" in first
    name = first.partition('id="limits-')[2].partition('"')[0]
    kept = cache.get("pace:paper")
    kept[name] = [(at - 60_000, used - 1) for at, used in kept[name]]  # a minute ago less was used
    cache.set("pace:paper", kept)
    (html,) = [html for html in rows(operator, "limits") if f'id="limits-{name}"' in html]
    assert "Its use does not grow" not in html
