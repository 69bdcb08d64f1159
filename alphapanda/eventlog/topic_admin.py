"""Asks the log about its topics, makes them, and sets how long they keep messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)
from django.conf import settings

from alphapanda.eventlog import topics
from alphapanda.eventlog.client import ASK_TIMEOUT_S, Watch, config_for, error_of, translated
from alphapanda.eventlog.tuning import WIRE_BYTES_MAX

RETENTION = "retention.ms"


class LogAdmin:
    """Asks the log which topics it has, and makes topics."""

    def __init__(self) -> None:
        client_id = topics.group_id("admin")
        self._admin = AdminClient(config_for(client_id, Watch(client_id), {}))

    def partitions(self) -> dict[str, int]:
        """How many partitions each of our topics has. Raises LogUnavailable."""
        with translated():
            found = self._admin.list_topics(timeout=ASK_TIMEOUT_S).topics
        ours = {name: found[wire] for name in topics.TOPICS if (wire := topics.wire_name(name)) in found}
        return {name: len(topic.partitions) for name, topic in ours.items()}

    def touch(self, topic: str) -> None:
        """Ask about one topic, which makes it where the log is the embedded one. Raises LogUnavailable."""
        with translated():
            self._admin.list_topics(topics.wire_name(topic), timeout=ASK_TIMEOUT_S)

    def create(self, wanted: Sequence[topics.Topic]) -> list[str]:
        """Make topics as the settings say; one that exists by now is left alone. Returns the names made."""
        asked = self._admin.create_topics([_new(topic) for topic in wanted], operation_timeout=ASK_TIMEOUT_S)
        return [topics.logical_name(name) for name, made in asked.items() if _is_made(made)]

    def retention_ms(self, topic: str) -> int:
        """How long the log keeps messages of a topic. Raises LogError."""
        resource = ConfigResource(ResourceType.TOPIC, topics.wire_name(topic))
        with translated():
            (described,) = self._admin.describe_configs([resource]).values()
            return int(described.result(ASK_TIMEOUT_S)[RETENTION].value)

    def keep(self, topic: str, retention_ms: int) -> None:
        """Have the log keep messages of a topic for so long, from now on. Raises LogError."""
        entry = ConfigEntry(RETENTION, str(retention_ms), incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topics.wire_name(topic), incremental_configs=[entry])
        with translated():
            (altered,) = self._admin.incremental_alter_configs([resource]).values()
            altered.result(ASK_TIMEOUT_S)


def _new(topic: topics.Topic) -> NewTopic:
    return NewTopic(
        topics.wire_name(topic.name),
        num_partitions=topic.partitions,
        replication_factor=settings.TOPIC_REPLICATION,
        config={RETENTION: str(topic.retention_ms), "max.message.bytes": str(WIRE_BYTES_MAX)},
    )


def _is_made(made: Any) -> bool:
    try:
        made.result(ASK_TIMEOUT_S * 2)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        raise error_of(error.args[0]) from error
    return True
