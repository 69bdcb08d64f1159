"""A machine that reads a stretch of the log: it is asked only where somebody has to be, with the same results
as item by item."""

from __future__ import annotations

import traceback
from bisect import bisect_left

from marketdata.domain.stretch import Stretch
from marketdata.domain.ticks import Clock, Item, Tick
from strategies.domain.machine import Machine, StrategyFailed
from strategies.domain.outlook import Outlook
from strategies.domain.signals import DueItem, Raised


class Passage:
    """One deployment on its way through a stretch. Between `read` calls its machine's state is the one that
    `Machine.advance` would have left, but for gates and bar builders, which stand at the end of the stretch."""

    def __init__(self, machine: Machine, stretch: Stretch, *, source: int) -> None:
        """Only where nothing of the stretch is overlap, and no command of an operator falls into it."""
        self.machine = machine
        self.outlook = Outlook(machine, stretch)
        self.number = 0  # of the item at which it stands, among the deployment's own
        self._source = source
        self._first_seq = stretch.first_seq
        self._steps = machine.state.step + 1  # the step of item 0
        self._synced = 0  # own items, and
        self._told = 0  # faults, that the state knows of
        # The items at which the strategy is called, but for what its orders and the time set off.
        self._awake, self._ticks = self._for_strategy()
        self._seen: tuple[int, Item] = -1, Clock(0, 0)  # the last item that was asked for
        self._turn = machine.turn(0)  # of the item at which the strategy is called

    @property
    def progress(self) -> int:
        """Another number whenever another item is at work."""
        return self.machine.state.step + self._turn.at_ms

    @property
    def item(self) -> Item:
        """The item at which it stands."""
        if self._seen[0] != self.number:
            self._seen = self.number, self.outlook.item(self.number)
        return self._seen[1]

    def read(self) -> Raised | DueItem | None:
        """Go on to the next stop, and stand at its item: to be read again if it is due, else `pass_on`. None at
        the end of the stretch. Raises StrategyFailed."""
        end = len(self.outlook)
        while True:
            until = self._next_singly()
            raised = self._strategy_alone(until) if until > self.number else None
            if raised is not None:
                return raised
            self.number = until
            if until == end:
                self._sync(end)
                return None
            stop = self._singly()
            if stop is not None:
                return stop
            self.number += 1

    def pass_on(self) -> None:
        """Go on behind the item that raised signals."""
        self.number += 1

    def _for_strategy(self) -> tuple[list[int], list[Tick | None]]:
        """The numbers of the items at which the strategy is called unless guards are, and those that are ticks."""
        outlook = self.outlook
        if not self.machine.wants_ticks:
            awake = sorted(outlook.bars)
            return awake, [None] * len(awake)
        numbers = outlook.tick_numbers()
        if not outlook.bars:
            return numbers.tolist(), [*outlook.tick_items(numbers)]
        ticks: dict[int, Tick | None] = dict.fromkeys(outlook.bars)
        ticks.update(zip(numbers.tolist(), outlook.tick_items(numbers), strict=True))
        awake = sorted(ticks)
        return awake, [ticks[number] for number in awake]

    def _strategy_alone(self, until: int) -> Raised | None:
        """Call the strategy at its items before `until`, for nobody else is to be asked there."""
        start, end = bisect_left(self._awake, self.number), bisect_left(self._awake, until)
        if start == end:
            return None
        ask, awake, ticks = self.machine.ask_strategy, self._awake, self._ticks
        closed, at_ms = self.outlook.bars.get, self.outlook.at_ms
        turn, number = self.machine.turn(0), self.number
        self._turn = turn
        wishes = turn.wishes
        try:
            for place in range(start, end):
                number = awake[place]
                turn.at_ms = at_ms[number]
                ask(turn, closed(number, ()), ticks[place])
                if wishes:
                    break
        except Exception as error:
            self._stand_behind(number)
            raise StrategyFailed(traceback.format_exc(limit=-6)) from error
        except BaseException:  # it was stopped, for it did not come back
            self._stand_behind(number)
            raise
        if not turn.wishes:
            return None
        self._stand_behind(number)
        return self.machine.raised(turn, self.item, source=self._source, seq=self._seq(number))

    def _singly(self) -> Raised | DueItem | None:
        """The item at which it stands, as any other."""
        self._sync(self.number)
        number, machine = self.number, self.machine
        bars = self.outlook.bars.get(number, ())
        stop = machine.consume(self.item, source=self._source, seq=self._seq(number), bars=bars)
        if not isinstance(stop, DueItem):
            self._synced = number + 1
        return stop

    def _stand_behind(self, number: int) -> None:
        """Let the state be as after an item whose callbacks have been called."""
        self.number = number
        self._sync(number)
        self.machine.state.step = self._steps + number
        self.machine.remember(self.item, self._source, self._seq(number))
        self._synced = number + 1

    def _seq(self, number: int) -> int:
        return self._first_seq + self.outlook.place(number)

    def _next_singly(self) -> int:
        """The first item from here on that is to be taken in as any other: it begins the deployment, touches
        orders or brackets, or rings the alarm, which it does at the beginning of each day."""
        state, after, now = self.machine.state, self.machine.consequences, self.number
        if now == len(self.outlook):
            return now
        if not state.is_started or after.matched_step >= self._steps + now:
            return now
        outlook = self.outlook
        ahead = [len(outlook), bisect_left(outlook.latest_ms, state.guards.alarm_ms, lo=now)]
        for token in state.guards.protections:
            numbers = outlook.ticks[token].numbers
            at = bisect_left(numbers, now)
            ahead += numbers[at : at + 1]
        ahead += (watch.first_ahead(outlook, now) for watch in after.watches)
        return min(ahead)

    def _sync(self, number: int) -> None:
        """Let the state be as before own item `number`."""
        state, outlook = self.machine.state, self.outlook
        faults = outlook.faults
        while self._told < len(faults) and faults[self._told][0] <= number:
            _, place, fault = faults[self._told]
            state.faults[fault] = state.faults.get(fault, 0) + 1
            self._see(self._first_seq + place)
            self._told += 1
        if number <= self._synced:
            return
        state.step = self._steps + number - 1
        self._see(self._seq(number - 1))
        state.at_ms = max(state.at_ms, outlook.latest_ms[number - 1])
        state.clock_ms = max(state.clock_ms, outlook.clock_ms(number))
        for token in outlook.ticks:
            mark = outlook.mark(token, number, state.marks.get(token))
            if mark is not None:
                state.marks[token] = mark
        self._synced = number

    def _see(self, seq: int) -> None:
        sources = self.machine.state.sources
        if self._source:
            sources[self._source] = max(sources.get(self._source, -1), seq)
