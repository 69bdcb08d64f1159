"""What is read from the log, and what can be wrong with the log or a message."""

from __future__ import annotations

import msgspec

MESSAGE_BYTES_MAX = 1_048_576


class LogError(Exception):
    """The log refused something; trying the same again will not help."""


class LogUnavailable(LogError):
    """The log cannot be reached or did not answer in time; trying again may help."""


class LogFatal(LogError):
    """A client of the log is broken for good and must be opened anew."""


class QueueFull(LogUnavailable):
    """The producer's queue stayed full: the log takes messages more slowly than they come."""


class NotFlushed(LogUnavailable):
    """Messages were still unacknowledged when the time was up; whether they arrived is unknown."""

    def __init__(self, left: int) -> None:
        super().__init__(f"{left} messages are not acknowledged")
        self.left = left


class MessageTooLarge(ValueError):
    """A message is above the limit of the log."""


class OffsetGone(LogError):
    """A gap: the offset wanted is outside of what the log holds (dropped by retention, or another log)."""

    def __init__(self, topic: str, partition: int, *, wanted: int, low: int, high: int) -> None:
        super().__init__(f"{topic}[{partition}]@{wanted} is gone: the log holds {low} to {high}")
        self.topic, self.partition, self.wanted, self.low, self.high = topic, partition, wanted, low, high


REDRIVEN_HEADER = "redriven"


class Record(msgspec.Struct, frozen=True, gc=False):
    """One message as it was read."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    timestamp_ms: int
    headers: dict[str, bytes]

    @property
    def is_redriven(self) -> bool:
        """Whether it was a dead letter and is here for a second time, behind what came after it."""
        return REDRIVEN_HEADER in self.headers
