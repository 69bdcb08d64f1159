"""The quality gate: reasons told apart, no poisoning, state that survives a checkpoint."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.vocabulary import TickFault
from marketdata.domain.calendar import Calendar
from marketdata.domain.quality import FALLING_RUN, Gate, GateBook
from marketdata.domain.series import StreamState, decode_state
from marketdata.domain.ticks import NOT_FINITE, Tick
from marketdata.reference import load_calendar
from tests.marketdata.helpers import at, tick


@pytest.mark.parametrize(
    ("faulty", "reason"),
    [
        (tick(at_ms=0), TickFault.BAD_STAMP),
        (tick(at_ms=2**62), TickFault.BAD_STAMP),
        (tick(day="2019-07-13"), TickFault.NOT_A_TRADING_DAY),
        (tick(day="2024-01-22"), TickFault.NOT_A_TRADING_DAY),
        (tick("09:14:59"), TickFault.OUT_OF_SESSION),
        (tick("15:30:00"), TickFault.OUT_OF_SESSION),
        (tick(price_e4=0, flags=NOT_FINITE), TickFault.NON_FINITE_PRICE),
        (tick(price_e4=0), TickFault.NON_POSITIVE_PRICE),
        (tick(price_e4=-1), TickFault.NON_POSITIVE_PRICE),
        (tick("10:00:00"), TickFault.BACKWARD_TIME),
        (tick("10:00:01", volume=500, received_ms=9), TickFault.DUPLICATE),
        (tick("10:00:02", volume=499), TickFault.FALLING_VOLUME),
    ],
)
def test_reasons_are_told_apart(nse: Calendar, faulty: Tick, reason: TickFault) -> None:
    gate = Gate()
    assert gate.judge(tick("10:00:01", volume=500), nse) is None
    assert gate.check(faulty, nse) is reason


def test_checking_changes_nothing(nse: Calendar) -> None:
    gate = Gate()
    gate.check(tick(), nse)
    gate.check(tick(price_e4=0), nse)
    assert gate == Gate()


def test_volume_starts_anew_each_day(nse: Calendar) -> None:
    gate = Gate()
    assert gate.judge(tick("15:29:59", volume=900), nse) is None
    assert gate.judge(tick("09:15:00", "2019-07-10", volume=3), nse) is None


def test_unknown_volume_neither_falls_nor_forgets(nse: Calendar) -> None:
    gate = Gate()
    assert gate.judge(tick("10:00:00", volume=900), nse) is None
    assert gate.judge(tick("10:00:01"), nse) is None
    assert gate.judge(tick("10:00:02", volume=800), nse) is TickFault.FALLING_VOLUME


def test_one_absurd_volume_shuts_out_four_ticks(nse: Calendar) -> None:
    gate = Gate()
    volumes = [100, 10**12, *range(101, 111)]
    faults = [
        gate.judge(tick(f"10:00:{second:02}", volume=volume), nse) for second, volume in enumerate(volumes)
    ]
    assert faults == [None, None] + [TickFault.FALLING_VOLUME] * (FALLING_RUN - 1) + [None] * 6


def test_stale_volumes_that_contradict_each_other_prove_nothing(nse: Calendar) -> None:
    gate = Gate()
    gate.judge(tick("10:00:00", volume=1_000), nse)
    falling = [tick(f"10:00:{n:02}", volume=500 - n) for n in range(1, 20)]
    assert {gate.judge(each, nse) for each in falling} == {TickFault.FALLING_VOLUME}


def test_a_stamp_from_the_future_is_refused_when_the_clock_is_known(nse: Calendar) -> None:
    book = GateBook()
    book.on_clock(at("2019-07-09", "10:00:00"))
    assert book.judge(tick("10:01:59"), nse) is None
    assert book.judge(tick("10:02:01"), nse) is TickFault.BAD_STAMP
    assert book.judge(tick("11:00:00", "2019-07-10"), nse) is TickFault.BAD_STAMP
    assert book.judge(tick("10:01:59", price_e4=1), nse) is None


def test_gates_of_tokens_do_not_mix(nse: Calendar) -> None:
    book = GateBook()
    assert book.judge(tick("10:00:05", token=1), nse) is None
    assert book.judge(tick("10:00:01", token=2), nse) is None


TICKS = st.builds(
    lambda token, second, volume, price: tick(
        f"10:00:{second:02}", token=token, volume=volume, price_e4=price
    ),
    st.integers(1, 3),
    st.integers(0, 9),
    st.integers(-1, 5),
    st.integers(-1, 3),
)


@given(st.lists(TICKS, max_size=40), st.integers(0, 40))
def test_a_checkpoint_in_between_changes_no_verdict(ticks: list[Tick], cut: int) -> None:
    nse, whole, book = load_calendar("NSE"), GateBook(), StreamState()
    expected = [whole.judge(each, nse) for each in ticks]
    got = [book.judge(each, nse) for each in ticks[:cut]]
    restored = decode_state(book.encode())
    assert restored == book
    assert got + [restored.judge(each, nse) for each in ticks[cut:]] == expected


@given(st.lists(TICKS, max_size=60))
def test_what_passes_never_goes_back_in_time(ticks: list[Tick]) -> None:
    nse, gate = load_calendar("NSE"), Gate()
    passed = [each.at_ms for each in ticks if gate.judge(each, nse) is None]
    assert passed == sorted(passed)
