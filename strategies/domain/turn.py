"""One step's callbacks: each sees the wishes of those before it as working orders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from alphapanda.core.vocabulary import Side, SignalOrigin
from marketdata.domain.instruments import InstrumentSpec
from strategies.domain.base import View
from strategies.domain.consequences import Consequences, Working
from strategies.domain.intents import Intent

NOTHING = Working()


class Turn:
    """What the callbacks of one step may see, and what they wished for, in order."""

    def __init__(
        self,
        instruments: Mapping[int, InstrumentSpec],
        consequences: Consequences,
        *,
        at_ms: int,
        is_warm: Callable[[str], bool],
    ) -> None:
        self.at_ms = at_ms
        self.wishes: list[tuple[Intent, SignalOrigin]] = []
        self._instruments = instruments
        self._consequences = consequences
        self._is_warm = is_warm
        self._holdings: dict[str, tuple[int, int]] = {}

    def view(self, instrument: str = "") -> View:
        """What a callback may see now; without a name, of the only instrument there is."""
        if not instrument and len(self._instruments) == 1:
            (only,) = self._instruments.values()
            instrument = only.key
        return View(self.at_ms, instrument, self._holdings or self._seen())

    def hear(self, wishes: Iterable[Intent]) -> None:
        """Wishes of the strategy; those for an instrument that is not warmed up yet are dropped."""
        for intent in wishes:
            if self._is_warm(intent.instrument):
                self.want(intent, SignalOrigin.STRATEGY)

    def want(self, intent: Intent, origin: SignalOrigin) -> None:
        """One wish, whoever's it is."""
        seen = self._holdings or self._seen()
        position, working = seen.get(intent.instrument, (0, 0))
        change = Side(intent.side).sign * intent.quantity
        self._holdings = {**seen, intent.instrument: (position, working + change)}
        self.wishes.append((intent, origin))

    def exit(self, token: int, quantity: int, reason: str, origin: SignalOrigin) -> bool:
        """Wish to close up to so many units of a position that no exit at work closes; False: there are none."""
        left = self.uncovered(token)
        quantity = min(abs(left), quantity)
        if quantity <= 0:
            return False
        side = Side.SELL if left > 0 else Side.BUY
        self.want(Intent(self._instruments[token].key, side, quantity, reason), origin)
        return True

    def uncovered(self, token: int) -> int:
        """Units held, signed, that neither working orders nor wishes would close."""
        position = self._consequences.positions.get(token, 0)
        side = Side.SELL if position > 0 else Side.BUY
        working = self._consequences.working.get(token, NOTHING)
        name = self._instruments[token].key
        closing = working.sell if side is Side.SELL else working.buy
        closing += sum(
            intent.quantity
            for intent, _ in self.wishes
            if intent.instrument == name and Side(intent.side) is side
        )
        return (1 if position > 0 else -1) * max(0, abs(position) - closing)

    def _seen(self) -> dict[str, tuple[int, int]]:
        """Position and working units, both signed, by instrument."""
        positions, working = self._consequences.positions, self._consequences.working
        self._holdings = {
            instrument.key: (
                positions.get(token, 0),
                working[token].buy - working[token].sell if token in working else 0,
            )
            for token, instrument in self._instruments.items()
        }
        return self._holdings
