"""The packed tick message: many ticks and clock items in one Kafka value, little endian, checksummed."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alphapanda.core.money import to_rupees

FROM_BAR = 1  # made from a one-minute bar, not seen as a trade
HAS_DEPTH = 2  # bids and asks were in the source
NOT_FINITE = 4  # the source price was not a finite number; price_e4 is 0
INDEX = 8  # an index: nothing can be bought at this price

MAX_ITEMS = 2_000
MAX_BYTES = 1 << 20
DEPTH_LEVELS = 5
FIRST_SEQ = 1  # of every source, so that 0 means "nothing yet" in a cursor
REDRIVEN = 0  # source of messages sent again from dead letters: never skipped as overlap

_MAGIC = b"APTK"
_VERSION = 1
# magic, version, 3 spare, source, first_seq, count, depth count; then crc32 of all that and of the body
_HEADER = struct.Struct("<4sB3xIqII")
_CRC = struct.Struct("<I")
_BODY = _HEADER.size + _CRC.size
# The 12 plain fields of Tick in order, then the number of bids and asks, then seq - first_seq.
_RECORD = struct.Struct("<IqqqqIqIqIIHBBI")
_DEPTH = struct.Struct("<" + "qIH" * (2 * DEPTH_LEVELS))  # price, quantity, orders (0: a Tick carries none)
_DEPTH_READ = struct.Struct("<" + "qI2x" * (2 * DEPTH_LEVELS))
_PLAIN = 12
RECORD = np.dtype(
    [
        ("token", "<u4"),
        ("at_ms", "<i8"),
        ("traded_at_ms", "<i8"),
        ("received_ms", "<i8"),
        ("price_e4", "<i8"),
        ("quantity", "<u4"),
        ("volume", "<i8"),
        ("oi", "<u4"),
        ("average_e4", "<i8"),
        ("buy_quantity", "<u4"),
        ("sell_quantity", "<u4"),
        ("flags", "<u2"),
        ("bids", "u1"),
        ("asks", "u1"),
        ("seq_delta", "<u4"),
    ]
)
LEVEL = np.dtype([("price_e4", "<i8"), ("quantity", "<u4"), ("orders", "<u2")])

Ints = npt.NDArray[np.integer[Any]]
Levels = tuple[tuple[int, int], ...]


class Tick(NamedTuple):
    """One market observation: prices in 1/10,000 rupee, times in epoch ms UTC, depth best level first."""

    token: int
    at_ms: int  # event time
    traded_at_ms: int  # time of the last trade; 0: unknown
    received_ms: int
    price_e4: int
    quantity: int  # of the last trade; 0: unknown
    volume: int  # total of the day; -1: unknown
    oi: int
    average_e4: int
    buy_quantity: int
    sell_quantity: int
    flags: int
    bids: Levels = ()
    asks: Levels = ()

    @property
    def price(self) -> Decimal:
        """Last price in rupees."""
        return to_rupees(self.price_e4)


class Clock(NamedTuple):
    """Time passes through the log: `at_ms` has come, market or not."""

    at_ms: int
    received_ms: int


Item = Tick | Clock


def best(levels: Levels) -> int:
    """The best price of one side of the depth; 0 where it offers nothing. Kite fills up depth with empty levels."""
    return next((price_e4 for price_e4, size in levels if price_e4 > 0 and size > 0), 0)


class Rows(NamedTuple):
    """Ticks as a message holds them: `records` of RECORD, whose `seq_delta` is filled in when they are packed, and for
    each with HAS_DEPTH, in their order, ten of LEVEL (the bids, then the asks) in `depths`."""

    records: npt.NDArray[np.void]
    depths: npt.NDArray[np.void]

    def at(self, places: npt.NDArray[np.intp] | npt.NDArray[np.bool_] | slice) -> Rows:
        """The ticks at some places, which rise."""
        has_depth = (self.records["flags"] & HAS_DEPTH) != 0
        if has_depth.all():
            return Rows(self.records[places], self.depths[places])
        numbers = np.cumsum(has_depth) - 1
        chosen = self.records[places]
        return Rows(chosen, self.depths[numbers[places][(chosen["flags"] & HAS_DEPTH) != 0]])


class Malformed(StrEnum):
    """What is wrong with the bytes."""

    TRUNCATED = "TRUNCATED"
    BAD_MAGIC = "BAD_MAGIC"
    FUTURE_VERSION = "FUTURE_VERSION"
    BAD_CHECKSUM = "BAD_CHECKSUM"
    BAD_COUNT = "BAD_COUNT"


class MalformedTicks(ValueError):
    """Bytes that are no tick message of a known version; `reason` says why."""

    def __init__(self, reason: Malformed, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


class Batch:
    """A decoded message, immutable. Item i is decoded when it is asked for."""

    __slots__ = ("_cache", "_depth_at", "_positions", "_raw", "_records", "count", "first_seq", "source")

    def __init__(self, raw: bytes, *, source: int, first_seq: int, count: int) -> None:
        self._raw = raw
        self.source = source
        self.first_seq = first_seq
        self.count = count
        self._records: npt.NDArray[np.void] = np.frombuffer(raw, RECORD, count, _BODY)
        self._depth_at: list[int] | None = None
        self._positions: dict[int, list[int]] | None = None
        self._cache: dict[frozenset[int], list[int]] = {}

    def __len__(self) -> int:
        return self.count

    @property
    def tokens(self) -> npt.NDArray[np.uint32]:
        """The token of each item; 0 is a clock item."""
        return self._records["token"]

    @property
    def last_seq(self) -> int:
        return self.seq(self.count - 1)

    def seq(self, index: int) -> int:
        """The number of an item in its source; gaps inside a message mean that other partitions share it."""
        return self.first_seq + int(self._records["seq_delta"][index])

    def item(self, index: int) -> Item:
        """Item `index`; raises IndexError."""
        if not 0 <= index < self.count:
            raise IndexError(index)
        row = _RECORD.unpack_from(self._raw, _BODY + index * _RECORD.size)
        depth = self._depth_offset(index) if row[11] & HAS_DEPTH else 0
        return self._decoded(row, depth)

    def raw(self, index: int) -> bytes:
        """Item `index` as it stands in the message: its record, and its depth where it has one."""
        starts = _BODY + index * _RECORD.size
        record = self._raw[starts : starts + _RECORD.size]
        if not int(self._records["flags"][index]) & HAS_DEPTH:
            return record
        depth = self._depth_offset(index)
        return record + self._raw[depth : depth + _DEPTH.size]

    def items(self) -> Iterator[Item]:
        """All items in order."""
        depth = _BODY + self.count * _RECORD.size
        for row in _RECORD.iter_unpack(memoryview(self._raw)[_BODY:depth]):
            yield self._decoded(row, depth)
            if row[11] & HAS_DEPTH:
                depth += _DEPTH.size

    def indices_for(self, tokens: frozenset[int]) -> list[int]:
        """Where the clock items and the ticks of these tokens are, in order; shared, so not to be changed."""
        found = self._cache.get(tokens)
        if found is None:
            positions = self._by_token()
            wanted = tokens if len(tokens) < len(positions) else tokens & positions.keys()
            found = [
                *positions.get(0, ()),
                *(i for token in wanted if token for i in positions.get(token, ())),
            ]
            found.sort()
            self._cache[tokens] = found
        return found

    def _by_token(self) -> dict[int, list[int]]:
        if self._positions is None:
            positions: dict[int, list[int]] = {}
            for index, token in enumerate(self.tokens.tolist()):
                positions.setdefault(token, []).append(index)
            self._positions = positions
        return self._positions

    def _depth_offset(self, index: int) -> int:
        if self._depth_at is None:
            has_depth = (self._records["flags"] & HAS_DEPTH) != 0
            self._depth_at = (np.cumsum(has_depth) - 1).tolist()
        return _BODY + self.count * _RECORD.size + self._depth_at[index] * _DEPTH.size

    def _decoded(self, row: tuple[int, ...], depth: int) -> Item:
        if not row[0]:
            return Clock(row[1], row[3])
        if not row[11] & HAS_DEPTH:
            return Tick._make((*row[:_PLAIN], (), ()))
        values = _DEPTH_READ.unpack_from(self._raw, depth)
        levels = tuple(zip(values[::2], values[1::2], strict=True))
        asks = levels[DEPTH_LEVELS : DEPTH_LEVELS + row[13]]
        return Tick._make((*row[:_PLAIN], levels[: row[12]], asks))


def source_id(name: str) -> int:
    """The number of a source in messages: crc32 of its name, never 0."""
    return zlib.crc32(name.encode()) or 1


def pack(
    items: Sequence[Item],
    *,
    source: int,
    first_seq: int,
    seqs: Sequence[int] | None = None,
    received_ms: int | None = None,
) -> bytes:
    """One message. `seqs`: the number of each item where they do not simply count up from `first_seq`
    (items of one partition of a shared source); `received_ms`: stamped on all items instead of their own.
    Raises ValueError for what the format cannot hold."""
    if not 0 < len(items) <= MAX_ITEMS:
        raise ValueError(f"{len(items)} items in a message; 1 to {MAX_ITEMS} fit")
    numbers = range(first_seq, first_seq + len(items)) if seqs is None else seqs
    records, depths = [], []
    try:
        for number, item in zip(numbers, items, strict=True):
            received = item.received_ms if received_ms is None else received_ms
            records.append(_record(item, number - first_seq, received))
            if isinstance(item, Tick) and item.flags & HAS_DEPTH:
                depths.append(_depth(item))
        return _sealed(b"".join(records + depths), source, first_seq, len(records), len(depths))
    except struct.error as error:
        raise ValueError(f"a tick does not fit the message format: {error}") from error


def pack_arrays(
    *,
    source: int,
    first_seq: int,
    tokens: Ints,
    at_ms: Ints,
    price_e4: Ints,
    quantity: Ints,
    volume: Ints,
    received_ms: int,
    flags: int = 0,
    seqs: Ints | None = None,
) -> bytes:
    """One message of ticks without depth from equally long arrays (`seqs` as in `pack`)."""
    count = len(tokens)
    records = np.zeros(count, RECORD)
    records["token"] = tokens
    records["at_ms"] = at_ms
    records["received_ms"] = received_ms
    records["price_e4"] = price_e4
    records["quantity"] = quantity
    records["volume"] = volume
    records["flags"] = flags & ~HAS_DEPTH
    rows = Rows(records, np.empty((0, 2 * DEPTH_LEVELS), LEVEL))
    return pack_rows(rows, source=source, first_seq=first_seq, seqs=seqs)


def pack_rows(rows: Rows, *, source: int, first_seq: int, seqs: Ints | None = None) -> bytes:
    """One message of ticks in rows (`seqs` as in `pack`); their `seq_delta` is written to."""
    records, depths = rows
    if not 0 < len(records) <= MAX_ITEMS:
        raise ValueError(f"{len(records)} items in a message; 1 to {MAX_ITEMS} fit")
    records["seq_delta"] = np.arange(len(records)) if seqs is None else seqs - first_seq
    return _sealed(records.tobytes() + depths.tobytes(), source, first_seq, len(records), len(depths))


def unpack(raw: bytes | None, *, is_redriven: bool = False) -> Batch:
    """The message in a Kafka value; one that was sent again is of no source, so that nobody takes it for overlap.
    Raises MalformedTicks, and nothing else, for bytes that are none."""
    source, first_seq, count = _checked_header(raw or b"")
    source = REDRIVEN if is_redriven else source
    batch = Batch(raw or b"", source=source, first_seq=first_seq, count=count)
    records = np.frombuffer(raw or b"", RECORD, count, _BODY)
    if max(int(records["bids"].max()), int(records["asks"].max())) > DEPTH_LEVELS:
        raise MalformedTicks(Malformed.BAD_COUNT, f"more than {DEPTH_LEVELS} levels of depth")
    return batch


def tick_to_json(item: Item) -> dict[str, Any]:
    """An item as JSON-ready values; `tick_from_json` reads it back."""
    return item._asdict()


def tick_from_json(value: dict[str, Any]) -> Item:
    """The item of `tick_to_json`, also after a trip through JSON. Other shapes: KeyError, TypeError."""
    if "token" not in value:
        return Clock(**value)
    bids = tuple((price, quantity) for price, quantity in value["bids"])
    asks = tuple((price, quantity) for price, quantity in value["asks"])
    return Tick(**(value | {"bids": bids, "asks": asks}))


def _record(item: Item, seq_delta: int, received_ms: int) -> bytes:
    if isinstance(item, Clock):
        return _RECORD.pack(0, item.at_ms, 0, received_ms, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, seq_delta)
    if not item.token:
        raise ValueError("token 0 is the clock")
    if (item.bids or item.asks) and not item.flags & HAS_DEPTH:
        raise ValueError("a tick with bids or asks carries the flag HAS_DEPTH")
    return _RECORD.pack(*item[:3], received_ms, *item[4:_PLAIN], len(item.bids), len(item.asks), seq_delta)


def _depth(tick: Tick) -> bytes:
    values: list[int] = []
    for side in (tick.bids, tick.asks):
        if len(side) > DEPTH_LEVELS:
            raise ValueError(f"{len(side)} levels of depth; {DEPTH_LEVELS} fit")
        for price_e4, quantity in side:
            values += (price_e4, quantity, 0)
        values += (0,) * (3 * (DEPTH_LEVELS - len(side)))
    return _DEPTH.pack(*values)


def _sealed(body: bytes, source: int, first_seq: int, count: int, depths: int) -> bytes:
    header = _HEADER.pack(_MAGIC, _VERSION, source, first_seq, count, depths)
    return header + _CRC.pack(zlib.crc32(body, zlib.crc32(header))) + body


def _checked_header(raw: bytes) -> tuple[int, int, int]:
    if len(raw) < _BODY:
        raise MalformedTicks(Malformed.TRUNCATED, f"{len(raw)} bytes, the header alone has {_BODY}")
    magic, version, source, first_seq, count, depths = _HEADER.unpack_from(raw)
    if magic != _MAGIC or version < _VERSION:
        raise MalformedTicks(Malformed.BAD_MAGIC, f"starts with {raw[:5]!r}")
    if version > _VERSION:
        raise MalformedTicks(Malformed.FUTURE_VERSION, f"version {version}, this code reads {_VERSION}")
    if not 0 < count <= MAX_ITEMS or depths > count or len(raw) > MAX_BYTES:
        raise MalformedTicks(Malformed.BAD_COUNT, f"{count} items, {depths} with depth, {len(raw)} bytes")
    _check_body(raw, count, depths)
    return source, first_seq, count


def _check_body(raw: bytes, count: int, depths: int) -> None:
    expected = _BODY + count * _RECORD.size + depths * _DEPTH.size
    if len(raw) < expected:
        raise MalformedTicks(Malformed.TRUNCATED, f"{len(raw)} bytes, the header promises {expected}")
    if len(raw) > expected:
        raise MalformedTicks(Malformed.BAD_COUNT, f"{len(raw)} bytes, the header promises {expected}")
    view = memoryview(raw)
    if zlib.crc32(view[_BODY:], zlib.crc32(view[: _HEADER.size])) != _CRC.unpack_from(raw, _HEADER.size)[0]:
        raise MalformedTicks(Malformed.BAD_CHECKSUM, "the body is not what was packed")
    flags = np.frombuffer(raw, RECORD, count, _BODY)["flags"]
    if int(np.count_nonzero(flags & HAS_DEPTH)) != depths:
        raise MalformedTicks(Malformed.BAD_COUNT, f"{depths} depth blocks do not match the flags")
