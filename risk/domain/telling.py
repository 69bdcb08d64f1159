"""What goes to a channel next, when it is tried again, and in which words: alerts on their way to people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from alphapanda.core.clock import ist_text
from alphapanda.core.vocabulary import Severity
from risk.domain.wording import named

PER_MINUTE = 6  # messages to one channel
KEPT = 2  # of them for critical alerts alone, which no heap of warnings may hold up
GATHERED_MAX = 50  # alerts in one message; what is over goes into the next
WINDOW_MS = 60_000
# A service that is down is asked less and less often; the last of these again and again, until GIVEN_UP_AFTER.
PAUSES = tuple(timedelta(seconds=seconds) for seconds in (10, 30, 120, 600, 1_800))
GIVEN_UP_AFTER = timedelta(days=1)  # a line that is dead for a night may not cost the alert that came in it
LINE_MAX = 300  # characters of an alert among others


class Due(NamedTuple):
    """A delivery that may go out now. A test of the channel goes before everything."""

    id: UUID
    severity: Severity
    at_ms: int
    is_test: bool = False

    @property
    def is_grave(self) -> bool:
        return self.is_test or self.severity is Severity.CRITICAL


class Told(NamedTuple):
    """An alert as a message tells of it. `mode`: PAPER or LIVE. `is_again`: its silence is over, and it is open yet."""

    severity: Severity
    mode: str
    code: str
    subject: str
    text: str
    at_ms: int
    is_again: bool = False


class Message(NamedTuple):
    """What a person reads."""

    title: str
    body: str


def recent(sent_ms: Sequence[int], now_ms: int) -> list[int]:
    """Those of the moments of a channel's messages that still count; a clock that was set back blocks nothing."""
    return [at_ms for at_ms in sent_ms if abs(now_ms - at_ms) < WINDOW_MS][-PER_MINUTE:]


def next_message(due: Sequence[Due], sent_ms: Sequence[int], now_ms: int) -> tuple[Due, ...]:
    """Which deliveries go out in the next message, the gravest and then the oldest first; none while the channel has
    had enough. With the last message that it may have, all that wait go together."""
    ordered = sorted(due, key=lambda one: (not one.is_test, not one.is_grave, one.at_ms, one.id))
    if not ordered:
        return ()
    room = PER_MINUTE - len(recent(sent_ms, now_ms)) - (0 if ordered[0].is_grave else KEPT)
    if room <= 0:
        return ()
    return tuple(ordered[:GATHERED_MAX] if room == 1 else ordered[:1])


def pause_after(tries: int, waited: timedelta) -> timedelta | None:
    """How long to wait when so many tries have failed of what is so old; None: no more."""
    is_over = tries > len(PAUSES) and waited >= GIVEN_UP_AFTER
    return None if is_over else PAUSES[min(tries, len(PAUSES)) - 1]


def message(told: Sequence[Told], *, link: str) -> Message:
    """The words for one alert, or for many, in the order in which they are given."""
    title, lines = _one(told[0]) if len(told) == 1 else _many(told)
    return Message(title, "\n".join([*lines, *([link] if link else [])]))


def trial(channel: str, *, link: str) -> Message:
    """The words with which a channel is tried."""
    words = f"This is a test of the channel {channel}: alerts of Alpha Panda will come here."
    return Message("Test of Alpha Panda", "\n".join([words, *([link] if link else [])]))


def _one(told: Told) -> tuple[str, list[str]]:
    still = "Still open: " if told.is_again else ""
    title = f"{still}{told.severity} {told.mode}: {named(told.code)}"
    return title, [told.text, f"About {told.subject}", f"Raised {_stamp(told.at_ms)} IST"]


def _many(told: Sequence[Told]) -> tuple[str, list[str]]:
    critical = sum(one.severity is Severity.CRITICAL for one in told)
    title = f"{len(told)} more alerts" + (f", {critical} of them critical" if critical else "")
    return title, [_line(one) for one in told]


def _line(told: Told) -> str:
    words = f"{told.severity} {told.mode} {named(told.code)}, {told.subject}: {told.text}"
    return f"{_stamp(told.at_ms)} {words}"[:LINE_MAX]


def _stamp(at_ms: int) -> str:
    return ist_text(at_ms)[:19].replace("T", " ")
