"""What a shard holds of the log is without gaps, bounded in bytes, and found by offset."""

from __future__ import annotations

from strategies.services import held
from strategies.services.held import Held


def filled(offsets: range, *, size: int = 10) -> Held:
    found = Held()
    for offset in offsets:
        found.add(offset, None, size=size)
    return found


def offsets(found: Held, since: int) -> list[int]:
    return [offset for offset, _ in found.since(since)]


def test_messages_come_from_an_offset_on():
    found = filled(range(40, 45))
    assert offsets(found, 0) == [40, 41, 42, 43, 44]
    assert offsets(found, 42) == [42, 43, 44]
    assert offsets(found, 45) == []


def test_an_offset_that_the_log_left_out_is_no_hole():
    found = Held()
    for offset in (3, 5, 9):  # a compacted log counts on
        found.add(offset, None, size=1)
    assert offsets(found, 4) == [5, 9]
    found.drop_before(6)
    assert found.first == 9


def test_what_is_dropped_makes_room(monkeypatch):
    monkeypatch.setattr(held, "HELD_BYTES_MAX", 50)
    found = filled(range(5))
    assert found.is_full
    found.drop_before(2)
    assert (found.first, found.is_full, offsets(found, 0)) == (2, False, [2, 3, 4])
    found.drop_before(100)
    assert (found.first, offsets(found, 0)) == (None, [])
    filling = filled(range(4), size=12)
    assert not filling.is_full
