"""How fast Kite's frames are read: ours into rows of the log's message, the official client's into dictionaries."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from kiteconnect import KiteTicker

from marketdata.domain.kite_frames import Figures, Mode, decode, frame, packet, split
from marketdata.domain.ticks import HAS_DEPTH, Tick, pack_rows

SEED = 20261128
RUNS = 5
RUN_S = 0.4
SHAPES = ((1, 1), (200, 1), (1, 20), (1, 200), (1, 2_000))  # frames read at once, and packets of each
RECEIVED_MS = 1_795_000_000_000


class Speed(msgspec.Struct, frozen=True):
    """Ticks a second of the processor, medians: read, read and packed for the log, and by the official client, frame by
    frame."""

    frames: int
    packets: int
    ours_per_s: int
    packed_per_s: int
    official_per_s: int

    @property
    def ratio(self) -> float:
        return self.ours_per_s / self.official_per_s


def a_frame(packets: int) -> bytes:
    """A frame of full packets of as many instruments."""
    random = np.random.default_rng(SEED)
    return frame([_full(256 * number + 1, random) for number in range(1, packets + 1)])


def _full(token: int, random: np.random.Generator) -> bytes:
    price, *numbers = random.integers(1_000, 2**20, 7).tolist()
    levels = [((price + step) * 100, 10 * abs(step)) for step in (-1, -2, -3, -4, -5, 1, 2, 3, 4, 5)]
    at_ms = RECEIVED_MS - 1_000
    plain = (token, at_ms, at_ms, 0, price * 100, *numbers[:3], price * 100, *numbers[3:5], HAS_DEPTH)
    figures = Figures(price * 100, price * 100 + 500, price * 100 - 500, price * 100)
    return packet(Tick(*plain, tuple(levels[:5]), tuple(levels[5:])), Mode.FULL, figures)


def measure(frames: int, packets: int) -> Speed:
    """The speed at so many frames at once, each of so many packets."""
    raws = [a_frame(packets)] * frames
    official, count = KiteTicker("key", "token"), frames * packets
    return Speed(
        frames,
        packets,
        ours_per_s=_per_s(count, lambda: decode(split(*raws), received_ms=RECEIVED_MS)),
        packed_per_s=_per_s(count, lambda: _packed(raws)),
        official_per_s=_per_s(count, lambda: [official._parse_binary(raw) for raw in raws]),
    )


def _packed(raws: Sequence[bytes]) -> bytes:
    rows = decode(split(*raws), received_ms=RECEIVED_MS).rows
    return pack_rows(rows, source=1, first_seq=1)


def _per_s(count: int, act: Callable[[], object]) -> int:
    return round(statistics.median(_run(count, act) for _ in range(RUNS)))


def _run(count: int, act: Callable[[], object]) -> float:
    done, began = 0, time.process_time()  # of the processor: others may be at work on the machine
    while (took := time.process_time() - began) < RUN_S:
        act()
        done += count
    return done / took
