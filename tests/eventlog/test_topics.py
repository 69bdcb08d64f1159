"""Topics: one map, and no event crosses from one broker to the other."""

from __future__ import annotations

import pytest

from alphapanda.core.envelope import EventType
from alphapanda.core.vocabulary import Broker
from alphapanda.eventlog import topics


def test_it_knows_every_topic_and_its_dead_letters():
    names = {name for name, topic in topics.TOPICS.items() if not topic.is_dead_letters}

    assert "market.ticks" in names
    assert {f"{b}.orders.filled" for b in ("paper", "zerodha")} <= names
    assert {n + ".dlq" for n in names - {"log.incarnation"}} == set(topics.TOPICS) - names


@pytest.mark.parametrize("event_type", list(EventType))
@pytest.mark.parametrize("broker", [Broker.PAPER, Broker.ZERODHA])
def test_an_event_goes_to_its_own_namespace(event_type, broker):
    topic = topics.find(topics.topic_for(event_type, broker))

    assert topic.namespace in (broker, Broker.SHARED)
    assert (topic.namespace is Broker.SHARED) == (topic.name in ("operator.actions", "market.bars"))


def test_an_order_is_never_shared():
    with pytest.raises(topics.WrongNamespace):
        topics.topic_for(EventType.ORDER_SUBMITTED, Broker.SHARED)


def test_partitions_and_retention_come_from_settings(settings):
    settings.TICK_PARTITIONS, settings.TOPIC_PARTITIONS, settings.TOPIC_RETENTION_HOURS = 6, 3, 2

    assert topics.find("market.ticks").partitions == 6
    assert topics.find("market.ticks.dlq").partitions == 6
    assert topics.find("paper.orders.filled").partitions == 3
    assert topics.find("paper.orders.filled").retention_ms == 7_200_000
    assert topics.find("log.incarnation").retention_ms == -1


@pytest.mark.parametrize("prefix", ["", "desk", "desk."])
def test_the_prefix_goes_on_and_off(settings, prefix):
    settings.TOPIC_PREFIX = prefix

    assert topics.wire_name("market.ticks") == ("desk.market.ticks" if prefix else "market.ticks")
    assert topics.logical_name(topics.wire_name("market.ticks")) == "market.ticks"
