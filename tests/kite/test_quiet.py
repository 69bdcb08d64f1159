"""A proof that waits for the end of what is under way says what that is."""

from __future__ import annotations

from typing import Any, cast

import pytest

from alphapanda.core.vocabulary import Waiting
from alphapanda.proof import quiet
from alphapanda.stack import Stack, StackFailed
from execution.models import Order
from strategies.models import Deployment
from tests.kite.live import Live
from tests.kite.looks import Started

pytestmark = pytest.mark.django_db(transaction=True)


def asked(live: Live) -> Order:
    """An order whose request has not left."""
    return live.want(quantity=10)


class Impatient:
    """A stack whose bound is over at once."""

    def wait(self, done: Any, *, timeout_s: float, what: str) -> None:
        if not done():
            raise StackFailed(f"no {what} within {timeout_s:.0f} s")


def test_an_order_on_its_way_is_named_with_its_call(started: Started) -> None:
    order = asked(started())
    assert quiet.at_broker() == [
        f"order {order.id}: PUT ORDER REQ RECEIVED",
        f"call ORDER of order {order.id}: READY",
    ]


def test_a_deployment_that_waits_and_events_that_are_not_published_are_named(started: Started) -> None:
    order = asked(started())
    Deployment.objects.filter(pk=order.deployment_id).update(waiting=Waiting.DUE)
    assert quiet.in_pipeline() == [f"{order.deployment.name} waits: DUE", "3 events unpublished"]


def test_a_wait_that_ends_in_vain_names_what_is_under_way(started: Started) -> None:
    order = asked(started())
    with pytest.raises(StackFailed, match=f"no end within 5 s\nunder way: .*order {order.id}"):
        quiet.wait(cast(Stack, Impatient()), timeout_s=5, what="end")
