"""The packed tick message: everything comes back, nothing but MalformedTicks is raised."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.domain.ticks import (
    FROM_BAR,
    HAS_DEPTH,
    MAX_ITEMS,
    Batch,
    Clock,
    Item,
    Malformed,
    MalformedTicks,
    Tick,
    pack,
    pack_arrays,
    source_id,
    tick_from_json,
    tick_to_json,
    unpack,
)

U4 = st.integers(0, 2**32 - 1)
I8 = st.integers(-(2**63), 2**63 - 1)
LEVELS = st.lists(st.tuples(I8, U4), max_size=5).map(tuple)
PLAIN = st.tuples(st.integers(1, 2**32 - 1), I8, I8, I8, I8, U4, I8, U4, I8, U4, U4)
FLAT = st.builds(lambda plain, flags: Tick(*plain, flags & ~HAS_DEPTH), PLAIN, st.integers(0, 15))
DEEP = st.builds(
    lambda plain, flags, bids, asks: Tick(*plain, flags | HAS_DEPTH, bids, asks),
    PLAIN,
    st.integers(0, 15),
    LEVELS,
    LEVELS,
)
ITEMS = st.lists(st.one_of(FLAT, DEEP, st.builds(Clock, I8, I8)), min_size=1, max_size=40)


def tick(token: int = 1, at_ms: int = 0, **more: int) -> Tick:
    base = Tick(token, at_ms, 0, 0, 1_000_000, 0, -1, 0, 0, 0, 0, 0)
    return base._replace(**more)


@given(ITEMS, U4, st.integers(0, 2**62))
def test_what_is_packed_comes_back(items: list[Item], source: int, first_seq: int) -> None:
    batch = unpack(pack(items, source=source, first_seq=first_seq))
    assert (batch.source, batch.first_seq, batch.count) == (source, first_seq, len(items))
    assert list(batch.items()) == items
    assert [batch.item(index) for index in range(len(items))] == items
    assert [batch.seq(index) - first_seq for index in range(len(items))] == list(range(len(items)))
    assert all(isinstance(got, type(sent)) for got, sent in zip(batch.items(), items, strict=True))


@given(ITEMS)
def test_json_form_comes_back(items: list[Item]) -> None:
    assert [tick_from_json(json.loads(json.dumps(tick_to_json(item)))) for item in items] == items


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.frozensets(st.integers(1, 9), max_size=8))
def test_indices_are_the_clock_and_the_tokens_in_order(tokens: list[int], wanted: frozenset[int]) -> None:
    batch = unpack(pack([tick(t) if t else Clock(0, 0) for t in tokens], source=1, first_seq=0))
    assert batch.indices_for(wanted) == [i for i, t in enumerate(tokens) if t == 0 or t in wanted]
    assert batch.tokens.tolist() == tokens


@given(ITEMS, st.data())
def test_broken_bytes_raise_malformed_ticks_only(items: list[Item], data: st.DataObject) -> None:
    raw = bytearray(pack(items, source=7, first_seq=0))
    for position in data.draw(st.lists(st.integers(0, len(raw) - 1), min_size=1, max_size=4)):
        raw[position] = data.draw(st.integers(0, 255))
    mutated = bytes(raw)[: data.draw(st.integers(0, len(raw)))] + data.draw(st.binary(max_size=3))
    try:
        batch = unpack(mutated)
    except MalformedTicks:
        return
    assert list(batch.items()) == items


@given(st.binary(max_size=300))
def test_noise_raises_malformed_ticks(noise: bytes) -> None:
    with pytest.raises(MalformedTicks):
        unpack(noise)


def reason_of(raw: bytes | None) -> Malformed:
    with pytest.raises(MalformedTicks) as raised:
        unpack(raw)
    return raised.value.reason


def test_reasons_are_told_apart() -> None:
    raw = pack([tick(), tick(2)], source=1, first_seq=0)
    assert reason_of(None) is Malformed.TRUNCATED
    assert reason_of(raw[:-1]) is Malformed.TRUNCATED
    assert reason_of(b"{json" + raw) is Malformed.BAD_MAGIC
    assert reason_of(raw[:4] + b"\x02" + raw[5:]) is Malformed.FUTURE_VERSION
    assert reason_of(raw[:-1] + b"\x09") is Malformed.BAD_CHECKSUM
    assert reason_of(raw + b"\x00") is Malformed.BAD_COUNT


def test_seqs_may_have_gaps_where_partitions_share_a_source() -> None:
    batch = unpack(pack([tick(), tick(2), Clock(5, 6)], source=1, first_seq=10, seqs=[10, 14, 90]))
    assert [batch.seq(index) for index in range(batch.count)] == [10, 14, 90]
    assert batch.last_seq == 90


@pytest.mark.parametrize(
    "items",
    [
        [],
        [tick()] * (MAX_ITEMS + 1),
        [tick(token=0)],
        [tick(quantity=-1)],
        [tick(quantity=2**32)],
        [tick()._replace(bids=((1, 1),))],
        [tick(flags=HAS_DEPTH)._replace(asks=((1, 1),) * 6)],
    ],
)
def test_what_the_format_cannot_hold_is_refused(items: list[Item]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        pack(items, source=1, first_seq=0)


def test_arrays_pack_like_ticks() -> None:
    numbers = np.arange(1, 501)
    raw = pack_arrays(
        source=3,
        first_seq=100,
        tokens=numbers,
        at_ms=numbers + 1_000,
        price_e4=numbers * 500,
        quantity=numbers,
        volume=numbers * 7,
        received_ms=9,
        flags=FROM_BAR,
    )
    expected = [Tick(n, n + 1_000, 0, 9, n * 500, n, n * 7, 0, 0, 0, 0, FROM_BAR) for n in range(1, 501)]
    assert raw == pack(expected, source=3, first_seq=100)
    assert isinstance(unpack(raw), Batch)


def test_an_item_beyond_the_end_is_an_index_error() -> None:
    batch = unpack(pack([tick()], source=1, first_seq=0))
    with pytest.raises(IndexError):
        batch.item(1)


def test_source_names_have_numbers_above_zero() -> None:
    assert source_id("recorded:a") != source_id("recorded:b")
    assert source_id("") == 1


def test_price_is_in_rupees() -> None:
    assert str(tick(price_e4=945_500).price) == "94.5500"


GOLDEN = bytes.fromhex(
    "4150544b0100000001efcdab63000000000000000200000001000000a8cc24a50000000001000000000000000000"
    "00000000000002000000000000000000000000000000000000000000000000000000000000000000000000000000"
    "0000000000000000000000000000000007000000030000000000000004000000000000000500000000000000faff"
    "ffffffffffff070000000800000000000000090000000a000000000000000b0000000c0000000300010201000000"
    "0d000000000000000e00000000000000000000000000000000000000000000000000000000000000000000000000"
    "0000000000000000000000000000000000000000000000000f000000000000001000000000001100000000000000"
    "12000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
    "0000"
)


def test_the_bytes_of_version_one_stay_what_they_are() -> None:
    depth = Tick(7, 3, 4, 5, -6, 7, 8, 9, 10, 11, 12, HAS_DEPTH | FROM_BAR, ((13, 14),), ((15, 16), (17, 18)))
    items = [Clock(1, 2), depth]
    assert pack(items, source=0xABCDEF01, first_seq=99) == GOLDEN
    assert list(unpack(GOLDEN).items()) == items
