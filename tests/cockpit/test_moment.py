"""Time travel: an address with a moment is a page of then, marked, with links of then, and nothing on it acts."""

from __future__ import annotations

import html
import re
import time
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import ApiKey
from alphapanda.core.clock import to_ms
from alphapanda.core.vocabulary import Side
from alphapanda.dashboard import moment
from alphapanda.dashboard.rail import ELSEWHERE, FIRST, RAIL
from execution.models import Order
from risk.services.halts import halt_throw
from tests.cockpit import world
from tests.cockpit.test_pages import ROWS, browser

pytestmark = pytest.mark.django_db
PAGES = [page.name for group in RAIL.values() for page in group if page.name not in ELSEWHERE]


def now_passed() -> str:
    """The present as an address has it, with nothing else in its millisecond."""
    time.sleep(0.003)
    at = moment.written(to_ms(timezone.now()))
    time.sleep(0.003)
    return at


def rows(client: Client, path: str, at: str, kind: str, **asked: Any) -> list[str]:
    return list(client.get(path, {"at": at, **asked}, headers=ROWS).json()["rows"][kind].values())


def test_a_moment_in_words() -> None:
    now = timezone.now()
    ten = moment.parsed("2019-07-09T10:15:30", now)
    assert moment.written(ten) == "2019-07-09T10:15:30"
    assert moment.parsed("2019-07-09T10:15", now) == ten - 30_000
    assert moment.parsed(" 2019-07-09 10:15:30.250 ", now) == ten + 250
    assert moment.written(ten + 250) == "2019-07-09T10:15:30.250"
    assert moment.parsed("2019-07-09T04:45:30Z", now) == ten
    assert moment.parsed(moment.written(to_ms(now)), now) == to_ms(now)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("yesterday", "is no moment"),
        ("2019-13-09T10:15:30", "is no moment"),
        ("<b>10:15</b>", "is no moment"),
        ("0001-01-01T00:00:00", "before the year 1990"),
        ("9999-12-31T23:59:59", "is still to come"),
    ],
)
def test_what_is_no_moment_is_a_page_in_words(text: str, why: str) -> None:
    viewer = browser("viewer")
    answer = viewer.get("/orders/", {"at": text})
    page = answer.content.decode()
    assert answer.status_code == 400
    assert why in page
    assert "2026-11-28T10:15:30" in page
    assert "<b>10:15" not in page
    told = viewer.get("/orders/", {"at": text}, headers=ROWS)
    assert told.status_code == 400
    assert why in told.json()["words"]


def test_the_address_that_asks_for_no_moment_is_of_now() -> None:
    page = browser("operator").get("/orders/", {"at": ""}).content.decode()
    assert "PAST" not in page
    assert 'id="halt"' in page
    assert 'data-socket="/ws/live/' in page


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_marked_and_says_whether_it_is_of_then(name: str) -> None:
    own = world.desk(count=1)
    world.trade(own.deployments[0], 60, Side.BUY, 100, 15_000_000)
    at = now_passed()
    address = reverse(FIRST.get(name, name))
    answer = browser("operator").get(address, {"at": at}, follow=True)
    page = answer.content.decode()
    assert answer.status_code == 200
    badge = "PAST" if name in moment.FOLLOWS else "NOW"
    assert f'<b class="badge">{badge}</b>' in page
    assert (moment.OF_NOW in page) is (name not in moment.FOLLOWS)
    assert moment.FOLLOWS.get(name, moment.OF_NOW) in html.unescape(page)
    assert "js/past.js" in page
    alive = ("data-socket", "js/page.js", 'id="halt"', "may-act")
    assert [words for words in alive if words in page] == []


def test_who_acts_finds_nothing_to_act_with() -> None:
    world.desk(count=1)
    halt_throw(level="GLOBAL", reason="odd", actor="bob", now=timezone.now())
    page = browser("operator").get("/", {"at": now_passed()}).content.decode()
    assert "everything: odd" in page
    assert 'id="act-dialog"' not in page
    assert 'id="halt-dialog"' not in page
    assert 'class="page is-past"' in page


def test_what_a_halt_would_touch_is_not_told_of_the_past() -> None:
    world.desk(count=1)
    operator = browser("operator")
    assert "What a halt would touch" in operator.get("/risk/").content.decode()
    page = operator.get("/risk/", {"at": now_passed()}).content.decode()
    assert "What a halt would touch" not in page
    assert "Nothing to halt" not in page


def test_the_past_neither_tells_the_next_step_nor_lists_what_was_made_later() -> None:
    at = now_passed()
    world.desk(count=1)
    viewer = browser("viewer")
    page = viewer.get("/", {"at": at}).content.decode()
    assert "Next:" not in page
    assert page.count("None at that moment.") == page.count('class="empty"') > 0
    stops = viewer.get("/positions/", {"at": at}).content.decode()
    assert "How far stops and targets were is not kept." in stops
    keys = viewer.get("/keys/", {"at": at}).content.decode()  # of now
    assert "None at that moment." not in keys
    assert "ema_cross-infy-paper" not in viewer.get("/orders/", {"at": at}).content.decode()
    assert "ema_cross-infy-paper" in viewer.get("/orders/").content.decode()


def test_a_form_that_is_sent_from_the_past_does_nothing() -> None:
    world.desk(count=1)
    operator = browser("operator")
    page = operator.get("/keys/", {"at": now_passed()}).content.decode()
    assert moment.OF_NOW in page
    made = {"name": "script", "scope": "READ", "days": ""}
    answer = operator.post(f"/keys/?at={now_passed()}", made)
    assert answer.status_code == 400
    assert "Nothing can be done at a moment that is over" in answer.content.decode()
    assert not ApiKey.objects.exists()
    operator.post("/keys/", made)
    assert ApiKey.objects.count() == 1


def test_every_link_and_every_form_keeps_the_moment() -> None:
    own = world.desk(count=1)
    world.trade(own.deployments[0], 60, Side.BUY, 100, 15_000_000)
    at = now_passed()
    page = browser("operator").get("/orders/", {"at": at, "side": "BUY", "broker": "paper"}).content.decode()
    links = re.findall(r'<(?:a|li)\b([^>]*)\s(?:href|data-address)="([^"]*)"', page)
    ours = [link for _, link in links if link[0] in "/?" and not link.startswith(("/api/", "/admin/"))]
    assert len(ours) > 30
    free = [link for link in ours if f"at={at}" not in link]
    before, after = (moment.written(moment.parsed(at, timezone.now()) + by) for by in (-60_000, 60_000))
    assert free == [f"?side=BUY&amp;broker=paper&amp;at={before}", "?side=BUY&amp;broker=paper"]
    assert after not in page, "a minute on is still to come"
    assert f'/orders/{Order.objects.get().pk}/?at={at}"' in page
    assert (
        '<input type="hidden" name="at" value="' + at
        in page.partition('id="filters"')[2].partition("</form>")[0]
    )
    travel = page.partition('id="travel"')[2].partition("</form>")[0]
    assert travel.count('name="at"') == 1
    assert 'type="hidden" name="side" value="BUY"' in travel
    early = browser("viewer").get("/orders/", {"at": before}).content.decode()
    assert 'id="minute-after"' in early


def test_before_the_first_fact_there_is_nothing() -> None:
    own = world.desk(count=2)
    world.morning(own, rounds=1)
    viewer = browser("viewer")
    for path in (
        "/",
        "/positions/",
        "/orders/",
        "/fills/",
        "/signals/",
        "/strategies/",
        "/performance/",
        "/alerts/",
    ):
        answer = viewer.get(path, {"at": "2019-07-09T10:15:30"}, headers=ROWS)
        assert answer.status_code == 200
        found = answer.json()["rows"]
        empty = {
            kind: html
            for kind, html in found.items()
            if kind not in ("strip", "bell", "halts", "tiles", "held", "curve")
        }
        assert not any(empty.values()), path
    assert "None at that moment." in viewer.get("/orders/", {"at": "2019-07-09T10:15:30"}).content.decode()
    order = Order.objects.first()
    named = {"orders": order.pk, "signals": order.decision.signal_id, "strategies": own.deployments[0].pk}
    for address in (f"/{kind}/{name}/" for kind, name in named.items()):
        assert viewer.get(address).status_code == 200
        assert viewer.get(address, {"at": "2019-07-09T10:15:30"}).status_code == 404
