"""Without Redis: pages say what cannot be read, what is out of the database stays, and all comes back by itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.utils import timezone

from alphapanda.proof.browser import Person
from execution.models import Order
from risk.models import KillSwitch
from risk.services.halts import halt_release
from tests.browser import axe
from tests.browser.conftest import Web

pytestmark = pytest.mark.django_db(transaction=True)

POLL_MS = 5_000
READ_MS = 500


@pytest.fixture(autouse=True)
def _without_redis(web: Web) -> Iterator[None]:
    web.cut_redis()
    yield
    if not web.redis.is_symlink():
        web.mend_redis()


@pytest.fixture(autouse=True)
def _answers_that_say_so(operator: Person) -> None:
    operator.tolerated = {503}
    operator.page.clock.install()


def test_the_overview_says_what_cannot_be_read_and_comes_back(operator: Person, web: Web) -> None:
    assert operator.open("/") == 503
    assert operator.page.locator("h1").inner_text() == "Live state cannot be read"
    assert operator.page.locator(".strip-off").is_visible()
    assert axe.findings(operator.page) == []

    web.mend_redis()
    operator.page.clock.fast_forward(POLL_MS)

    operator.page.wait_for_selector("tbody[data-kind=deployments] tr")


def test_orders_are_there_all_the_same(operator: Person, web: Web) -> None:
    assert operator.open("/orders/") == 200
    assert operator.page.locator(".strip-off").is_visible()
    assert operator.page.locator("tbody[data-kind=orders] tr").count() == min(Order.objects.count(), 100)
    assert axe.findings(operator.page) == []

    web.mend_redis()
    operator.page.clock.fast_forward(POLL_MS)

    operator.page.wait_for_selector(".strip-off", state="detached")


@pytest.mark.parametrize("page", ["/", "/orders/", "/broker/"])
def test_all_is_halted_all_the_same(operator: Person, page: str) -> None:
    """The kill switch needs PostgreSQL alone."""
    operator.open(page)
    operator.page.keyboard.press("Shift+H")
    operator.page.keyboard.type("without Redis")
    operator.page.keyboard.press("Enter")
    operator.page.wait_for_selector("#halt-dialog", state="hidden")

    halt = KillSwitch.objects.get(reason="without Redis", released_at=None)
    halt_release(halt_id=halt.pk, reason="the test is over", actor="tests", now=timezone.now())


def test_what_is_being_typed_is_not_lost_when_it_comes_back(operator: Person, web: Web) -> None:
    operator.open("/orders/")
    typed = operator.page.locator("main input[name=symbol]")
    typed.fill("INF")
    web.mend_redis()
    with operator.page.expect_response(lambda answer: "/orders/" in answer.url) as read:
        operator.page.clock.fast_forward(POLL_MS)
    read.value.finished()
    operator.page.wait_for_timeout(READ_MS)
    assert typed.input_value() == "INF"
    assert operator.page.locator(".strip-off").is_visible()

    typed.fill("")
    operator.page.clock.fast_forward(POLL_MS)

    operator.page.wait_for_selector(".strip-off", state="detached")
