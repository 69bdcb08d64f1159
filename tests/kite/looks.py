"""Looks at the broker's book, and what others do in the account meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from accounts.models import BrokerSession
from alphapanda.kite_simulator.script import Step, do
from execution.domain.kite.account import began_ms
from execution.models import Difference
from tests.kite.live import Live
from tests.kite.server import quoted
from tests.pipeline.hand import packed

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
OTHERS = {
    "variety": "regular",
    "exchange": "NSE",
    "tradingsymbol": "INFY",
    "product": "MIS",
    "validity": "DAY",
}
Started = Callable[..., Live]


def looks(live: Live, count: int = 1, *, advance_ms: int = 31_000) -> None:
    """So many looks at the book, one after the other."""
    for _ in range(count):
        live.served.advance(advance_ms)
        live.desk.look_soon()
        before = live.desk._looked_ms
        for _ in range(200):
            if not live.desk.round() and live.desk._looking is None:
                live.served.advance(100)  # looks begin no nearer to each other than a second
            elif live.desk._looking is not None:
                time.sleep(0.005)  # the book is read over HTTP, by a thread of its own
            live.hand.run()
            if live.desk._looked_ms > before and live.desk._looking is None:
                break
        else:
            raise AssertionError("the book was not looked at")


def order_of_others(live: Live, **more: Any) -> None:
    fields = {
        **OTHERS,
        "transaction_type": "SELL",
        "quantity": 10,
        "order_type": "MARKET",
        "market_protection": -1,
    }
    wanted = {name: str(value) for name, value in (fields | more).items() if value is not None}
    live.served.call(lambda: do(live.served.simulator, Step(place=wanted)))
    live.served.advance(2_000)


def open_differences() -> list[tuple[str, str, str, str]]:
    return list(Difference.objects.filter(settled_at=None).values_list("kind", "key", "ours", "theirs"))


def until_morning(live: Live) -> None:
    """To half past nine of the next day, with a new login."""
    now_ms = live.served.simulator.clock.now_ms()
    live.served.advance(began_ms(now_ms) + DAY_MS - now_ms + 4 * HOUR_MS)
    BrokerSession.objects.filter(ended_at=None).update(ended_at=live.now(), ended_by="alice")
    live.access = live.logged_in()


def tick(live: Live, *, second: int = 601) -> None:
    """An item of the log, from which the deployment knows the time."""
    live.hand.shards = [live.hand.shard(0)]  # signals here are not its machine's: it looks at its books anew
    live.hand.readers[0].values += packed([quoted(1500, second)], source=8 + second - 601, batch=1)
    live.hand.run()
