"""The pipeline by hand: real services and database, the log in memory, doorbells in a list, one thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from itertools import count
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from alphapanda import deploying
from alphapanda.core import ids
from alphapanda.core.clock import ist_day
from alphapanda.core.vocabulary import Broker
from alphapanda.deploying import Definition
from alphapanda.engine.recorded import Recording
from alphapanda.eventlog import doorbell
from alphapanda.eventlog.records import OffsetGone, Record
from alphapanda.warming import History
from execution.services import chain
from marketdata.domain.ticks import FIRST_SEQ, Item, pack
from marketdata.reference import load_calendars
from marketdata.services import instruments
from portfolio.services import postings_book
from risk.services import decisions
from strategies.services.limit import TimeLimit
from strategies.services.shard import Shard

INCARNATION = ids.derived("test", "incarnation")
TOPIC = "market.ticks"
SECONDS = count()


class MemoryReader:
    """Messages of one partition, read as `LogReader` reads them."""

    def __init__(self, values: Sequence[bytes]) -> None:
        self.values = list(values)
        self.next = 0
        self.low = 0  # retention has dropped what stands before

    def watermarks(self, topic: str, partition: int) -> tuple[int, int]:
        return self.low, len(self.values)

    def assign(self, topic: str, offsets: dict[int, int]) -> None:
        self.next = offsets[0]

    def poll(self, *, messages_max: int, timeout_s: float) -> list[Record]:
        if self.next < self.low:
            raise OffsetGone(TOPIC, 0, wanted=self.next, low=self.low, high=len(self.values))
        found = self.values[self.next : self.next + messages_max]
        start, self.next = self.next, self.next + len(found)
        return [Record(TOPIC, 0, start + number, b"", value, 0, {}) for number, value in enumerate(found)]

    def close(self) -> None:
        pass


def packed(items: Iterable[Item], *, source: int, batch: int) -> list[bytes]:
    """A stream as messages of so many items."""
    every = list(items)
    return [
        pack(every[start : start + batch], source=source, first_seq=FIRST_SEQ + start)
        for start in range(0, len(every), batch)
    ]


def first_days(items: Iterable[Item], days: int) -> list[Item]:
    """A stream up to the end of its first days: each of their items costs a test in the pipeline a millisecond, and
    each signal forty."""
    every = list(items)
    kept = sorted({ist_day(item.at_ms) for item in every})[:days]
    return [item for item in every if ist_day(item.at_ms) in kept]


class Hand:
    """Turns the crank: `ring`ed chains wait in `rung` until they are run."""

    def __init__(self, values: Sequence[bytes], *, shards: int = 1) -> None:
        self.calendar = load_calendars()
        self.readers = [MemoryReader(values) for _ in range(shards)]
        self.shards = [self.shard(number) for number in range(shards)]
        self.rung: deque[tuple[Callable[..., object], str]] = deque()

    def shard(self, number: int) -> Shard:
        """A worker's memory, fresh from its checkpoints."""
        return Shard(
            number,
            reader=self.readers[number],
            calendar=self.calendar,
            incarnation=INCARNATION,
            clock=timezone.now,
            monotonic=lambda: float(next(SECONDS)),  # every round is late enough to look at all rows again
            limit=TimeLimit(Path(settings.RUN_DIR, "hangs"), number, seconds=settings.STRATEGY_SECONDS),
        )

    def attach(self, monkeypatch: object) -> None:
        """Have doorbells ring here."""
        monkeypatch.setattr(doorbell, "ring_signals", self.ring_signals)
        monkeypatch.setattr(doorbell, "ring_due", self.ring_due)

    def ring_signals(self, deployment_ids: Sequence[str]) -> bool:
        self.rung.extend(
            (link, one) for one in deployment_ids for link in (self.decide, self.submit, *self.last)
        )
        return True

    def ring_due(self, deployment_ids: Sequence[str]) -> bool:
        self.rung.extend((link, one) for one in deployment_ids for link in (self.match, *self.last))
        return True

    def decide(self, one: str) -> None:
        decisions.signals_decide(deployment_id=UUID(one), calendar=self.calendar)

    def submit(self, one: str) -> None:
        chain.orders_submit(deployment_id=UUID(one), calendar=self.calendar)

    def match(self, one: str) -> None:
        chain.dues_match(deployment_id=UUID(one), calendar=self.calendar)

    def book(self, one: str) -> None:
        postings_book(deployment_id=UUID(one), now=timezone.now())

    def settle(self, one: str) -> None:
        chain.deployment_settle(deployment_id=UUID(one))

    @property
    def last(self) -> tuple[Callable[[str], None], ...]:
        return self.book, self.settle

    def run(self) -> None:
        """Until every shard has folded all that there is and nothing is rung."""
        ends = {0: len(self.readers[0].values)}
        while True:
            for shard in self.shards:
                while shard.evaluate(ends) and not self.rung:
                    pass
            if not self.rung:
                return
            while self.rung:
                link, one = self.rung.popleft()
                link(one)


def seeded(definitions: Sequence[Definition], *, history: History | None = None) -> None:
    """Instruments, a portfolio and the deployments."""
    instruments.load_shipped(now=timezone.now())
    portfolio_id = deploying.portfolio_of(Broker.PAPER, starting_cash=Decimal(1_000_000))
    deploying.deploy(definitions, portfolio_id=portfolio_id, history=history)


def recording(files: Sequence[str], definitions: Sequence[Definition]) -> Recording:
    return Recording(list(files), list(definitions), [])
