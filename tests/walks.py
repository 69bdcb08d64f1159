"""Sessions made up from a seed: random walks with depth, faulty ticks and clock items, as a feed sends them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from random import Random

from alphapanda.core.money import to_rupees
from marketdata.domain.ticks import Clock, Item, Tick
from tests.builders import DAY, TICK_E4, a_tick, at

MINUTE_MS = 60_000


def a_walk(
    seed: int, *, days: int = 2, per_minute: int = 2, minutes: int = 375, tokens: Sequence[int] = (7, 8)
) -> list[Item]:
    """The last `minutes` of each day's session, the clock to midnight, and a faulty tick now and then."""
    random = Random(seed)
    prices = dict.fromkeys(tokens, 1_000_000)
    items: list[Item] = []
    for day in (DAY + timedelta(days=number) for number in range(days)):
        items += _day(random, day, prices, per_minute, minutes)
    return items


def _day(random: Random, day: date, prices: dict[int, int], per_minute: int, minutes: int) -> Iterator[Item]:
    yield Clock(at("00:00", day), 0)
    closes = at("15:30", day)
    for minute_ms in range(closes - minutes * MINUTE_MS, closes, MINUTE_MS):
        yield Clock(minute_ms, minute_ms + 5)
        for stamp in sorted(random.sample(range(1, MINUTE_MS), per_minute)):
            token = random.choice(list(prices))
            prices[token] += random.randint(-8, 8) * TICK_E4
            tick = _tick(random, token, minute_ms + stamp, prices[token])
            yield tick
            if random.random() < 0.05:
                yield _spoilt(random, tick)
    yield Clock(closes, closes + 5)


def _tick(random: Random, token: int, at_ms: int, price_e4: int) -> Tick:
    if random.random() < 0.5:
        return a_tick(to_rupees(price_e4), at_ms=at_ms, token=token, size=random.choice([0, 3, 50]))
    sizes = [random.randint(0, 20) for _ in range(6)]
    asks = [(to_rupees(price_e4 + TICK_E4 * (n + 1)), size) for n, size in enumerate(sizes[:3])]
    bids = [(to_rupees(price_e4 - TICK_E4 * n), size) for n, size in enumerate(sizes[3:])]
    return a_tick(to_rupees(price_e4), at_ms=at_ms, token=token, asks=asks, bids=bids)


def _spoilt(random: Random, tick: Tick) -> Tick:
    return random.choice(
        [
            tick,
            tick._replace(at_ms=tick.at_ms - 10_000, price_e4=1),
            tick._replace(price_e4=0),
            tick._replace(at_ms=tick.at_ms + 86_400_000 * 3),
        ]
    )
