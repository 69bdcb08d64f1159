"""A numbered stream on disk: written once, read again from any place, a stretch at a time in memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from tempfile import TemporaryFile
from typing import NamedTuple

import msgspec
import numpy as np

from marketdata.domain.stretch import FIELDS, Depths, Longs, Stretch
from marketdata.domain.ticks import FIRST_SEQ
from marketdata.feeds.merging import NOTHING, Block, joined

STRETCH_ITEMS = 32_768
_WIDTH = len(FIELDS) + 1  # and the stream's time
_CELL = 8  # bytes


class _Kept(NamedTuple):
    """Where a stretch is."""

    offset: int
    items: int
    depth_bytes: int


class Spool:
    """The items of blocks, in stretches of STRETCH_ITEMS, in a temporary file that goes with the process; about
    105 bytes an item, and the depth of ticks that have it. Raises OSError where there is no room."""

    def __init__(self, stream: Iterable[Block]) -> None:
        self._file = TemporaryFile(prefix="alphapanda-", buffering=0)  # noqa: SIM115 lives as long as the spool
        self._kept: list[_Kept] = []
        self._items = 0
        for block in _cut(stream):
            self._keep(block)

    def __len__(self) -> int:
        return self._items

    def stretches(self, start: int, stop: int) -> Iterator[Stretch]:
        """The items from place `start` up to before `stop`."""
        for number in range(start // STRETCH_ITEMS, -(-min(stop, len(self)) // STRETCH_ITEMS)):
            kept, before = self._kept[number], number * STRETCH_ITEMS
            skipped, end = max(0, start - before), min(kept.items, stop - before)
            columns = self._read(kept.offset, (len(FIELDS), kept.items))[:, skipped:end]
            depths = {place - skipped: levels for place, levels in self._depths(kept).items()}
            yield Stretch(columns, first_seq=FIRST_SEQ + before + skipped, depths=depths)

    def times(self, start: int = 0) -> Longs:
        """The stream's time at each item from place `start` on."""
        found = [np.empty(0, np.int64)]
        for kept in self._kept[start // STRETCH_ITEMS :]:
            found.append(self._read(kept.offset + len(FIELDS) * kept.items * _CELL, (kept.items,)))
        times: Longs = np.concatenate(found)[start - start // STRETCH_ITEMS * STRETCH_ITEMS :]
        return times

    def time(self, place: int) -> int:
        """The stream's time at one item."""
        kept = self._kept[place // STRETCH_ITEMS]
        cell = len(FIELDS) * kept.items + place % STRETCH_ITEMS
        return int(self._read(kept.offset + cell * _CELL, (1,))[0])

    def _keep(self, block: Block) -> None:
        places = np.flatnonzero(block.depths != None).tolist()  # noqa: E711 asked of every cell
        depths = msgspec.msgpack.encode({place: block.depths[place] for place in places}) if places else b""
        raw = np.vstack([block.columns, block.times]).tobytes()
        offset = self._file.seek(0, os.SEEK_END)
        written = self._file.write(raw + depths)
        if written != len(raw) + len(depths):
            raise OSError(
                f"no room for the stream in the folder of temporary files, {offset} bytes are there"
            )
        self._kept.append(_Kept(offset, len(block), len(depths)))
        self._items += len(block)

    def _read(self, offset: int, shape: tuple[int, ...]) -> Longs:
        raw = os.pread(self._file.fileno(), int(np.prod(shape)) * _CELL, offset)
        return np.frombuffer(raw, np.int64).reshape(shape)

    def _depths(self, kept: _Kept) -> Depths:
        if not kept.depth_bytes:
            return {}
        raw = os.pread(self._file.fileno(), kept.depth_bytes, kept.offset + _WIDTH * kept.items * _CELL)
        return msgspec.msgpack.decode(raw, type=Depths)


def _cut(stream: Iterable[Block]) -> Iterator[Block]:
    """Blocks of STRETCH_ITEMS but for the last."""
    held = NOTHING
    for block in stream:
        held = joined([held, block])
        while len(held) >= STRETCH_ITEMS:
            yield held.at(slice(STRETCH_ITEMS))
            held = held.at(slice(STRETCH_ITEMS, None))
    if len(held):
        yield held
