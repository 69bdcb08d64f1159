"""How soon a limit is used up at the rate of the last minutes, by the time of the ticks: from what of it was used when
somebody last looked."""

from __future__ import annotations

from django.core.cache import cache

from alphapanda.dashboard import screen

WINDOW_MS, STEP_MS = 15 * 60_000, 15_000  # how far back the rate looks, and how far apart samples are
LEAST_MS = 30_000  # over less no rate is told
KEPT_S = 3600
# What adds up over a day. A position, an exposure or a rate goes up and down: two looks at it tell nothing of where it
# will be.
ADDS_UP = ("daily_orders", "daily_loss", "loss_cancel", "loss_flatten", "drawdown")
Samples = dict[str, list[tuple[int, float]]]


def with_pace(rows: dict[str, screen.Row], *, key: str) -> dict[str, screen.Row]:
    """The rows with `breach_s`: seconds until the limit is used up, None where its use does not grow, does not add
    up, is not known long enough, or lasts until the end of the day (`ends_ms`; None: not known, so nothing is told)."""
    before: Samples = cache.get(f"pace:{key}", {})
    kept = {
        name: _sampled(before.get(name, []), _number(row["used"]), row["at_ms"]) for name, row in rows.items()
    }
    cache.set(f"pace:{key}", kept, KEPT_S)
    return {name: row | {"breach_s": breach_s(kept[name], row)} for name, row in rows.items()}


def _sampled(found: list[tuple[int, float]], used: float | None, now_ms: int) -> list[tuple[int, float]]:
    """A figure that fell begins anew, and so does time: another day, another limit, a recording once more."""
    if used is None or (found and (used < found[-1][1] or now_ms < found[-1][0])):
        found = []
    recent = [one for one in found if one[0] >= now_ms - WINDOW_MS]
    if used is None or (recent and now_ms - recent[-1][0] < STEP_MS):
        return recent
    return [*recent, (now_ms, used)]


def breach_s(found: list[tuple[int, float]], row: screen.Row) -> int | None:
    """At the rate since the oldest sample."""
    used, left = _number(row["used"]), _number(row["left"])
    if row["limit"] not in ADDS_UP or not found or used is None or left is None:
        return None
    since_ms = row["at_ms"] - found[0][0]
    grown = used - found[0][1]
    if since_ms < LEAST_MS or grown <= 0:
        return None
    left_ms = int(left * since_ms / grown)
    is_today = row["ends_ms"] is not None and row["at_ms"] + left_ms <= row["ends_ms"]
    return left_ms // 1000 if is_today else None


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
