"""Another retention in the settings reaches topics that are there, or it is told that it does not."""

from __future__ import annotations

from typing import Any

import pytest

from alphapanda.eventlog import bootstrap
from alphapanda.eventlog.records import LogError, LogUnavailable
from alphapanda.eventlog.topics import TOPICS

HOURS_MS = 24 * 3_600_000


class Broker:
    """A broker with all topics at another retention than the settings', but for one."""

    def __init__(self, refusal: LogError | None = None) -> None:
        self.refusal = refusal
        self.kept = dict.fromkeys(TOPICS, 1000) | {"market.ticks": HOURS_MS, "log.incarnation": -1}
        self.asked: list[str] = []

    def partitions(self) -> dict[str, int]:
        return {name: topic.partitions for name, topic in TOPICS.items()}

    def retention_ms(self, topic: str) -> int:
        return self.kept[topic]

    def keep(self, topic: str, retention_ms: int) -> None:
        self.asked.append(topic)
        if self.refusal:
            raise self.refusal
        self.kept[topic] = retention_ms


@pytest.fixture
def told(settings: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    settings.TOPIC_RETENTION_HOURS = 24
    heard: list[tuple[str, str]] = []
    for level in ("warning", "info"):
        monkeypatch.setattr(
            bootstrap.log, level, lambda event, **more: heard.append((event, more["topic"])), raising=False
        )
    return heard


def test_topics_that_are_there_are_brought_to_the_settings(told: list[tuple[str, str]]) -> None:
    broker: Any = Broker()

    assert bootstrap._created(broker) == []

    assert broker.kept == {name: topic.retention_ms for name, topic in TOPICS.items()}
    assert set(broker.asked) == TOPICS.keys() - {"market.ticks", "log.incarnation"}
    assert {event for event, _ in told} == {"eventlog.topic.retention_set"}


def test_a_refusal_is_told_topic_by_topic_and_stops_nothing(told: list[tuple[str, str]]) -> None:
    broker: Any = Broker(LogError("CLUSTER_AUTHORIZATION_FAILED: no"))

    assert bootstrap._created(broker) == []

    assert told == [("eventlog.topic.retention_differs", name) for name in broker.asked]
    assert len(told) == len(TOPICS) - 2


def test_a_log_that_is_away_is_asked_again(told: list[tuple[str, str]]) -> None:
    broker: Any = Broker(LogUnavailable("_TRANSPORT: away"))

    with pytest.raises(LogUnavailable):
        bootstrap._created(broker)
    assert told == []
