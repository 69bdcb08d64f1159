"""A page that hears nothing says so: never a frozen screen that looks alive."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from alphapanda import projections
from alphapanda.core.clock import to_ms
from alphapanda.core.vocabulary import Phase
from alphapanda.proof.browser import Person
from alphapanda.proof.pages import PAGES, address_of
from alphapanda.push import readmodel
from tests.browser.conftest import Web

pytestmark = pytest.mark.django_db(transaction=True)

READ_AGAIN = """async () => {
  const answer = await fetch(location.href, { headers: { Accept: "application/json" } });
  return Object.keys((await answer.json()).rows);
}"""


def test_a_dead_server_shows_in_the_age_of_what_stands_there(operator: Person, web: Web) -> None:
    person = operator
    person.page.clock.install()
    person.open("/")
    link, clock = person.page.locator("#link"), person.page.clock
    assert link.get_attribute("data-state") == "live"
    web.freeze()
    person.page.wait_for_timeout(200)  # what was on its way has come
    try:
        clock.fast_forward(3_500)
        assert link.get_attribute("data-state") == "late"
        assert "no contact" in link.inner_text()
        assert "as of" in person.page.evaluate("document.querySelector('.panel h2').dataset.asOf")
        clock.fast_forward(7_000)
        assert link.get_attribute("data-state") == "stale"
        assert person.page.locator("#page.is-stale").count() == 1
    finally:
        web.thaw()
    person.page.wait_for_selector('#link[data-state="live"]')


def test_a_page_that_cannot_be_read_again_says_so_though_its_socket_lives(operator: Person) -> None:
    page = operator.page
    page.clock.install()
    operator.tolerated.add(500)
    operator.open("/orders/")
    page.route("**/orders/", lambda route: route.fulfill(status=500, body="the database is away"))
    page.clock.fast_forward(12_000)
    page.locator("#link-words", has_text="not read again").wait_for()  # it was heard, else: no contact
    assert page.locator("#page.is-stale").count() == 1
    assert "as of" in page.evaluate("document.querySelector('.panel h2').dataset.asOf")

    page.unroute("**/orders/")
    page.clock.fast_forward(5_000)
    page.locator('#link[data-state="live"]').wait_for()


@pytest.mark.parametrize("name", PAGES)
def test_every_page_can_be_read_again(name: str, operator: Person) -> None:
    operator.tolerated.add(503)
    operator.open(address_of(name))

    told = operator.page.evaluate(READ_AGAIN)

    assert "strip" in told


def test_a_socket_that_dies_is_opened_again(operator: Person) -> None:
    sockets: list[Any] = []

    def between(socket: Any) -> None:
        sockets.append(socket)
        socket.connect_to_server()

    operator.page.route_web_socket("**/ws/live/**", between)
    operator.open("/")
    with operator.page.expect_websocket():
        sockets[-1].close(code=1011)

    assert len(sockets) == 2


@pytest.mark.parametrize(("phase", "state"), [(Phase.CONTINUOUS, "late"), (Phase.CLOSED, "live")])
def test_ticks_that_do_not_come_are_told_while_the_market_is_open(
    phase: Phase, state: str, operator: Person
) -> None:
    now_ms = to_ms(timezone.now())
    readmodel.stream_write(source="kite", received_at_ms=now_ms - 4_000, last_at_ms=now_ms)
    readmodel.session_write(phase=phase)

    try:
        operator.open("/")
        link = operator.page.locator("#link")
        assert link.get_attribute("data-state") == state
        assert ("no ticks" in link.inner_text()) == (state == "late")
    finally:
        readmodel.stream_write(source=None, received_at_ms=None, last_at_ms=None)
        projections.refresh()
