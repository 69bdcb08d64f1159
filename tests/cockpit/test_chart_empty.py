"""A chart without bars: when the market opens, candles fetched from there, and drawn as soon as they are here."""

from __future__ import annotations

import datetime
import html
import json
import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from alphapanda import backfills, projections
from alphapanda.core.clock import ist_ms, to_datetime
from marketdata.models import Bar, CandleFetch, Instrument
from tests.cockpit import world
from tests.cockpit.test_backfill import Kite, kite  # noqa: F401 (a fixture)
from tests.cockpit.test_moment import now_passed
from tests.cockpit.test_pages import ROWS, browser
from tests.people import client_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("exchange_hours")]
PAGE, BARS = "/chart/NSE:INFY/", "/chart/NSE:INFY/bars?minutes=1"
ASKED = {
    "instrument": "NSE:INFY",
    "interval": "minute",
    "first": "2019-07-08",
    "last": "2019-07-08",
    "reason": "x",
}
CANDLES = [
    [f"2019-07-08T09:1{n}:00+0530", 1500 + n, 1502 + n, 1499 + n, 1501 + n, 100 + n] for n in (5, 6, 7)
]


@pytest.fixture
def answering(kite: Kite) -> Kite:  # noqa: F811
    """Three minutes of INFY."""
    kite.__class__ = type("Minutes", (Kite,), {"__call__": lambda *_which, **_how: {"candles": CANDLES}})
    projections.rebuild()
    return kite


def text(client: Client, **asked: str) -> str:
    page = client.get(PAGE, asked).content.decode()
    return html.unescape(page.partition('id="no-bars"')[2].partition('id="doubt"')[0])


def fetched() -> CandleFetch:
    assert client_of("alice").post("/api/v1/data/candles/", ASKED, format="json").status_code == 201
    assert backfills.run_next()
    return CandleFetch.objects.get()


@pytest.mark.parametrize(
    ("day", "clock", "words"),
    [
        (9, (8, 30), "No bars: the market opens 9 Jul 09:15 IST."),
        (13, (11, 0), "No bars: the market opens 15 Jul 09:15 IST."),
        (9, (11, 0), "No bars of this length are stored of NSE:INFY."),
    ],
)
def test_before_the_market_opens_it_says_when(
    day: int, clock: tuple[int, int], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.desk(count=1)
    projections.rebuild()
    viewer = browser("viewer")
    at_ms = ist_ms(datetime.date(2019, 7, day), datetime.time(*clock))
    monkeypatch.setattr(timezone, "now", lambda: to_datetime(at_ms))
    assert words in text(viewer)


def test_who_may_act_and_is_logged_in_to_kite_can_fetch_candles(answering: Kite) -> None:
    said = text(browser("operator"))
    facts = json.loads(re.search(r'data-facts="(\{.*?\})"', said)[1])
    assert 'data-act="/api/v1/data/candles/"' in said
    answer = client_of("alice").post("/api/v1/data/candles/", facts | {"reason": "x"}, format="json")
    assert answer.status_code == 201
    asked = CandleFetch.objects.get()
    assert (str(asked.instrument), asked.interval, (asked.last - asked.first).days) == (
        "NSE:INFY",
        "minute",
        30,
    )


def test_a_viewer_gets_no_button_and_without_a_session_it_says_what_to_do() -> None:
    world.desk(count=1)
    projections.rebuild()
    assert "an operator can fetch candles" in text(browser("viewer"))
    said = text(browser("operator"))
    assert "There is no active broker account" in said
    assert 'href="/broker/"' in said
    assert "data-act" not in said


def test_what_is_under_way_is_shown_and_its_end_draws_the_chart(answering: Kite) -> None:
    viewer = browser("viewer")
    client_of("alice").post("/api/v1/data/candles/", ASKED, format="json")
    before = viewer.get(PAGE, headers=ROWS).json()
    (row,) = before["rows"]["fetches"].values()
    assert "data-under-way" in row
    assert row in viewer.get(PAGE).content.decode()
    assert not before["is_over"]

    assert backfills.run_next()

    after = viewer.get(PAGE, headers=ROWS).json()
    assert after["is_over"]
    assert "data-under-way" not in "".join(after["rows"]["fetches"].values())
    assert 'id="no-bars" hidden' in viewer.get(PAGE).content.decode()


START_S = ist_ms(datetime.date(2019, 7, 8), datetime.time(9, 15)) // 1000


def test_fetched_candles_are_drawn_and_said_to_be_such(answering: Kite) -> None:
    fetched()
    told = browser("viewer").get(BARS).json()
    assert told["bars"][0] == [START_S, 1505.0, 1507.0, 1504.0, 1506.0, 105]
    assert [bar[0] - START_S for bar in told["bars"]] == [0, 60, 120][: len(told["bars"])]
    assert len(told["bars"]) >= 2
    assert "candles of the broker" in told["doubt"]


@pytest.mark.parametrize(
    ("starts_s", "window", "shown", "is_said"),
    [
        (60, "", [1505.0, 1500.0], True),  # the stream's minute stands instead of the candle of it
        (-60, "", [1500.0], False),  # nothing is fetched into the stream's bars
        (60, f"&since_ms={(START_S + 60) * 1000}", [1500.0], False),
        (60, f"&until_ms={(START_S + 60) * 1000}", [1505.0], True),
        (60, "&count=1", [1500.0], False),
        (60, "&count=2", [1505.0, 1500.0], True),
        (120, "&count=2", [1506.0, 1500.0], True),
    ],
)
def test_candles_stand_before_the_first_bar_of_the_tick_stream(
    starts_s: int, window: str, shown: list[float], is_said: bool, answering: Kite
) -> None:
    fetched()
    prices = dict.fromkeys(("open_e4", "high_e4", "low_e4", "close_e4"), 15_000_000)
    infy = Instrument.objects.get(tradingsymbol="INFY")
    starts_ms = (START_S + starts_s) * 1000
    Bar.objects.create(instrument=infy, minutes=1, starts_ms=starts_ms, volume=1, ticks=1, **prices)
    told = browser("viewer").get(BARS + window).json()
    assert [bar[1] for bar in told["bars"]] == shown
    assert bool(told["doubt"]) is is_said


def test_candles_that_are_gone_are_not_drawn_and_none_at_a_past_moment(answering: Kite) -> None:
    found, viewer = fetched(), browser("viewer")
    assert viewer.get(f"{BARS}&at={now_passed()}").json()["bars"] == []
    assert 'id="no-bars" hidden' not in viewer.get(PAGE, {"at": now_passed()}).content.decode()
    for name in found.files:
        backfills.folder_of(None).joinpath(name.rpartition("/")[2].partition("=")[0]).unlink()
    assert viewer.get(BARS).json()["bars"] == []
    assert 'id="no-bars">' in viewer.get(PAGE).content.decode()


def test_a_file_that_cannot_be_read_leaves_the_chart_empty(answering: Kite, tmp_path: Any) -> None:
    found = fetched()
    odd = tmp_path / "kite_minute_INFY.csv"
    odd.write_text("timestamp,open,high,low,close,volume\nodd\n")
    CandleFetch.objects.filter(pk=found.pk).update(files=[f"{odd}=NSE:INFY"])
    assert browser("viewer").get(BARS).json()["bars"] == []
