"""A seeded random walk over many instruments, for load: packed at once, never a Tick object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from marketdata.domain.bars import MINUTE_MS
from marketdata.domain.ticks import FIRST_SEQ, MAX_ITEMS, Clock, Ints, pack, pack_arrays, source_id

_SLICE_MS = 20  # of event time in one round: what a batch may wait
_PRICE_E4_MIN, _PRICE_E4_MAX = 500_000, 30_000_000
_TICK_E4 = 500


class Packed(NamedTuple):
    """A message for a partition; `due_ms` is how long after the start it is due, in event time."""

    due_ms: float
    partition: int
    raw: bytes
    items: int


class SyntheticSource:
    """Ticks of the tokens in turn, `ticks_per_s` of event time from `starts_ms` on, and a clock item a minute
    to every partition. The same arguments give the same items; `received_ms` comes with each round."""

    def __init__(
        self, partitions: Mapping[int, int], *, ticks_per_s: int, seed: int, starts_ms: int, batch_items: int
    ) -> None:
        self.source = source_id(f"synthetic:{seed}:{starts_ms}:{len(partitions)}:{ticks_per_s}")
        self._tokens = np.array(list(partitions), np.int64)
        self._partitions = np.array(list(partitions.values()), np.int64)
        self._starts_ms = starts_ms
        self._ticks_per_s = ticks_per_s
        self._round = max(1, min(ticks_per_s * _SLICE_MS // 1_000, len(partitions), batch_items, MAX_ITEMS))
        self._random = np.random.default_rng(seed)
        ticks = self._random.integers(_PRICE_E4_MIN // _TICK_E4, _PRICE_E4_MAX // _TICK_E4, len(partitions))
        self._prices = ticks * _TICK_E4
        self._volumes = np.zeros(len(partitions), np.int64)
        self._seq = FIRST_SEQ
        self._sent = 0
        self._minute = 0  # of the last clock item

    def round(self, *, received_ms: int) -> Iterator[Packed]:
        """The messages of the next few milliseconds of event time."""
        numbers = self._sent + np.arange(self._round)
        at_ms = self._starts_ms + numbers * 1_000 // self._ticks_per_s
        due_ms = self._sent * 1_000 / self._ticks_per_s
        yield from self._clocks(int(at_ms[0]), due_ms, received_ms)
        index = numbers % len(self._tokens)
        quantities = self._walk(index)
        seqs = self._seq + np.arange(self._round)
        for partition in np.unique(self._partitions[index]).tolist():
            chosen = self._partitions[index] == partition
            raw = pack_arrays(
                source=self.source,
                first_seq=int(seqs[chosen][0]),
                tokens=self._tokens[index[chosen]],
                at_ms=at_ms[chosen],
                price_e4=self._prices[index[chosen]],
                quantity=quantities[chosen],
                volume=self._volumes[index[chosen]],
                received_ms=received_ms,
                seqs=seqs[chosen],
            )
            yield Packed(due_ms, partition, raw, int(chosen.sum()))
        self._seq += self._round
        self._sent += self._round

    def _walk(self, index: Ints) -> Ints:
        steps = self._random.integers(-2, 3, len(index)) * _TICK_E4
        self._prices[index] = np.clip(self._prices[index] + steps, _PRICE_E4_MIN, _PRICE_E4_MAX)
        quantities = self._random.integers(1, 200, len(index))
        self._volumes[index] += quantities
        return quantities

    def _clocks(self, at_ms: int, due_ms: float, received_ms: int) -> Iterator[Packed]:
        minute = at_ms - at_ms % MINUTE_MS
        if minute <= self._minute:
            return
        self._minute = minute
        raw = pack([Clock(minute, received_ms)], source=self.source, first_seq=self._seq)
        self._seq += 1
        for partition in np.unique(self._partitions).tolist():
            yield Packed(due_ms, partition, raw, 1)
