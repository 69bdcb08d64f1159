"""Other engines' rules of filling, told as ticks.

Ours fills an order at a tick after the one that decided it, so at the next bar's open. An engine that fills at the
very price that decided assumes a tick that nobody recorded; its cases are reproduced by telling that tick: the
price in question stands in the stream a second time, a millisecond later."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date, time
from decimal import Decimal

from alphapanda.core.vocabulary import Phase
from alphapanda.engine.backtest import Run, fold
from alphapanda.engine.costs import CostModel, Costs, cards_of
from alphapanda.research.plan import FILL_MODELS
from execution.domain.charges import Cards
from marketdata.domain.bars import MINUTE_MS
from marketdata.domain.calendar import Calendar, PhaseRule, calendar
from marketdata.domain.instruments import InstrumentSpec
from marketdata.domain.stretch import stretch_of
from marketdata.domain.ticks import Item, Tick
from strategies.domain.base import DeploymentSpec
from tests.builders import a_deployment, an_instrument

FREE: Cards = cards_of(Costs(CostModel.NONE))
NOW = FILL_MODELS["next_open"]
EVERY_WEEKDAY: Calendar = calendar(
    holidays=[],
    specials=[],
    rules=[PhaseRule(date(2000, 1, 1), Phase.CONTINUOUS, time(9, 15), time(15, 30))],
)


def twice(items: Iterable[Item], is_told_twice: Callable[[Tick], bool]) -> Iterator[Item]:
    """A stream in which some ticks are followed by another at the same price, a millisecond later."""
    for item in items:
        yield item
        if isinstance(item, Tick) and is_told_twice(item):
            yield item._replace(at_ms=item.at_ms + 1)


def closes_twice(items: Iterable[Item]) -> Iterator[Item]:
    """A stream of one-minute bars whose closes are told a millisecond earlier, and again at their own time."""
    for item in items:
        if isinstance(item, Tick) and item.at_ms % MINUTE_MS == MINUTE_MS - 1:
            yield item._replace(at_ms=item.at_ms - 1)
        yield item


def is_close(tick: Tick) -> bool:
    """Whether a tick of `closes_twice` is the close of its minute, told for the first time."""
    return tick.at_ms % MINUTE_MS == MINUTE_MS - 2


def one_run(
    items: Iterable[Item],
    spec: DeploymentSpec,
    *,
    hours: Calendar,
    cards: Cards = FREE,
    cash: int = 1_000_000,
) -> Run:
    stream = [stretch_of(list(items), first_seq=1)]
    [run] = fold(stream, [spec], source=1, calendar=hours, cards=cards, starting_cash=Decimal(cash))
    return run


def deployed(strategy: str, instrument: InstrumentSpec | None = None, **params: object) -> DeploymentSpec:
    return a_deployment(strategy, instruments=[instrument or an_instrument(1)], execution=NOW, **params)
