"""What the account holds: positions by product, shares in the depository, and the trades of the day behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec

from alphapanda.core.money import ZERO, value
from alphapanda.core.vocabulary import Product, Side
from portfolio.domain.books import FLAT, BookedFill, Holding, held


class NotHeld(ValueError):
    """More is to be converted or authorised than there is."""


class Demat(msgspec.Struct, frozen=True):
    """Shares in the depository as they were in the morning. Of `quantity` the operator has authorised so many for
    sale; `t1` are those on their way from the day before."""

    quantity: int
    average_price: Decimal
    authorised: int = 0
    t1: int = 0

    @property
    def units(self) -> int:
        return self.quantity + self.t1

    @property
    def cost(self) -> Decimal:
        return self.average_price * self.units


@dataclass(slots=True)
class Place:
    """One instrument in one product: what came over from the day before, and the trades of this day."""

    carried: Holding = FLAT
    fills: list[BookedFill] = field(default_factory=list)
    _folded: tuple[Holding, int, Holding] = (FLAT, 0, FLAT)  # a base, so many fills, and what they make of it

    @property
    def holding(self) -> Holding:
        return self.on(self.carried)

    def on(self, base: Holding) -> Holding:
        """What the fills make of a holding; those that have been looked at before are not looked at again."""
        before, count, holding = self._folded
        if before != base:
            count, holding = 0, base
        for fill in self.fills[count:]:
            holding = held(holding, fill)
        self._folded = (base, len(self.fills), holding)
        return holding

    def replace(self, fills: list[BookedFill]) -> None:
        """Other fills instead of those that were there."""
        self.fills, self._folded = fills, (FLAT, 0, FLAT)

    def day_quantity(self, side: Side) -> int:
        return sum(fill.quantity for fill in self.fills if fill.side is side)


class Ledger:
    """Positions and holdings. Charges are not taken from them: the broker takes them at the end of the day."""

    def __init__(self, demat: Mapping[int, Demat]) -> None:
        self.demat = dict(demat)
        self.places: dict[tuple[int, Product], Place] = {}

    def book(self, fill: BookedFill, product: Product) -> None:
        """Take in a trade."""
        place = self.places.setdefault((fill.token, product), Place())
        place.fills.append(msgspec.structs.replace(fill, charges={}))

    def holdings(self, product: Product) -> dict[int, Holding]:
        """What of a product can be closed: for delivery, shares in the depository too."""
        found = {token: place.holding for (token, of), place in self.places.items() if of is product}
        if product is not Product.CNC:
            return found
        for token, shares in self.demat.items():
            place = self.places.get((token, product), Place())
            found[token] = place.on(Holding(shares.units, shares.cost))
        return found

    @property
    def demat_cost(self) -> Decimal:
        """Rupees that shares in the depository cost: they are paid for."""
        return sum((shares.cost for shares in self.demat.values()), ZERO)

    def sold_today(self, token: int) -> int:
        """Shares of the depository that this day has sold."""
        place = self.places.get((token, Product.CNC), Place())
        return max(0, place.day_quantity(Side.SELL) - place.day_quantity(Side.BUY))

    def authorise(self, token: int, quantity: int) -> None:
        """Let shares be sold. Raises NotHeld."""
        shares = self.demat.get(token)
        if shares is None or not 0 <= quantity <= shares.quantity:
            raise NotHeld(f"{quantity} of token {token} are not in the depository")
        self.demat[token] = msgspec.structs.replace(shares, authorised=quantity)

    def convert(
        self, token: int, side: Side, quantity: int, *, old: Product, new: Product, is_overnight: bool
    ) -> None:
        """Move a part of a position to another product. Raises NotHeld."""
        place = self.places.get((token, old), Place())
        if place.holding.quantity * side.sign < quantity:
            raise NotHeld("Conversion quantity is more than the position's")
        target = self.places.setdefault((token, new), Place())
        if is_overnight:
            _move_carried(place, target, side.sign * quantity)
        else:
            _move_fills(place, target, side, quantity)

    def roll(self) -> Decimal:
        """The next day begins: derivatives are carried, purchases for delivery come to the depository, sales have left
        it. The rupees that the day has brought, charges apart."""
        brought = ZERO
        for (token, product), place in list(self.places.items()):
            if product is Product.CNC:
                brought -= sum(
                    (fill.side.sign * value(fill.price_e4, fill.quantity) for fill in place.fills), ZERO
                )
                self._deliver(token, place)
            else:
                brought += place.holding.realised
            carried = Holding(place.holding.quantity, place.holding.cost)
            del self.places[token, product]
            if product is Product.NRML and carried.quantity:
                self.places[token, product] = Place(carried)
        return brought

    def _deliver(self, token: int, place: Place) -> None:
        before = self.demat.get(token, Demat(0, ZERO))
        after = place.on(Holding(before.units, before.cost))
        bought = max(0, place.day_quantity(Side.BUY) - place.day_quantity(Side.SELL))
        if after.quantity <= 0:
            self.demat.pop(token, None)
            return
        kept = after.quantity - bought
        self.demat[token] = Demat(kept, after.cost / after.quantity, min(before.authorised, kept), bought)


def _move_carried(place: Place, target: Place, units: int) -> None:
    there = place.carried
    if abs(there.quantity) < abs(units) or there.quantity * units < 0:
        raise NotHeld("Conversion quantity is more than was carried")
    cost = there.cost * units / there.quantity
    place.carried = Holding(there.quantity - units, there.cost - cost)
    target.carried = Holding(target.carried.quantity + units, target.carried.cost + cost)


def _move_fills(place: Place, target: Place, side: Side, quantity: int) -> None:
    if place.day_quantity(side) < quantity:
        raise NotHeld("Conversion quantity is more than was traded today")
    kept: list[BookedFill] = []
    for fill in reversed(place.fills):
        moved = min(quantity, fill.quantity) if fill.side is side else 0
        quantity -= moved
        if moved:
            target.fills.append(msgspec.structs.replace(fill, quantity=moved))
        if fill.quantity > moved:
            kept.append(msgspec.structs.replace(fill, quantity=fill.quantity - moved))
    place.replace(kept[::-1])
