"""Poison: malformed messages among good ones cost only themselves, and come back repaired to the same books."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from django.utils import timezone

from alphapanda.core.vocabulary import Broker
from alphapanda.deploying import Definition
from alphapanda.engine.recorded import Recording
from alphapanda.engine.rows import Row
from alphapanda.eventlog import dead_letters
from alphapanda.eventlog.client import LogProducer
from alphapanda.eventlog.models import DeadLetter, LogCursor
from alphapanda.eventlog.topics import MARKET_TICKS
from alphapanda.proof import parity, quiet, sessions
from alphapanda.proof.private import private_stack
from marketdata.domain.stretch import stretch_of
from marketdata.domain.ticks import FIRST_SEQ, Item, pack, source_id

VICTIM = "kite_1min_2016-08_09_INFY.csv.gz"
SPOILED = "Spoiled"
SOURCE = source_id("poison")
# The victim trades at ticks that come back years behind the log's clock. Others refuse them: by default a tick
# more than 30 s late fills nothing.
LATE_MS_MAX = 10**12
WAIT_S = 180.0

# Ways in which a message is damaged on its way, in turn.
DAMAGES: tuple[Callable[[bytes], bytes], ...] = (
    lambda raw: raw[: len(raw) // 2],
    lambda raw: b"nonsense" + raw,
    lambda raw: raw[:4] + bytes([250]) + raw[5:],
    lambda raw: raw[:-3] + bytes([raw[-3] ^ 255]) + raw[-2:],
    lambda _raw: b"",
)


class Result(msgspec.Struct):
    """What became of the good and the bad."""

    good_items: int
    malformed: int
    dead_letters: int
    reasons: dict[str, int]
    differing_before: int
    lag: int
    differing_after: int
    spoiled_fills: int
    books: int
    seconds: float

    @property
    def is_good(self) -> bool:
        wrong = self.differing_before + self.lag + self.differing_after + self.books
        return wrong == 0 and self.dead_letters == self.malformed > 0 and self.spoiled_fills > 0


class Letterbox(msgspec.Struct):
    """The stream as messages: packed good ones, and one malformed message for each tick of the victim."""

    messages: list[bytes]
    originals: list[bytes]  # of the malformed ones, in their order
    good: list[Item]
    bad: list[Item]


def recordings(data: Path) -> tuple[Recording, Recording]:
    """The good stream with its deployments, and the victim's with one that acts on ticks."""
    definition = Definition(
        name=SPOILED,
        strategy="ema_cross",
        instruments=("NSE:INFY",),
        params={"fast": 5, "slow": 20, "bar_minutes": 0, "quantity": 10},
        execution={"stale_after_ms": LATE_MS_MAX},
    )
    victim = Recording([str(data / "bars_1min" / VICTIM)], [definition], [])
    return sessions.a_month(data), victim


def letterbox(good: Iterator[Item], bad: list[Item], *, between: int) -> Letterbox:
    """After every `between` good items one message that is broken; sequence numbers run through all of them."""
    box = Letterbox([], [], [], bad)
    seq = FIRST_SEQ
    for number, item in enumerate(bad):
        chunk = list(islice(good, between))
        if chunk:
            box.messages.append(pack(chunk, source=SOURCE, first_seq=seq))
            box.good += chunk
            seq += len(chunk)
        original = pack([item], source=SOURCE, first_seq=seq)
        seq += 1
        box.originals.append(original)
        box.messages.append(DAMAGES[number % len(DAMAGES)](original))
    rest = list(good)
    for start in range(0, len(rest), between):
        chunk = rest[start : start + between]
        box.messages.append(pack(chunk, source=SOURCE, first_seq=seq))
        seq += len(chunk)
    box.good += rest
    return box


def run(data: Path, folder: Path, *, malformed: int, good_max: int) -> Result:
    """Publish, compare, redrive, compare again. Raises StackFailed, NoSharedData."""
    started = time.monotonic()
    good, victim = recordings(data)
    source, spoiled = good.source(), victim.source()
    bad = [item for item in islice(spoiled.iter_from(), malformed * 2) if hasattr(item, "token")][:malformed]
    box = letterbox(islice(source.iter_from(), good_max), bad, between=max(1, good_max // malformed))
    expected = _expected(good, box.good) | _expected(victim, bad)
    both = Recording(good.files, [*good.definitions, *victim.definitions], [])
    environment = both.environment(folder / "deployments.json") | {"ALPHAPANDA_FEED": "none"}
    with private_stack(environment, without=("web", "beat", "feed")) as stack:
        _publish(box.messages)
        stack.wait(lambda: _is_settled(len(box.messages), malformed), timeout_s=WAIT_S, what="end of the log")
        others = {name: rows for name, rows in expected.items() if name != SPOILED}
        found = {name: rows for name, rows in parity.of_database().items() if name != SPOILED}
        before, _ = parity.compare(others, found)
        reasons = Counter(DeadLetter.objects.values_list("reason", flat=True))
        letters = DeadLetter.objects.count()
        _redrive(box.originals)
        total = len(box.messages) + malformed
        stack.wait(lambda: _is_settled(total, malformed), timeout_s=WAIT_S, what="end of the redriven")
        after = parity.of_database()
        differing = int(books_of(after[SPOILED]) != books_of(expected[SPOILED]))
        differing += parity.compare(others, {name: after[name] for name in others})[0]
        return Result(
            good_items=len(box.good),
            malformed=malformed,
            dead_letters=letters,
            reasons=dict(sorted(reasons.items())),
            differing_before=before,
            lag=total - min(LogCursor.objects.values_list("offset", flat=True)),
            differing_after=differing,
            spoiled_fills=len(after[SPOILED]["fills"]),
            books=parity.unbalanced(),
            seconds=round(time.monotonic() - started, 1),
        )


def _expected(recording: Recording, items: list[Item]) -> parity.Rows:
    """The rows had every message been good."""
    runs = recording.fold([stretch_of(items, first_seq=FIRST_SEQ)], source=SOURCE)
    return parity.of_accounts([run.account for run in runs])


def _publish(messages: list[bytes]) -> None:
    with LogProducer(Broker.SHARED, service="poison") as producer:
        for message in messages:
            producer.produce(MARKET_TICKS, message, key=b"0", partition=0)
        producer.flush(30)


def _is_settled(end: int, letters: int) -> bool:
    """Whether every reader stands at the end of the log, nothing waits, and the dead letters are all there."""
    offsets = list(LogCursor.objects.values_list("offset", flat=True))
    is_read = bool(offsets) and min(offsets) >= end
    return is_read and not quiet.in_pipeline() and DeadLetter.objects.count() == letters


def _redrive(originals: list[bytes]) -> None:
    """Repair every dead letter, in the order in which they stood, and send it again."""
    ids = list(DeadLetter.objects.order_by("offset").values_list("id", flat=True))
    mended = iter(originals)
    dead_letters.redrive(
        ids, repair=lambda _raw: next(mended), actor="proof", now=timezone.now(), reason="repaired"
    )


def books_of(rows: dict[str, list[Row]]) -> dict[str, Any]:
    """Fills, ledger and positions without ids: a late message stands at another step of its deployment."""
    return {
        "fills": [
            {key: value for key, value in row.items() if key not in {"id", "order", "step"}}
            for row in rows["fills"]
        ],
        "entries": [(row["account"], row["amount"]) for row in rows["entries"]],
        "positions": rows["positions"],
    }
