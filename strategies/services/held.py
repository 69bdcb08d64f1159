"""What a shard holds of one partition: the messages that its deployments still need, in the order of the log."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from marketdata.domain.ticks import Batch

HELD_BYTES_MAX = 16 << 20  # as packed: about 200,000 ticks, or 20 s of all that one key of Kite can stream


class Held:
    """Messages without a gap, from the first that somebody needs on."""

    def __init__(self) -> None:
        self._offsets: list[int] = []
        self._messages: list[tuple[Batch | None, int]] = []  # with their sizes in bytes
        self._size = 0

    @property
    def first(self) -> int | None:
        """The offset of the first message."""
        return self._offsets[0] if self._offsets else None

    @property
    def is_full(self) -> bool:
        return self._size >= HELD_BYTES_MAX

    def add(self, offset: int, batch: Batch | None, *, size: int) -> None:
        """Hold the next message; None for one that could not be decoded."""
        self._offsets.append(offset)
        self._messages.append((batch, size))
        self._size += size

    def since(self, offset: int) -> Iterator[tuple[int, Batch | None]]:
        """The messages from an offset on."""
        for number in range(bisect_left(self._offsets, offset), len(self._offsets)):
            yield self._offsets[number], self._messages[number][0]

    def drop_before(self, offset: int) -> None:
        """Let go of the messages before an offset."""
        count = bisect_left(self._offsets, offset)
        self._size -= sum(size for _, size in self._messages[:count])
        del self._offsets[:count], self._messages[:count]
