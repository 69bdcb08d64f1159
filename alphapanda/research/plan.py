"""What a backtest is to do, as plain data that can be stored, checked and run again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
from django.conf import settings

from alphapanda import deploying
from alphapanda.core import ids
from alphapanda.core.clock import ist_text
from alphapanda.core.refusals import BadRequest
from alphapanda.core.vocabulary import Broker, Product
from alphapanda.deploying import BadDefinition, Definition
from alphapanda.engine.costs import Costs, cards_of
from alphapanda.engine.excerpt import Excerpt, whole
from alphapanda.engine.recorded import Recording
from alphapanda.engine.report import named, told_of
from execution.domain.charges import Cards
from execution.domain.paper import PaperSettings
from marketdata.domain.bars import Bar
from marketdata.domain.dated import BadRules
from marketdata.domain.instruments import InstrumentSpec, NotAnInstrumentList
from marketdata.feeds.files import (
    ACCEPTED,
    FileReport,
    RecordedFile,
    UnknownFormat,
    days_of,
    header_of,
    is_recording,
    recorded_file,
)
from marketdata.feeds.recorded import RecordedSource, UnknownInstrument
from marketdata.reference import load_calendars
from risk.domain.limits import Limits
from strategies.domain.base import BadParameters, DeploymentSpec, UnknownStrategy, build
from strategies.domain.history import bars_of, marks_of
from strategies.domain.machine import StrategyFailed, assembled
from strategies.domain.signals import Mark
from strategies.registry import find
from strategies.services.limit import StrategyHung, TimeLimit

RESEARCH = -1  # no shard
# A process that a strategy does not give back (C code that looks at no signals) is ended after so many limits by the
# clock: three times those of a shard, for it runs behind all others.
ENDS_AFTER = 12
CASH_MAX = 10**15  # rupees
# Names for rules of execution; further settings win over those of the name.
FILL_MODELS: dict[str, dict[str, Any]] = {
    "paper": {},
    "next_open": {
        "latency_ms": 0,
        "slippage_ticks": 0,
        "liquidity": "UNLIMITED",
        "may_queue": True,
        "square_off": False,
    },
    "pessimistic": {"latency_ms": 500, "slippage_ticks": 5},
}


class BadPlan(BadRequest):
    """A backtest that cannot be run; the text names what was wrong and what is accepted."""


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Recorded files, deployments over them, the days to play (IST, both included), starting cash and costs."""

    files: tuple[str, ...]
    definitions: tuple[Definition, ...]
    instruments: tuple[str, ...] = ()
    first_day: date | None = None
    last_day: date | None = None
    cash: Decimal = Decimal(1_000_000)
    costs: Costs = Costs()
    warm_up: tuple[str, ...] = ()  # recorded files that end before: strategies have seen their bars
    rules: tuple[str, ...] = ()  # files of instrument rules by date


@cache
def time_limit() -> TimeLimit:
    """Of one step of a strategy in a backtest, as in a shard; it works in the main thread."""
    return TimeLimit(
        Path(settings.RUN_DIR, "hangs"),
        RESEARCH,
        seconds=settings.STRATEGY_SECONDS,
        ends_after=ENDS_AFTER,
        says=True,
    )


class Opened:
    """A plan with its stream open: what is folded, and what the folding needs."""

    def __init__(self, plan: Plan, recording: Recording, source: RecordedSource) -> None:
        self.plan = plan
        self.recording = recording
        self.excerpt: Excerpt = whole(source).of_days(plan.first_day, plan.last_day)
        self.files: list[tuple[RecordedFile, FileReport]] = list(
            zip(map(recorded_file, plan.files), source.reports, strict=True)
        )
        self.warm_up = [recorded_file(text) for text in plan.warm_up]
        self.cards: Cards = cards_of(plan.costs)
        self.calendar = load_calendars()
        self._past_of = -1  # the start of the excerpt whose past is kept
        self._marks: dict[Any, dict[int, Mark]] = {}
        self._past: dict[Any, tuple[Bar, ...]] = {}
        self.specs = [self._warmed(spec) for spec in recording.specs()]

    def sources(self) -> dict[str, list[dict[str, str]]]:
        """What a result says of the other files that it was made from. Raises OSError."""
        return {
            "warm_up": [named(file) for file in self.warm_up],
            "lists": [told_of(Path(path)) for path in self.plan.instruments],
            "rules": [told_of(Path(path)) for path in self.plan.rules],
        }

    def _warmed(self, spec: DeploymentSpec) -> DeploymentSpec:
        """A deployment that has seen what the files hold before the first day to play, as one that has been running."""
        if not self.excerpt.start and not self.recording.past:
            return spec
        return self.warmed(spec, self.excerpt)

    def warmed(self, spec: DeploymentSpec, excerpt: Excerpt) -> DeploymentSpec:
        """A deployment that has seen what lies before an excerpt: bars, and the last prices, from which the circuit
        bands of its first day follow. Raises BadParameters."""
        keys = [one.key for one in spec.instruments]
        strategy = build(find(spec.strategy), spec.params, instruments=keys)
        past = self.bars_before(excerpt, spec.instruments, strategy.bar_minutes())
        return msgspec.structs.replace(
            spec, history=past, marks=self._marks_before(excerpt, spec.instruments)
        )

    def _marks_before(self, excerpt: Excerpt, instruments: Sequence[InstrumentSpec]) -> dict[int, Mark]:
        key = excerpt.start, tuple(one.token for one in instruments)
        if key not in self._marks:
            before = whole(excerpt.source).part(0, excerpt.start).items()
            self._marks[key] = marks_of(chain(self.recording.past, before), instruments, self.calendar)
        return self._marks[key]

    def bars_before(
        self, excerpt: Excerpt, instruments: Sequence[InstrumentSpec], minutes: Sequence[int]
    ) -> tuple[Bar, ...]:
        """The bars of the files for the warm-up and of those to play, that had closed when an excerpt begins; nothing
        of the excerpt itself, nor of what comes after it, is read."""
        if excerpt.start != self._past_of:
            self._past_of, self._past = excerpt.start, {}
        key = (tuple(one.token for one in instruments), tuple(minutes))
        if key not in self._past:
            before = whole(excerpt.source).part(0, excerpt.start).items()
            items = chain(self.recording.past, before)
            self._past[key] = tuple(bars_of(items, instruments, minutes, self.calendar))
        return self._past[key]


def definition_of(
    strategy: str,
    *,
    files: Sequence[str],
    params: dict[str, Any],
    execution: dict[str, Any],
    limits: dict[str, Any],
    product: Product = Product.MIS,
    name: str = "backtest",
) -> Definition:
    """One deployment over all instruments of some files. Raises BadPlan."""
    return Definition(
        name=name,
        strategy=strategy,
        instruments=tuple(sorted({file_of(text).key for text in files})),
        params=params,
        execution=execution,
        limits=limits,
        product=product,
    )


def one_for_each(definition: Definition) -> tuple[Definition, ...]:
    """A deployment for each instrument of a definition, instead of one for all."""
    return tuple(
        msgspec.structs.replace(definition, name=f"{definition.name} {key}", instruments=(key,))
        for key in definition.instruments
    )


def execution_of(fills: str, further: dict[str, Any]) -> dict[str, Any]:
    """The rule of execution of a named fill model. Raises BadPlan."""
    if fills not in FILL_MODELS:
        raise BadPlan(f"no fill model is called {fills!r}; there are: {', '.join(FILL_MODELS)}")
    if not isinstance(further, dict):
        raise BadPlan(f"execution is an object of settings, not {further!r:.80}")
    return FILL_MODELS[fills] | further


def file_of(text: str) -> RecordedFile:
    """A recorded file by its name. Raises BadPlan."""
    try:
        return recorded_file(text)
    except UnknownFormat as error:
        raise BadPlan(str(error)) from None


def checked(plan: Plan) -> Plan:
    """The plan, where every part of it makes sense by itself. Raises BadPlan."""
    if not plan.files or not plan.definitions:
        raise BadPlan("a backtest needs at least one file and one deployment")
    names = [definition.name for definition in plan.definitions]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise BadPlan(f"two deployments are called {doubled[0]!r}; each needs a name of its own")
    if not is_cash(plan.cash):
        raise BadPlan(f"cash is rupees from 1 to {CASH_MAX}, not {plan.cash}")
    if plan.first_day and plan.last_day and plan.first_day > plan.last_day:
        raise BadPlan(f"the first day {plan.first_day} is after the last, {plan.last_day}")
    every = [(one.path.resolve(), one.key) for one in map(file_of, (*plan.files, *plan.warm_up))]
    if again := sorted({f"{path.name} of {key}" for path, key in every if every.count((path, key)) > 1}):
        raise BadPlan(f"{again[0]} is named twice; each file is told once, to play or for the warm-up")
    recorded = {file_of(text).key for text in plan.files}
    for definition in plan.definitions:
        _check(definition, recorded)
    return plan


def is_cash(amount: Decimal) -> bool:
    """Whether an amount can be what a backtest starts with."""
    return amount.is_finite() and 1 <= amount <= CASH_MAX


def _check(definition: Definition, recorded: set[str]) -> None:
    try:
        deploying.check_name(definition.name)
    except BadDefinition as error:
        raise BadPlan(str(error)) from None
    try:
        strategy = find(definition.strategy)
        with time_limit().throughout(ids.deployment_id(definition.name)):
            build(strategy, definition.params, instruments=definition.instruments)
    except StrategyHung as error:
        raise BadPlan(f"{definition.name}: the strategy hung as it was made: it {error}") from None
    except UnknownStrategy as error:
        raise BadPlan(f"{error}; your own go into {settings.STRATEGIES}") from None
    except BadParameters as error:
        raise BadPlan(f"params: {error}; there are: {_names(strategy.Params)}") from None
    try:
        deploying.check(definition)
    except BadDefinition as error:
        raise BadPlan(f"{error}; execution knows {_names(PaperSettings)}, limits {_names(Limits)}") from None
    if definition.broker is not Broker.PAPER:
        raise BadPlan(
            f"{definition.name}: broker is {Broker.PAPER.value} in a backtest, which trades on the paper exchange"
            f" alone, not {definition.broker.value}"
        )
    if definition.execution.get("approval_s"):
        raise BadPlan(f"{definition.name}: nobody approves entries in a backtest: leave out `approval_s`")
    if missing := sorted(set(definition.instruments) - recorded):
        raise BadPlan(
            f"{definition.name}: no file holds {missing[0]}; the files hold {', '.join(sorted(recorded))}"
        )


def _names(options: type[msgspec.Struct]) -> str:
    return ", ".join(options.__struct_fields__)


def askable(plan: Plan) -> Plan:
    """The plan, where moreover its lists and rules can be read, know what it trades, and its recordings begin as
    recordings do: all that can be told before the recordings are read. Raises BadPlan."""
    checked(plan)
    files = [file_of(text) for text in (*plan.files, *plan.warm_up)]
    for path in (file.path for file in files):
        if not is_recording(header_of(path)):
            raise BadPlan(f"{path.name}: its first line is none of a recorded file's; {ACCEPTED}")
    recording = _recording(plan)
    with _refused():
        for file in files:  # those of the deployments are among them
            recording.found(file.key)
    _check_charges(recording)
    if plan.first_day or plan.last_day:
        days = set().union(*(days_of(file_of(text).path) for text in plan.files))
        if days and not any(_is_played(plan, day) for day in days):
            raise _empty(plan, sorted(days))
    return plan


def _is_played(plan: Plan, day: date) -> bool:
    return (plan.first_day or day) <= day <= (plan.last_day or day)


def _empty(plan: Plan, days: Sequence[date]) -> BadPlan:
    asked = f"from {plan.first_day or 'their first day'} to {plan.last_day or 'their last'}"
    return BadPlan(f"the files hold nothing {asked}, but {_spread(days)}")


def _recording(plan: Plan) -> Recording:
    return Recording(
        list(plan.files),
        list(plan.definitions),
        [Path(text) for text in plan.instruments],
        warm_up=list(plan.warm_up),
        rules=[Path(text) for text in plan.rules],
    )


@contextmanager
def _refused() -> Iterator[None]:
    """What is wrong with files that are read, as BadPlan."""
    try:
        yield
    except (UnknownInstrument, BadDefinition) as error:
        raise BadPlan(
            f"{error}; name it as FILE=EXCHANGE:SYMBOL or add its list with --instruments"
        ) from None
    except (UnknownFormat, NotAnInstrumentList, BadRules, OSError) as error:
        raise BadPlan(f"cannot read: {error}") from None


def opened(plan: Plan) -> Opened:
    """The plan with its files read. Raises BadPlan."""
    checked(plan)
    recording = _recording(plan)
    with _refused():
        found = Opened(plan, recording, recording.source())
    _check_charges(recording)
    _check_warm_up(found)
    if not len(whole(found.excerpt.source)):
        raise BadPlan(f"the files hold no tick that can be read{_first_fault(found)}")
    if not len(found.excerpt):
        raise _empty(plan, whole(found.excerpt.source).days())
    return found


def _first_fault(found: Opened) -> str:
    """The first row that is no tick, by file and line, where there is one."""
    faults = [(report.path, *report.examples[0]) for _, report in found.files if report.examples]
    return "; {}: line {}: {}".format(*faults[0]) if faults else ""


def _check_charges(recording: Recording) -> None:
    try:
        for definition in recording.definitions:
            specs = [recording.known[key] for key in definition.instruments]
            for spec in specs:
                deploying.check_charges(definition, spec, specs)
    except BadDefinition as error:
        raise BadPlan(str(error)) from None


def _check_warm_up(found: Opened) -> None:
    for spec in found.specs if any(spec.history or spec.marks for spec in found.specs) else ():
        seen_ms = [bar.ends_ms for bar in spec.history] + [mark.at_ms for mark in spec.marks.values()]
        reaches_ms = max(seen_ms, default=0)
        begins_ms = next((item.at_ms for item in found.excerpt.items()), reaches_ms)
        if begins_ms < reaches_ms:
            raise BadPlan(
                f"{spec.name}: the warm-up reaches to {ist_text(reaches_ms)}, but what is played begins before, at"
                f" {ist_text(begins_ms)}: give it files that end before"
            )
        seen = _Seen(spec.history)
        warmed = msgspec.structs.replace(spec, history=seen)
        try:
            with time_limit().throughout(spec.id, seen.looked_at):
                assembled(warmed, find(spec.strategy), found.calendar)
        except StrategyFailed as error:
            raise BadPlan(f"{spec.name}: the strategy raised in its warm-up\n{error}") from None
        except StrategyHung as error:
            raise BadPlan(f"{spec.name}: the strategy hung in its warm-up: it {error}") from None


class _Seen(tuple[Bar, ...]):
    """Bars that tell how many of them have been looked at."""

    _seen = 0

    def __iter__(self) -> Iterator[Bar]:
        for bar in super().__iter__():
            self._seen += 1
            yield bar

    def looked_at(self) -> int:
        return self._seen


def _spread(days: Sequence[date]) -> str:
    return f"{days[0]} to {days[-1]}" if days else "no day that the calendar knows"
