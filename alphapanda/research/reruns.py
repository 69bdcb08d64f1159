"""Checks that run a backtest again: on data that end earlier (look-ahead), and on data that begin later (warm-up).

A result that only data of the future can give changes when the future is cut off; one that hangs on where the data
begin is an accident of that. Both re-runs together fold about twice as many items as the backtest itself, and never
more than ITEMS_MAX: longer data are checked over their first part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from alphapanda.core.clock import ist_text
from alphapanda.engine.backtest import Run
from alphapanda.engine.excerpt import Excerpt
from alphapanda.research.findings import Doubt, Finding
from alphapanda.research.folding import Progress, folded
from alphapanda.research.plan import Opened
from strategies.domain.signals import SignalRow

CUTS = (1 / 3, 2 / 3)  # where data end in the re-runs for look-ahead
SKIPPED = 0.1  # of the data in the re-run for warm-up
COMPARED_FROM = 0.55  # the half of what is left that must not remember the beginning
SAME_MIN = 0.9  # share of its signals
ITEMS_MAX = 1_500_000


class Reruns(msgspec.Struct, frozen=True):
    """What was run again: where the data were cut, and what was skipped, as items from the start."""

    cuts: tuple[int, ...]
    skipped: int
    until: int

    @property
    def items(self) -> int:
        return sum(self.cuts) + self.until - self.skipped


def planned(excerpt: Excerpt) -> Reruns:
    """The re-runs that an excerpt allows."""
    length = min(len(excerpt), int(ITEMS_MAX / (sum(CUTS) + 1 - SKIPPED)))
    return Reruns(cuts=tuple(int(length * cut) for cut in CUTS), skipped=int(length * SKIPPED), until=length)


def look_ahead(opened: Opened, runs: Sequence[Run], reruns: Reruns, progress: Progress) -> Iterator[Finding]:
    """Signals that are other ones when the data end earlier."""
    named: set[str] = set()
    for cut in reruns.cuts:
        excerpt = opened.excerpt.part(0, cut)
        again = folded(opened, excerpt, told=progress.told)
        progress.over(cut)
        for run, shorter in zip(runs, again, strict=True):
            changed = first_change(run, shorter)
            name = run.account.spec.name
            if changed and name not in named:
                named.add(name)
                ended = ist_text(shorter.account.machine.state.at_ms)
                yield Finding(
                    Doubt.LOOK_AHEAD,
                    f"with data that end at {ended} the signals before are other ones; the first that differs: "
                    f"{changed}",
                    name,
                )


def first_change(run: Run, shorter: Run) -> str:
    """The first signal in which a run on shorter data differs from the whole one; empty where there is none."""
    step = shorter.account.machine.state.step
    expected = [_key(signal) for signal in run.account.journal.signals if signal.step <= step]
    found = [_key(signal) for signal in shorter.account.journal.signals]
    if expected == found:
        return ""
    for one, other in zip(expected, found, strict=False):
        if one != other:
            return f"{_text(one)} became {_text(other)}"
    longer = expected if len(expected) > len(found) else found
    verb = "is gone" if longer is expected else "is new"
    return f"{_text(longer[min(len(expected), len(found))])} {verb}"


def warm_up(opened: Opened, runs: Sequence[Run], reruns: Reruns, progress: Progress) -> Iterator[Finding]:
    """Signals of the second half that hang on where the data begin."""
    excerpt = opened.excerpt.part(reruns.skipped, reruns.until)
    again = folded(opened, excerpt, told=progress.told)
    progress.over(len(excerpt))
    times = opened.excerpt.source.times_from(opened.excerpt.first_seq)
    since_ms = int(times[int(reruns.until * COMPARED_FROM)])
    until_ms = int(times[reruns.until - 1])
    for run, later in zip(runs, again, strict=True):
        same, total = shared(run, later, since_ms, until_ms)
        if total and same < SAME_MIN * total:
            yield Finding(
                Doubt.WARM_UP,
                f"begun {SKIPPED:.0%} later, {total - same} of {total} signals from {ist_text(since_ms)} on are "
                "other ones: the result hangs on where the data begin",
                run.account.spec.name,
                {"same": same, "signals": total},
            )


def shared(run: Run, later: Run, since_ms: int, until_ms: int) -> tuple[int, int]:
    """How many signals of a time both runs have, and how many there are in either."""
    ours, theirs = (
        Counter(
            _key(signal)[1:] for signal in one.account.journal.signals if since_ms <= signal.at_ms <= until_ms
        )
        for one in (run, later)
    )
    return (ours & theirs).total(), (ours | theirs).total()


def _key(signal: SignalRow) -> tuple[Any, ...]:
    return (
        signal.step,
        signal.at_ms,
        signal.instrument,
        signal.side.value,
        signal.quantity,
        signal.limit_price_e4,
    )


def _text(key: tuple[Any, ...]) -> str:
    _, at_ms, instrument, side, quantity, _ = key
    return f"{side} {quantity} {instrument} at {ist_text(at_ms)}"
