"""Checks that run a backtest again: on data that end earlier (look-ahead), and on data that begin later (warm-up).

A result that only data of the future can give changes when the future is cut off; one that hangs on where the data
begin is an accident of that. Both re-runs together fold about twice as many items as the backtest itself, and never
more than ITEMS_MAX: longer data are checked over their first part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from alphapanda.core.clock import ist_text
from alphapanda.core.money import to_rupees
from alphapanda.core.vocabulary import SignalKind
from alphapanda.engine.backtest import Run
from alphapanda.engine.excerpt import Excerpt
from alphapanda.research.findings import Doubt, Finding
from alphapanda.research.folding import Progress, folded, folded_restarted
from alphapanda.research.plan import Opened
from strategies.domain.intents import Bracket
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
    """Signals that are other ones when the data end earlier, or when all that is not stored is lost meanwhile: the
    first cut is folded with restarts, and once more without them where that changed something."""
    first, *others = reruns.cuts
    restarted = folded_restarted(opened, opened.excerpt.part(0, first), told=progress.told)
    progress.over(first)
    changed = [first_change(*pair) for pair in zip(runs, restarted, strict=True)]
    cuts = [first, *others] if any(changed) else others
    ahead: dict[str, Finding] = {}
    for cut in cuts:
        again = folded(opened, opened.excerpt.part(0, cut), told=progress.told)
        progress.over(cut)
        for run, shorter in zip(runs, again, strict=True):
            if found := _looks_ahead(run, shorter):
                ahead.setdefault(found.deployment, found)
    yield from ahead.values()
    for run, after, what in zip(runs, restarted, changed, strict=True):
        is_broken = bool(after.error) and not run.error
        if (what or is_broken) and run.account.spec.name not in ahead:
            yield _forgets(run, after, what)


def _looks_ahead(run: Run, shorter: Run) -> Finding | None:
    changed, name = first_change(run, shorter), run.account.spec.name
    if not changed:
        return None
    ended = ist_text(shorter.account.machine.state.at_ms)
    return Finding(
        Doubt.LOOK_AHEAD,
        f"with data that end at {ended} the signals before are other ones; the first that differs: {changed}",
        name,
    )


def _forgets(run: Run, restarted: Run, changed: str) -> Finding:
    why = restarted.error.strip().rpartition("\n")[2] or f"the first signal that differs: {changed}"
    return Finding(
        Doubt.FORGETS,
        "where a process begins anew from what is stored, the strategy decides otherwise, for it remembers outside its "
        f"State, or what comes back there is another type; {why}",
        run.account.spec.name,
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
            return f"{one.text()} became {other.text()}"
    longer = expected if len(expected) > len(found) else found
    verb = "is gone" if longer is expected else "is new"
    return f"{longer[min(len(expected), len(found))].text()} {verb}"


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


class _Key(NamedTuple):
    """All of a signal that its strategy has chosen, and when: what must not hang on the future."""

    step: int
    at_ms: int
    instrument: str
    side: str
    quantity: int
    kind: str
    order_type: str
    limit_price_e4: int | None
    trigger_price_e4: int | None
    bracket: Bracket | None
    more: tuple[Any, ...]

    def text(self) -> str:
        prices = [
            f", {name} {to_rupees(price_e4):.2f}"
            for name, price_e4 in (("limit", self.limit_price_e4), ("trigger", self.trigger_price_e4))
            if price_e4 is not None
        ]
        kind = "" if self.kind == SignalKind.ORDER.value else f"{self.kind.lower()} of "
        return (
            f"{kind}{self.side} {self.quantity} {self.instrument}{''.join(prices)} at {ist_text(self.at_ms)}"
        )


def _key(signal: SignalRow) -> _Key:
    return _Key(
        step=signal.step,
        at_ms=signal.at_ms,
        instrument=signal.instrument,
        side=signal.side.value,
        quantity=signal.quantity,
        kind=signal.kind.value,
        order_type=signal.order_type.value,
        limit_price_e4=signal.limit_price_e4,
        trigger_price_e4=signal.trigger_price_e4,
        bracket=signal.bracket,
        more=(
            signal.validity,
            signal.validity_minutes,
            signal.variety,
            signal.disclosed_quantity,
            signal.iceberg_legs,
        ),
    )
