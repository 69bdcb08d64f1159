"""Makes the log ready: its topics and its identity."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

from django.conf import settings

from alphapanda import logs
from alphapanda.eventlog import incarnation, retries
from alphapanda.eventlog.records import LogError, LogUnavailable
from alphapanda.eventlog.topic_admin import LogAdmin
from alphapanda.eventlog.topics import TOPICS, Topic

READY_S = 30.0

log = logs.channel("application")


def ensure_topics() -> list[str]:
    """Make the topics that are missing and give the log its identity; doing it twice changes nothing.
    A log that is only starting is waited for. Returns the names made. Raises LogError."""
    admin = LogAdmin()
    make = _touched if settings.KAFKA_EMBEDDED else _created
    made = _patiently(lambda: make(admin))
    # a topic that was just made has no leader yet for a moment
    identity = _patiently(incarnation.ensure)
    log.debug("eventlog.ready", topics_made=len(made), incarnation=str(identity))
    return made


def _patiently(work: Callable[[], retries.Result]) -> retries.Result:
    return retries.in_place(work, stop=Event(), give_up_s=READY_S)


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
    for name in found:
        _keep(admin, TOPICS[name])
    return admin.create(missing) if missing else []


def _keep(admin: LogAdmin, topic: Topic) -> None:
    """Bring the retention of a topic that is there to the settings', or tell that it stays another: an operator's
    account at the broker may not be allowed to alter it."""
    kept_ms = admin.retention_ms(topic.name)
    if kept_ms == topic.retention_ms:
        return
    told = {"topic": topic.name, "found_ms": kept_ms, "configured_ms": topic.retention_ms}
    try:
        admin.keep(topic.name, topic.retention_ms)
    except LogUnavailable:
        raise  # it is asked again
    except LogError as error:
        log.warning("eventlog.topic.retention_differs", **told, error=str(error))
    else:
        log.info("eventlog.topic.retention_set", **told)


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
