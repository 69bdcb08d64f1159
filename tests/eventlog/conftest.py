"""An embedded log and event builders."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from alphapanda.core import ids
from alphapanda.core.envelope import Envelope, EventType, OrderFailed, seal
from alphapanda.core.vocabulary import Broker, OrderStatus
from alphapanda.eventlog import bootstrap
from alphapanda.eventlog.client import LogReader
from alphapanda.eventlog.records import Record

AnEvent = Callable[..., Envelope]


@pytest.fixture
def empty_log(settings: object) -> None:
    """A log of its own for the test: the prefix keeps it apart from the others on the session's broker."""
    settings.TOPIC_PREFIX = f"test{uuid4().hex[:8]}"


@pytest.fixture
def the_log(empty_log: None) -> None:
    """The same after bootstrap."""
    bootstrap.ensure_topics()


@pytest.fixture
def an_event() -> AnEvent:
    """Builds an order.failed event; the same subject gives the same event."""

    def build(subject: object, *, key: str = "order", broker: Broker = Broker.PAPER) -> Envelope:
        order = ids.derived("order", subject)
        payload = OrderFailed(
            order_id=order,
            deployment_id=UUID(int=7),
            instrument="NSE:INFY",
            order_status=OrderStatus.CANCELLED,
            unfilled=1,
            reason=str(subject),
            at_ms=1_700_000_000_000,
        )
        return seal(
            payload,
            event_type=EventType.ORDER_FAILED,
            event_id=ids.event_id("order.failed", subject),
            ts=payload.at_ms,
            source="test",
            broker=broker,
            key=key,
            correlation_id=order,
            causation_id=order,
        )

    return build


@pytest.fixture
def read_all() -> Callable[[str], list[Record]]:
    """Everything that a topic holds, partition by partition."""

    def read(topic: str, *, partitions: int = 4) -> list[Record]:
        found = []
        with LogReader("test") as reader:
            for partition in range(partitions):
                low, high = reader.watermarks(topic, partition)
                reader.assign(topic, {partition: low})
                end = len(found) + high - low
                while len(found) < end:
                    found += reader.poll(messages_max=1000, timeout_s=2)
        return found

    return read
