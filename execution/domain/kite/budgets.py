"""How much an account may say to Kite, and what is said next: a function of when things were said before.

Kite counts orders by the calendar second of its own clock, which we do not see: no more than our number in any 1,000
ms is no more in any second of any clock. Cancellations go first, exits before entries, and each has room that what
comes after it cannot use up. Only new orders count for the day, refused ones too, and at Kite's cap even exits are
refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

from alphapanda.core.clock import DAY_MS, ist_date, ist_day, ist_midnight_ms

SECOND_MS, MINUTE_MS = 1_000, 60_000
MODIFICATIONS_MAX = 25  # of one order; then it is cancelled and placed anew
PAUSE_MS, PAUSE_MAX_MS = 1_000, 4_000  # after "too many requests", doubled while they go on


class Lane(StrEnum):
    """What a call is for, the most urgent first."""

    CANCEL = "CANCEL"
    EXIT = "EXIT"
    ENTRY = "ENTRY"


class CallKind(StrEnum):
    PLACE = "PLACE"
    MODIFY = "MODIFY"
    CANCEL = "CANCEL"
    GTT = "GTT"


class Room(msgspec.Struct, frozen=True):
    """How many calls there may have been in a stretch of time before one more of each lane."""

    cancels: int
    exits: int
    entries: int

    def of(self, lane: Lane) -> int:
        return {Lane.CANCEL: self.cancels, Lane.EXIT: self.exits, Lane.ENTRY: self.entries}[lane]


class Budgets(msgspec.Struct, frozen=True):
    """Below Kite's own limits of 10 a second, 400 a minute and 5,000 new orders a day."""

    second: Room = Room(cancels=8, exits=8, entries=7)
    minute: Room = Room(cancels=380, exits=350, entries=300)
    day: Room = Room(cancels=5_000, exits=5_000, entries=4_800)


OURS = Budgets()


class Call(msgspec.Struct, frozen=True):
    """A call that waits. `modifications` is how often the order of a change was changed; `orders` is how many the
    broker will count for a new one (each leg of an iceberg is one)."""

    id: str
    kind: CallKind
    lane: Lane
    queued_ms: int
    modifications: int = 0
    orders: int = 1


class Spent(msgspec.Struct, frozen=True):
    """What was said: times of the last minute's calls (oldest first), new orders of a day, ours and those that other
    apps were seen to place in the account, and a pause that Kite asked for."""

    times: tuple[int, ...] = ()
    day: int = 0
    placed: int = 0
    elsewhere: int = 0
    pauses: int = 0  # in a row
    paused_until_ms: int = 0

    def placed_on(self, day: int) -> int:
        return self.placed + self.elsewhere if day == self.day else 0


class Next(msgspec.Struct, frozen=True):
    """The call to send now; without one, when to look again (None: nothing waits for time). `exhausted` can never be
    sent: changes of orders that were changed too often."""

    call: Call | None = None
    look_ms: int | None = None
    exhausted: tuple[Call, ...] = ()


def next_to_send(queue: Iterable[Call], spent: Spent, now_ms: int, budgets: Budgets = OURS) -> Next:
    """What to say now: of the most urgent lane that may speak, the call that waits longest."""
    waiting = sorted(queue, key=lambda call: (list(Lane).index(call.lane), call.queued_ms, call.id))
    exhausted = tuple(call for call in waiting if _is_exhausted(call))
    times = {call: free_ms(call, spent, now_ms, budgets) for call in waiting if not _is_exhausted(call)}
    for call, at_ms in times.items():
        if at_ms <= now_ms:
            return Next(call, exhausted=exhausted)
    return Next(look_ms=min(times.values(), default=None), exhausted=exhausted)


def _is_exhausted(call: Call) -> bool:
    return call.kind is CallKind.MODIFY and call.modifications >= MODIFICATIONS_MAX


def free_ms(call: Call, spent: Spent, now_ms: int, budgets: Budgets = OURS) -> int:
    """The first time from now on at which a call may be sent, if nothing else is sent before."""
    at_ms = max(
        now_ms,
        spent.paused_until_ms,
        _free_in(spent.times, SECOND_MS, budgets.second.of(call.lane)),
        _free_in(spent.times, MINUTE_MS, budgets.minute.of(call.lane)),
    )
    day = ist_day(now_ms)
    is_over = call.kind is CallKind.PLACE and spent.placed_on(day) + call.orders > budgets.day.of(call.lane)
    return max(at_ms, ist_midnight_ms(ist_date(now_ms)) + DAY_MS) if is_over else at_ms


def is_shut(spent: Spent, now_ms: int, budgets: Budgets = OURS) -> bool:
    """Whether not even a cancellation may be said now."""
    return free_ms(Call("", CallKind.CANCEL, Lane.CANCEL, 0), spent, now_ms, budgets) > now_ms


def _free_in(times: Sequence[int], stretch_ms: int, room: int) -> int:
    """When fewer than `room` calls lie within the stretch before: the one that many back has left it."""
    return times[-room] + stretch_ms if len(times) >= room else 0


def sent(spent: Spent, call: Call, at_ms: int) -> Spent:
    """After a call was sent. A clock that went back counts on from the last call."""
    at_ms = max([at_ms, *spent.times[-1:]])
    times = (*(one for one in spent.times if one > at_ms - MINUTE_MS), at_ms)
    today = _on(spent, ist_day(at_ms))
    placed = today.placed + (call.orders if call.kind is CallKind.PLACE else 0)
    return msgspec.structs.replace(today, times=times, placed=placed)


def never_left(spent: Spent, call: Call) -> Spent:
    """After a call came no further than our door: Kite counts no order, however long the network is away."""
    orders = call.orders if call.kind is CallKind.PLACE else 0
    return msgspec.structs.replace(spent, placed=max(spent.placed - orders, 0))


def seen_elsewhere(spent: Spent, orders: int, at_ms: int) -> Spent:
    """After other apps were seen to have placed so many orders on the day of `at_ms`: Kite counts them with ours."""
    return msgspec.structs.replace(_on(spent, ist_day(at_ms)), elsewhere=orders)


def _on(spent: Spent, day: int) -> Spent:
    """What was said, with the orders of a day."""
    return spent if spent.day == day else msgspec.structs.replace(spent, day=day, placed=0, elsewhere=0)


def told_too_many(spent: Spent, at_ms: int) -> Spent:
    """After Kite refused a call as one too many: nothing is said for a while, for longer each time. Of calls that were
    on their way together the first tells all: what is refused within a pause left before it."""
    if at_ms < spent.paused_until_ms:
        return spent
    pause_ms = min(PAUSE_MS << spent.pauses, PAUSE_MAX_MS)
    return msgspec.structs.replace(spent, pauses=min(spent.pauses + 1, 8), paused_until_ms=at_ms + pause_ms)


def told_fine(spent: Spent) -> Spent:
    """After Kite took a call: the next pause is a short one again."""
    return msgspec.structs.replace(spent, pauses=0)


def rebuilt(calls: Iterable[tuple[int, Call]], now_ms: int) -> Spent:
    """What had been said, from the stored attempts of the day with their times, for who starts again."""
    spent = Spent()
    for at_ms, call in sorted(calls, key=lambda one: one[0]):
        spent = sent(spent, call, min(at_ms, now_ms))
    return spent


class Left(msgspec.Struct, frozen=True):
    """How many calls of a lane there may still be: in this second, this minute, and new orders today."""

    lane: Lane
    second: int
    minute: int
    day: int


def left(spent: Spent, now_ms: int, budgets: Budgets = OURS) -> tuple[Left, ...]:
    """What is left of the budgets now, by lane; while Kite has asked for a pause nothing is left of a second."""
    counts = {stretch: sum(at > now_ms - stretch for at in spent.times) for stretch in (SECOND_MS, MINUTE_MS)}
    placed, is_paused = spent.placed_on(ist_day(now_ms)), now_ms < spent.paused_until_ms
    return tuple(
        Left(
            lane,
            0 if is_paused else max(budgets.second.of(lane) - counts[SECOND_MS], 0),
            max(budgets.minute.of(lane) - counts[MINUTE_MS], 0),
            max(budgets.day.of(lane) - placed, 0),
        )
        for lane in Lane
    )
