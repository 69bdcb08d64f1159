"""Whether the market that was recorded could have given the fills that a backtest claims.

A second pass over the stream looks at the tick behind each fill. A price in the trader's favour that was not there
is impossible; one that is worse by slippage is not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from alphapanda.core.clock import ist_date, ist_text
from alphapanda.core.money import PRICE_SCALE, to_rupees
from alphapanda.core.vocabulary import FillSource, Phase, Side
from alphapanda.engine.backtest import Run
from alphapanda.research.findings import Doubt, Finding
from alphapanda.web.formats import counted
from execution.domain.paper import Liquidity, PaperSettings
from execution.domain.settlement import FillRow
from marketdata.domain.ticks import FROM_BAR, HAS_DEPTH, Item, Tick
from portfolio.domain.books import BookedFill

TICKS_OF_A_BAR = 4
FREE_SHARE_MAX = 0.05  # of fills without a spread
STALE_MS = 60_000  # a price that nobody has traded at for so long is no offer
Place = tuple[int, int]  # token, event time (ms)


class Seen(NamedTuple):
    """What was on record at a place: the prices of the bar or of the tick, and the depth where there was one."""

    low_e4: int
    high_e4: int
    flags: int
    is_stale: bool
    bids: tuple[tuple[int, int], ...] = ()
    asks: tuple[tuple[int, int], ...] = ()


def places_of(runs: Sequence[Run]) -> set[Place]:
    """Where the fills of all runs are in the stream."""
    return {(row.fill.token, row.fill.at_ms) for run in runs for row in run.account.journal.fills}


def seen_at(items: Iterable[Item], places: set[Place]) -> dict[Place, list[Seen]]:
    """What the stream shows at places; a tick of a bar stands for the whole bar, of which it shows one price."""
    found: dict[Place, list[Seen]] = {}
    bars: dict[int, list[Tick]] = {}
    for item in items:
        if not isinstance(item, Tick):
            continue
        if item.flags & FROM_BAR:
            told = bars.setdefault(item.token, [])
            told.append(item)
            if len(told) == TICKS_OF_A_BAR:
                _keep(found, places, told, _of_bar(told))
                told.clear()
        elif (item.token, item.at_ms) in places:
            _keep(found, places, [item], _of_tick(item))
    for told in bars.values():  # a bar that the end of the excerpt has cut
        if told:
            _keep(found, places, told, _of_bar(told))
    return found


def _keep(found: dict[Place, list[Seen]], places: set[Place], ticks: Sequence[Tick], seen: Seen) -> None:
    for tick in ticks:
        place = (tick.token, tick.at_ms)
        if place in places:
            found.setdefault(place, []).append(seen)


def _of_bar(ticks: Sequence[Tick]) -> Seen:
    prices = [tick.price_e4 for tick in ticks]
    return Seen(min(prices), max(prices), ticks[0].flags, not any(tick.quantity for tick in ticks))


def _of_tick(tick: Tick) -> Seen:
    is_old = bool(tick.traded_at_ms) and tick.at_ms - tick.traded_at_ms > STALE_MS
    is_stale = is_old and not tick.flags & HAS_DEPTH
    return Seen(tick.price_e4, tick.price_e4, tick.flags, is_stale, tick.bids, tick.asks)


def of_fills(runs: Sequence[Run], seen: dict[Place, list[Seen]]) -> Iterator[Finding]:
    """Findings on the fills of each run: the first of a kind is described, the others are counted."""
    for run in runs:
        kinds: dict[Doubt, list[BookedFill]] = {}
        for row in run.account.journal.fills:
            if (
                row.source is FillSource.SETTLEMENT
            ):  # no trade: the contract ended, at what its underlying said
                continue
            for doubt in _doubts(run, row.fill, seen):
                kinds.setdefault(doubt, []).append(row.fill)
        taken = _depth_taken(run, seen)
        if taken:
            kinds[Doubt.BEYOND_DEPTH] = taken
        for doubt, fills in kinds.items():
            yield _finding(run, doubt, fills)


def _doubts(run: Run, fill: BookedFill, seen: dict[Place, list[Seen]]) -> Iterator[Doubt]:
    if run.account.machine.calendars[fill.token].phase_at(fill.at_ms) is not Phase.CONTINUOUS:
        yield Doubt.CLOSED_SESSION
    shown = seen.get((fill.token, fill.at_ms), [])
    settings = msgspec.convert(run.account.spec.execution, PaperSettings)
    tick_e4 = run.account.machine.instruments[fill.token].on(ist_date(fill.at_ms)).tick_size_e4
    if not any(_is_possible(fill, one, settings, tick_e4) for one in shown):
        yield Doubt.IMPOSSIBLE_PRICE
    elif all(one.is_stale for one in shown):
        yield Doubt.STALE_FILL


def _is_possible(fill: BookedFill, seen: Seen, settings: PaperSettings, tick_e4: int) -> bool:
    """Inside what was on record (of depth, the other side's), or worse for the trader by slippage and a tick of
    rounding; never better."""
    levels = seen.asks if fill.side is Side.BUY else seen.bids
    prices = [
        seen.low_e4,
        seen.high_e4,
        *(price_e4 for price_e4, size in levels if price_e4 > 0 and size > 0),
    ]
    low_e4, high_e4 = min(prices), max(prices)
    if fill.side is Side.BUY:
        high_e4 += settings.most_slippage_e4(high_e4, tick_e4) + tick_e4
    else:
        low_e4 -= settings.most_slippage_e4(low_e4, tick_e4) + tick_e4
    return low_e4 <= fill.price_e4 <= high_e4


def _depth_taken(run: Run, seen: dict[Place, list[Seen]]) -> list[BookedFill]:
    """Fills that together took more at a price than the depth of their tick offered there. What trades from its place
    in a queue takes nothing of the other side's depth."""
    taken: dict[tuple[int, int, Side, int], int] = {}
    beyond = []
    for row in run.account.journal.fills:
        if row.source in (FillSource.QUEUE, FillSource.SETTLEMENT):
            continue
        fill = row.fill
        shown = [one for one in seen.get((fill.token, fill.at_ms), []) if one.flags & HAS_DEPTH]
        if not shown:
            continue
        key = (fill.token, fill.at_ms, fill.side, fill.price_e4)
        taken[key] = taken.get(key, 0) + fill.quantity
        if taken[key] > max(_offered(one, fill) for one in shown):
            beyond.append(fill)
    return beyond


def _offered(seen: Seen, fill: BookedFill) -> int:
    levels = seen.asks if fill.side is Side.BUY else seen.bids
    return sum(size for price_e4, size in levels if price_e4 == fill.price_e4)


def of_spread(runs: Sequence[Run], seen: dict[Place, list[Seen]]) -> Iterator[Finding]:
    """Fills that cost no spread: no slippage, and more of them than a few without depth on record."""
    for run in runs:
        settings = msgspec.convert(run.account.spec.execution, PaperSettings)
        traded = [row for row in run.account.journal.fills if row.source is not FillSource.SETTLEMENT]
        free = sum(_is_free(row, seen) for row in traded)
        if settings.most_slippage_e4(PRICE_SCALE, 1) > 0 or free <= FREE_SHARE_MAX * len(traded):
            continue
        setting = "slippage_bps" if settings.slippage == "bps" else "slippage_ticks"
        unlimited = " and any size" if settings.liquidity is Liquidity.UNLIMITED else ""
        yield Finding(
            Doubt.FREE_FILLS,
            f"{free} of {counted(len(traded), 'fill')} are at the last price without a spread{unlimited}; {setting} is "
            "0 and no depth is on record there",
            run.account.spec.name,
            {"fills": free, "of": len(traded)},
        )


def _is_free(row: FillRow, seen: dict[Place, list[Seen]]) -> bool:
    shown = seen.get((row.fill.token, row.fill.at_ms), [])
    return row.source is not FillSource.QUEUE and not any(one.flags & HAS_DEPTH for one in shown)


WORDS = {
    Doubt.CLOSED_SESSION: "outside continuous trading",
    Doubt.IMPOSSIBLE_PRICE: "at a price that was not on record",
    Doubt.STALE_FILL: "at a price of a bar without volume, or at which nobody had traded for a minute",
    Doubt.BEYOND_DEPTH: "beyond the depth on record",
}


def _finding(run: Run, doubt: Doubt, fills: Sequence[BookedFill]) -> Finding:
    first, total = fills[0], len(run.account.journal.fills)
    return Finding(
        doubt,
        f"{len(fills)} of {total} fills {WORDS[doubt]}; the first: {first.side} {first.quantity} "
        f"{first.instrument} at {to_rupees(first.price_e4)}, {ist_text(first.at_ms)}",
        run.account.spec.name,
        {"fills": len(fills), "of": total},
    )
