"""Rate limits, counted by calendar second, minute and day of the broker's clock."""

from __future__ import annotations

import msgspec

from alphapanda.core.clock import ist_day
from alphapanda.kite_simulator.errors import NETWORK, KiteError

SECOND_MS, MINUTE_MS = 1_000, 60_000
TOO_MANY = "Too many requests"
ORDERS_OF_THE_DAY = "Maximum allowed orders for the day exceeded."


class Rates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Requests a second by kind, and orders a minute and a day. Every order that is asked for counts to the day, also
    one that is refused, and of other apps; what the limits themselves refuse does not."""

    quote: int = 1
    historical: int = 3
    orders: int = 10
    other: int = 10
    orders_a_minute: int = 400
    orders_a_day: int = 5_000

    def __post_init__(self) -> None:
        if min(msgspec.structs.astuple(self)) < 0:
            raise ValueError("a rate limit is a whole number from 0")


class Limits:
    """The counters of one client."""

    def __init__(self, rates: Rates) -> None:
        self.rates = rates
        self.as_200 = False  # refuse with HTTP 200, as has been seen
        self._counted: dict[str, tuple[int, int]] = {}  # by name: the window, and how many are in it

    def take(self, kind: str, at_ms: int) -> None:
        """Count a request. Raises KiteError where it is one too many."""
        windows = {kind: (at_ms // SECOND_MS, getattr(self.rates, kind))}
        if kind == "orders":
            windows["minute"] = (at_ms // MINUTE_MS, self.rates.orders_a_minute)
            windows["day"] = (ist_day(at_ms), self.rates.orders_a_day)
        for name, (window, most) in windows.items():
            if self.count(name, window) >= most:
                raise self.refusal(ORDERS_OF_THE_DAY if name == "day" else TOO_MANY)
        for name, (window, _) in windows.items():
            self._counted[name] = (window, self.count(name, window) + 1)

    def also(self, at_ms: int) -> None:
        """Count an order to the day that nobody asked for by this door: another app's, a further leg of an iceberg."""
        self._counted["day"] = (ist_day(at_ms), self.orders_today(at_ms) + 1)

    def count(self, name: str, window: int) -> int:
        """How many are counted in a window."""
        known, counted = self._counted.get(name, (window, 0))
        return counted if known == window else 0

    def orders_today(self, at_ms: int) -> int:
        return self.count("day", ist_day(at_ms))

    def refusal(self, words: str = TOO_MANY) -> KiteError:
        """What one too many is answered."""
        return KiteError(NETWORK, words, http=200 if self.as_200 else 429)
