"""How much an account may say to Kite: never more than its limits, cancellations first, room kept for exits."""

from __future__ import annotations

from bisect import bisect_left
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapanda.core.clock import ist_day
from execution.domain.kite.budgets import (
    Call,
    CallKind,
    Lane,
    Next,
    Spent,
    left,
    never_left,
    next_to_send,
    rebuilt,
    seen_elsewhere,
    sent,
    told_fine,
    told_too_many,
)
from tests.builders import DAY, at
from tests.kite_builders import HOUSE

NOW = at()


def call(lane: Lane = Lane.ENTRY, number: int = 0, *, kind: CallKind | None = None, **more: int) -> Call:
    kind = kind or (CallKind.CANCEL if lane is Lane.CANCEL else CallKind.PLACE)
    return Call(f"{number:05d}", kind, lane, more.pop("queued_ms", NOW + number), **more)


def spent(times: list[int], placed: int = 0) -> Spent:
    return Spent(tuple(times), ist_day(NOW), placed)


def test_cancellations_first_then_exits_then_who_waits_longest() -> None:
    queue = [call(Lane.ENTRY, 1), call(Lane.EXIT, 3), call(Lane.EXIT, 2), call(Lane.CANCEL, 4)]
    order = []
    while queue:
        one = next_to_send(queue, Spent(), NOW).call
        assert one is not None
        queue.remove(one)
        order.append(one.id)

    assert order == ["00004", "00002", "00003", "00001"]
    assert next_to_send([], Spent(), NOW) == Next()


@pytest.mark.parametrize(("lane", "most"), [(Lane.CANCEL, 8), (Lane.EXIT, 8), (Lane.ENTRY, 7)])
def test_a_second_has_room_for_each_lane(lane: Lane, most: int) -> None:
    full = spent([NOW - 999 + number for number in range(most)])

    assert next_to_send([call(lane)], spent(list(full.times[1:])), NOW).call == call(lane)
    assert next_to_send([call(lane)], full, NOW) == Next(look_ms=NOW + 1)
    assert next_to_send([call(lane)], full, NOW + 1).call == call(lane)


@pytest.mark.parametrize(("lane", "most"), [(Lane.CANCEL, 380), (Lane.EXIT, 350), (Lane.ENTRY, 300)])
def test_a_minute_has_room_for_each_lane(lane: Lane, most: int) -> None:
    full = spent([NOW - 59_000 + number for number in range(most)])

    assert next_to_send([call(lane)], spent(list(full.times[1:])), NOW).call == call(lane)
    assert next_to_send([call(lane)], full, NOW) == Next(look_ms=NOW + 1_000)


def test_entries_leave_two_hundred_of_the_day_to_exits_and_nothing_goes_beyond_it() -> None:
    entry, leaving, cancel = call(Lane.ENTRY), call(Lane.EXIT), call(Lane.CANCEL)
    tomorrow = at("00:00") + 86_400_000

    assert next_to_send([entry], spent([], 4_799), NOW).call == entry
    assert next_to_send([entry], spent([], 4_800), NOW) == Next(look_ms=tomorrow)
    assert next_to_send([entry, leaving], spent([], 4_999), NOW).call == leaving
    assert next_to_send([leaving], spent([], 5_000), NOW) == Next(look_ms=tomorrow)
    assert next_to_send([leaving, cancel], spent([], 5_000), NOW).call == cancel
    change = call(Lane.ENTRY, kind=CallKind.MODIFY)
    assert next_to_send([change], spent([], 5_000), NOW).call == change  # only new orders count
    assert next_to_send([call(Lane.ENTRY, orders=5)], spent([], 4_796), NOW).call is None
    assert next_to_send([entry], spent([], 4_800), tomorrow).call == entry


def test_a_change_of_an_order_that_was_changed_too_often_is_never_sent() -> None:
    change = call(Lane.EXIT, 1, kind=CallKind.MODIFY, modifications=25)
    other = call(Lane.EXIT, 2, kind=CallKind.MODIFY, modifications=24)

    assert next_to_send([change, other], Spent(), NOW) == Next(other, exhausted=(change,))
    assert next_to_send([change], Spent(), NOW) == Next(exhausted=(change,))


def test_too_many_requests_make_a_pause_that_grows_and_ends() -> None:
    one = call(Lane.CANCEL)
    pauses, state, now = [], Spent(), NOW
    for _ in range(5):
        state = told_too_many(state, now)
        look_ms = next_to_send([one], state, now).look_ms
        assert look_ms is not None
        pauses.append(look_ms - now)
        now = look_ms
        assert next_to_send([one], state, now).call == one
    assert pauses == [1_000, 2_000, 4_000, 4_000, 4_000]
    assert told_too_many(told_fine(state), now).paused_until_ms == now + 1_000


def test_calls_refused_together_make_one_pause() -> None:
    state = Spent()
    for heard_ms in range(5):
        state = told_too_many(state, NOW + heard_ms)
    assert next_to_send([call(Lane.CANCEL)], state, NOW + 5).look_ms == NOW + 1_000


def test_sending_counts_the_call_and_forgets_what_is_a_minute_old() -> None:
    state = sent(Spent(), call(Lane.ENTRY, orders=3), NOW)
    state = sent(state, call(Lane.CANCEL), NOW + 1)
    assert (state.times, state.placed) == ((NOW, NOW + 1), 3)

    state = sent(state, call(Lane.EXIT), NOW + 60_000)
    assert (state.times, state.placed) == ((NOW + 1, NOW + 60_000), 4)
    assert sent(state, call(), at("00:00") + 86_400_000).placed == 1


def test_orders_of_other_apps_use_up_the_day_with_ours() -> None:
    spent = seen_elsewhere(sent(Spent(), call(orders=300), NOW), 4_499, NOW)
    assert next_to_send([call()], spent, NOW + 1_000).call is not None
    assert next_to_send([call()], seen_elsewhere(spent, 4_500, NOW), NOW + 1_000).call is None
    assert next_to_send([call(Lane.EXIT)], seen_elsewhere(spent, 4_699, NOW), NOW + 1_000).call is not None
    assert next_to_send([call(Lane.EXIT)], seen_elsewhere(spent, 4_700, NOW), NOW + 1_000).call is None
    tomorrow = sent(spent, call(), at("00:00") + 86_400_000)
    assert (tomorrow.placed, tomorrow.elsewhere) == (1, 0)


def test_what_never_left_uses_up_nothing_of_the_day() -> None:
    for one in (call(), call(orders=3), call(Lane.CANCEL)):
        assert never_left(sent(spent([], placed=7), one, NOW), one).placed == 7


def test_a_clock_that_went_back_gives_no_new_room() -> None:
    state = Spent()
    for number in range(8):
        state = sent(state, call(Lane.CANCEL, number), NOW - 10_000 * number)

    assert state.times == (NOW,) * 8
    assert next_to_send([call(Lane.CANCEL)], state, NOW - 80_000).look_ms == NOW + 1_000


def test_after_a_restart_nothing_that_was_said_is_forgotten() -> None:
    calls = [(NOW + 150 * number, call(Lane.ENTRY, number)) for number in range(20)]
    state = Spent()
    for at_ms, one in calls:
        state = sent(state, one, at_ms)

    assert rebuilt(reversed(calls), NOW + 10_000) == state
    assert rebuilt([(NOW + 5_000, call())], NOW).times == (NOW,)  # a time that is still to come


@settings(max_examples=100)
@given(st.integers(0, 10**6), st.integers(0, 999))
def test_whoever_asks_and_obeys_keeps_every_limit_on_any_clock(seed: int, skew_ms: int) -> None:
    """A queue that is always full, calls as fast as they may go, Kite's clock off by any part of a second."""
    luck = Random(f"{HOUSE} {seed}")
    state, now, log = Spent(), NOW, []
    for number in range(700):
        queue = [call(luck.choice(list(Lane)), number) for _ in range(luck.choice([1, 3]))]
        found = next_to_send(queue, state, now)
        if found.call is None:
            assert found.look_ms is not None
            assert found.look_ms > now, f"seed {seed}: to look again at once is to spin"
            now = found.look_ms
            continue
        state = sent(state, found.call, now)
        log.append(now)
        now += luck.choice([0, 0, 0, 1, 40, 300])
    seconds = [(time + skew_ms) // 1_000 for time in log]
    assert max(seconds.count(second) for second in set(seconds)) <= 8, f"seed {seed}"
    for index, time in enumerate(log):
        assert index - bisect_left(log, time - 59_999) + 1 <= 380, f"seed {seed}"


def test_two_hundred_cancellations_take_no_longer_than_the_limit_makes_them() -> None:
    queue = [call(Lane.CANCEL, number) for number in range(200)]
    queue += [call(Lane.ENTRY, 1_000 + number) for number in range(50)]
    state, now = Spent(), NOW
    while any(one.lane is Lane.CANCEL for one in queue):
        found = next_to_send(queue, state, now)
        if found.call is None:
            now = found.look_ms or 0
            continue
        assert found.call.lane is Lane.CANCEL
        queue.remove(found.call)
        state = sent(state, found.call, now)

    assert now - NOW == 24_000  # 200 at 8 a second, the first eight at once
    assert DAY.toordinal() == state.day


def test_what_is_left_is_told_by_lane() -> None:
    said = spent([NOW - 60_000, NOW - 30_000, NOW - 999, NOW], placed=4)

    cancels, exits, entries = left(said, NOW)
    assert (cancels.second, exits.second, entries.second) == (6, 6, 5)
    assert (cancels.minute, exits.minute, entries.minute) == (377, 347, 297)
    assert (cancels.day, exits.day, entries.day) == (4_996, 4_996, 4_796)
    assert [one.second for one in left(told_too_many(said, NOW), NOW + 500)] == [0, 0, 0]
