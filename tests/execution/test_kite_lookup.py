"""What became of a write whose outcome is not known: patience, and nothing concluded from what was not read."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapanda.core.clock import DAY_MS
from alphapanda.core.vocabulary import OrderStatus as S
from alphapanda.core.vocabulary import OrderType, Validity
from execution.domain.kite.lookup import (
    Answer,
    Finding,
    Lookup,
    Read,
    Wish,
    advance,
    found,
    next_read_ms,
    of_cancelling,
    of_modifying,
)
from execution.domain.orders import Terms
from tests.builders import at, e4
from tests.kite_builders import TAG, live, snapshot, terms

SENT = at()
LOST = SENT + 7_000  # when the request timed out
STATED = [500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 90_000, 120_000]


def walk(lookup: Lookup, findings: list[Finding | None]) -> tuple[list[int], Answer]:
    """Read as the schedule says; when, counted from the loss, and what it came to."""
    answer, times = Answer(Wish.READ, next_read_ms(lookup)), []
    for finding in findings:
        if answer.wish is not Wish.READ:
            break
        times.append(answer.at_ms - lookup.unknown_ms)
        lookup, answer = advance(lookup, Read(answer.at_ms, finding))
    return times, answer


def test_absent_in_all_reads_it_is_not_placed_after_two_minutes_and_not_before() -> None:
    times, answer = walk(Lookup(SENT, LOST), [Finding.ABSENT] * 20)

    assert times == STATED
    assert answer.wish is Wish.NOT_DONE
    times, answer = walk(Lookup(SENT, LOST), [Finding.ABSENT] * 8)  # the last one 97 s after sending
    assert (answer.wish, answer.at_ms) == (Wish.READ, LOST + 120_000)


def test_it_counts_from_sending() -> None:
    times, answer = walk(Lookup(SENT, SENT + 30_000), [Finding.ABSENT] * 20)

    assert (times[-1], answer.wish) == (90_000, Wish.NOT_DONE)


def test_failed_reads_are_no_information() -> None:
    times, answer = walk(Lookup(SENT, LOST), [None] * 50)
    assert (answer.wish, times[-1]) == (Wish.READ, 60_000 + 43 * 30_000)

    late = [None] * 9 + [Finding.ABSENT] * 4
    assert walk(Lookup(SENT, LOST), late)[1].wish is Wish.READ
    assert walk(Lookup(SENT, LOST), [*late, Finding.ABSENT])[1].wish is Wish.NOT_DONE


def test_what_is_on_its_way_is_no_absence() -> None:
    assert walk(Lookup(SENT, LOST), [Finding.ON_ITS_WAY] * 30)[1].wish is Wish.READ


def test_found_at_any_time_it_is_done_and_stays_so() -> None:
    for seen in range(9):
        findings = [*[Finding.ABSENT] * seen, Finding.DONE]
        assert walk(Lookup(SENT, LOST), findings)[1] == Answer(Wish.DONE)

    lookup, _ = advance(Lookup(SENT, LOST), Read(LOST + 500, Finding.DONE))
    assert advance(lookup, Read(LOST + 900, Finding.ABSENT)) == (lookup, Answer(Wish.DONE))


def test_a_read_that_began_before_the_outcome_was_lost_shows_no_absence() -> None:
    lookup, _ = advance(Lookup(SENT, LOST), Read(SENT + 100, Finding.ABSENT))

    assert lookup.absent == 0
    assert advance(lookup, Read(LOST, Finding.ABSENT))[0].absent == 1
    assert advance(lookup, Read(SENT + 100, Finding.DONE))[1].wish is Wish.DONE


def test_the_book_of_the_next_day_says_nothing_of_what_is_not_in_it() -> None:
    lookup = Lookup(SENT, SENT + DAY_MS)

    assert advance(lookup, Read(SENT + DAY_MS, Finding.ABSENT))[1] == Answer(Wish.ASK)
    assert advance(lookup, Read(SENT + DAY_MS, None))[1] == Answer(Wish.ASK)
    assert advance(lookup, Read(SENT + DAY_MS, Finding.DONE))[1] == Answer(Wish.DONE)


def test_an_order_of_the_evening_is_looked_for_over_midnight_until_the_book_is_of_the_new_day() -> None:
    sent_ms = at("23:59:30")
    lookup = Lookup(sent_ms, sent_ms)
    for place in range(1, 6):
        lookup, answer = advance(lookup, Read(sent_ms + 30_000 * place, Finding.ABSENT))
    assert answer == Answer(Wish.NOT_DONE)
    six_ms = at("06:00") + DAY_MS
    assert advance(Lookup(sent_ms, sent_ms), Read(six_ms - 1, None))[1].wish is Wish.READ
    assert advance(Lookup(sent_ms, sent_ms), Read(six_ms, None))[1] == Answer(Wish.ASK)


def test_after_a_restart_the_schedule_goes_on() -> None:
    lookup = Lookup(SENT, LOST)
    for _ in range(4):
        lookup, _ = advance(lookup, Read(next_read_ms(lookup), Finding.ABSENT))

    assert (lookup.absent, next_read_ms(lookup)) == (4, LOST + 10_000)


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.integers(0, 400_000), st.sampled_from([*Finding, None])), max_size=15),
    st.integers(0, 20_000),
)
def test_it_is_given_up_only_for_five_whole_reads_the_last_after_two_minutes(
    reads: list[tuple[int, Finding | None]], lost_after: int
) -> None:
    lookup, counted, last = Lookup(SENT, SENT + lost_after), 0, 0
    for offset, finding in sorted(reads, key=lambda one: one[0]):
        was_over = lookup.is_over
        before = lookup
        lookup, answer = advance(lookup, Read(SENT + offset, finding))
        if was_over:
            assert (lookup, answer) == (before, Answer(before.verdict))
            continue
        if finding is Finding.ABSENT and offset >= lost_after:
            counted, last = counted + 1, offset
        if answer.wish is Wish.READ:
            assert answer.at_ms > SENT + offset or offset < lost_after
            assert answer.at_ms <= SENT + max(offset, lost_after) + 30_000
        assert (answer.wish is Wish.NOT_DONE) == (
            finding not in (Finding.DONE, Finding.TOO_LATE) and counted >= 5 and last >= 120_000
        )


# ---- what one read says ------------------------------------------------------------------------------------


def test_an_order_is_found_by_any_of_its_tags() -> None:
    order, other = live(), snapshot(order_id="7", tags=("mktp",))

    assert found(order, [other, snapshot(tags=("mktp", TAG))]) == (snapshot(tags=("mktp", TAG)),)
    assert found(order, [other, snapshot()]) == (snapshot(),)
    assert found(order, [other]) == ()


@pytest.mark.parametrize(
    ("status", "finding"),
    [
        (S.CANCELLED, Finding.DONE),
        (S.COMPLETE, Finding.TOO_LATE),
        (S.REJECTED, Finding.TOO_LATE),
        (S.CANCEL_PENDING, Finding.ON_ITS_WAY),
        (S.OPEN, Finding.ABSENT),
        ("UPDATE", Finding.ABSENT),
    ],
)
def test_cancellations(status: S | str, finding: Finding) -> None:
    assert of_cancelling(snapshot(status)) is finding


@pytest.mark.parametrize(
    ("shown", "after", "finding"),
    [
        ({"limit_price_e4": e4(101)}, terms(limit=101), Finding.DONE),
        ({}, terms(limit=101), Finding.ABSENT),
        ({"status": S.MODIFY_PENDING, "limit_price_e4": e4(101)}, terms(limit=101), Finding.ON_ITS_WAY),
        ({"status": S.MODIFY_VALIDATION_PENDING}, terms(limit=101), Finding.ON_ITS_WAY),
        ({"status": S.COMPLETE}, terms(limit=101), Finding.TOO_LATE),
        ({"status": S.COMPLETE, "limit_price_e4": e4(101)}, terms(limit=101), Finding.DONE),
        ({"quantity": 5}, terms(5), Finding.DONE),
        ({"quantity": 5}, terms(5, limit=101), Finding.ABSENT),
        # a leg of an iceberg that stands elsewhere than where we last changed the order to
        ({"limit_price_e4": e4(99)}, terms(), Finding.ABSENT),
        ({"limit_price_e4": e4(99), "quantity": 5}, terms(5), Finding.ABSENT),
        ({"validity": "IOC"}, terms(validity=Validity.IOC), Finding.DONE),
        ({}, terms(validity=Validity.IOC), Finding.ABSENT),
        ({"disclosed_quantity": 2}, terms(disclosed=2), Finding.DONE),
        ({"trigger_price_e4": e4(99), "order_type": "SL"}, terms(10, OrderType.SL, 100, 99), Finding.DONE),
        ({"trigger_price_e4": e4(99)}, terms(10, OrderType.SL, 100, 99), Finding.ABSENT),
        ({"order_type": "MARKET"}, terms(10, OrderType.MARKET, None), Finding.DONE),
        ({"limit_price_e4": e4(102), "tags": (TAG, "mktp")}, terms(10, OrderType.MARKET, None), Finding.DONE),
        ({"limit_price_e4": e4(102)}, terms(10, OrderType.MARKET, None), Finding.ABSENT),
    ],
)
def test_changes(shown: dict[str, object], after: Terms, finding: Finding) -> None:
    status = shown.pop("status", S.OPEN) if "status" in shown else S.OPEN

    assert of_modifying(snapshot(status, **shown), terms(), after) is finding
