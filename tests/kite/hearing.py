"""Our feed in a thread of this process, with a log in memory, hearing a simulator."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from alphapanda.core.envelope import FeedGap
from marketdata.domain.kite_frames import KITES, Mode
from marketdata.domain.ticks import Clock, Tick
from marketdata.feeds.kite import Timing
from marketdata.services.feed import RowPublisher
from marketdata.services.kite_feed import KiteFeed
from tests.kite.server import INFY, Served
from tests.marketdata.test_feed import Log

FAST = Timing(
    silent=3.0,  # machines are shared: a test must not fall silent by being slow
    handshake=5.0,
    closing=0.1,
    again_first=0.05,
    again_most=0.2,
    token_look=0.05,
    refused_again=0.1,
)
PATIENCE_S = 15.0


class Wall:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass(frozen=True)
class Opening:
    """A token of the simulator."""

    api_key: str
    access_token: str


@dataclass
class Hearing:
    """What a feed has heard and told so far; `access` and `wanted` may be changed as it runs."""

    access: Opening | None
    wanted: dict[int, int] = field(default_factory=lambda: {INFY: 0})
    log: Log = field(default_factory=Log)
    gaps: list[FeedGap] = field(default_factory=list)
    updates: list[dict[str, Any]] = field(default_factory=list)
    died: list[str] = field(default_factory=list)
    asked: int = 0
    feed: KiteFeed = field(init=False)

    def ticks(self, partition: int = 0) -> list[Tick]:
        return [item for _, item in self.log.items(partition) if isinstance(item, Tick)]

    def clocks(self, partition: int = 0) -> list[int]:
        return [item.at_ms for _, item in self.log.items(partition) if isinstance(item, Clock)]

    async def ask(self) -> Opening | None:
        self.asked += 1
        return self.access

    async def want(self) -> dict[int, int]:
        return dict(self.wanted)

    async def tell(self, gap: FeedGap) -> None:
        self.gaps.append(gap)

    async def die(self, access: Any) -> None:
        self.died.append(access.access_token)


def until(is_so: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Wait for something that other threads bring about."""
    ends = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < ends, f"waited in vain for {what}"
        time.sleep(0.02)


@contextmanager
def hearing(
    served: Served,
    *,
    access: Opening | None = None,
    wanted: dict[int, int] | None = None,
    timing: Timing = FAST,
    partitions: int = 1,
    is_late: bool = False,
    **more: Any,
) -> Iterator[Hearing]:
    """A feed of a simulator, with a token of its own; it has subscribed, unless it `is_late`."""
    heard = Hearing(access or (None if is_late else opening(served)))
    if wanted is not None:
        heard.wanted = wanted
    loop = asyncio.new_event_loop()
    heard.feed = KiteFeed(
        RowPublisher(heard.log, source=1, first_seq=1, partitions=partitions, wall=Wall()),
        url=served.url.replace("http://", "ws://"),
        access=heard.ask,
        wanted=heard.want,
        tell=heard.tell,
        died=heard.die,
        updates=heard.updates.append,
        wall=Wall(),
        scales=KITES,
        timing=timing,
        refresh_s=0.1,
        **{"mode": Mode.FULL, "by_ticks": True} | more,
    )
    task = loop.create_task(heard.feed.run())
    failed: list[BaseException] = []

    def run() -> None:
        with suppress(asyncio.CancelledError):
            try:
                loop.run_until_complete(task)
            except BaseException as error:
                failed.append(error)
                raise

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        if not is_late:
            wait_subscribed(served, len(heard.wanted))
        yield heard
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(10)
        loop.close()
    assert not [error for error in failed if not isinstance(error, asyncio.CancelledError)]


def opening(served: Served) -> Opening:
    """A new login."""
    client = served.kite()
    return Opening(client.api_key, client.access_token)


def connections(served: Served) -> list[Any]:
    """The open websockets of the simulator."""
    return served.call(lambda: list(served.simulator.ticker.connections))


def modes(served: Served) -> dict[int, str]:
    """What all of them are subscribed to."""
    return {token: mode for one in connections(served) for token, mode in one.modes.items()}


def wait_subscribed(served: Served, count: int, mode: str = "full") -> None:
    until(lambda: list(modes(served).values()).count(mode) == count, f"{count} subscriptions in mode {mode}")
