"""A planted crossing of namespaces is found, however long the way from its cause."""

from __future__ import annotations

import io
import json
from uuid import UUID

import pytest
from django.core.management import call_command

from alphapanda.eventlog.models import OutboxEvent
from alphapanda.eventlog.segregation import Crossing, crossings

pytestmark = pytest.mark.django_db


def an_event(number: int, broker: str, *, cause: int) -> None:
    OutboxEvent.objects.create(
        event_id=UUID(int=number),
        type=f"type.{number}",
        broker=broker,
        topic="t",
        key="k",
        correlation_id=UUID(int=1),
        causation_id=UUID(int=cause),
        body=b"",
    )


@pytest.fixture
def apart() -> None:
    """Both namespaces after one operator act that is its own cause; each goes its own way."""
    an_event(1, "shared", cause=1)
    for first, broker in ((10, "paper"), (20, "zerodha")):
        an_event(first, broker, cause=1)
        an_event(first + 1, broker, cause=first)
    an_event(30, "zerodha", cause=999)  # a cause that was pruned, or a tick
    an_event(31, "paper", cause=21)  # the other way round is no danger


def prove(*options: str) -> tuple[int, str]:
    out = io.StringIO()
    try:
        call_command("prove_namespaces", *options, stdout=out)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue()
    return 0, out.getvalue()


@pytest.mark.usefixtures("apart")
def test_namespaces_that_are_apart_prove_so():
    assert crossings() == []
    assert prove() == (0, "No paper event caused a zerodha event (7 events looked at).\n")


@pytest.mark.usefixtures("apart")
def test_a_direct_crossing_is_found():
    an_event(40, "zerodha", cause=11)

    # the cause of the cause is found too
    pairs = [(crossing.paper_id.int, crossing.zerodha_id.int) for crossing in crossings()]
    assert pairs == [(10, 40), (11, 40)]
    code, text = prove()
    assert code == 1
    assert "type.40" in text


@pytest.mark.usefixtures("apart")
def test_a_crossing_through_shared_events_is_found():
    an_event(50, "shared", cause=10)
    an_event(51, "shared", cause=50)
    an_event(52, "zerodha", cause=51)

    assert crossings() == [Crossing(UUID(int=10), "type.10", UUID(int=52), "type.52")]
    code, text = prove("--json")
    told = json.loads(text)
    assert (code, told["events"], told["crossings"][0]["zerodha_id"]) == (1, 10, str(UUID(int=52)))


@pytest.mark.usefixtures("apart")
def test_a_circle_of_causes_ends():
    an_event(60, "zerodha", cause=61)
    an_event(61, "zerodha", cause=60)

    assert crossings() == []
