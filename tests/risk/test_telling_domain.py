"""Which alerts go into the next message, in which words, and until when there is silence: pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.clock import IST, to_ms
from alphapanda.core.vocabulary import Severity
from risk.channel_models import AlertSilence
from risk.domain import silences
from risk.domain.telling import (
    GATHERED_MAX,
    GIVEN_UP_AFTER,
    KEPT,
    LINE_MAX,
    PAUSES,
    PER_MINUTE,
    WINDOW_MS,
    Due,
    Told,
    message,
    next_message,
    pause_after,
    recent,
)

WARNING, CRITICAL = Severity.WARNING, Severity.CRITICAL
NOW = datetime(2026, 11, 27, 6, 0, tzinfo=UTC)  # a Friday, 11:30 IST
NOW_MS = to_ms(NOW)
ARRIVALS = st.lists(
    st.tuples(st.integers(0, 3 * WINDOW_MS), st.sampled_from(list(Severity)), st.booleans()), max_size=150
)


def due(number: int, severity: Severity = WARNING, at_ms: int = 0, *, is_test: bool = False) -> Due:
    return Due(UUID(int=number), severity, at_ms or number, is_test)


def play(arrivals: list[tuple[int, Severity, bool]]) -> list[tuple[int, tuple[Due, ...]]]:
    """What a channel sends, looked at each second, until nothing waits: (when, what)."""
    coming = [due(n, severity, at, is_test=test) for n, (at, severity, test) in enumerate(arrivals, 1)]
    coming.sort(key=lambda one: one.at_ms)
    waiting: list[Due] = []
    sent_ms: list[int] = []
    played = []
    now = 0
    while coming or waiting:
        while coming and coming[0].at_ms <= now:
            waiting.append(coming.pop(0))
        while chosen := next_message(waiting, sent_ms, now):
            sent_ms = [*recent(sent_ms, now), now]
            waiting = [one for one in waiting if one not in chosen]
            played.append((now, chosen))
        now += 1_000
    return played


@given(ARRIVALS)
def test_each_alert_goes_out_once_and_never_too_many_messages_in_a_minute(arrivals):
    played = play(arrivals)

    told = [one.id for _, chosen in played for one in chosen]
    assert sorted(told) == sorted(UUID(int=n) for n in range(1, len(arrivals) + 1))
    for at, _ in played:
        assert sum(at <= other < at + WINDOW_MS for other, _ in played) <= PER_MINUTE
    for _, chosen in played:
        assert list(chosen) == sorted(chosen, key=lambda o: (not o.is_test, not o.is_grave, o.at_ms, o.id))


@given(ARRIVALS)
def test_a_critical_alert_never_waits_behind_warnings(arrivals):
    """However many warnings came: it waits only where as many critical messages as are kept for them just left."""
    for at, chosen in play([(at, severity, False) for at, severity, _ in arrivals]):
        for one in chosen:
            if one.severity is CRITICAL and at - one.at_ms > 1_000:
                before = [
                    sent for sent in play([(a, s, False) for a, s, _ in arrivals])
                    if at - WINDOW_MS <= sent[0] <= at and sent[1][0].severity is CRITICAL
                ]  # fmt: skip
                assert len(before) > KEPT


def test_a_heap_is_gathered_with_the_gravest_first_and_room_stays_for_critical_ones():
    heap = [due(n) for n in range(1, 11)]
    sent_ms: list[int] = []
    sizes = []
    while chosen := next_message(heap, sent_ms, NOW_MS):
        sizes.append(len(chosen))
        sent_ms.append(NOW_MS)
        heap = [one for one in heap if one not in chosen]
    assert sizes == [1, 1, 1, 7]
    assert next_message([due(99)], sent_ms, NOW_MS) == ()

    grave, plain = due(50, CRITICAL), due(51)
    assert next_message([plain, grave], sent_ms, NOW_MS) == (grave,)
    assert next_message([plain, grave], [*sent_ms, NOW_MS], NOW_MS) == (grave, plain)
    assert next_message([grave], [*sent_ms, NOW_MS, NOW_MS], NOW_MS) == ()
    assert next_message([due(99)], sent_ms, NOW_MS + WINDOW_MS) == (due(99),)
    assert len(next_message([due(n) for n in range(1, 200)], [NOW_MS] * 3, NOW_MS)) == GATHERED_MAX


def test_a_clock_that_was_set_back_blocks_nothing():
    assert next_message([due(1)], [NOW_MS + 10 * WINDOW_MS] * PER_MINUTE, NOW_MS) == (due(1),)


def test_a_test_goes_before_everything():
    trial = due(9, is_test=True)
    assert next_message([due(1, CRITICAL), trial], [], NOW_MS) == (trial,)


def test_pauses_grow_and_end():
    new = [pause_after(tries, timedelta()) for tries in range(1, 99)]
    assert new == sorted(new)
    assert set(new) == set(PAUSES)
    old = [pause_after(tries, GIVEN_UP_AFTER) for tries in range(1, len(PAUSES) + 2)]
    assert old == [*PAUSES, None]  # it may have stood behind a silence for days


def told(severity: Severity = CRITICAL, text: str = "boom", **facts: object) -> Told:
    values = {"mode": "PAPER", "code": "feed_gap", "subject": "kite", "at_ms": NOW_MS} | facts
    return Told(severity=severity, text=text, **values)  # type: ignore[arg-type]


def test_the_words_of_one_and_of_many():
    one = message([told()], link="https://panda.example.org/alerts/")
    assert one.title == "CRITICAL PAPER: feed gap"
    assert one.body.splitlines() == [
        "boom",
        "About kite",
        "Raised 2026-11-27 11:30:00 IST",
        "https://panda.example.org/alerts/",
    ]
    assert message([told(is_again=True)], link="").title == "Still open: CRITICAL PAPER: feed gap"

    many = message([told(), told(WARNING, "x" * 500, mode="LIVE")], link="")
    assert many.title == "2 more alerts, 1 of them critical"
    first, second = many.body.splitlines()
    assert first == "2026-11-27 11:30:00 CRITICAL PAPER feed gap, kite: boom"
    assert second.startswith("2026-11-27 11:30:00 WARNING LIVE feed gap, kite: xxx")
    assert len(second) == LINE_MAX
    assert message([told(WARNING)] * 2, link="").title == "2 more alerts"


@pytest.mark.parametrize(
    ("words", "end"),
    [
        ("1h", "2026-11-27T12:30+05:30"),
        ("close", "2026-11-27T15:30+05:30"),
        ("tomorrow", "2026-11-28T09:00+05:30"),
        ("2026-11-29T10:00", "2026-11-29T10:00+05:30"),
        ("2026-11-29T10:00:00+00:00", "2026-11-29T15:30+05:30"),
    ],
)
def test_a_silence_ends_when_it_was_asked_to(words, end):
    closes_at = datetime(2026, 11, 27, 15, 30, tzinfo=IST)
    assert silences.end_of(words, now=NOW, closes_at=closes_at) == datetime.fromisoformat(end)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("2026-11-27T11:30", "over already"),
        ("2026-12-05T11:30", "7 days at most"),
        ("for ever", "is no end of a silence: expected 1h"),
        ("0001-01-01T00:00+14:00", "is no end of a silence"),
        ("", "is no end of a silence"),
        ("close", "knows no close"),
    ],
)
def test_what_is_no_end_of_a_silence_is_refused_in_words(words, why):
    with pytest.raises(silences.BadEnd, match=why):
        silences.end_of(words, now=NOW, closes_at=None)


def test_the_longest_silence_that_covers_counts():
    def silence(code: str, subject: str, hours: int) -> AlertSilence:
        return AlertSilence(code=code, subject=subject, until=NOW + timedelta(hours=hours))

    found = [silence("a", "", 1), silence("a", "x", 2), silence("b", "", 3)]
    assert silences.silence_of("a", "x", found) is found[1]
    assert silences.silence_of("a", "y", found) is found[0]
    assert silences.silence_of("c", "x", found) is None
