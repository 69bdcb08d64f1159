"""What risk remembers of a deployment between its decisions: plain values, stored under a row lock."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from alphapanda.core.clock import ist_day
from alphapanda.core.vocabulary import Side, SignalKind
from strategies.domain.signals import SignalRow

MINUTE_MS = 60_000
SECOND_MS = 1_000


class Sent(msgspec.Struct, frozen=True, array_like=True):
    """An approved entry, for what looks at the same thing done again."""

    at_ms: int
    token: int
    side: Side
    quantity: int
    limit_price_e4: int | None
    trigger_price_e4: int | None = None

    @property
    def wish(self) -> tuple[int, Side, int, int | None, int | None]:
        """What makes it the same order as another."""
        return self.token, self.side, self.quantity, self.limit_price_e4, self.trigger_price_e4


def sent_of(signal: SignalRow) -> Sent:
    """What is remembered of an entry."""
    return Sent(
        signal.at_ms,
        signal.token,
        signal.side,
        signal.quantity,
        signal.limit_price_e4,
        signal.trigger_price_e4,
    )


class DayState(msgspec.Struct, frozen=True, omit_defaults=True):
    """One session of a deployment: `day` is the ordinal of the IST date, `equity` the net worth it began with,
    None while that is unknown. `peaks` and `held` outlast the session.

    `recent_ms`: event times of the orders approved within the last minute. `sent`: entries as long as a rule
    looks back at them. `tripped`: loss limits, by level and name, that were reached today. `rung`: of the loss
    ladder, 2 from the threshold for cancelling on, 3 from that for flattening on. `peaks`: the highest equity
    seen, by level and name. `held`: why no entry passes until a person has started the deployment again."""

    day: int = 0
    orders: int = 0
    equity: Decimal | None = None
    recent_ms: tuple[int, ...] = ()
    sent: tuple[Sent, ...] = ()
    tripped: tuple[str, ...] = ()
    rung: int = 0
    peaks: dict[str, Decimal] = {}
    held: str = ""


def at_time(day: DayState, at_ms: int, *, look_back_ms: int) -> DayState:
    """The memory at a time: a new session starts its counts, what is too old to matter is forgotten."""
    today = ist_day(at_ms)
    if today != day.day:
        day = DayState(day=today, recent_ms=day.recent_ms, sent=day.sent, peaks=day.peaks, held=day.held)
    oldest_ms = at_ms - MINUTE_MS
    if day.recent_ms and day.recent_ms[0] <= oldest_ms:
        day = msgspec.structs.replace(day, recent_ms=tuple(ms for ms in day.recent_ms if ms > oldest_ms))
    if day.sent and day.sent[0].at_ms <= at_ms - look_back_ms:
        kept = tuple(sent for sent in day.sent if sent.at_ms > at_ms - look_back_ms)
        day = msgspec.structs.replace(day, sent=kept)
    return day


def orders_of(signal: SignalRow) -> int:
    """As how many orders the broker counts one."""
    return max(signal.iceberg_legs, 1)


def counted(day: DayState, signal: SignalRow, *, is_kept: bool) -> DayState:
    """The memory with a signal that passed; `is_kept`: some rule looks back at entries. A changed order is no new one,
    but a message to the broker."""
    is_new = signal.kind is SignalKind.ORDER
    return msgspec.structs.replace(
        day,
        orders=day.orders + (orders_of(signal) if is_new else 0),
        recent_ms=(*day.recent_ms, signal.at_ms),
        sent=(*day.sent, sent_of(signal)) if is_new and is_kept else day.sent,
    )


def orders_on(day: DayState, today: int) -> int:
    """Orders of a session, of a memory that may be of an earlier one."""
    return day.orders if day.day == today else 0


def orders_since(day: DayState, after_ms: int) -> int:
    """Orders approved after a time within the last minute."""
    return sum(ms > after_ms for ms in day.recent_ms)
