"""Round trips: from the fill that opens a position to the one that leaves it flat. Pure.

Beside the books: together the trips of a book earn and cost, to the last place, what its holdings say. A fill
through zero ends one trip and opens the next, and its charges are divided by units. A dividend is of the trip that
was open before its ex-date.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from uuid import UUID

import msgspec

from alphapanda.core.money import ZERO, quantized, value
from alphapanda.core.vocabulary import Side
from portfolio.domain.books import FLAT, BookedFill, Holding
from portfolio.domain.corporate import ActionKind, BookedAction
from portfolio.domain.history import Event, booked


class Leg(msgspec.Struct, frozen=True):
    """What a fill did for a trip: its units there, and its share of the charges, in rupees by line."""

    fill_id: UUID
    order_id: UUID
    at_ms: int
    side: Side
    quantity: int
    price_e4: int
    charges: dict[str, Decimal]

    @property
    def charged(self) -> Decimal:
        return sum(self.charges.values(), ZERO)


class Trip(msgspec.Struct):
    """A trade from entry to flat, named by the fill that opened it; `gross` is what it has realised, with dividends,
    before charges. `quantity` is what is open, signed; `closed_at_ms` is None until that is nothing."""

    trip_id: UUID
    deployment_id: UUID
    instrument: str
    token: int
    side: Side
    opened_at_ms: int
    legs: list[Leg] = []
    gross: Decimal = ZERO
    quantity: int = 0
    most: int = 0  # units held at once
    closed_at_ms: int | None = None

    @property
    def charges(self) -> dict[str, Decimal]:
        """Rupees by line; a line that came to nothing is left out."""
        sums: dict[str, Decimal] = {}
        for leg in self.legs:
            for line, amount in leg.charges.items():
                sums[line] = sums.get(line, ZERO) + amount
        return {line: sums[line] for line in sorted(sums) if sums[line]}

    @property
    def charged(self) -> Decimal:
        return sum((leg.charged for leg in self.legs), ZERO)

    @property
    def net(self) -> Decimal:
        return self.gross - self.charged

    @property
    def held_ms(self) -> int | None:
        return None if self.closed_at_ms is None else self.closed_at_ms - self.opened_at_ms

    def average(self, *, is_entry: bool) -> Decimal | None:
        """Rupees per unit of its entries or exits, as they traded; None where there are none."""
        legs = [leg for leg in self.legs if (leg.side is self.side) is is_entry]
        units = sum(leg.quantity for leg in legs)
        worth = sum((value(leg.price_e4, leg.quantity) for leg in legs), ZERO)
        return worth / units if units else None


def trips_of(events: Iterable[Event]) -> list[Trip]:
    """The trips of one book, by the time at which they were opened, from its events in the order in which they were
    booked."""
    holdings: dict[str, Holding] = {}
    found: dict[str, list[Trip]] = {}
    for event in events:
        before = holdings.get(event.instrument, FLAT)
        trips = found.setdefault(event.instrument, [])
        if isinstance(event, BookedAction):
            holdings[event.instrument] = _acted(trips, before, event)
            continue
        for part in _parts(event, before.quantity):
            before = _traded(trips, before, part)
        holdings[event.instrument] = before
    return sorted((trip for trips in found.values() for trip in trips), key=_by_time)


def _by_time(trip: Trip) -> tuple[int, UUID]:
    return trip.opened_at_ms, trip.trip_id


def _parts(fill: BookedFill, held: int) -> list[BookedFill]:
    """A fill through zero as what closes and what opens; nothing of its charges is lost."""
    if held * fill.side.sign >= 0 or fill.quantity <= abs(held):
        return [fill]
    closing = {line: _share(amount, abs(held), fill.quantity) for line, amount in fill.charges.items()}
    opening = {line: quantized(amount) - closing[line] for line, amount in fill.charges.items()}
    return [
        msgspec.structs.replace(fill, quantity=abs(held), charges=closing),
        msgspec.structs.replace(fill, quantity=fill.quantity - abs(held), charges=opening),
    ]


def _share(amount: Decimal, units: int, of: int) -> Decimal:
    return quantized(quantized(amount) * units / of)


def _traded(trips: list[Trip], before: Holding, fill: BookedFill) -> Holding:
    """The holding after a fill that does not go through zero; the newest trip has its leg."""
    if not before.quantity:
        trips.append(_opened(fill))
    trip = trips[-1]
    after, _ = booked(before, fill)
    trip.legs.append(_leg(fill))
    trip.gross += after.realised - before.realised
    trip.quantity = after.quantity
    trip.most = max(trip.most, abs(after.quantity))
    trip.closed_at_ms = None if after.quantity else fill.at_ms
    return after


def _opened(fill: BookedFill) -> Trip:
    return Trip(fill.fill_id, fill.deployment_id, fill.instrument, fill.token, fill.side, fill.at_ms)


def _leg(fill: BookedFill) -> Leg:
    charges = {line: quantized(amount) for line, amount in fill.charges.items()}
    return Leg(fill.fill_id, fill.order_id, fill.at_ms, fill.side, fill.quantity, fill.price_e4, charges)


def _acted(trips: list[Trip], before: Holding, action: BookedAction) -> Holding:
    """The holding after a corporate action. A split or a bonus changes what is open; a dividend earns also for a trip
    that was closed on the ex-date or after."""
    after, _ = booked(before, action)
    earlier = [trip for trip in trips if trip.opened_at_ms < action.at_ms]
    if action.action.kind is ActionKind.DIVIDEND:
        earlier[-1].gross += after.realised - before.realised
    elif before.quantity:
        trips[-1].quantity = after.quantity
        trips[-1].most = max(trips[-1].most, abs(after.quantity))
    return after
