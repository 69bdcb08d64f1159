"""An item of the log as the log still holds it, byte for byte, by the place that was noted with what it caused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from typing import NamedTuple

from alphapanda.eventlog import incarnation, topics
from alphapanda.eventlog.client import LogReader
from alphapanda.eventlog.records import LogError, OffsetGone
from marketdata.domain.ticks import Batch, Item, MalformedTicks, unpack
from strategies.domain.basis import Place

WAIT_S = 2.0  # a page is not kept waiting by a log that is away
READ_S = 1.0
KEPT_MAX = 256
ROW = 16  # bytes of a line of hex

_kept: dict[Place, Held] = {}
_readers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="why")


class Held(NamedTuple):
    """What the log holds at a place; where it does not, `words` say why and the rest is empty."""

    place: Place
    words: str = ""
    item: Item | None = None
    raw: bytes = b""
    message_bytes: int = 0

    @property
    def dump(self) -> str:
        """The bytes in hex, sixteen a line, each line with its place."""
        starts = range(0, len(self.raw), ROW)
        return "\n".join(f"{start:04x}  {self.raw[start : start + ROW].hex(' ')}" for start in starts)


def traced(places: Iterable[Place]) -> dict[Place, Held]:
    """What the log holds at each place. What was found is kept: it does not change."""
    wanted = set(places)
    new = wanted - _kept.keys()
    found = _asked(sorted(new, key=lambda place: (place.partition, place.offset))) if new else {}
    if len(_kept) > KEPT_MAX:
        _kept.clear()
    _kept.update({place: held for place, held in found.items() if not held.words})
    return {place: found.get(place) or _kept[place] for place in wanted}


def _asked(places: list[Place]) -> dict[Place, Held]:
    try:
        return _readers.submit(lambda: {held.place: held for held in _read(places)}).result(WAIT_S)
    except TookTooLong:
        return {place: Held(place, f"The log did not answer within {WAIT_S:g} s.") for place in places}
    except LogError as error:
        return {place: Held(place, f"The log cannot be read now: {error}.") for place in places}


def _read(places: list[Place]) -> Iterator[Held]:
    now = incarnation.current(refresh=True)
    with LogReader("why") as reader:
        for place in places:
            if place.incarnation != now:
                words = f"The log of then ({str(place.incarnation)[:8]}) is gone; this is another ({str(now)[:8]})."
                yield Held(place, words)
            else:
                yield _at(reader, place)


def _at(reader: LogReader, place: Place) -> Held:
    reader.assign(topics.MARKET_TICKS, {place.partition: place.offset})
    try:
        records = reader.poll(messages_max=1, timeout_s=READ_S)
        if not records:
            return Held(place, "The log told nothing of this place in time.")
        batch = unpack(records[0].value)
    except OffsetGone as gone:
        return Held(place, f"The log no longer holds it: it begins at message {gone.low} by now.")
    except MalformedTicks as error:
        return Held(place, f"What stands there is no message of ticks: {error}.")
    return _item(batch, place, len(records[0].value))


def _item(batch: Batch, place: Place, size: int) -> Held:
    is_it = batch.source == place.source and place.index < batch.count and batch.seq(place.index) == place.seq
    if not is_it:
        return Held(place, "What stands there now is another item: the log was written anew.")
    return Held(place, "", batch.item(place.index), batch.raw(place.index), size)
