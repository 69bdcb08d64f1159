"""One step's callbacks: each sees the wishes of those before it as working orders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from uuid import UUID

from alphapanda.core.clock import ist_date
from alphapanda.core.vocabulary import OrderStatus, OrderType, Phase, Side, SignalOrigin
from marketdata.domain.calendar import Calendar
from marketdata.domain.instruments import InstrumentSpec
from strategies.domain.base import View
from strategies.domain.consequences import Consequences, Working, WorkingOrder
from strategies.domain.intents import Cancel, Intent, Modify, Wish, change
from strategies.domain.signals import Mark
from strategies.domain.slicing import parts

NOTHING = Working()
CANCEL_PENDING = OrderStatus.CANCEL_PENDING
NO_WISHES: tuple[Wish, ...] = ()  # there is one empty tuple: what most callbacks return


class Turn:
    """What the callbacks of one step may see, and what they wished for, in order."""

    def __init__(
        self,
        instruments: Mapping[int, InstrumentSpec],
        consequences: Consequences,
        *,
        at_ms: int,
        is_warm: Callable[[str], bool],
        marks: Mapping[int, Mark],
        calendars: Mapping[int, Calendar],
        taking: frozenset[Phase],
    ) -> None:
        """In phases that are not among `taking` exits of the platform have nowhere to go."""
        self.at_ms = at_ms
        self.wishes: list[tuple[Wish, SignalOrigin]] = []
        self._instruments = instruments
        self._consequences = consequences
        self._is_warm = is_warm
        self._marks = marks
        self._calendars = calendars
        self._taking = taking
        self._holdings: dict[str, tuple[int, int]] = {}

    def view(self, instrument: str = "") -> View:
        """What a callback may see now; without a name, of the only instrument there is."""
        if not instrument and len(self._instruments) == 1:
            (only,) = self._instruments.values()
            instrument = only.key
        return View(self.at_ms, instrument, self._holdings or self._seen(), self._consequences.orders)

    def hear(self, wishes: Iterable[Wish]) -> None:
        """Wishes of the strategy; an order for an instrument that is not warmed up yet is dropped, and so is an act on
        an order that works no longer: there is nothing left to cancel or to change."""
        for wish in wishes:
            if self._is_heard(wish):
                for part in self._parts(wish):
                    self.want(part, SignalOrigin.STRATEGY)

    def _parts(self, wish: Wish) -> tuple[Wish, ...]:
        """What is larger than one order may be goes out in several."""
        if not isinstance(wish, Intent):
            return (wish,)
        for token, instrument in self._instruments.items():
            if instrument.key == wish.instrument:
                mark = self._marks.get(token)
                return parts(wish, instrument.on(ist_date(self.at_ms)), mark.price_e4 if mark else 0)
        return (wish,)

    def _is_heard(self, wish: Wish) -> bool:
        if isinstance(wish, Intent):
            if wish.instrument not in (self._holdings or self._seen()):
                raise ValueError(self._unknown(wish.instrument))
            return self._is_warm(wish.instrument)
        if not isinstance(wish, Cancel | Modify):
            raise TypeError(
                f"a strategy yields intents, cancellations and modifications, not {type(wish).__name__}"
            )
        return any(order.id == wish.order.id for order in self._consequences.orders)

    def _unknown(self, instrument: str) -> str:
        there_are = ", ".join(one.key for one in self._instruments.values())
        if not instrument:
            return f"at a start or a timer name an `instrument`; the deployment has {there_are}"
        return f"the deployment has no instrument {instrument!r}, but {there_are}"

    def want(self, wish: Wish, origin: SignalOrigin) -> None:
        """One wish, whoever's it is."""
        seen = self._holdings or self._seen()
        position, working = seen.get(wish.instrument, (0, 0))
        self._holdings = {**seen, wish.instrument: (position, working + change(wish))}
        self.wishes.append((wish, origin))

    def clear(self, token: int, reason: str, origin: SignalOrigin) -> bool:
        """Wish to be out of an instrument: its orders are cancelled, but for market orders that close the position,
        and what those leave of it is closed; False: nothing is left to wish for."""
        count = len(self.wishes)
        for order in self._resting(token):
            if order.status is not OrderStatus.CANCEL_PENDING:
                self.want(Cancel(order, reason), origin)
        held = abs(self._consequences.positions.get(token, 0))
        return self.exit(token, held, reason, origin) or len(self.wishes) > count

    def standing(self, token: int) -> tuple[int, tuple[UUID, ...]]:
        """What stands between here and being out of an instrument: units held, and orders that `clear` would cancel."""
        return self._consequences.positions.get(token, 0), tuple(order.id for order in self._resting(token))

    def _resting(self, token: int) -> Iterator[WorkingOrder]:
        """Orders of an instrument but for market orders that close the position."""
        position = self._consequences.positions.get(token, 0)
        for order in self._consequences.orders:
            is_exit = order.order_type is OrderType.MARKET and order.side.sign * position < 0
            if order.token == token and not is_exit:
                yield order

    def cancel_orders(self, reason: str, origin: SignalOrigin, only: UUID | None = None) -> None:
        """Wish for the end of every order at work, or of one of them."""
        for order in self._consequences.orders:
            if order.status is not OrderStatus.CANCEL_PENDING and only in (None, order.id):
                self.want(Cancel(order, reason), origin)

    def cancel_entries(self, token: int, reason: str, origin: SignalOrigin) -> bool:
        """Wish for the end of every order of an instrument that opens or adds to a position, or that by itself would
        turn it; False: there is none."""
        position, count = self._consequences.positions.get(token, 0), len(self.wishes)
        for order in self._consequences.orders:
            is_exit = order.side.sign * position < 0 and order.unfilled <= abs(position)
            if order.token == token and not is_exit and order.status is not OrderStatus.CANCEL_PENDING:
                self.want(Cancel(order, reason), origin)
        return len(self.wishes) > count

    def protected_exits(self) -> list[WorkingOrder]:
        """Market orders at work that close a position, and that go no further than the price that protects them."""
        return [
            order
            for order in self._consequences.orders
            if order.order_type is OrderType.MARKET
            and order.limit_price_e4 is not None
            and order.side.sign * self._consequences.positions.get(order.token, 0) < 0
        ]

    def is_left_behind(self, order: WorkingOrder) -> bool:
        """Whether the last price lies beyond an order's limit: it trades no more unless the market comes back."""
        mark = self._marks.get(order.token)
        if mark is None or order.limit_price_e4 is None or order.status is OrderStatus.CANCEL_PENDING:
            return False
        return (mark.price_e4 - order.limit_price_e4) * order.side.sign > 0

    def works(self, order_id: str) -> bool:
        """Whether an order is at work."""
        return any(str(order.id) == order_id for order in self._consequences.orders)

    @property
    def held_tokens(self) -> list[int]:
        """Instruments with a position."""
        return sorted(self._consequences.positions)

    @property
    def busy_tokens(self) -> list[int]:
        """Instruments with a position or a working order."""
        orders = {order.token for order in self._consequences.orders}
        return sorted(orders | self._consequences.positions.keys())

    def busy_with(self, instrument: str) -> list[int]:
        """Those of them that have a name: one, or none."""
        return [token for token in self.busy_tokens if self._instruments[token].key == instrument]

    def exit(self, token: int, quantity: int, reason: str, origin: SignalOrigin) -> bool:
        """Wish to close up to so many units of a position that no exit at work closes; False: there are none, or no
        order is taken now. More than one order may have goes out in several, for an exit that is refused closes
        nothing."""
        left = self.uncovered(token)
        quantity = min(abs(left), quantity)
        is_order = origin is not SignalOrigin.EXPIRY  # what is settled is no order to the exchange
        if quantity <= 0 or (is_order and not self._is_taken(token)):
            return False
        side = Side.SELL if left > 0 else Side.BUY
        most = (self._units_max(token) if is_order else 0) or quantity
        for done in range(0, quantity, most):
            self.want(Intent(self._instruments[token].key, side, min(most, quantity - done), reason), origin)
        return True

    def let_go(self, instrument: str, units: int, reason: str) -> tuple[int, int] | None:
        """Wish that up to so many units which others have traded (negative: sold) leave the books, and that no order at
        work closes them again; the instrument's token and what is held after that, None where nothing of it was."""
        for token, one in self._instruments.items():
            held = self._consequences.positions.get(token, 0)
            if one.key != instrument or held * units >= 0:
                continue
            side, left = (Side.SELL if held > 0 else Side.BUY), max(0, abs(held) - abs(units))
            for order in self._consequences.orders:
                if order.token == token and order.side is side and order.status is not CANCEL_PENDING:
                    self.want(Cancel(order, reason), SignalOrigin.TAKEN)
            self.want(Intent(instrument, side, abs(held) - left, reason), SignalOrigin.TAKEN)
            return token, left if held > 0 else -left
        return None

    def _is_taken(self, token: int) -> bool:
        """Whether an order is: none in a contract that has ended, also where others wait for the next session."""
        hours, expiry = self._calendars[token], self._instruments[token].expiry
        if expiry is not None and self.at_ms >= hours.contract_ends_ms(expiry):
            return False
        return hours.phase_at(self.at_ms) in self._taking

    def _units_max(self, token: int) -> int:
        """The most units of one order that the rules of the day and the last price let pass; 0: any number."""
        mark, of_day = self._marks.get(token), self._instruments[token].on(ist_date(self.at_ms))
        return of_day.units_max(mark.price_e4 if mark else 0)

    def uncovered(self, token: int) -> int:
        """Units held, signed, that neither working orders nor wishes would close."""
        position = self._consequences.positions.get(token, 0)
        side = Side.SELL if position > 0 else Side.BUY
        working = self._consequences.working.get(token, NOTHING)
        name = self._instruments[token].key
        closing = working.sell if side is Side.SELL else working.buy
        for wish, _ in self.wishes:
            if wish.instrument == name:
                closing += self._closes(wish, side)
        return (1 if position > 0 else -1) * max(0, abs(position) - closing)

    def _closes(self, wish: Wish, side: Side) -> int:
        """Units that a wish adds to what works on a side; what it cancels closes nothing."""
        if isinstance(wish, Cancel):
            return -wish.order.unfilled if wish.order.side is side else 0
        own = wish.side if isinstance(wish, Intent) else wish.order.side
        return change(wish) * side.sign if Side(own) is side else 0

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
