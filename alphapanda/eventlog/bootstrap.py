"""Makes the log ready: its topics and its identity."""

from __future__ import annotations

from django.conf import settings

from alphapanda import logs
from alphapanda.eventlog import incarnation
from alphapanda.eventlog.client import LogAdmin
from alphapanda.eventlog.topics import TOPICS

log = logs.channel("application")


def ensure_topics() -> list[str]:
    """Make the topics that are missing and give the log its identity; doing it twice changes nothing.
    Returns the names made. Raises LogError."""
    admin = LogAdmin()
    made = _touched(admin) if settings.KAFKA_EMBEDDED else _created(admin)
    log.info("eventlog.ready", topics_made=len(made), incarnation=str(incarnation.ensure()))
    return made


def _created(admin: LogAdmin) -> list[str]:
    found = admin.partitions()
    missing = [topic for name, topic in TOPICS.items() if name not in found]
    for name, topic in TOPICS.items():
        if name in found and found[name] != topic.partitions:
            log.warning(
                "eventlog.topic.partitions_differ",
                topic=name,
                found=found[name],
                configured=topic.partitions,
            )
    return admin.create(missing) if missing else []


def _touched(admin: LogAdmin) -> list[str]:
    # The embedded log has no CreateTopics (an admin client would wait for a controller until it times out);
    # it makes a topic, with four partitions, when somebody asks about it.
    found = admin.partitions()
    missing = [name for name in TOPICS if name not in found]
    for name in missing:
        admin.touch(name)
    return missing


def missing_topics() -> list[str]:
    """Names of topics that are not there. Raises LogError."""
    found = LogAdmin().partitions()
    return [name for name in TOPICS if name not in found]
