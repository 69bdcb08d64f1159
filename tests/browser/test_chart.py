"""The chart as a person sees it: the bar in the making as it is pushed, and all bars in one sight."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from alphapanda import live
from alphapanda.core.clock import DAY_MS, ist_date
from alphapanda.proof.browser import Person
from alphapanda.push import readmodel
from alphapanda.push.connection import client
from marketdata.domain.bars import MINUTE_MS
from marketdata.domain.series import INTERVALS, begun
from marketdata.models import Bar, CandleFetch, Instrument
from tests.browser.desk import MINUTES
from tests.browser.test_live import without_pushes
from tests.cockpit import world
from tests.marketdata.helpers import tick

pytestmark = pytest.mark.django_db(transaction=True)

BARS, OF_DAY = 20_000, 375
UNKNOWN = "\N{EN DASH}"
LENGTH = "document.getElementById('chart').dataset.minutes"
TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))"
SHADED = """() => {
  const shade = getComputedStyle(document.documentElement).getPropertyValue("--color-raised").trim();
  const probe = new OffscreenCanvas(1, 1).getContext("2d");
  probe.fillStyle = shade;
  probe.fillRect(0, 0, 1, 1);
  const [r, g, b] = probe.getImageData(0, 0, 1, 1).data;
  const canvas = document.querySelector("#chart canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, 1);
  let found = 0;
  for (let i = 0; i < data.length; i += 4) if (data[i] === r && data[i + 1] === g && data[i + 2] === b) found += 1;
  return found;
}"""
MERGED = """async ([bars, lengths]) => {
  const page = document.querySelector('script[src*="chart"]').src;
  const { Bars } = await import(new URL("chart_bars.js", page));
  const made = new Bars(lengths, 1);
  for (const [at, open, high, low, close, units] of bars) made.put({ time: at, open, high, low, close, units });
  const places = { from: 0, to: made.count };
  return lengths.map((minutes) => {
    made.drawAs(minutes * 60, places, made.count);
    return made.all().map((one) => [one.time, one.open, one.high, one.low, one.close, one.units]);
  });
}"""


@pytest.fixture
def screens(desk: SimpleNamespace) -> Iterator[None]:
    stop = threading.Event()
    with live.screens(stop):
        yield


@pytest.fixture
def twenty_thousand(desk: SimpleNamespace) -> Iterator[Instrument]:
    """An instrument with as many bars as a chart holds, of days that end before the desk's."""
    instrument = next(one for one in desk.instruments if one.tradingsymbol == "HDFCBANK")
    days = range(-(BARS // OF_DAY) - 1, 0)
    starts = [world.START + day * DAY_MS + minute * MINUTE_MS for day in days for minute in range(OF_DAY)]
    Bar.objects.bulk_create(
        Bar(
            instrument=instrument, minutes=1, starts_ms=starts_ms, open_e4=16_420_000 + number % 97 * 500,
            high_e4=16_480_000, low_e4=16_410_000, close_e4=16_420_000 + number % 89 * 500, volume=10, ticks=3,
        )
        for number, starts_ms in enumerate(starts[-BARS:])
    )  # fmt: skip
    yield instrument
    Bar.objects.filter(instrument=instrument).delete()


def legend(person: Person) -> str:
    return person.page.locator("#legend").inner_text()


def test_the_bar_in_the_making_has_its_volume_and_the_shade_of_its_day(
    operator: Person, screens: None
) -> None:
    token, first = world.NAMES["INFY"][0], world.START + DAY_MS
    operator.open("/chart/NSE:INFY/")
    operator.page.wait_for_selector("#chart[data-drawn]")
    assert operator.page.evaluate(SHADED) == 0

    prices = (15_300_000, 15_330_000, 15_290_000, 15_312_500)
    readmodel.making_write({token: [(1, first, *prices, 4_321), (5, first, *prices, 9_999)]})
    readmodel.marks_write({token: (15_312_500, first + 5_000)})

    operator.page.locator("#legend", has_text="V 4,321").wait_for()
    said = "2019-07-10 09:15 IST O 1,530.00 H 1,533.00 L 1,529.00 C 1,531.25 V 4,321"
    assert legend(operator).startswith(said)
    for _ in range(100):  # a string that is waited for is evaluated by the page, whose policy forbids that
        if operator.page.evaluate(SHADED):
            break
        operator.page.wait_for_timeout(50)
    assert operator.page.evaluate(SHADED)
    readmodel.marks_write({token: (world.NAMES["INFY"][1], world.START + 7_200_000)})
    client().delete(f"readmodel:making:{token}")


def test_where_the_stream_has_no_bar_the_last_price_makes_it(operator: Person, screens: None) -> None:
    token, price_e4 = world.NAMES["INFY"]
    operator.open("/chart/NSE:INFY/?minutes=1")
    operator.page.locator("#legend", has_text="11:15 IST").wait_for()  # the price of two hours later
    readmodel.marks_write({token: (price_e4 + 12_500, world.START + 7_201_000)})
    operator.page.locator("#legend", has_text=f"C 1,531.65 V {UNKNOWN}").wait_for()
    readmodel.marks_write({token: (price_e4, world.START + 7_200_000)})
    assert MINUTES < 120


def test_with_every_push_lost_the_row_above_moves_the_last_bar(
    operator: Person, desk: SimpleNamespace
) -> None:
    token, price_e4 = world.NAMES["INFY"]
    without_pushes(operator)
    operator.open("/chart/NSE:INFY/?minutes=1")
    operator.page.locator("#legend", has_text="11:15 IST").wait_for()
    readmodel.marks_write({token: (price_e4 + 25_000, world.START + 7_202_000)})
    operator.page.locator(".chart-mark", has_text="1,532.90").wait_for()
    try:
        operator.page.locator("#legend", has_text="C 1,532.90").wait_for(timeout=3_000)
    finally:
        readmodel.marks_write({token: (price_e4, world.START + 7_200_000)})


def test_all_bars_in_one_sight_are_longer_ones_and_say_so(
    operator: Person, twenty_thousand: Instrument
) -> None:
    page = operator.page
    operator.open(f"/chart/{twenty_thousand}/")
    page.wait_for_selector("#chart[data-drawn]")
    assert page.evaluate(LENGTH) == "1"

    page.keyboard.press("f")

    page.locator("#legend", has_text="Drawn as 30 min bars").wait_for()
    for volume in (
        UNKNOWN,
        "150",
        "300",
    ):  # of now; of the last quarter of an hour of a day; of thirty minutes of ten
        page.keyboard.press(",")
        page.locator("#legend", has_text=f"V {volume}").wait_for()
    page.keyboard.press("Escape")
    page.mouse.move(700, 400)
    for _ in range(200):
        page.mouse.wheel(0, -400)
        if page.evaluate(LENGTH) == "1":
            break
    assert "Drawn as" not in legend(operator)
    for _ in range(200):
        page.mouse.wheel(0, 400)
        if page.evaluate(LENGTH) == "15":
            break
    page.locator("#legend", has_text="Drawn as 15 min bars").wait_for()
    assert operator.faults == []


def test_a_person_gets_to_the_first_of_all_minutes(operator: Person, twenty_thousand: Instrument) -> None:
    """Only a stretch of them is drawn at a time: the next one is there before a person is."""
    page, days = operator.page, []
    operator.open(f"/chart/{twenty_thousand}/")
    page.wait_for_selector("#chart[data-drawn]")
    page.keyboard.press("f")
    page.locator("#legend", has_text="Drawn as").wait_for()
    page.mouse.move(600, 300)
    for _ in range(200):
        page.mouse.wheel(0, -100)
        if page.evaluate(LENGTH) == "1":
            break

    now, second = "2019-07-09", ist_date(world.START - BARS // OF_DAY * DAY_MS).isoformat()
    while now not in days and len(days) < 60:  # where no bar is at hand the legend has the last of all
        page.evaluate(TWO_FRAMES)
        page.mouse.move(1_090, 300)
        days.append(legend(operator)[:10])
        page.mouse.move(400, 300)
        page.mouse.down()
        page.mouse.move(1_100, 300, steps=6)
        page.mouse.up()

    assert days[:-1] == sorted(days[:-1], reverse=True)
    assert days[-2] <= second
    assert operator.faults == []


def test_longer_bars_that_a_page_makes_are_those_of_the_stream(operator: Person) -> None:
    operator.open("/chart/NSE:INFY/")
    series, volume, made = begun("NSE:X", 7, 555, None), 0, []
    for number, gap in enumerate([7, 31, 400, 59, 1_800, 12] * 40):
        volume += number % 13
        at_ms = world.START + sum(([7, 31, 400, 59, 1_800, 12] * 40)[: number + 1]) * 1_000 + gap
        made += series.on_tick(tick(at_ms=at_ms, price_e4=1_000 + number * 7 % 91, volume=volume))
    made += series.open_bars()
    rows = {minutes: sorted(map(_row, of(made, minutes))) for minutes in INTERVALS}

    merged = operator.page.evaluate(MERGED, [rows[1], list(INTERVALS)])

    assert merged == [rows[minutes] for minutes in INTERVALS]
    assert all(len(longer) <= len(shorter) for shorter, longer in pairwise(merged))


def of(made: list[Any], minutes: int) -> list[Any]:
    return [bar for bar in made if bar.minutes == minutes]


def _row(bar: Any) -> list[int]:
    """As the page has it: seconds of India."""
    return [
        bar.starts_ms // 1000 + 19_800,
        bar.open_e4,
        bar.high_e4,
        bar.low_e4,
        bar.close_e4,
        bar.volume,
    ]


def test_candles_that_come_are_drawn_without_a_look_of_a_person(
    operator: Person, desk: SimpleNamespace, tmp_path: Path
) -> None:
    tcs = Instrument.objects.get(tradingsymbol="TCS")
    day, now = date(2019, 7, 8), timezone.now()
    facts = {"instrument": tcs, "interval": "minute", "first": day, "last": day, "asked_by": "bob"}
    fetch = CandleFetch.objects.create(pk=uuid4(), state="RUNNING", total=3, done=1, created_at=now, **facts)
    operator.open("/chart/NSE:TCS/")
    assert operator.page.locator("#no-bars progress").is_visible()
    assert "1 of 3 requests" in operator.page.locator("#no-bars").inner_text()

    lines = [f"2019-07-08T09:1{n}:00+05:30,3900,3910,3895,3905,100" for n in range(5, 9)]
    file = tmp_path / "candles_TCS.csv"
    file.write_text("\n".join(["timestamp,open,high,low,close,volume", *lines, ""]))
    CandleFetch.objects.filter(pk=fetch.pk).update(
        state="DONE", done=3, files=[f"{file}=NSE:TCS"], finished_at=timezone.now()
    )

    operator.page.locator("#doubt", has_text="candles of the broker").wait_for()
    assert operator.page.locator("#no-bars").is_hidden()
    CandleFetch.objects.filter(pk=fetch.pk).delete()
    assert operator.faults == []
