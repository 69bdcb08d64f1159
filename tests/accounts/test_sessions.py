"""When a token dies, told by the clock of India."""

from __future__ import annotations

from datetime import date, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.domain.sessions import SessionState, dies_ms, state_of
from alphapanda.core.clock import DAY_MS, ist_date, ist_ms

DAY = date(2026, 11, 27)


@pytest.mark.parametrize(
    ("logged_in", "dies"),
    [
        (ist_ms(DAY, time(8, 30)), ist_ms(date(2026, 11, 28), time(6))),
        (ist_ms(DAY, time(23, 59, 59)), ist_ms(date(2026, 11, 28), time(6))),
        (ist_ms(DAY, time(0, 0, 1)), ist_ms(DAY, time(6))),
        (ist_ms(DAY, time(6)) - 1, ist_ms(DAY, time(6))),
        (ist_ms(DAY, time(6)), ist_ms(date(2026, 11, 28), time(6))),
    ],
)
def test_a_token_dies_at_the_first_six_oclock_after_its_login(logged_in: int, dies: int):
    assert dies_ms(logged_in) == dies


@given(st.integers(0, 4_000_000_000_000))
def test_a_token_lives_for_a_day_at_most(at_ms: int):
    assert 0 < dies_ms(at_ms) - at_ms <= DAY_MS
    assert dies_ms(at_ms) == ist_ms(ist_date(dies_ms(at_ms)), time(6))


def test_the_states_of_a_session():
    assert state_of(dies_ms=10, ended=False, now_ms=9) is SessionState.ALIVE
    assert state_of(dies_ms=10, ended=True, now_ms=9) is SessionState.ENDED
    assert state_of(dies_ms=10, ended=False, now_ms=10) is SessionState.EXPIRED
    assert state_of(dies_ms=10, ended=True, now_ms=10) is SessionState.EXPIRED
