"""A small line of profit over the day as SVG paths. Floats: this is a picture, not money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, MARGIN = 600, 96, 4


@dataclass(frozen=True, slots=True)
class Line:
    """What the template draws; `zero` is the height of the nought line."""

    line: str
    area: str
    zero: float
    low: str
    high: str
    last: str
    first_at_ms: int
    last_at_ms: int


def drawn(points: Sequence[tuple[int, str]]) -> Line | None:
    """A stepped line from nought through the points; None where there is nothing to draw."""
    if len(points) < 2:
        return None
    values = [float(amount) for _, amount in points]
    low, high = min(0.0, *values), max(0.0, *values)
    start, end = points[0][0], points[-1][0]

    def x(at_ms: int) -> float:
        return WIDTH * (at_ms - start) / max(end - start, 1)

    def y(amount: float) -> float:
        return HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (amount - low) / ((high - low) or 1.0)

    steps = {f"{x(at_ms):.1f}": y(amount) for (at_ms, _), amount in zip(points, values, strict=True)}
    path = (
        f"M0 {y(0):.1f}" + "".join(f"H{place}V{height:.1f}" for place, height in steps.items()) + f"H{WIDTH}"
    )
    amounts = [amount for _, amount in points]
    return Line(
        line=path,
        area=f"{path}V{y(0):.1f}Z",
        zero=round(y(0), 1),
        low=min(amounts, key=float),
        high=max(amounts, key=float),
        last=amounts[-1],
        first_at_ms=start,
        last_at_ms=end,
    )
