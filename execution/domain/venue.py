"""The paper exchange as one deployment meets it, and what it remembers of that deployment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

import msgspec

from alphapanda.core.clock import ist_date
from alphapanda.core.vocabulary import Side
from execution.domain.delivery import Delivery
from execution.domain.ladder import History
from execution.domain.orders import Execution, PaperOrder
from execution.domain.settings import PaperSettings
from marketdata.domain.calendar import Calendar
from marketdata.domain.instruments import InstrumentSpec
from portfolio.domain.books import FLAT, Holding
from risk.domain import margins as margin_rules
from risk.domain.margins import Margins, NoMarginRate, Opening
from strategies.domain.signals import Mark


class Trace(msgspec.Struct, frozen=True):
    """What orders have taken from the offer that was last on record, by price: the size it had, and what is gone.
    Without depth: what is gone of the last trade's size, while the day's volume is still the same."""

    day: int
    asks: dict[int, tuple[int, int]] = {}
    bids: dict[int, tuple[int, int]] = {}
    volume: int = -1
    bought: int = 0
    sold: int = 0


class Memory(msgspec.Struct, frozen=True):
    """What the exchange remembers of a deployment, by EXCHANGE:TRADINGSYMBOL: tokens change owners."""

    traces: dict[str, Trace] = {}
    deliveries: dict[str, Delivery] = {}


@dataclass(frozen=True, slots=True)
class Venue:
    """The rules that hold for a deployment."""

    settings: PaperSettings
    instruments: Mapping[int, InstrumentSpec]
    calendars: Mapping[int, Calendar]  # by token
    margins: Margins


@dataclass(slots=True)
class Outcome:
    """What came of one item of the log or of one step's decisions: orders that changed, in the order of their
    changes, their history and trades, and the exchange's memory after it."""

    memory: Memory
    orders: dict[UUID, PaperOrder] = field(default_factory=dict)
    executions: list[Execution] = field(default_factory=list)
    history: History = field(default_factory=History)


@dataclass(slots=True)
class Standing:
    """Where a deployment stands when an order arrives: its working orders, its holdings, its deliveries, the last
    prices."""

    orders: dict[UUID, PaperOrder]
    holdings: Mapping[int, Holding]
    memory: Memory
    marks: Mapping[int, Mark] = field(default_factory=dict)

    def without(self, order_id: UUID) -> Standing:
        """As if an order did not work."""
        others = {key: order for key, order in self.orders.items() if key != order_id}
        return Standing(others, self.holdings, self.memory, self.marks)

    def position(self, token: int) -> int:
        return self.holdings.get(token, FLAT).quantity

    def closable(self, token: int, side: Side) -> int:
        """Units of a position that an order of a side can close and that no working order of that side closes."""
        position = self.position(token)
        if position * side.sign >= 0:
            return 0
        working = sum(
            order.unfilled for order in self.orders.values() if order.token == token and order.side is side
        )
        return max(0, abs(position) - working)

    def opening_units(self, order: PaperOrder) -> int:
        """Units of an order that do not close a position."""
        return max(0, order.unfilled - self.closable(order.token, order.side))

    def openings(self) -> list[Opening]:
        """What the working orders could add to positions; of those that could close one, the oldest does."""
        left = {token: abs(holding.quantity) for token, holding in self.holdings.items() if holding.quantity}
        found = []
        for order in self.orders.values():
            closing = 0
            if self.position(order.token) * order.side.sign < 0:
                closing = min(left.get(order.token, 0), order.unfilled)
                left[order.token] = left.get(order.token, 0) - closing
            if order.unfilled > closing:
                price_e4 = self.price_e4(order)
                found.append(Opening(order.token, order.side, order.unfilled - closing, price_e4))
        return found

    def price_e4(self, order: PaperOrder) -> int:
        """The price at which an order blocks margin: a purchase at its limit or trigger, else the last price; a sale
        may bring more than it asks for. 0 where none is known."""
        mark = self.marks.get(order.token)
        last_e4 = mark.price_e4 if mark else 0
        stated_e4 = order.limit_price_e4 or order.trigger_price_e4 or 0
        return stated_e4 or last_e4 if order.side is Side.BUY else max(stated_e4, last_e4)


def shortage(order: PaperOrder, standing: Standing, venue: Venue) -> str:
    """Kite's words where the deployment's capital does not cover what an order could open; empty where it does.
    An order whose margin cannot be told is not covered."""
    units = standing.opening_units(order)
    capital = venue.settings.capital
    if capital is None or units == 0:
        return ""
    price_e4 = standing.price_e4(order)
    if price_e4 <= 0:
        return f"the margin of {order.instrument} is not known: it has no price"
    day, margins = ist_date(order.placed_at_ms), venue.margins
    opening = Opening(order.token, order.side, units, price_e4)
    try:
        required = margin_rules.blocked(
            opening,
            instrument=venue.instruments[order.token],
            product=order.product,
            margins=margins,
            day=day,
        )
        free = margin_rules.available(
            capital=capital,
            holdings=standing.holdings,
            openings=standing.openings(),
            instruments=venue.instruments,
            product=order.product,
            margins=margins,
            day=day,
        )
    except NoMarginRate as error:
        return f"the margin is not known: {error}"
    if required <= free:
        return ""
    return (
        f"Insufficient funds. Required margin is {required:.2f} but available margin is {free:.2f}."
        " Check the orderbook for open orders."
    )
