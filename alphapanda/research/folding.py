"""An excerpt folded through deployments, with progress, and an end where somebody asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, pairwise

from alphapanda.engine.backtest import Run, fold
from alphapanda.engine.excerpt import Excerpt
from alphapanda.research.plan import BadPlan, Opened, time_limit
from execution.domain.charges import NoChargeCard
from marketdata.domain.instruments import NoSegment
from marketdata.domain.stretch import Stretch, stretch_of
from marketdata.domain.ticks import Item
from strategies.domain.base import DeploymentSpec

TOLD_EVERY = 50_000  # items at most
RESTARTS = 20
Told = Callable[[int], None]  # how many items are done; may raise Cancelled


def untold(_items: int) -> None:
    """Nobody wants to know."""


class Cancelled(Exception):
    """Somebody does not want the result any more."""


class Progress:
    """Items done in all foldings of a backtest or a search, of so many that there will be."""

    def __init__(self, total: int, tell: Callable[[int, int], None]) -> None:
        self.total = total
        self._tell = tell
        self._before = 0

    def told(self, items: int) -> None:
        """`items` of the folding at work are done."""
        self._tell(min(self._before + items, self.total), self.total)

    def over(self, items: int) -> None:
        """A folding of so many items has come to its end, or need not be done."""
        self._before += items
        self._tell(min(self._before, self.total), self.total)


def folded(
    opened: Opened,
    excerpt: Excerpt | None = None,
    *,
    specs: Sequence[DeploymentSpec] | None = None,
    told: Told = untold,
) -> list[Run]:
    """The deployments of a plan (or others) over its excerpt (or another). Raises BadPlan, and what `told` raises."""
    excerpt = opened.excerpt if excerpt is None else excerpt
    return _folded(opened, excerpt.stretches(), excerpt, specs, told)


def folded_restarted(opened: Opened, excerpt: Excerpt, *, told: Told = untold) -> list[Run]:
    """As `folded`, taken up again and again from what is stored, as by processes that die and begin anew."""
    edges = [round(len(excerpt) * place / RESTARTS) for place in range(RESTARTS + 1)]
    parts = [excerpt.part(start, stop) for start, stop in pairwise(edges)]
    stream = chain.from_iterable(part.stretches() for part in parts)
    return _folded(opened, stream, excerpt, None, told, is_restarted=True)


def folded_items(
    opened: Opened,
    items: Iterable[Item],
    excerpt: Excerpt,
    *,
    specs: Sequence[DeploymentSpec] | None = None,
    told: Told = untold,
) -> list[Run]:
    """As `folded`, over items that stand in the place of an excerpt's own."""
    kept = list(items)
    stream = (
        stretch_of(kept[place : place + TOLD_EVERY], first_seq=excerpt.first_seq + place)
        for place in range(0, len(kept), TOLD_EVERY)
    )
    return _folded(opened, stream, excerpt, specs, told)


def _folded(
    opened: Opened,
    stream: Iterable[Stretch],
    excerpt: Excerpt,
    specs: Sequence[DeploymentSpec] | None,
    told: Told,
    *,
    is_restarted: bool = False,
) -> list[Run]:
    try:
        return fold(
            stream,
            opened.specs if specs is None else specs,
            source=excerpt.source.source,
            calendar=opened.calendar,
            cards=opened.cards,
            starting_cash=opened.plan.cash,
            on_progress=told,
            limit=time_limit(),
            is_restarted=is_restarted,
        )
    except (NoChargeCard, NoSegment) as error:
        raise BadPlan(
            f"a fill cannot be charged: {error}; costs that are no rate card are none, order:RUPEES, bps:POINTS"
        ) from None
