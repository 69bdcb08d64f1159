"""What holds for every page, those of tomorrow too: they are taken from the rail."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from alphapanda.dashboard.rail import RAIL
from alphapanda.proof.browser import PHONE, THEMES, Person
from alphapanda.proof.pages import OURS, PAGES, address_of
from alphapanda.web.roles import Role
from tests.browser import axe

pytestmark = pytest.mark.django_db(transaction=True)

TOLERATED = {"health": {503}}  # the workers do not run here, and the page says so
KEYS = {page.name: page.key for pages in RAIL.values() for page in pages}
# What must be seen whole, and is in a box that hides what is over its edge: states, figures, headings, buttons.
WHOLE = ".pill, td.n, th.n, td b, .tile dt, .tile dd, .figure, h1, h2, button"
CUT_OFF = """(whole) => [...document.querySelectorAll(whole)]
  .filter((one) => one.checkVisibility({ opacityProperty: true }) && one.getClientRects().length)
  .filter((one) => {
    const { right } = one.getBoundingClientRect();
    if (getComputedStyle(one).overflowX === "hidden" && one.scrollWidth > one.clientWidth + 1) return true;
    for (let box = one; box; box = box.parentElement) {
      const { position, overflowX } = getComputedStyle(box);
      if (position === "absolute") return false;
      if (overflowX === "hidden" && right > box.getBoundingClientRect().right + 1) return true;
      if (overflowX !== "visible") return false;
    }
    return right > innerWidth;
  })
  .map((one) => one.outerHTML.slice(0, 120))"""


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_and_everybody_can_use_it(name: str, operator: Person, desk: SimpleNamespace) -> None:
    page, path = operator.page, address_of(name)
    assert path, f"the desk of the tests has nothing for {name}"
    operator.tolerated = TOLERATED.get(name, set())

    status = operator.open(path)

    assert status in {200, *operator.tolerated}
    assert page.locator("h1").count() == 1
    assert page.title() != "Alpha Panda"
    assert not operator.is_wider_than_the_window()
    assert page.evaluate(CUT_OFF, WHOLE) == []
    for theme in THEMES:
        operator.wear(theme)
        assert axe.findings(page, theme=theme, rule="" if theme == THEMES[0] else "color-contrast") == []
    _keys_work(operator, "positions" if name == "overview" else "overview")
    assert operator.faults == []


def _keys_work(person: Person, elsewhere: str) -> None:
    """`?` lists the keys, Ctrl K finds, `g` and a letter goes."""
    page = person.page
    page.keyboard.press("Shift+?")
    assert page.locator("#keys-dialog").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    assert page.evaluate("document.activeElement.id") == "find-words"
    page.keyboard.press("Escape")
    assert not page.locator("dialog[open]").count()
    there = re.compile(f"{re.escape(person.root + address_of(elsewhere))}([?].*)?$")
    page.route(there, lambda route: route.fulfill(content_type="text/html", body="there"))
    for _ in range(5):  # the second key counts for a second, and a full machine may take longer
        page.keyboard.press("g")
        page.keyboard.press(KEYS[elsewhere])
        page.wait_for_timeout(300)
        if there.match(page.url):
            break
    page.wait_for_url(there)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_a_phone(name: str, people: Callable[..., Person]) -> None:
    person = people(size=PHONE, has_touch=True, is_mobile=True)
    person.tolerated = TOLERATED.get(name, set())

    person.open(address_of(name))

    assert not person.is_wider_than_the_window()
    assert person.page.locator("#halt").is_visible()
    assert axe.findings(person.page) == []
    assert person.faults == []


@pytest.mark.parametrize("name", OURS)
def test_a_page_with_nothing_on_it_says_what_to_do(name: str, operator: Person) -> None:
    operator.tolerated = TOLERATED.get(name, set())
    operator.open(f"{address_of(name)}?broker=zerodha")

    bare = operator.page.locator(".panel:has(tbody[data-kind]):not(:has(tbody[data-kind] tr))")
    for panel in bare.all():
        said = panel.locator(".empty")
        assert said.is_visible()
        assert len(said.inner_text()) > len("None yet")
    assert operator.faults == []


def test_the_overview_fits_the_window(operator: Person) -> None:
    operator.open("/")

    assert (
        operator.page.evaluate("document.documentElement.scrollHeight")
        <= operator.page.viewport_size["height"]
    )


def test_keys_lead_from_a_page_to_an_order_and_to_the_one_before(people: Callable[..., Person]) -> None:
    person = people(Role.VIEWER)
    page = person.page
    person.open("/")
    page.keyboard.press("Control+k")
    page.keyboard.type("orders")
    page.keyboard.press("Enter")
    page.wait_for_url("**/orders/")
    page.keyboard.press("j")
    page.keyboard.press("j")
    second = page.locator("tbody tr").nth(1).locator("a").first.get_attribute("href")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{second}")
    page.keyboard.press("[")
    page.wait_for_url(lambda url: "/orders/" in url and not url.endswith(second))

    assert person.faults == []


@pytest.mark.parametrize("theme", THEMES)
def test_the_palette_without_red_and_green_can_be_read(theme: str, operator: Person) -> None:
    for path in ("/", "/risk/"):
        operator.open(path)
        operator.wear(theme, palette="blue-orange")
        assert axe.findings(operator.page, theme=theme, rule="color-contrast") == []


@pytest.mark.parametrize("dialog", ["keys", "find", "halt", "act"])
@pytest.mark.parametrize("theme", THEMES)
def test_dialogs_are_for_everybody(dialog: str, theme: str, operator: Person) -> None:
    operator.open("/strategies/")
    operator.wear(theme)
    openers = {
        "keys": lambda page: page.click("#keys"),
        "find": lambda page: page.keyboard.press("Control+k"),
        "halt": lambda page: page.keyboard.press("Shift+H"),
        "act": lambda page: page.locator("[data-act]").first.click(),
    }
    openers[dialog](operator.page)

    assert operator.page.locator(f"#{dialog}-dialog").is_visible()
    assert axe.findings(operator.page, theme=theme, where=f"#{dialog}-dialog") == []


def test_the_login_page_is_for_everybody(people: Callable[..., Person]) -> None:
    stranger = people(storage_state=None)
    stranger.page.goto("/positions/")

    assert stranger.page.url.endswith("/login/?next=/positions/")
    for theme in THEMES:
        stranger.wear(theme)
        assert axe.findings(stranger.page, theme=theme) == []
    assert stranger.faults == []


def test_a_page_is_complete_without_javascript(people: Callable[..., Person], desk: SimpleNamespace) -> None:
    person = people(java_script_enabled=False)
    person.page.goto("/")

    assert person.page.locator("tbody[data-kind=deployments] tr").count() == len(desk.deployments)
    assert person.page.locator(".needs-js:visible").count() == 0
    assert person.faults == []
