"""The paper exchange under random books and orders: denser than the laws next door, by seeds that a failure names."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

import pytest

from alphapanda.core.vocabulary import FillSource, Phase, Side, SignalKind, Validity, Variety
from execution.domain.orders import AT_MARKET
from execution.domain.paper import (
    Execution,
    Liquidity,
    Memory,
    OrderEventRow,
    Outcome,
    PaperOrder,
    PaperSettings,
    Queue,
    Standing,
    Venue,
    carry_out,
    match,
)
from marketdata.domain.ticks import Clock, Item, Tick, best
from portfolio.domain.books import Holding
from strategies.domain.signals import SignalRow
from tests.builders import NSE, a_holding, a_mark, a_signal, a_tick, a_venue, an_instrument, at

SIZES = (0, 1, 5, 20, 100)
PAUSES_MS = (0, 1, 40, 200, 1_000, 30_000)


def near(luck: Random) -> Decimal:
    return Decimal(luck.randint(1_950, 2_050)) / 20


class Attack:
    """One random session of a deployment in two stocks. Items come in order of time; what is handed to the exchange is
    what the pipeline hands it and what the fold does, which must come to the same."""

    def __init__(self, seed: int) -> None:
        self.luck = Random(seed)
        self.how = self._how()
        self.venue = a_venue(
            self.how, instruments=[an_instrument(7, lot=self.luck.choice([1, 5])), an_instrument(8)]
        )
        self.orders: dict[UUID, PaperOrder] = {}
        self.memory = Memory()
        self.holdings: dict[int, Holding] = {}
        self.history: list[OrderEventRow] = []
        self.now_ms = at(self.luck.choice(["09:14:50", "10:00", "15:09:50", "15:29:50"]))
        self.seen: list[tuple[Item, int, Execution]] = []  # each trade with its item and the clock

    def _how(self) -> PaperSettings:
        pick = self.luck.choice
        return PaperSettings(
            latency_ms=pick([0, 50]),
            latency=pick(["fixed", "spread"]),
            latency_spread_ms=pick([0, 30]),
            slippage_ticks=pick([0, 1, 3]),
            slippage=pick(["ticks", "random", "bps"]),
            slippage_bps=Decimal(pick([0, 30])),
            liquidity=pick(list(Liquidity)),
            market_protection=pick([None, Decimal(-1), Decimal(1)]),
            queue=pick(list(Queue)),
            stale_after_ms=pick([30_000, 1_000]),
            capital=pick([None, Decimal(20_000)]),
        )

    @property
    def working(self) -> list[PaperOrder]:
        return [order for order in self.orders.values() if not order.status.is_final]

    def play(self) -> None:
        for step in range(1, self.luck.randint(8, 40)):
            self.now_ms += self.luck.choice(PAUSES_MS)
            if self.luck.random() < 0.35:
                self._ask(step)
            else:
                self._see(self._tick() if self.luck.random() < 0.9 else Clock(self.now_ms, 0))

    def _ask(self, step: int) -> None:
        self._see(Clock(self.now_ms, 0))
        signals = [self._act(step) if self.working and self.luck.random() < 0.4 else self._wish(step)]
        standing = Standing({order.id: order for order in self.working}, self.holdings, self.memory)
        self._keep(carry_out(signals, standing, self.venue, ended=dict(self.orders)))

    def _wish(self, step: int) -> SignalRow:
        luck, legs = self.luck, self.luck.choice([0, 0, 2, 4])
        return a_signal(
            luck.choice(list(Side)),
            luck.choice([5, 10, 50, 120]),
            at_ms=self.now_ms,
            step=step,
            token=luck.choice([7, 7, 8]),
            validity=luck.choice(list(Validity)),
            validity_minutes=1,
            iceberg_legs=legs,
            variety=Variety.ICEBERG if legs else Variety.REGULAR,
            marks={token: a_mark(100, at_ms=self.now_ms) for token in (7, 8)},
            **self._prices(),
        )

    def _act(self, step: int) -> SignalRow:
        order = self.luck.choice(self.working)
        quantity = max(order.unfilled, 1) if order.iceberg_legs else self.luck.randint(1, 40)
        return a_signal(
            order.side,
            quantity,
            at_ms=self.now_ms,
            step=step,
            token=order.token,
            kind=self.luck.choice([SignalKind.CANCEL, SignalKind.MODIFY]),
            target=order.id,
            replaces=order.unfilled,
            **self._prices(),
        )

    def _prices(self) -> dict[str, Any]:
        pick = self.luck.choice
        return {"limit": pick([None, near(self.luck)]), "trigger": pick([None, None, near(self.luck)])}

    def _tick(self) -> Tick:
        luck, middle = self.luck, self.luck.randint(1_960, 2_040)
        spread = luck.choice([-2, 1, 2, 3, 4])  # below 0: a torn snapshot, bids above asks
        depth: dict[str, Any] = {}
        if luck.random() < 0.7:
            depth = {"asks": self._levels(middle + spread, 1), "bids": self._levels(middle, -1)}
        return a_tick(
            Decimal(middle + luck.choice([0, spread])) / 20,
            at_ms=self.now_ms,
            token=luck.choice([7, 7, 8]),
            size=luck.choice([0, 3, 50]),
            volume=luck.choice([-1, luck.randint(1, 100)]),
            **depth,
        )

    def _levels(self, first: int, step: int) -> list[tuple[Decimal, int]]:
        count = self.luck.randint(0, 4)
        return [(Decimal(first + step * far) / 20, self.luck.choice(SIZES)) for far in range(count)]

    def _see(self, item: Item) -> None:
        clock_ms = self.now_ms + self.luck.choice([0, 0, 0, 2_000, 60_000])
        working = self.working
        known = {order.token for order in working}
        narrow = Venue(
            self.how,
            {token: self.venue.instruments[token] for token in known},
            {token: self.venue.calendars[token] for token in known},
            self.venue.margins,
        )
        found, other = (
            match(working, item, venue=venue, memory=self.memory, clock_ms=clock_ms)
            for venue in (self.venue, narrow)
        )
        assert (found.orders, found.executions, found.history, found.memory) == (
            other.orders,
            other.executions,
            other.history,
            other.memory,
        ), "the pipeline, which knows the instruments at work alone, comes to something else than the fold"
        self.seen += [(item, clock_ms, one) for one in found.executions]
        self._keep(found)
        for one in found.executions:
            held = self.holdings.get(one.order.token)
            position = (held.quantity if held else 0) + one.order.side.sign * one.quantity
            self.holdings[one.order.token] = a_holding(position)

    def _keep(self, outcome: Outcome) -> None:
        self.orders |= outcome.orders
        self.memory = outcome.memory
        self.history += outcome.history


def complaints(attack: Attack) -> Iterator[str]:
    """What a session may not show."""
    for item, clock_ms, one in attack.seen:
        assert isinstance(item, Tick)
        if clock_ms - item.at_ms > attack.how.stale_after_ms:
            yield "filled on a stale tick"
        if NSE.phase_at(item.at_ms) is not Phase.CONTINUOUS:
            yield "filled outside continuous trading"
        if one.quantity % one.order.lot(attack.venue.instruments[one.order.token].lot_size):
            yield "filled less than a lot"
        yield from _against_the_book(item, one)
    yield from _beyond_the_book(attack)
    for order in attack.orders.values():
        times = [row.at_ms for row in attack.history if row.order_id == order.id]
        if times != sorted(times):
            yield "a history that goes back in time"


def _against_the_book(item: Tick, one: Execution) -> Iterator[str]:
    order, ask_e4, bid_e4 = one.order, best(item.asks), best(item.bids)
    if not item.flags:
        is_better = (one.price_e4 - item.price_e4) * order.side.sign < 0
        if is_better and order.limit_price_e4 is None:
            yield "a market order filled better than the last price"
        return
    if bid_e4 > ask_e4 > 0:
        yield "filled on a book in which bids stand above asks"
    if order.order_type in AT_MARKET and one.source is not FillSource.QUEUE:
        if order.side is Side.BUY and not 0 < ask_e4 <= one.price_e4:
            yield "a market buy filled below the best ask on record"
        if order.side is Side.SELL and not bid_e4 >= one.price_e4:
            yield "a market sale filled above the best bid on record"


def _beyond_the_book(attack: Attack) -> Iterator[str]:
    walked: dict[tuple[int, Side], int] = {}
    ticks = {}
    for item, _, one in attack.seen:
        if isinstance(item, Tick) and one.source is FillSource.DEPTH:
            ticks[id(item)] = item
            key = id(item), one.order.side
            walked[key] = walked.get(key, 0) + one.quantity
    for (tick, side), quantity in walked.items():
        levels = ticks[tick].asks if side is Side.BUY else ticks[tick].bids
        if quantity > sum(size for _, size in levels):
            yield "more filled than the depth on record had, and not said so"


@pytest.mark.parametrize("first", range(0, 800, 200))
def test_no_random_session_breaks_the_exchange(first: int) -> None:
    trades = 0
    for seed in range(first, first + 200):
        attack = Attack(seed)
        try:
            attack.play()
            found = sorted(set(complaints(attack)))
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
        assert not found, f"seed {seed}: {found}"
        trades += len(attack.seen)
    assert trades > 200
