"""Kite's binary websocket frames, read many at a time into rows of the packed tick message, and written.

A frame is a count of packets, then each with its length, which tells its kind; all integers are unsigned and big
endian, prices are whole numbers of a fraction of a rupee that depends on the segment. No float anywhere."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import repeat
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alphapanda.core.money import PRICE_SCALE
from marketdata.domain.ticks import DEPTH_LEVELS, HAS_DEPTH, INDEX, LEVEL, RECORD, Levels, Rows, Tick

HEARTBEAT = b"\x00"  # any frame of one byte is one


class Mode(StrEnum):
    """What Kite tells of an instrument."""

    LTP = "ltp"
    QUOTE = "quote"
    FULL = "full"


class Segment:
    """The last byte of a token that decisions here depend on."""

    CDS = 3
    BCD = 6
    INDICES = 9
    NCO = 12


# Parts of a rupee that a price counts, by segment, where not hundredths. Kite's documentation has 10,000,000 for BCD,
# its clients have 10,000.
HUNDREDTHS = 100
DIVISORS: Mapping[int, int] = MappingProxyType(
    {Segment.CDS: 10_000_000, Segment.BCD: 10_000, Segment.NCO: 10_000}
)


def _layout(*names: str) -> list[tuple[str, str]]:
    return [(name, ">u4") for name in names]


_LTP = _layout("token", "last")
_INDEX = [*_LTP, *_layout("high", "low", "open", "close", "change")]
_QUOTE = [
    *_LTP,
    *_layout(
        "quantity", "average", "volume", "buy_quantity", "sell_quantity", "open", "high", "low", "close"
    ),
]
_DEPTH = np.dtype([("quantity", ">u4"), ("price", ">u4"), ("orders", ">u2"), ("spare", ">u2")])
_FULL: list[Any] = [
    *_QUOTE,
    *_layout("traded_s", "oi", "oi_high", "oi_low", "exchange_s"),
    ("depth", _DEPTH, (2 * DEPTH_LEVELS,)),
]
# by length in bytes
PACKETS: Mapping[int, np.dtype[np.void]] = MappingProxyType(
    {
        dtype.itemsize: dtype
        for dtype in map(np.dtype, (_LTP, _INDEX, [*_INDEX, *_layout("exchange_s")], _QUOTE, _FULL))
    }
)
_U16 = struct.Struct(">H")
_MANY = 16  # so many equal packets are found sooner in numpy than one by one

Bools = npt.NDArray[np.bool_]


class FrameFault(StrEnum):
    """What is wrong with a frame."""

    EMPTY = "EMPTY"
    TRUNCATED = "TRUNCATED"
    TRAILING = "TRAILING"


class MalformedFrame(ValueError):
    """Bytes that are no frame of Kite; `reason` says why."""

    def __init__(self, reason: FrameFault, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


class NotRepresentable(ValueError):
    """A tick that Kite's packets cannot hold."""


class Group(NamedTuple):
    """The packets of one length: their places in the order of arrival, rising, and their fields as they came."""

    places: npt.NDArray[np.intp]
    fields: npt.NDArray[np.void]


class Packets:
    """Packets of known lengths by length; of the others how many of each length there were."""

    __slots__ = ("count", "groups", "unknown")

    def __init__(self, groups: Mapping[int, Group], count: int, unknown: Counter[int]) -> None:
        self.groups = groups
        self.count = count
        self.unknown = unknown


class Decoded(NamedTuple):
    """Ticks in the order of arrival. `is_stamped`: the packet told when the exchange sent it. `inexact`: how many were
    left out because a price of theirs is no whole number of 1/10,000 rupee."""

    rows: Rows
    is_stamped: Bools
    inexact: int


def split(*frames: bytes) -> Packets:
    """The packets of frames that came one after the other; heartbeats have none. Raises MalformedFrame."""
    offsets: list[int] = []
    lengths: list[int] = []
    base = 0
    for frame in frames:
        _walk(frame, base, offsets, lengths)
        base += len(frame)
    sizes = Counter(lengths)
    unknown = Counter({length: count for length, count in sizes.items() if length not in PACKETS})
    starts, kinds = np.array(offsets, np.int64), np.array(lengths, np.int64)
    if unknown:
        is_known = np.isin(kinds, list(PACKETS))
        starts, kinds = starts[is_known], kinds[is_known]
    raw = np.frombuffer(b"".join(frames), np.uint8)
    groups = {}
    for length in sizes.keys() - unknown.keys():
        places = np.flatnonzero(kinds == length)
        groups[length] = Group(places, _taken(raw, length, starts[places]))
    return Packets(groups, len(kinds), unknown)


def _walk(frame: bytes, base: int, offsets: list[int], lengths: list[int]) -> None:
    """Add where the body of each packet of a frame begins, counted from `base` before it, and its length."""
    size = len(frame)
    if size == len(HEARTBEAT):
        return
    if not size:
        raise MalformedFrame(FrameFault.EMPTY, "a frame has one byte or more")
    read = _U16.unpack_from
    count = read(frame)[0]
    if _are_alike(frame, count):
        stride = (size - 2) // count
        offsets.extend(range(base + 4, base + size + 2, stride))
        lengths.extend(repeat(stride - 2, count))
        return
    at = 2
    for _ in range(count):
        if at + 2 > size:
            raise MalformedFrame(FrameFault.TRUNCATED, f"{size} bytes promise {count} packets")
        length = read(frame, at)[0]
        offsets.append(base + at + 2)
        lengths.append(length)
        at += 2 + length
    if at != size:
        reason = FrameFault.TRUNCATED if at > size else FrameFault.TRAILING
        raise MalformedFrame(reason, f"{size} bytes, its packets take {at}")


def _are_alike(frame: bytes, count: int) -> bool:
    """Whether a frame has many packets, all of the length that makes it so long."""
    if count < _MANY or (len(frame) - 2) % count:
        return False
    stride = (len(frame) - 2) // count
    return stride >= 2 and bool((np.ndarray(count, ">u2", frame, 2, (stride,)) == stride - 2).all())


def _taken(raw: npt.NDArray[np.uint8], length: int, offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.void]:
    windows = np.lib.stride_tricks.sliding_window_view(raw, length)
    taken: npt.NDArray[np.void] = windows[offsets].view(PACKETS[length])[:, 0]
    return taken


class Scales:
    """How raw prices become 1/10,000 rupee and back, by segment."""

    def __init__(self, divisors: Mapping[int, int] = DIVISORS) -> None:
        """`divisors`: parts of a rupee by segment, where not hundredths; each a power of ten from 1."""
        self._parts = np.full(256, HUNDREDTHS, np.int64)
        for segment, parts in divisors.items():
            self._parts[segment] = parts
        self._times = np.maximum(PRICE_SCALE // self._parts, 1)
        self._over = np.maximum(self._parts // PRICE_SCALE, 1)
        self._is_finer = bool((self._over > 1).any())

    def to_e4(
        self, raw: npt.NDArray[np.unsignedinteger[Any]], tokens: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], Bools]:
        """Prices in 1/10,000 rupee, rounded down, and where something was lost by that."""
        segments = (tokens & 0xFF).reshape(-1, *(1,) * (raw.ndim - 1))
        scaled = raw * self._times[segments]
        over = self._over[segments]
        if not self._is_finer or (over == 1).all():
            return scaled, np.zeros(scaled.shape, np.bool_)
        return scaled // over, scaled % over != 0

    def known(self, price_e4: int, token: int) -> int:
        """A price rounded down to one that can be sent."""
        return price_e4 - price_e4 % int(self._times[token & 0xFF])

    def to_raw(self, price_e4: int, token: int) -> int:
        """A price as Kite would send it. Raises NotRepresentable."""
        segment = token & 0xFF
        raw, rest = divmod(price_e4 * int(self._over[segment]), int(self._times[segment]))
        if rest or not 0 <= raw < 1 << 32:
            raise NotRepresentable(
                f"{price_e4}/10000 rupees of token {token}: a price of its segment is a whole number of "
                f"1/{self._parts[segment]} rupee of 32 bits"
            )
        return raw


KITES = Scales()


def decode(packets: Packets, *, received_ms: int, scales: Scales = KITES) -> Decoded:
    """The ticks of packets. One without a stamp of the exchange is of the time when it was received; an average, being
    computed, is rounded down to 1/10,000 rupee."""
    records = np.zeros(packets.count, RECORD)
    is_stamped = np.zeros(packets.count, np.bool_)
    is_lost = np.zeros(packets.count, np.bool_)
    depths: npt.NDArray[np.void] = np.empty((0, 2 * DEPTH_LEVELS), LEVEL)
    for places, fields in packets.groups.values():
        is_all = len(fields) == len(records)
        mine = records if is_all else np.zeros(len(fields), RECORD)
        names, tokens = fields.dtype.names or (), fields["token"].astype(np.int64)
        lost = _fill(mine, fields, tokens, received_ms, scales)
        is_stamped[places] = "exchange_s" in names
        if "depth" in names:
            depths, lost_depth = _depths(mine, fields["depth"], tokens, scales)
            lost = lost | lost_depth
        if not is_all:
            records[places] = mine
        is_lost[places] = lost
    rows = Rows(records, depths)
    if not is_lost.any():
        return Decoded(rows, is_stamped, 0)
    return Decoded(rows.at(~is_lost), is_stamped[~is_lost], int(is_lost.sum()))


_SAME_NAMES = ("quantity", "buy_quantity", "sell_quantity", "oi")


def _fill(
    mine: npt.NDArray[np.void],
    fields: npt.NDArray[np.void],
    tokens: npt.NDArray[np.int64],
    received_ms: int,
    scales: Scales,
) -> Bools:
    """Fill in what packets of one kind tell but for depth; where the price was lost."""
    names = fields.dtype.names or ()
    mine["token"] = tokens
    mine["received_ms"] = received_ms
    mine["price_e4"], lost = scales.to_e4(fields["last"], tokens)
    mine["flags"] = np.where(tokens & 0xFF == Segment.INDICES, INDEX, 0)
    mine["volume"] = fields["volume"] if "volume" in names else -1
    for name in _SAME_NAMES:
        if name in names:
            mine[name] = fields[name]
    if "average" in names:
        mine["average_e4"], _ = scales.to_e4(fields["average"], tokens)
    if "traded_s" in names:
        mine["traded_at_ms"] = fields["traded_s"].astype(np.int64) * 1_000
    mine["at_ms"] = fields["exchange_s"].astype(np.int64) * 1_000 if "exchange_s" in names else received_ms
    return lost


def _depths(
    mine: npt.NDArray[np.void], raw: npt.NDArray[np.void], tokens: npt.NDArray[np.int64], scales: Scales
) -> tuple[npt.NDArray[np.void], Bools]:
    """The depth of full packets, told of in their records, and where a price of it was lost."""
    mine["flags"] |= HAS_DEPTH
    mine["bids"] = mine["asks"] = DEPTH_LEVELS
    depths: npt.NDArray[np.void] = np.empty(raw.shape, LEVEL)
    depths["price_e4"], lost = scales.to_e4(raw["price"], tokens)
    depths["quantity"] = raw["quantity"]
    depths["orders"] = raw["orders"]
    return depths, np.bitwise_or.reduce(lost, axis=1)


class Figures(NamedTuple):
    """What a packet tells of the day and a Tick does not; prices in 1/10,000 rupee."""

    open_e4: int = 0
    high_e4: int = 0
    low_e4: int = 0
    close_e4: int = 0  # of the day before
    oi_high: int = 0
    oi_low: int = 0


def packet(tick: Tick, mode: Mode, figures: Figures, *, scales: Scales = KITES) -> bytes:
    """A tick as one packet, without its length; what it does not know is 0. Raises NotRepresentable."""
    try:
        return _packet(tick, mode, figures, scales)
    except struct.error as error:
        raise NotRepresentable(f"token {tick.token}: {error}") from error


def _packet(tick: Tick, mode: Mode, figures: Figures, scales: Scales) -> bytes:
    def raw(price_e4: int) -> int:
        return scales.to_raw(price_e4, tick.token)

    is_index = tick.token & 0xFF == Segment.INDICES
    head = (tick.token, raw(tick.price_e4))
    if mode is Mode.LTP:
        return _pack(*head)
    opened, high, low, close = map(raw, figures[:4])
    if is_index:
        change = abs(
            tick.price_e4 - figures.close_e4
        )  # the official client does not read it: its sign is not known
        index = (*head, high, low, opened, close, raw(change))
        return _pack(*index) if mode is Mode.QUOTE else _pack(*index, _seconds(tick.at_ms))
    average = raw(scales.known(tick.average_e4, tick.token))
    traded = (tick.quantity, average, max(tick.volume, 0), tick.buy_quantity, tick.sell_quantity)
    quote = (*head, *traded, opened, high, low, close)
    if mode is Mode.QUOTE:
        return _pack(*quote)
    oi = (tick.oi, figures.oi_high, figures.oi_low)
    full = _pack(*quote, _seconds(tick.traded_at_ms), *oi, _seconds(tick.at_ms))
    return full + b"".join(_side(side, tick.token, scales) for side in (tick.bids, tick.asks))


def _side(levels: Levels, token: int, scales: Scales) -> bytes:
    if len(levels) > DEPTH_LEVELS:
        raise NotRepresentable(f"token {token}: {len(levels)} levels of depth; {DEPTH_LEVELS} fit")
    # behind a quantity stands one order at least; a Tick does not know how many
    told = [(size, scales.to_raw(price_e4, token), min(size, 1), 0) for price_e4, size in levels]
    told += [(0, 0, 0, 0)] * (DEPTH_LEVELS - len(levels))
    return b"".join(struct.pack(">IIHH", *level) for level in told)


def _pack(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}I", *numbers)


def _seconds(at_ms: int) -> int:
    return at_ms // 1_000


def frame(packets: Sequence[bytes]) -> bytes:
    """Packets as one frame."""
    return _U16.pack(len(packets)) + b"".join(_U16.pack(len(one)) + one for one in packets)
