"""Which log this is: an id in its first message, so that a cursor of one log is never used on another."""

from __future__ import annotations

from uuid import UUID, uuid4

from alphapanda.core.vocabulary import Broker
from alphapanda.eventlog.client import LogProducer, LogReader, address
from alphapanda.eventlog.records import LogUnavailable
from alphapanda.eventlog.topics import LOG_INCARNATION, wire_name

READ_S = 5.0
PARTITION = 0
_known: dict[tuple[str, str], UUID] = {}


class IncarnationUnknown(LogUnavailable):
    """The log has no identity yet: `bootstrap.ensure_topics` has not run against it."""


def current(*, refresh: bool = False) -> UUID:
    """The identity of the log, asked once in a process unless `refresh`.
    Raises IncarnationUnknown, LogUnavailable."""
    place = address(), wire_name(LOG_INCARNATION)
    if refresh or place not in _known:
        found = _first()
        if found is None:
            raise IncarnationUnknown(f"{place[1]} is empty")
        _known[place] = found
    return _known[place]


def ensure() -> UUID:
    """The identity of the log, drawn where it has none; of two drawn at once the first counts."""
    if _first() is None:
        with LogProducer(Broker.SHARED, service="bootstrap") as producer:
            value = str(uuid4()).encode()
            producer.produce(LOG_INCARNATION, value, key=b"incarnation", partition=PARTITION)
    return current(refresh=True)


def _first() -> UUID | None:
    with LogReader("incarnation") as reader:
        low, high = reader.watermarks(LOG_INCARNATION, PARTITION)
        if low == high:
            return None
        reader.assign(LOG_INCARNATION, {PARTITION: low})
        records = reader.poll(messages_max=1, timeout_s=READ_S)
    if not records:
        raise LogUnavailable(f"{LOG_INCARNATION} was not read in {READ_S} s")
    return UUID(records[0].value.decode())
