"""Kite's binary frames: as the official client reads them, and back."""

from __future__ import annotations

import base64
import json
import struct
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from marketdata.domain.kite_frames import (
    HEARTBEAT,
    Figures,
    FrameFault,
    MalformedFrame,
    Mode,
    NotRepresentable,
    Scales,
    decode,
    frame,
    packet,
    split,
)
from marketdata.domain.ticks import HAS_DEPTH, INDEX, Item, Tick, pack_rows, unpack
from tests.kite.official_parser import parsed
from tests.shared_data import SHARED, needs_shared_data

RECEIVED_MS = 1_795_000_000_123
LENGTHS = (8, 28, 32, 44, 184)
SEGMENTS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 12)
DIVISOR = {3: 10_000_000, 6: 10_000, 12: 10_000}  # of the official client; of all others 100


def ticks(*frames: bytes, scales: Scales | None = None) -> list[Item]:
    """The ticks of frames after their way through a packed message."""
    found = decode(split(*frames), received_ms=RECEIVED_MS, **({"scales": scales} if scales else {}))
    if not len(found.rows.records):
        return []
    return list(unpack(pack_rows(found.rows, source=1, first_seq=1)).items())


def any_packet(random: np.random.Generator, length: int, segment: int) -> bytes:
    """A packet of a length with numbers that Kite might send; in CDS prices of whole 1/10,000 rupees."""
    step = 1_000 if segment == 3 else 1
    words = (random.integers(0, 2**31 // step, length // 4) * step).tolist()
    words[0] = int(random.integers(1, 2**22)) * 256 + segment
    if length == 184:
        words[11:16] = random.integers(0, 2**32, 5).tolist()
    return struct.pack(f">{length // 4}I", *words)


def seconds(text: str) -> int:
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())


def as_official(length: int, fields: np.void) -> dict[str, Any]:
    """Our fields under the official names, with its floats."""
    token = int(fields["token"])
    divisor = float(DIVISOR.get(token & 0xFF, 100))
    of_full = length in (32, 184)
    made: dict[str, Any] = {
        "tradable": token & 0xFF != 9,
        "mode": "ltp" if length == 8 else "full" if of_full else "quote",
        "instrument_token": token,
        "last_price": int(fields["last"]) / divisor,
    }
    if length > 8:
        made["ohlc"] = {name: int(fields[name]) / divisor for name in ("open", "high", "low", "close")}
    if length >= 44:
        made |= {
            "last_traded_quantity": int(fields["quantity"]),
            "average_traded_price": int(fields["average"]) / divisor,
            "volume_traded": int(fields["volume"]),
            "total_buy_quantity": int(fields["buy_quantity"]),
            "total_sell_quantity": int(fields["sell_quantity"]),
        }
    if of_full:
        made["exchange_timestamp"] = int(fields["exchange_s"])
    if length == 184:
        made |= {
            "last_trade_time": int(fields["traded_s"]),
            "oi": int(fields["oi"]),
            "oi_day_high": int(fields["oi_high"]),
            "oi_day_low": int(fields["oi_low"]),
            "depth": depth_of(fields["depth"], divisor),
        }
    return made


def depth_of(levels: Any, divisor: float) -> dict[str, list[dict[str, float]]]:
    told = [
        {"quantity": int(one["quantity"]), "price": int(one["price"]) / divisor, "orders": int(one["orders"])}
        for one in levels
    ]
    return {"buy": told[:5], "sell": told[5:]}


def without_floats(tick: dict[str, Any]) -> dict[str, Any]:
    """What the official client says, its times as numbers, without `change`, which it computes."""
    times = {name: seconds(tick[name]) for name in ("exchange_timestamp", "last_trade_time") if name in tick}
    return {name: value for name, value in tick.items() if name != "change"} | times


def in_order(raw: bytes) -> list[dict[str, Any]]:
    packets = split(raw)
    told: dict[int, dict[str, Any]] = {}
    for length, (places, fields) in packets.groups.items():
        told |= {place: as_official(length, one) for place, one in zip(places.tolist(), fields, strict=True)}
    return [told[place] for place in range(packets.count)]


@needs_shared_data
def test_every_shared_frame_reads_as_the_official_client_reads_it() -> None:
    stored = json.loads((SHARED / "kite/ticker/frames.json").read_text())["frames"]
    raws = [base64.b64decode(one["frame_b64"]) for one in stored]
    for one, raw, official in zip(stored, raws, parsed(raws), strict=True):
        expected = list(map(without_floats, official))
        assert expected == list(map(without_floats, one["expected"])), one["id"]
        assert in_order(raw) == expected, one["id"]
    bare = base64.b64decode((SHARED / "kite/ticker/ticker_quote.packet").read_text())
    assert in_order(frame([bare])) == in_order(raws[0])


def test_frames_of_all_kinds_and_segments_read_as_the_official_client_reads_them() -> None:
    random = np.random.default_rng(20261128)
    alike = [frame([any_packet(random, length, 1) for _ in range(40)]) for length in LENGTHS]
    mixed = [
        frame([any_packet(random, int(random.choice(LENGTHS)), segment) for _ in range(30)])
        for segment in SEGMENTS
    ]
    for raw, official in zip(alike + mixed, parsed(alike + mixed), strict=True):
        assert in_order(raw) == list(map(without_floats, official))


def test_ticks_have_exact_prices_and_the_stamps_of_their_packets() -> None:
    random = np.random.default_rng(7)
    kinds = [(length, segment) for length in LENGTHS for segment in SEGMENTS]
    raw = frame([any_packet(random, length, segment) for length, segment in kinds])
    for tick, official in zip(ticks(raw), map(without_floats, parsed([raw])[0]), strict=True):
        assert isinstance(tick, Tick)
        assert (tick.token, tick.received_ms) == (official["instrument_token"], RECEIVED_MS)
        assert float(tick.price) == pytest.approx(official["last_price"], abs=1e-9)
        assert tick.flags & INDEX == (0 if official["tradable"] else INDEX)
        assert tick.volume == official.get("volume_traded", -1)
        assert tick.at_ms == official.get("exchange_timestamp", RECEIVED_MS / 1_000) * 1_000
        assert tick.traded_at_ms == official.get("last_trade_time", 0) * 1_000
        assert tick.oi == official.get("oi", 0)
        sides = official.get("depth", {"buy": [], "sell": []})
        for side, levels in ((sides["buy"], tick.bids), (sides["sell"], tick.asks)):
            assert [one["quantity"] for one in side] == [size for _, size in levels]
            assert [one["price"] for one in side] == pytest.approx([p / 10_000 for p, _ in levels], abs=1e-9)


def test_the_two_packets_of_the_facts_come_out() -> None:
    """408065: the golden numbers of Kite's own mocks."""
    quote = (408065, 157315, 1, 157033, 1175986, 256511, 360503, 156915, 157500, 156105, 156780)
    head = (408065, 157370, 7, 157037, 1192471, 256443, 363009, 156915, 157500, 156105, 156780)
    bids = ((5, 157340, 1), (140, 157300, 2), (2, 157295, 1), (219, 157290, 7), (50, 157285, 1))
    asks = ((172, 157370, 3), (44, 157375, 3), (302, 157385, 3), (141, 157390, 2), (724, 157395, 5))
    depth = b"".join(struct.pack(">IIHH", *level, 0) for level in bids + asks)
    full = struct.pack(">16I", *head, 1625461887, 0, 0, 0, 1625461887) + depth
    first, second = ticks(frame([struct.pack(">11I", *quote), full]))
    assert first == Tick(
        408065, RECEIVED_MS, 0, RECEIVED_MS, 15_731_500, 1, 1_175_986, 0, 15_703_300, 256_511, 360_503, 0
    )
    stamp = 1_625_461_887_000
    plain = (408065, stamp, stamp, RECEIVED_MS, 15_737_000, 7, 1_192_471, 0, 15_703_700, 256_443, 363_009)
    levels = [tuple((price * 100, size) for size, price, _ in side) for side in (bids, asks)]
    assert second == Tick(*plain, HAS_DEPTH, *levels)


U4 = st.integers(0, 2**32 - 1)
PRICE = st.integers(0, 2**32 - 1).map(lambda raw: raw * 100)
LEVELS = st.lists(st.tuples(PRICE, U4), min_size=5, max_size=5).map(tuple)
TOKEN = st.builds(
    lambda number, segment: number * 256 + segment,
    st.integers(1, 2**24 - 1),
    st.sampled_from([1, 2, 4, 5, 7]),
)
FIGURES = st.builds(Figures, PRICE, PRICE, PRICE, PRICE, U4, U4)
STAMP = U4.map(lambda second: second * 1_000)
FULL = st.builds(
    lambda token, at, traded, price, numbers, average, sides: Tick(
        token, at, traded, RECEIVED_MS, price, *numbers[:3], average, *numbers[3:], HAS_DEPTH, *sides
    ),
    TOKEN,
    STAMP,
    STAMP,
    PRICE,
    st.tuples(U4, U4, U4, U4, U4),
    PRICE,
    st.tuples(LEVELS, LEVELS),
)
INDICES = st.builds(
    lambda number, at, price: Tick(number * 256 + 9, at, 0, RECEIVED_MS, price, 0, -1, 0, 0, 0, 0, INDEX),
    st.integers(1, 2**24 - 1),
    STAMP,
    PRICE,
)


@given(st.lists(st.tuples(st.one_of(FULL, INDICES), FIGURES), min_size=1, max_size=40))
def test_what_is_written_in_full_comes_back(items: list[tuple[Tick, Figures]]) -> None:
    figures = [one for _, one in items]
    sent = [tick for tick, _ in items]
    changes = [
        one._replace(close_e4=tick.price_e4) if tick.flags & INDEX else one
        for tick, one in zip(sent, figures, strict=True)
    ]
    raw = frame([packet(tick, Mode.FULL, one) for tick, one in zip(sent, changes, strict=True)])
    assert ticks(raw) == sent


@given(FULL, FIGURES)
def test_the_other_modes_tell_less(tick: Tick, figures: Figures) -> None:
    bare = {"at_ms": RECEIVED_MS, "traded_at_ms": 0, "oi": 0, "flags": 0, "bids": (), "asks": ()}
    assert ticks(frame([packet(tick, Mode.QUOTE, figures)])) == [tick._replace(**bare)]
    none = dict.fromkeys(("quantity", "average_e4", "buy_quantity", "sell_quantity"), 0) | {"volume": -1}
    assert ticks(frame([packet(tick, Mode.LTP, figures)])) == [tick._replace(**bare, **none)]


def test_frames_read_together_read_as_one_by_one() -> None:
    random = np.random.default_rng(3)
    raws = [frame([any_packet(random, n, 1) for n in random.choice(LENGTHS, size)]) for size in (1, 0, 5, 60)]
    raws.insert(2, HEARTBEAT)
    raws.append(frame([any_packet(random, 184, 1) for _ in range(50)]))
    assert ticks(*raws) == [tick for raw in raws for tick in ticks(raw)]


def test_lengths_that_only_on_average_are_alike_are_told_apart() -> None:
    random = np.random.default_rng(4)
    both = [any_packet(random, length, 1) for length in (8, 44) * 10]
    assert ticks(frame(both)) == [tick for one in both for tick in ticks(frame([one]))]


def test_packets_of_unknown_length_are_left_out_and_counted() -> None:
    random = np.random.default_rng(5)
    known = [any_packet(random, length, 1) for length in LENGTHS]
    strange = [bytes(12), bytes(200), bytes(12), b""]
    both = [one for pair in zip(known, [*strange, bytes(43)], strict=True) for one in pair]
    packets = split(frame(both))
    assert packets.unknown == Counter({12: 2, 200: 1, 0: 1, 43: 1})
    assert ticks(frame(both)) == ticks(frame(known))
    alike = split(frame([bytes(20)] * 30))
    assert (alike.count, alike.unknown) == (0, Counter({20: 30}))


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", FrameFault.EMPTY),
        (b"\x00\x01", FrameFault.TRUNCATED),
        (b"\x00\x01\x00", FrameFault.TRUNCATED),
        (frame([bytes(8)])[:-1], FrameFault.TRUNCATED),
        (frame([bytes(8)] * 30)[:-10], FrameFault.TRUNCATED),
        (frame([bytes(8)]) + b"\x00", FrameFault.TRAILING),
        (b"<html>bad gateway</html>", FrameFault.TRUNCATED),
        (b"\x00\x00rest", FrameFault.TRAILING),
    ],
)
def test_what_is_no_frame_is_refused_by_name(raw: bytes, reason: FrameFault) -> None:
    with pytest.raises(MalformedFrame) as caught:
        split(frame([bytes(8)]), raw)
    assert caught.value.reason is reason


@given(st.binary(max_size=600))
@example(b"\xff" * 400)
def test_no_bytes_raise_anything_else(raw: bytes) -> None:
    with suppress(MalformedFrame):
        decode(split(raw), received_ms=1)


def test_a_price_that_is_not_exact_is_left_out_and_counted() -> None:
    currency = 256 + 3
    good, bad = (struct.pack(">II", currency, raw) for raw in (835_025_000, 835_025_001))
    found = decode(split(frame([bad, good, bad])), received_ms=1)
    assert (found.rows.records["price_e4"].tolist(), found.inexact) == ([835_025], 2)
    words = [currency, 835_025_000, 1, 835_024_999, *[0] * 7]  # only the average has more places
    averaged = decode(split(frame([struct.pack(">11I", *words)])), received_ms=1)
    assert (averaged.rows.records["average_e4"].tolist(), averaged.inexact) == ([835_024], 0)


def test_a_level_of_depth_that_is_not_exact_costs_its_tick_alone() -> None:
    random = np.random.default_rng(11)
    good = any_packet(random, 184, 3)
    broken = bytearray(good)
    broken[64 + 12 * 7 + 4 : 64 + 12 * 7 + 8] = struct.pack(">I", 1_000_001)
    found = decode(split(frame([bytes(broken), good])), received_ms=RECEIVED_MS)
    assert found.inexact == 1
    assert list(unpack(pack_rows(found.rows, source=1, first_seq=1)).items()) == ticks(frame([good]))


def test_the_divisor_of_a_segment_is_a_choice() -> None:
    dollar = struct.pack(">II", 256 + 6, 835_025)
    assert [tick.price_e4 for tick in ticks(frame([dollar]))] == [835_025]
    documented = Scales({3: 10_000_000, 6: 10_000_000})
    finer = struct.pack(">II", 256 + 6, 835_025_000)
    assert [tick.price_e4 for tick in ticks(frame([finer]), scales=documented)] == [835_025]
    one = Tick(256 + 6, 0, 0, 0, 835_025, 0, -1, 0, 0, 0, 0, 0)
    assert packet(one, Mode.LTP, Figures(), scales=documented) == finer


@pytest.mark.parametrize(
    "change",
    [
        {"price_e4": 950_001},
        {"price_e4": -100},
        {"price_e4": 2**32 * 100},
        {"quantity": 2**32},
        {"at_ms": -5_000},
    ],
)
def test_what_a_packet_cannot_hold_is_refused(change: dict[str, int]) -> None:
    tick = Tick(257, 1_000, 0, 0, 950_000, 0, -1, 0, 0, 0, 0, 0)._replace(**change)
    with pytest.raises(NotRepresentable):
        packet(tick, Mode.FULL, Figures())
    with pytest.raises(NotRepresentable):
        packet(tick._replace(**dict.fromkeys(change, 0), bids=((0, 0),) * 6), Mode.FULL, Figures())
