"""The indicators of deployments for the chart: told again over the stored bars, and held against what was stored with
their signals. Of one that acts on ticks only what was stored is known."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import isclose
from typing import Any

import msgspec
from django.conf import settings

from alphapanda.dashboard import seen
from marketdata import selectors
from marketdata.domain.bars import Bar
from marketdata.models import Instrument
from strategies.domain.base import BadParameters, Strategy, UnknownStrategy, build
from strategies.domain.basis import Basis, Indicator
from strategies.domain.codes import Code
from strategies.domain.retelling import Told
from strategies.loading import strategy_class_of
from strategies.models import Deployment
from strategies.retelling import Answer, Task, told_again

BARS = 20_000
SIGNALS = 2_000
KEPT_MAX = 16
CLOSE = 1e-6  # a relative difference that no line shows

_kept: dict[tuple[Any, ...], Answer] = {}


@dataclass
class Line:
    """One indicator: its pane, and pairs of a time in ms and a value (None: nothing)."""

    name: str
    pane: str
    points: list[tuple[int, float | None]] = field(default_factory=list)


def indicators_of(deployment: Deployment, instrument: Instrument) -> dict[str, Any]:
    """What a deployment's strategy says of itself on an instrument: lines, how they came to be in words, and at how
    many signals they are not what was stored with those."""
    stored = _stored(deployment, instrument)
    told = {"name": deployment.name, "lines": [], "is_stepped": False, "checked": 0, "differ": 0}
    try:
        strategy = build(strategy_class_of(deployment.strategy_version), deployment.params)
    except (UnknownStrategy, BadParameters) as error:
        return told | {"words": f"cannot be built: {error}"}
    if strategy.wants_ticks() or not strategy.bar_minutes():
        words = "acts on ticks: its indicators are known at its signals"
        return told | {"lines": _lines(stored), "words": words, "is_stepped": True}
    answer = _answer(deployment, instrument, _bars(deployment, strategy))
    if answer.fault:
        return told | {"words": f"its indicators cannot be told: {answer.fault}"}
    checked, differ = _compared(answer.told, stored)
    words = f"over the stored bars of {' and '.join(map(str, strategy.bar_minutes()))} min"
    lines = _lines((one.ends_ms - 1, one.said) for one in answer.told)
    return told | {"lines": lines, "words": words, "checked": checked, "differ": differ}


def _bars(deployment: Deployment, strategy: Strategy) -> list[Bar]:
    """The stored bars of all its instruments, in the order in which they close."""
    found: list[Bar] = []
    for instrument in deployment.instruments.all():
        for minutes in strategy.bar_minutes():
            found += selectors.bars_newest(seen.bars(), instrument, minutes, BARS)
    return sorted(found, key=lambda bar: (bar.ends_ms, bar.minutes, bar.token))


def _answer(deployment: Deployment, instrument: Instrument, bars: list[Bar]) -> Answer:
    """Asked once for the same bars, whoever looks."""
    version = deployment.strategy_version
    params = msgspec.json.encode(deployment.params, order="deterministic")
    key = version.pk, params, instrument.pk, len(bars), bars[-1] if bars else None, deployment.pk
    if key not in _kept:
        code = Code(version.file, version.source, version.origin, version.module)
        task = Task(code, version.strategy.name, deployment.params, bars, str(instrument))
        if len(_kept) >= KEPT_MAX:
            _kept.clear()
        _kept[key] = told_again(task, limit_s=settings.STRATEGY_SECONDS)
    return _kept[key]


def _stored(deployment: Deployment, instrument: Instrument) -> list[tuple[int, dict[str, Indicator]]]:
    """What was stored with its signals, oldest first."""
    found = seen.signals().filter(deployment=deployment, instrument=instrument).order_by("-at_ms", "-step")
    rows = found.values_list("at_ms", "basis")[:SIGNALS]
    return [(at_ms, msgspec.convert(basis, Basis).indicators) for at_ms, basis in reversed(rows)]


def _lines(told: Iterable[tuple[int, dict[str, Indicator]]]) -> list[Line]:
    lines: dict[str, Line] = {}
    for at_ms, said in told:
        for name, one in said.items():
            line = lines.setdefault(name, Line(name, one.pane.value))
            line.points.append((at_ms, one.value))
    return list(lines.values())


def _compared(told: list[Told], stored: list[tuple[int, dict[str, Indicator]]]) -> tuple[int, int]:
    """How many signals could be held against the lines, and how many of them say otherwise."""
    ends = [one.ends_ms for one in told]
    checked = differ = 0
    for at_ms, said in stored:
        place = bisect_right(ends, at_ms) - 1
        if not said or place < 0:
            continue
        checked += 1
        differ += any(not _is_close(one, told[place].said.get(name)) for name, one in said.items())
    return checked, differ


def _is_close(seen: Indicator, line: Indicator | None) -> bool:
    if line is None or seen.value is None or line.value is None:
        return line is not None and seen.value == line.value
    return isclose(seen.value, line.value, rel_tol=CLOSE, abs_tol=CLOSE)
