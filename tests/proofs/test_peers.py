"""The race against other engines, as far as it goes without installing them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from alphapanda.proof.peers import work
from alphapanda.proof.peers.race import OURS, PEERS, Answer, Peer, RaceFailed, _standing, run
from tests.shared_data import SHARED, needs_shared_data

NOWHERE = Path("no such folder")


def digests(folder: Path, data: Path) -> list[str]:
    files = work.write(folder, data, bars=3_000, ticks=2_000)
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in (files.bars, files.ticks)]


@pytest.mark.parametrize("data", [NOWHERE, pytest.param(SHARED, marks=needs_shared_data)])
def test_the_data_are_always_the_same(tmp_path: Path, data: Path) -> None:
    assert digests(tmp_path / "one", data) == digests(tmp_path / "two", data)


def test_every_price_opens_where_the_one_before_closed(tmp_path: Path) -> None:
    files = work.write(tmp_path, NOWHERE, bars=1_000, ticks=10)
    bars = [line.split(",") for line in files.bars.read_text().splitlines()[1:]]

    assert len(bars) == 1_000
    assert [bar[1] for bar in bars[1:]] == [bar[4] for bar in bars[:-1]]
    assert all(float(low) <= min(float(o), float(c)) for _, o, _, low, c, _ in bars)


@pytest.mark.parametrize("kind", ["bars", "ticks"])
def test_our_engine_does_the_task(tmp_path: Path, kind: str) -> None:
    files = work.write(tmp_path, NOWHERE, bars=1_500, ticks=1_500)

    answer = run(tmp_path, OURS, files, kind, (5, 12))

    assert answer.items == 1_500
    assert answer.orders > 50
    assert 900_000 < answer.equity < 1_000_000  # each order costs 3 basis points of 10,000 rupees
    assert len(answer.parts) == 10


def test_a_peer_that_fails_is_named(tmp_path: Path) -> None:
    files = work.write(tmp_path, NOWHERE, bars=10, ticks=10)
    broken = Peer("Broken", "alphapanda.proof.peers.with_alphapanda")

    with pytest.raises(RaceFailed, match="Broken ended with 1 at the bars"):
        run(tmp_path, broken, files._replace(bars=tmp_path / "missing.csv"), "bars", (5, 12))


@pytest.mark.parametrize(("equity", "agrees"), [(1_000_190, True), (999_810, True), (1_000_210, False)])
def test_money_may_differ_by_two_hundredths_of_a_percent(equity: float, agrees: bool) -> None:
    standing = _standing(PEERS[0], "bars", [Answer(1.0, 1.0, 3, equity, 10, "1")], 1_000_000)

    assert standing.agrees is agrees


def test_an_unknown_peer_is_refused() -> None:
    with pytest.raises(CommandError, match="no zipline; there are nautilus, backtesting"):
        call_command("bench_peers", "--peers=zipline")
