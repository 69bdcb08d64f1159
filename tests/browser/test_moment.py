"""Time travel as a person does it: by a key, by steps, by a link that is sent; and nothing of the past lives."""

from __future__ import annotations

import time
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
from django.utils import timezone

from alphapanda.core.clock import to_ms
from alphapanda.dashboard import moment
from alphapanda.proof.browser import PHONE, THEMES, Person
from alphapanda.proof.pages import address_of
from tests.browser import axe

OF_NOW = ("backtests", "health", "data", "keys", "broker")

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def at(desk: SimpleNamespace) -> str:
    """After all that the desk has done."""
    time.sleep(0.003)
    return moment.written(to_ms(timezone.now()))


def asked(person: Person) -> str:
    return parse_qs(urlsplit(person.page.url).query).get("at", [""])[0]


@pytest.mark.parametrize("name", ["overview", "order", "chart", "strategies", "risk", *OF_NOW])
def test_a_page_of_the_past_is_for_everybody_and_does_not_live(name: str, operator: Person, at: str) -> None:
    sockets: list[str] = []
    operator.page.on("websocket", lambda socket: sockets.append(socket.url))

    operator.open(f"{address_of(name)}?at={at}")

    said, dot = operator.page.locator(".past").inner_text(), operator.page.locator("#link-words").inner_text()
    if name in OF_NOW:
        assert said.startswith("NOW")
        assert "This page has no past: it shows what is known now." in said
        assert dot == "of now"
    else:
        assert said.startswith("PAST")
        assert dot == f"at {at[11:19]}"
    assert not operator.is_wider_than_the_window()
    for theme in THEMES:
        operator.wear(theme)
        assert axe.findings(operator.page, theme=theme) == []
    assert sockets == []
    assert operator.faults == []


def test_by_key_to_a_moment_a_minute_back_to_another_page_and_to_now(operator: Person, at: str) -> None:
    page = operator.page
    operator.open("/orders/?side=BUY")
    page.keyboard.press("Shift+T")
    field = page.locator("#travel input[name=at]")
    page.locator("#travel input[name=at]:focus").wait_for()  # it is filled in first
    assert field.input_value().startswith(at[:10])
    assert page.evaluate("document.activeElement.name") == "at"
    field.fill(at[:19])
    page.keyboard.press("Enter")
    page.wait_for_selector(".past")
    assert asked(operator) == at[:19]
    assert "side=BUY" in page.url

    page.keyboard.press("Shift+H")
    assert not page.locator("dialog[open]").count()
    page.keyboard.press("Shift+ArrowLeft")
    page.wait_for_url(lambda url: parse_qs(urlsplit(url).query).get("at") != [at[:19]])
    before = asked(operator)
    assert moment.parsed(at[:19], timezone.now()) - moment.parsed(before, timezone.now()) == 60_000
    page.keyboard.press("g")
    page.keyboard.press("f")
    page.wait_for_url("**/fills/**")
    assert asked(operator) == before
    page.locator(".to-now").click()
    page.wait_for_selector(".past", state="detached")
    assert asked(operator) == ""
    assert operator.faults == []


def test_the_link_that_is_sent_is_of_that_moment(operator: Person, at: str) -> None:
    operator.context.grant_permissions(["clipboard-read", "clipboard-write"])
    operator.open(f"/positions/?at={at}")
    operator.page.click("#copy-link")
    operator.page.locator("#copy-link", has_text="Copied").wait_for()
    assert operator.page.evaluate("navigator.clipboard.readText()").endswith(f"/positions/?at={at}")


def test_the_past_fits_a_phone(people, at: str) -> None:
    person = people(size=PHONE, has_touch=True, is_mobile=True)
    person.open(f"/?at={at}")
    assert not person.is_wider_than_the_window()
    assert axe.findings(person.page) == []
