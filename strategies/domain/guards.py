"""The platform's own watchers of a deployment: brackets, times of day, square-off. Pure, in event time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import time
from uuid import UUID

import msgspec

from alphapanda.core import ids
from alphapanda.core.clock import DAY_MS, IST_OFFSET_MS, ist_date, ist_ms
from alphapanda.core.vocabulary import SignalOrigin
from marketdata.domain.calendar import Calendar
from strategies.domain.consequences import Consequences
from strategies.domain.intents import Bracket, Cancel
from strategies.domain.protection import AGAIN_AFTER_MS, Protection, armed, covering
from strategies.domain.signals import Moment, SignalRow, Taken, priced
from strategies.domain.turn import Turn

# A timer whose time has passed this long ago without an item of the log (a gap, a late start) does not fire:
# to rebalance at noon what was meant for the opening is another strategy.
TIMER_LATE_MS_MAX = 5 * 60_000
Calendars = Mapping[int, Calendar]  # by instrument token

FLATTEN_RUNG = 3  # of the loss ladder
SQUARE_OFF = "intraday square-off"
LEFT_BEHIND = "the market has left it behind"
LEFT_AFTER_MS = 10_000  # what a market order has not traded by then waits for the market to come back


class Cleared(msgspec.Struct, frozen=True):
    """When to be out of an instrument was last asked for, and of what: units held, and orders that stood against it."""

    at_ms: int
    position: int
    orders: tuple[UUID, ...]


class Renewal(msgspec.Struct):
    """A market exit that the market has left behind, being cancelled: units of it that are to be asked for anew."""

    token: int
    units: int
    asked_ms: int


class Guards(msgspec.Struct):
    """What the guards remember; part of the checkpoint. `brackets` wait for fills, by order id; `protections`
    are at work, by instrument token. Up to `alarmed_ms` all times have been seen to, `alarm_ms` comes next."""

    alarmed_ms: int = 0
    alarm_ms: int = 0
    squared_ms: int = 0  # when a square-off was last asked for
    overdue: list[int] = msgspec.field(
        default_factory=list
    )  # tokens held beyond the day they were to be closed on
    brackets: dict[str, Bracket] = msgspec.field(default_factory=dict)
    protections: dict[int, list[Protection]] = msgspec.field(default_factory=dict)
    clearing: dict[int, str] = msgspec.field(default_factory=dict)  # what an operator wants out of, and why
    renewals: dict[str, Renewal] = msgspec.field(default_factory=dict)  # by order id
    cleared: dict[int, Cleared] = msgspec.field(default_factory=dict)  # by token

    def awaiting(self, *rows: SignalRow) -> tuple[SignalRow, ...]:
        """Signals as they are, whose brackets wait for the fills of their orders."""
        for row in rows:
            if row.bracket is not None:
                self.brackets[str(ids.order_id(ids.decision_id(row.id), 0))] = row.bracket
        return rows

    def settle(self, consequences: Consequences) -> None:
        """Take up the fills of a step: arm their brackets, let go of what is closed."""
        for fill in consequences.fills:
            if (renewal := self.renewals.get(str(fill.order_id))) is not None:
                renewal.units -= fill.quantity
            bracket = self.brackets.get(str(fill.order_id))
            if bracket is not None:
                protection = armed(
                    bracket,
                    token=fill.token,
                    side=fill.side,
                    quantity=fill.quantity,
                    price_e4=fill.price_e4,
                    at_ms=fill.at_ms,
                )
                self.protections.setdefault(fill.token, []).append(protection)
        for token in {fill.token for fill in consequences.fills} & self.protections.keys():
            self._cover(token, consequences.positions.get(token, 0))

    def _cover(self, token: int, position: int) -> None:
        kept = covering(self.protections.pop(token, []), position)
        if kept:
            self.protections[token] = kept

    def protect(self, turn: Turn, token: int, price_e4: int) -> None:
        """Wish for the exits of one instrument that are due at a price (0: none at hand) and the turn's time."""
        for protection in self.protections.get(token, ()):
            if price_e4:
                protection.follow(price_e4)
            reason = protection.breach(price_e4, turn.at_ms)
            is_due = bool(reason) and protection.may_ask(turn.at_ms)
            if is_due and turn.exit(token, protection.quantity, reason, SignalOrigin.BRACKET):
                protection.asked_ms = turn.at_ms

    def renew(self, turn: Turn) -> list[int]:
        """Wish for the end of market exits whose protecting price the market has left behind, and once they are gone
        for what they left, at a price of then: all who want out would wait behind them. When to look again."""
        for key, renewal in list(self.renewals.items()):
            if not turn.works(key):
                del self.renewals[key]
                turn.exit(renewal.token, renewal.units, LEFT_BEHIND, SignalOrigin.BRACKET)
        looks = []
        for order in turn.protected_exits():
            due_ms, last = order.placed_at_ms + LEFT_AFTER_MS, self.renewals.get(str(order.id))
            is_due = turn.at_ms >= due_ms and turn.is_left_behind(order)
            if is_due and (last is None or turn.at_ms >= last.asked_ms + AGAIN_AFTER_MS):
                self.renewals[str(order.id)] = Renewal(order.token, order.unfilled, turn.at_ms)
                turn.want(Cancel(order, LEFT_BEHIND), SignalOrigin.BRACKET)
            looks.append(due_ms if due_ms > turn.at_ms else turn.at_ms + LEFT_AFTER_MS)
        return looks

    def flatten(self, turn: Turn, reason: str, instrument: str = "") -> None:
        """Be out of an instrument, or without one of everything, as an operator wants; the alarm rings at the next
        item."""
        tokens = turn.busy_with(instrument) if instrument else turn.busy_tokens
        self.clearing |= dict.fromkeys(tokens, reason)
        for token in tokens:
            self.cleared.pop(token, None)
        self.go_on_clearing(turn)
        self.alarm_ms = 0

    def go_on_clearing(self, turn: Turn) -> None:
        """Wish again for what is not flat yet: an exit beside the cancellation of another one is refused where only
        exits pass, for both might trade."""
        for token in self.cleared.keys() - set(turn.busy_tokens):
            del self.cleared[token]
        for token, reason in list(self.clearing.items()):
            if token not in turn.busy_tokens:
                del self.clearing[token]
            elif self._may_clear(turn, token) and turn.clear(token, reason, SignalOrigin.OPERATOR):
                self.cleared[token] = Cleared(turn.at_ms, *turn.standing(token))

    def let_go(self, turn: Turn, taken: Taken, moment: Moment, reason: str) -> Moment:
        """Let what others have closed leave the books: brackets cover what is left. The moment at their price."""
        found = turn.let_go(taken.instrument, taken.units, reason)
        if found is None:
            return moment
        token, left = found
        self._cover(token, left)
        return priced(moment, token, taken.price_e4)

    def step_down(self, turn: Turn, rung: int) -> None:
        """What the loss ladder asks for: from its second rung on nothing works that would enter, from its third on
        nothing is held."""
        for token in turn.busy_tokens:
            if self._may_clear(turn, token) and _step(turn, token, rung):
                self.cleared[token] = Cleared(turn.at_ms, *turn.standing(token))

    def _may_clear(self, turn: Turn, token: int) -> bool:
        """Whether it has not been asked for a moment ago: a refusal is heard of at once, and what it refused would be
        asked for without end. What has come of it since, or stands besides, is another matter."""
        last = self.cleared.get(token)
        if last is None or turn.at_ms >= last.at_ms + AGAIN_AFTER_MS:
            return True
        return (last.position, last.orders) != turn.standing(token)

    def expire(self, turn: Turn, expiries: Mapping[int, int], positions: Mapping[int, int]) -> None:
        """Have positions settled whose contracts have ended."""
        for token, held in sorted(positions.items()):
            if turn.at_ms >= expiries.get(token, turn.at_ms + 1):
                turn.exit(token, abs(held), "settlement at expiry", SignalOrigin.EXPIRY)

    def square_off(self, turn: Turn, calendars: Calendars, lead_ms: int, *, is_owed: bool) -> None:
        """Wish to be out of each instrument from so long before its market's time for that on until its close, again
        after a while if need be; where it `is_owed` later too, whenever an order is taken."""
        self.overdue = self._overdue(turn, calendars) if is_owed else []
        if self.squared_ms and turn.at_ms < self.squared_ms + AGAIN_AFTER_MS:
            return
        asked = []
        for token in turn.busy_tokens:
            if _is_over(calendars[token], turn.at_ms, lead_ms):
                asked.append(turn.clear(token, SQUARE_OFF, SignalOrigin.SQUARE_OFF))
            elif token in self.overdue:
                asked.append(
                    turn.exit(token, abs(turn.uncovered(token)), SQUARE_OFF, SignalOrigin.SQUARE_OFF)
                )
        if any(asked):
            self.squared_ms = turn.at_ms

    def _overdue(self, turn: Turn, calendars: Calendars) -> list[int]:
        """What is still held where a session of its market has ended since all times were seen to last, or before: its
        square-off found no offer, or there was no item at which to ask for it."""
        return [
            token
            for token in turn.held_tokens
            if token in self.overdue or _has_ended(calendars[token], self.alarmed_ms, turn.at_ms)
        ]

    def set_alarm(
        self,
        at_ms: int,
        times: tuple[time, ...],
        calendars: Calendars,
        *,
        lead_ms: int | None,
        expiries: Iterable[int] = (),
    ) -> None:
        """All times up to `at_ms` have been seen to. The alarm is the first at which anything can fall due; `lead_ms`
        is that of the square-off, None where there is none."""
        now_ms = self.alarmed_ms = max(self.alarmed_ms, at_ms)
        ahead = [now_ms + DAY_MS - (now_ms + IST_OFFSET_MS) % DAY_MS]  # midnight
        ahead += [ms for at in times if (ms := ist_ms(ist_date(now_ms), at)) > now_ms]
        ahead += [ms for ms in expiries if ms > now_ms]
        ahead += [now_ms + AGAIN_AFTER_MS] if self.clearing else []
        ahead += [one.at_ms + AGAIN_AFTER_MS for one in self.cleared.values()]
        ahead += [ms for found in self.protections.values() for one in found for ms in one.times_ms()]
        ahead += [now_ms + AGAIN_AFTER_MS] if self.overdue else []
        if lead_ms is not None:
            ahead += [(calendar.square_off_ms(now_ms) or 0) - lead_ms for calendar in calendars.values()]
            ahead.append(self.squared_ms + AGAIN_AFTER_MS)
        self.alarm_ms = min(ms for ms in ahead if ms > now_ms)

    def timers_due(self, times: tuple[time, ...], calendars: Calendars, at_ms: int) -> list[time]:
        """Times of day that have come since the last look, on days on which a market of the deployment trades,
        oldest first."""
        if not times or not any(calendar.has_session(at_ms) for calendar in calendars.values()):
            return []
        today = ist_date(at_ms)
        earliest_ms = max(self.alarmed_ms, at_ms - TIMER_LATE_MS_MAX - 1)
        return [at for at in sorted(times) if earliest_ms < ist_ms(today, at) <= at_ms]

    def forget_orders(self) -> None:
        """A new day without working orders: no bracket waits for a fill any more."""
        self.brackets.clear()
        self.renewals.clear()


def _step(turn: Turn, token: int, rung: int) -> bool:
    """What a rung of the loss ladder asks for in one instrument; False: nothing is left to wish for."""
    if rung >= FLATTEN_RUNG:
        return turn.clear(token, "loss ladder: flatten", SignalOrigin.LADDER)
    return turn.cancel_entries(token, "loss ladder: cancel", SignalOrigin.LADDER)


def _is_over(calendar: Calendar, at_ms: int, lead_ms: int) -> bool:
    """Whether the day of a market has come to so long before its square-off, and not to its close."""
    due_ms = calendar.square_off_ms(at_ms)
    return due_ms is not None and due_ms - lead_ms <= at_ms < calendar.closes_ms(at_ms)


def _has_ended(calendar: Calendar, since_ms: int, at_ms: int) -> bool:
    """Whether continuous trading of the day of a time has ended since then."""
    return calendar.has_session(since_ms) and since_ms < calendar.closes_ms(since_ms) <= at_ms
