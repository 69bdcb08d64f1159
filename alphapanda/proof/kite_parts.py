"""The parts of a world at the Kite simulator: a market, a clock that stands, calls whose answers come late."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from datetime import date, time
from typing import Any

from alphapanda import logs
from alphapanda.core.clock import ist_ms
from alphapanda.eventlog.records import Record
from alphapanda.kite.client import Access
from alphapanda.kite_simulator.clock import SimClock
from alphapanda.kite_simulator.listing import Listing
from alphapanda.kite_simulator.simulator import Simulator, SimulatorSettings
from alphapanda.kite_simulator.walk import Batch
from execution.services.live.http import Answer, KiteHttp
from marketdata.domain.ticks import HAS_DEPTH, Tick

log = logs.channel("application")

DAY = date(2019, 7, 9)  # a Tuesday
STARTS_MS = ist_ms(DAY, time(10))
INFY = 408065
PRICE_E4 = 15_000_000
TICK_E4 = 500
DEEP = 20
SECOND_MS = 1_000


class HandClock(SimClock):
    """A simulator's clock that stands, by which its rate limits count too."""

    def __init__(self) -> None:
        super().__init__(starts_ms=STARTS_MS, speed=0)

    def pace_ms(self) -> int:
        return self.now_ms()


def ticks(
    chance: random.Random, *, seconds: int, size: int, levels: int, deep_every: int = 0
) -> Iterator[Batch]:
    """A price that walks up or down each second, with so many units on offer at each of so many prices beside it, and
    `DEEP` times as many every so many seconds (0: never)."""
    price_e4 = PRICE_E4
    for second in range(seconds):
        price_e4 += TICK_E4 * levels * chance.randint(-2, 2)  # what was taken is not on offer again
        at_ms = STARTS_MS + second * SECOND_MS
        is_deep = deep_every and second % deep_every == deep_every - 1
        yield at_ms, [tick(price_e4, at_ms, size=size * DEEP if is_deep else size, levels=levels)]


def tick(price_e4: int, at_ms: int, *, size: int, levels: int = 1) -> Tick:
    beside = range(TICK_E4, TICK_E4 * (levels + 1), TICK_E4)
    return Tick(
        token=INFY,
        at_ms=at_ms,
        traded_at_ms=0,
        received_ms=at_ms,
        price_e4=price_e4,
        quantity=0,
        volume=-1,
        oi=0,
        average_e4=0,
        buy_quantity=0,
        sell_quantity=0,
        flags=HAS_DEPTH,
        bids=tuple((price_e4 - away_e4, size) for away_e4 in beside),
        asks=tuple((price_e4 + away_e4, size) for away_e4 in beside),
    )


def simulator(
    listing: Listing,
    chance: random.Random,
    *,
    seconds: int = 900,
    size: int = 20,
    levels: int = 1,
    deep_every: int = 0,
    **chosen: Any,
) -> Simulator:
    """A broker whose market trades one share."""
    return Simulator(
        listing=listing,
        tokens=[INFY],
        batches=ticks(chance, seconds=seconds, size=size, levels=levels, deep_every=deep_every),
        clock=HandClock(),
        settings=SimulatorSettings(**chosen),
    )


class NoTicks:
    """The log of a market that says nothing to strategies."""

    def watermarks(self, topic: str, partition: int) -> tuple[int, int]:
        return 0, 0

    def assign(self, topic: str, offsets: dict[int, int]) -> None:
        pass

    def poll(self, *, messages_max: int, timeout_s: float) -> list[Record]:
        return []

    def close(self) -> None:
        pass


class LatePool(Executor):
    """Does a call at once, as the broker sees it, and hands over its answer later: what happens between is drawn."""

    def __init__(self, now_ms: Callable[[], int], late_ms: Callable[[], int]) -> None:
        self._now_ms, self.late_ms = now_ms, late_ms
        self._waiting: list[tuple[int, Future[Any], Future[Any]]] = []

    def submit(self, act: Callable[..., Any], /, *given: Any, **named: Any) -> Future[Any]:
        future, done = Future[Any](), Future[Any]()
        try:
            done.set_result(act(*given, **named))
        except Exception as error:
            log.exception("proof.call.failed")
            done.set_exception(error)
        self._waiting.append((self._now_ms() + self.late_ms(), future, done))
        return future

    def deliver(self) -> None:
        """Hand over what is due."""
        due = [one for one in self._waiting if one[0] <= self._now_ms()]
        self._waiting = [one for one in self._waiting if one not in due]
        for _, future, done in sorted(due, key=lambda one: one[0]):
            if (error := done.exception()) is not None:
                future.set_exception(error)
            else:
                future.set_result(done.result())

    def next_ms(self) -> int | None:
        return min((at_ms for at_ms, _, _ in self._waiting), default=None)


class SlowHttp(KiteHttp):
    """Time goes on between two reads of the book, and before a write is heard."""

    def __init__(self, root: str, credentials: Callable[[], Access], wait: Callable[[], None]) -> None:
        super().__init__(root, credentials)
        self._wait = wait

    def _ask(self, method: str, path: str, **more: Any) -> Answer:
        self._wait()
        return super()._ask(method, path, **more)
