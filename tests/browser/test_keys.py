"""Keys of tabs and rows, and the choice of columns, with the keyboard alone."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from alphapanda.proof.browser import Person
from alphapanda.web.roles import Role

pytestmark = pytest.mark.django_db(transaction=True)


def test_numbers_switch_tabs(operator: Person) -> None:
    page = operator.page
    operator.open("/positions/")
    page.keyboard.press("2")
    page.wait_for_url("**/positions/?view=day")
    page.keyboard.press("3")
    page.wait_for_url("**/positions/?view=strategy")
    page.keyboard.press("/")  # no filter is there: nothing happens
    page.keyboard.press("1")
    page.wait_for_url("**/positions/?view=net")
    operator.open("/orders/")
    page.focus("#id_symbol")
    page.keyboard.type("12")
    assert page.input_value("#id_symbol") == "12"
    page.keyboard.press("Escape")  # leaves the filter, so that keys work again
    page.keyboard.press("g")
    page.keyboard.press("o")
    page.wait_for_selector('.rail a[aria-current=page][href="/"]')

    assert operator.faults == []


def test_letters_of_the_row_at_hand_open_dialogs_and_places(people: Callable[..., Person]) -> None:
    operator, viewer = people(), people(Role.VIEWER)
    page = operator.page
    operator.open("/strategies/")
    page.keyboard.press("p")  # no row is at hand
    assert page.locator("dialog[open]").count() == 0
    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    assert page.locator("tr.at-hand").count() == 1
    page.keyboard.press("p")
    assert "Pause" in page.locator("dialog[open]").inner_text()
    page.keyboard.press("Escape")
    page.wait_for_selector("#act-dialog", state="hidden")
    page.keyboard.press("e")
    page.wait_for_url(re.compile("/strategies/[0-9a-f-]+/"))  # its code is no more: it says so there
    operator.open("/positions/")
    page.keyboard.press("j")
    page.keyboard.press("g")
    page.keyboard.press("x")  # Backtests, not the exit of the row
    page.wait_for_url("**/backtests/")
    operator.open("/positions/")
    page.keyboard.press("j")
    page.keyboard.press("c")
    page.wait_for_url("**/chart/**")

    viewer.open("/strategies/")
    viewer.page.keyboard.press("j")
    for key in ("p", "e"):
        viewer.page.keyboard.press(key)
    assert viewer.page.url.endswith("/strategies/")
    assert operator.faults == viewer.faults == []


def test_a_column_goes_at_once_and_stays_away(operator: Person) -> None:
    page = operator.page
    operator.open("/orders/")
    page.focus(".choice summary")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    with page.expect_response("**/look/columns/"):
        page.keyboard.press("Space")
    assert not page.locator("table.orders :is(th, td):nth-child(2)").first.is_visible()
    assert page.locator(".choice small").inner_text() == "1 hidden"
    page.keyboard.press("Escape")
    assert not page.locator(".choice form").is_visible()
    operator.open("/orders/")
    assert not page.locator("table.orders :is(th, td):nth-child(2)").first.is_visible()
    page.click(".choice summary")
    with page.expect_response("**/look/columns/"):
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
    assert page.locator("table.orders :is(th, td):nth-child(2)").first.is_visible()
    assert operator.faults == []


def test_the_palette_finds_instruments_and_acts(operator: Person) -> None:
    page = operator.page
    operator.open("/health/")
    page.keyboard.press("Control+k")
    page.keyboard.type("halt entries")
    page.keyboard.press("Enter")
    page.wait_for_selector("#halt-dialog[open]")
    page.select_option("#halt-step", "FLATTEN")
    assert page.locator("#halt-send").inner_text() == "Halt, cancel and close"
    assert "closed at the market" in page.locator("#halt-what").inner_text()
    assert page.locator("#halt-dialog .retype").is_hidden()  # paper
    page.select_option("#halt-target", "GLOBAL")
    assert page.locator("#halt-dialog .retype").inner_text().startswith("Type zerodha")
    page.keyboard.press("Escape")
    page.wait_for_selector("#halt-dialog", state="hidden")
    page.keyboard.press("Control+k")
    page.keyboard.type("nse:infy")
    page.wait_for_selector("#find-list [data-found]")
    page.keyboard.press("Enter")
    page.wait_for_url("**/chart/NSE:INFY/")

    assert operator.faults == []
