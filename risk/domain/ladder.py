"""The loss ladder: no entries, then cancel what would enter, then close what is held; looked at once a minute of event
time while anything is held or works, latched for the session."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from uuid import UUID

import msgspec

from alphapanda.core.clock import ist_day
from risk.domain.context import Member, Terms
from risk.domain.figures import OWN, closes, equity, key_of, profit_of
from risk.domain.limits import Limits
from risk.domain.memory import MINUTE_MS, DayState, at_time
from risk.domain.rules.sums import is_lost
from strategies.domain.signals import Mark

CANCEL, FLATTEN = 2, 3
ALERT = "loss_ladder"  # the code of the alert that each of them raises


def has_ladder(terms: Terms) -> bool:
    """Whether any limit asks for more than refusing entries."""
    every = (terms.limits, *(scope.limits for scope in terms.scopes))
    return any(limits.loss_cancel is not None or limits.loss_flatten is not None for limits in every)


def look_ms(at_ms: int, *, is_new: bool) -> int:
    """When losses are looked at next: at the next whole minute, where the ladder is new with the next item."""
    return at_ms if is_new else (at_ms // MINUTE_MS + 1) * MINUTE_MS


def rung_on(day: DayState, at_ms: int) -> int:
    """How far the ladder has gone in the session of a time, by a memory that may be of an earlier one."""
    return day.rung if day.day == ist_day(at_ms) else 0


def checked(
    own: Member, *, terms: Terms, others: Mapping[UUID, Member], marks: Mapping[int, Mark], at_ms: int
) -> DayState:
    """The memory after a look at the losses of a deployment and of those it shares limits with. A loss that cannot
    be told acts on nothing: it keeps entries out, by the rule of the day's loss."""
    day = at_time(own.day, at_ms, look_back_ms=at_ms)
    if day.equity is None:
        day = msgspec.structs.replace(day, equity=equity(own.holdings, closes(marks)))
    own = msgspec.structs.replace(own, day=day)
    today, rung, tripped = ist_day(at_ms), day.rung, list(day.tripped)
    for key, limits, books in (
        (OWN, terms.limits, [own]),
        *(
            (
                key_of(scope),
                scope.limits,
                [own, *(others[one] for one in sorted(scope.members & others.keys()))],
            )
            for scope in terms.scopes
        ),
    ):
        profit = profit_of(books, marks, today)
        if is_lost(profit, limits.daily_loss) and key not in tripped:
            tripped.append(key)
        rung = max(rung, _rung(limits, profit))
    return msgspec.structs.replace(day, rung=rung, tripped=tuple(tripped))


def _rung(limits: Limits, profit: Decimal | None) -> int:
    if is_lost(profit, limits.loss_flatten):
        return FLATTEN
    return CANCEL if is_lost(profit, limits.loss_cancel) else 0
