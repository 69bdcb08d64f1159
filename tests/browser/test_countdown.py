"""How long Kite's token has to live, counted down on the page Broker."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import BrokerAccount, BrokerSession
from alphapanda.proof.browser import Person
from tests.rows import a_broker_account

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def session() -> Iterator[BrokerSession]:
    """A login that has two hours to live."""
    now = timezone.now()
    number = BrokerSession.objects.count() + 1
    account = a_broker_account(name=f"counted {number}", user_id=f"CD{number:04}", api_key=f"counted{number}")
    row = BrokerSession(
        account=account, number=1, logged_in_at=now, logged_in_by="alice", dies_at=now + timedelta(hours=2)
    )
    row.access_token = b"sealed"
    row.save(force_insert=True)
    yield row
    type(account).objects.filter(pk=account.pk).update(is_active=False)  # rows of logins stay


def seconds(text: str) -> int:
    hours, minutes, rest = (int(part) for part in text.split(":"))
    return hours * 3_600 + minutes * 60 + rest


def test_what_is_left_of_the_token_is_counted_down_until_it_is_over(
    operator: Person, session: BrokerSession
) -> None:
    operator.page.clock.install()
    operator.open("/broker/")
    left = operator.page.locator("dd.left")
    before = seconds(left.inner_text())
    operator.page.clock.fast_forward(30_000)
    after = seconds(left.inner_text())

    assert 7_000 < before <= 7_200
    assert 30 <= before - after <= 40

    BrokerSession.objects.filter(pk=session.pk).update(dies_at=timezone.now())
    operator.page.clock.fast_forward(7_200_000)
    operator.page.locator(".account .pill", has_text="token expired").first.wait_for()
    assert operator.faults == []


def test_a_look_leaves_what_was_told_and_what_stands_the_same(
    operator: Person, session: BrokerSession
) -> None:
    operator.page.clock.install()
    operator.open("/broker/callback/?status=success&request_token=x")  # of no login that was begun here
    told = operator.page.locator("main .told")
    words = told.inner_text()
    operator.page.evaluate("document.querySelector('main .acts').wasHere = true")
    BrokerAccount.objects.filter(pk=session.account_id).update(api_key="another")

    operator.page.clock.fast_forward(10_000)
    operator.page.locator(".facts dd", has_text="another").wait_for()

    assert told.inner_text() == words
    assert operator.page.evaluate("document.querySelector('main .acts').wasHere")
    assert operator.faults == []
