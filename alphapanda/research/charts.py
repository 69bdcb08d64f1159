"""Charts as inline SVG: a few hundred points, no script, colours by class so that a page can be light or dark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from itertools import pairwise
from math import ceil, floor, log10

WIDTH, HEIGHT = 960, 240
LEFT, RIGHT, TOP, BOTTOM = 108, 12, 10, 24
POINTS_MAX = 600
TICKS = 4
LABELS_MAX = 7

Point = tuple[float, float]  # x from 0 to 1, and a value
Write = Callable[[float], str]


NAMES = {"equity": "Equity", "fall": "Fall from the highest equity", "exposure": "Exposure"}


def line(
    points: Sequence[Point], labels: Sequence[tuple[float, str]], writers: Sequence[Write], *, kind: str
) -> str:
    """A line of steps, for a value holds until the next one, with its area down to nought or to the lowest tick.
    `labels`: places from 0 to 1 with their text; the first of `writers` that tells the ticks apart writes them;
    `kind` is the class that colours it."""
    if not points:
        return ""
    kept = thinned(points)
    low, high = min(value for _, value in kept), max(value for _, value in kept)
    ticks = ticks_of(low, high) if high - low > SPAN_LEAST else [low]
    scale = _Scale(min(low, ticks[0]), max(high, ticks[-1]))
    write = apart(ticks, writers)
    path = " ".join(f"{scale.x(x):.1f},{scale.y(value):.1f}" for x, value in stepped(kept))
    base = scale.y(min(max(0.0, scale.low), scale.high))
    area = f"{scale.x(kept[0][0]):.1f},{base:.1f} {path} {scale.x(kept[-1][0]):.1f},{base:.1f}"
    return _framed(
        HEIGHT,
        _grid(ticks, scale, write),
        _below(labels, HEIGHT),
        f'<polygon class="area {kind}" points="{area}"/>',
        f'<polyline class="line {kind}" points="{path}"/>',
        name=NAMES[kind],
    )


def apart(values: Sequence[float], writers: Sequence[Write]) -> Write:
    """The first of the writers, from short to exact, that writes no two of the values alike; else the last."""
    return next((one for one in writers if len(set(map(one, values))) == len(set(values))), writers[-1])


def stepped(points: Sequence[Point]) -> list[Point]:
    """The corners of a line that stays where it is until the next point."""
    corners = [points[0]]
    for x, value in points[1:]:
        corners += [(x, corners[-1][1]), (x, value)]
    return corners


def bars(values: Sequence[tuple[str, float]], write: Write) -> str:
    """A column for each value, up or down from nought, coloured by its sign; the label is that of its left edge.
    Ticks for which nothing is written are left out."""
    if not values:
        return ""
    ticks = ticks_of(min(0.0, *(v for _, v in values)), max(0.0, *(v for _, v in values)))
    ticks = [tick for tick in ticks if write(tick)]
    scale = _Scale(min(ticks[0], *(v for _, v in values)), max(ticks[-1], *(v for _, v in values)))
    width, zero = 1 / len(values), scale.y(0)
    columns = []
    for place, (label, value) in enumerate(values):
        if not value:
            continue
        top, bottom = sorted((scale.y(value), zero))
        columns.append(
            f'<rect class="{"up" if value >= 0 else "down"}" x="{scale.x((place + 0.12) * width):.1f}" '
            f'y="{top:.1f}" width="{scale.x(0.76 * width) - LEFT:.1f}" height="{max(bottom - top, 0.5):.1f}">'
            f"<title>from {escape(label)}: {escape(write(value))}</title></rect>"
        )
    every = ceil(len(values) / LABELS_MAX)
    labels = [(place * width, label) for place, (label, _) in enumerate(values) if place % every == 0]
    return _framed(
        HEIGHT, _grid(ticks, scale, write), _below(labels, HEIGHT), *columns, name="Trades by profit"
    )


def heat_map(
    columns: Sequence[str],
    rows: Sequence[str],
    values: dict[tuple[str, str], float],
    write: Write,
    *,
    names: tuple[str, str],
) -> str:
    """A cell for each pair of a column and a row; the darker, the higher. Empty where nobody looked."""
    cell, height = (WIDTH - LEFT - RIGHT) / max(len(columns), 1), 30
    low, high = min(values.values(), default=0.0), max(values.values(), default=0.0)
    drawn = []
    for across, column in enumerate(columns):
        for down, row in enumerate(rows):
            value = values.get((column, row))
            x, y = LEFT + across * cell, TOP + down * height
            if value is None:
                drawn.append(
                    f'<rect class="empty" x="{x:.1f}" y="{y}" width="{cell - 2:.1f}" height="{height - 2}"/>'
                )
                continue
            share = (value - low) / (high - low) if high > low else 1.0
            drawn.append(
                f'<g><rect class="heat" x="{x:.1f}" y="{y}" width="{cell - 2:.1f}" height="{height - 2}" '
                f'fill-opacity="{0.08 + 0.92 * share:.2f}"/>'
                f'<text class="{"on-dark" if share > 0.55 else "on-light"}" x="{x + cell / 2 - 1:.1f}" '
                f'y="{y + height / 2 + 3:.1f}" text-anchor="middle">{escape(write(value))}</text>'
                f"<title>{escape(names[0])} {escape(column)}, {escape(names[1])} {escape(row)}: "
                f"{escape(write(value))}</title></g>"
            )
    bottom = TOP + len(rows) * height
    drawn += [
        f'<text class="axis" x="{LEFT - 8}" y="{TOP + down * height + height / 2 + 3:.1f}" text-anchor="end">'
        f"{escape(names[1])} {escape(row)}</text>"
        for down, row in enumerate(rows)
    ]
    labels = [
        ((across + 0.5) / len(columns), f"{names[0]} {column}") for across, column in enumerate(columns)
    ]
    every = ceil(len(columns) / (LABELS_MAX * 2))
    return _framed(bottom + BOTTOM, *drawn, _below(labels[::every], bottom + BOTTOM), name="Heat map")


def thinned(points: Sequence[Point], most: int = POINTS_MAX) -> list[Point]:
    """At most so many points, or a few more: of each excerpt the lowest and the highest, first and last kept."""
    if len(points) <= most:
        return list(points)
    size = ceil(2 * len(points) / most)
    kept = [points[0]]
    for start in range(0, len(points), size):
        part = points[start : start + size]
        extremes = {min(part, key=lambda p: p[1]), max(part, key=lambda p: p[1])}
        kept += sorted(extremes)
    kept.append(points[-1])
    return [point for before, point in pairwise([(-1.0, 0.0), *kept]) if point != before]


SPAN_LEAST = 1e-9  # below it a range is a point: no drawing shows it, and its logarithm may not exist


def ticks_of(low: float, high: float, about: int = TICKS) -> list[float]:
    """Round numbers over a range, about so many of them, the ends outside or at it."""
    span = high - low
    if span <= SPAN_LEAST:
        span = max(abs(high), 1.0)
    rough = span / about
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [number * step for number in range(first, max(last, first + 1) + 1)]


class _Scale:
    """Where a place and a value are on the drawing."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def x(self, place: float) -> float:
        return LEFT + place * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)


def _grid(ticks: Sequence[float], scale: _Scale, write: Write) -> str:
    return "".join(
        f'<line class="{"zero" if tick == 0 else "grid"}" x1="{LEFT}" x2="{WIDTH - RIGHT}" '
        f'y1="{scale.y(tick):.1f}" y2="{scale.y(tick):.1f}"/>'
        f'<text class="axis" x="{LEFT - 8}" y="{scale.y(tick) + 4:.1f}" text-anchor="end">'
        f"{escape(write(tick))}</text>"
        for tick in ticks
    )


def _below(labels: Sequence[tuple[float, str]], height: float) -> str:
    """Texts under the drawing; those at its ends do not stand out of it."""
    drawn = []
    for place, text in labels:
        anchor = "start" if place < 0.03 else "end" if place > 0.97 else "middle"
        x = LEFT + place * (WIDTH - LEFT - RIGHT)
        drawn.append(
            f'<text class="axis" x="{x:.1f}" y="{height - 6:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
        )
    return "".join(drawn)


def _framed(height: float, *parts: str, name: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{name}">{"".join(parts)}</svg>'
