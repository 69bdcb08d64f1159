"""Pages that are shown anew when more has come of what they tell: not more often than one can read, and never where
something would be lost."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest

from alphapanda.proof.browser import Person
from execution.models import Fill

pytestmark = pytest.mark.django_db(transaction=True)

ANEW_MS = 5_000
READ_MS = 500
ALERT = ".note-form [role=alert]"


def with_more_each_time(person: Person, path: str) -> list[str]:
    """Let each reading of a page say that more has come; the methods with which the page itself is asked for."""
    numbers, asked = count(1), list[str]()

    def answer(route: Any) -> None:
        if route.request.headers.get("accept") != "application/json":
            asked.append(route.request.method)
            route.continue_()
            return
        told = route.fetch()
        route.fulfill(response=told, body=json.dumps(told.json() | {"stands": f"more {next(numbers)}"}))

    person.page.route(f"**{path}", answer)
    return asked


def read_again(person: Person, path: str) -> None:
    """What a push of something booked makes a page do."""
    with person.page.expect_response(lambda answer: answer.url.endswith(path)) as read:
        person.page.evaluate("document.dispatchEvent(new Event('acted'))")
    read.value.finished()
    person.page.wait_for_timeout(READ_MS)


def test_fills_that_come_one_after_another_do_not_put_off_who_reads(operator: Person) -> None:
    path = "/performance/"
    operator.page.clock.install()
    asked = with_more_each_time(operator, path)
    operator.open(path)
    read_again(operator, path)
    read_again(operator, path)
    assert asked == ["GET"]

    operator.page.clock.fast_forward(ANEW_MS)

    operator.page.wait_for_timeout(READ_MS)
    assert asked == ["GET", "GET"]


def test_a_note_that_was_refused_is_neither_lost_nor_sent_again(operator: Person) -> None:
    path = f"/journal/{Fill.objects.order_by('at_ms', 'pk').first().pk}/"
    operator.page.clock.install()
    operator.tolerated.add(400)
    asked = with_more_each_time(operator, path)
    operator.open(path)
    operator.page.locator(".note-form [name=tags]").fill("no/tag")
    operator.page.locator(".note-form [name=text]").fill("what I have seen")
    operator.page.get_by_role("button", name="Keep").click()
    operator.page.locator(ALERT).wait_for()
    operator.page.wait_for_selector('#link:not([data-state="off"])')

    with operator.page.expect_response(lambda answer: answer.request.method == "GET") as read:
        operator.page.clock.fast_forward(ANEW_MS)

    read.value.finished()
    operator.page.wait_for_timeout(2 * READ_MS)
    assert asked == ["GET", "POST"]
    assert operator.page.locator(".note-form [name=text]").input_value() == "what I have seen"
