"""How soon a limit is used up at the rate of the last minutes: from what of it was used when somebody last looked."""

from __future__ import annotations

from datetime import datetime

from django.core.cache import cache

from alphapanda.core.clock import to_ms
from alphapanda.dashboard import screen

WINDOW_MS, STEP_MS = 15 * 60_000, 15_000  # how far back the rate looks, and how far apart samples are
LEAST_MS = 30_000  # over less no rate is told
KEPT_S = 3600
Samples = dict[str, list[tuple[int, float]]]


def with_pace(rows: dict[str, screen.Row], *, key: str, now: datetime) -> dict[str, screen.Row]:
    """The rows with `breach_s`: seconds until the limit is used up, None where its use does not grow or is not
    known long enough."""
    now_ms = to_ms(now)
    before: Samples = cache.get(f"pace:{key}", {})
    kept = {name: _sampled(before.get(name, []), _number(row["used"]), now_ms) for name, row in rows.items()}
    cache.set(f"pace:{key}", kept, KEPT_S)
    return {name: row | {"breach_s": breach_s(kept[name], row, now_ms)} for name, row in rows.items()}


def _sampled(found: list[tuple[int, float]], used: float | None, now_ms: int) -> list[tuple[int, float]]:
    """A figure that fell begins anew: another day, or another limit."""
    if used is None or (found and used < found[-1][1]):
        found = []
    recent = [one for one in found if one[0] >= now_ms - WINDOW_MS]
    if used is None or (recent and now_ms - recent[-1][0] < STEP_MS):
        return recent
    return [*recent, (now_ms, used)]


def breach_s(found: list[tuple[int, float]], row: screen.Row, now_ms: int) -> int | None:
    """At the rate since the oldest sample."""
    used, left = _number(row["used"]), _number(row["left"])
    if not found or used is None or left is None:
        return None
    since_ms = now_ms - found[0][0]
    grown = used - found[0][1]
    if since_ms < LEAST_MS or grown <= 0:
        return None
    return int(left * since_ms / grown / 1000)


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
