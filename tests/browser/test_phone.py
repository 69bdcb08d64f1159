"""A phone in daylight, for one who cannot tell red from green: overview, positions, chart and the dialog of a halt."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from alphapanda.proof.browser import PHONE, THEMES, Person
from strategies.models import BacktestRun
from tests.browser import axe
from tests.research.test_stored import asked

pytestmark = pytest.mark.django_db(transaction=True)
LOOKS = [(theme, palette) for theme in THEMES for palette in ("usual", "blue-orange")]
SIGNED = re.compile(r"[+-]₹[\d,]+\.\d\d|₹0\.00|–")  # noqa: RUF001 (what is not known)


@pytest.fixture
def phone(people: Callable[..., Person]) -> Person:
    return people(size=PHONE, has_touch=True, is_mobile=True)


def worn(person: Person, theme: str, palette: str, where: str = "#main") -> list[str]:
    person.wear(theme, palette=palette)
    return axe.findings(person.page, theme=theme, where=where, rule="color-contrast")


@pytest.mark.parametrize(("theme", "palette"), LOOKS)
def test_what_is_won_and_lost_can_be_read_without_its_colour(
    theme: str, palette: str, phone: Person, desk: SimpleNamespace
) -> None:
    for path in ("/", "/positions/"):
        phone.open(path)
        assert worn(phone, theme, palette) == []
        assert not phone.is_wider_than_the_window()
        said = phone.page.locator("#page :is(.up, .down):visible").all_inner_texts()
        coloured = [text for text in said if text and "₹" in text]
        assert coloured
        assert [text for text in coloured if not SIGNED.search(text)] == []


@pytest.mark.parametrize(("theme", "palette"), LOOKS)
def test_a_halt_can_be_thrown(theme: str, palette: str, phone: Person, desk: SimpleNamespace) -> None:
    page = phone.page
    phone.open("/")
    page.locator("#halt").tap()
    page.select_option("#halt-step", "FLATTEN")
    page.locator("#halt-touched", has_text="position").wait_for()
    assert worn(phone, theme, palette, where="#halt-dialog") == []
    send = page.locator("#halt-send").bounding_box()
    assert send["height"] >= 24
    assert send["y"] + send["height"] <= PHONE["height"]
    page.locator("#halt-cancel").tap()
    assert page.locator("dialog[open]").count() == 0
    assert phone.faults == []


def test_a_finger_on_the_chart_scrolls_to_what_is_below(phone: Person, desk: SimpleNamespace) -> None:
    page = phone.page
    phone.open("/chart/NSE:INFY/")
    page.wait_for_selector("#chart[data-drawn]")
    box = page.locator("#chart").bounding_box()
    driven = page.context.new_cdp_session(page)
    for share, kind in enumerate(("touchStart", *["touchMove"] * 10, "touchEnd")):
        at = [] if kind == "touchEnd" else [{"x": 150, "y": box["y"] + 300 - 25 * share}]
        driven.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})
    for _ in range(50):
        if page.evaluate("scrollY"):
            break
        page.wait_for_timeout(50)
    assert page.evaluate("scrollY")

    top, pages = page.locator(".top").bounding_box(), page.locator(".rail").bounding_box()
    assert box["height"] <= pages["y"] - top["height"]
    assert phone.faults == []


def test_the_list_of_backtests_fits(phone: Person, desk: SimpleNamespace) -> None:
    run = asked("A name of a run that is as long as a person may well write it, 2026-11-29 10:15:30")
    found = {"profit": "-1234567.89", "net_pnl": "-1234567.89"}
    codes = ["COSTS_EAT_IT", "FEW_TRADES", "UNFILLABLE"]
    BacktestRun.objects.filter(pk=run.pk).update(state="DONE", summary=found, findings=codes)
    phone.open("/backtests/")
    over = phone.page.locator("table.runs").evaluate(
        "table => { const box = table.closest('.scroll'); return box.scrollWidth - box.clientWidth; }"
    )
    assert over <= 0
    assert not phone.is_wider_than_the_window()
    button = phone.page.get_by_role("button", name="Run A name").bounding_box()
    assert 0 <= button["x"] < button["x"] + button["width"] <= PHONE["width"]
    for theme in THEMES:
        assert worn(phone, theme, "usual") == []
    BacktestRun.objects.filter(pk=run.pk).delete()


def test_a_position_says_whose_it_is_and_no_figure_breaks(phone: Person, desk: SimpleNamespace) -> None:
    phone.open("/positions/")
    rows = phone.page.locator("tbody[data-kind=positions] tr")
    assert rows.first.locator(".of").is_visible()
    assert {one.partition("\n")[2] for one in rows.locator("td:first-child").all_inner_texts()} == {
        one.name for one in desk.deployments
    }
    figures = phone.page.locator(".positions td.n:visible").evaluate_all(
        "all => all.map((one) => { const range = document.createRange(); range.selectNodeContents(one);"
        " return range.getClientRects().length > 1 && one.innerText.includes('₹'); })"
    )
    assert not any(figures)
    assert not phone.is_wider_than_the_window()


def test_the_button_that_halts_stands_in_the_first_line(phone: Person, desk: SimpleNamespace) -> None:
    for path in ("/", "/orders/?broker=zerodha"):
        phone.open(path)
        badge, halt = (phone.page.locator(one).bounding_box() for one in (".badge", "#halt"))
        assert abs(badge["y"] - halt["y"]) < halt["height"] / 2
    assert phone.faults == []


@pytest.mark.parametrize("day", ["-₹1,898.73", "-₹1,23,45,678.90"])
def test_the_bell_lies_on_no_figure(day: str, phone: Person, desk: SimpleNamespace) -> None:
    page = phone.page
    page.route_web_socket("**/ws/live/**", lambda socket: socket.on_message(lambda _: None))
    phone.open("/")
    page.locator(".day-pnl b").evaluate("(one, text) => (one.textContent = text)", day)
    page.locator(".bell").evaluate("one => (one.innerHTML = '<span class=\"pill s-fail\">3 critical</span>')")
    bell = page.locator(".bell").bounding_box()
    for figure in page.locator(".strip .figure, .strip .label").all():
        box = figure.bounding_box()
        is_left = box["x"] + box["width"] <= bell["x"]
        assert is_left or box["y"] + box["height"] <= bell["y"], figure.inner_text()
    assert not phone.is_wider_than_the_window()
