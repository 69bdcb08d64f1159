"""Tax lots: what each fill opened, and which lots a later fill closed. Beside the books, which keep averages.

First in, first out, as Kite's console reports and the Income-tax Act asks; last in, first out for comparing.
A charge is counted once, whole, on the first closed lot that uses its fill. The least and most profit that a
lot has shown are of prices that were seen: marks, its own fills and those of others.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from uuid import UUID

import msgspec

from alphapanda.core.money import ZERO, quantized, value
from portfolio.domain.books import BookedFill


class Matching(StrEnum):
    """Which lot a closing fill takes first."""

    FIFO = "FIFO"
    LIFO = "LIFO"


class Lot(msgspec.Struct, frozen=True):
    """Open units that one fill brought: signed quantity at its cost (of the same sign), in rupees.

    `charges` are those that no closed lot has counted yet; `worst` and `best` the least and most profit seen.
    """

    opened_by: UUID  # a fill, or what gave the shares
    quantity: int
    cost: Decimal
    charges: Decimal
    opened_at_ms: int
    worst: Decimal = ZERO
    best: Decimal = ZERO

    def profit(self, price_e4: int) -> Decimal:
        """Rupees earned if it were closed at a price, before charges."""
        return value(price_e4, self.quantity) - self.cost


class ClosedLot(msgspec.Struct, frozen=True):
    """Units that were opened by one fill and closed by another; `quantity` is negative for a short."""

    instrument: str
    opened_by: UUID
    closed_by: UUID
    quantity: int
    cost: Decimal  # of the sign of the quantity
    proceeds: Decimal  # of the sign of the quantity
    charges: Decimal
    opened_at_ms: int
    closed_at_ms: int
    worst: Decimal
    best: Decimal

    @property
    def profit(self) -> Decimal:
        """Rupees before charges."""
        return self.proceeds - self.cost

    @property
    def entry_price(self) -> Decimal:
        return self.cost / self.quantity

    @property
    def exit_price(self) -> Decimal:
        return self.proceeds / self.quantity


Lots = tuple[Lot, ...]


def seen(lots: Lots, price_e4: int) -> Lots:
    """The lots after a price was seen."""
    return tuple(_seen(lot, price_e4) for lot in lots)


def _seen(lot: Lot, price_e4: int) -> Lot:
    profit = lot.profit(price_e4)
    return msgspec.structs.replace(lot, worst=min(lot.worst, profit), best=max(lot.best, profit))


def match(
    lots: Lots, fill: BookedFill, *, matching: Matching = Matching.FIFO
) -> tuple[Lots, list[ClosedLot]]:
    """Open lots after a fill, oldest first, and what it closed, in the order in which it took them.

    A fill on the side of the lots opens one; a fill against them closes, and opens one with what is left.
    """
    rest = fill.side.sign * fill.quantity
    charges = sum((Decimal(amount) for amount in fill.charges.values()), ZERO)
    open_lots = list(seen(lots, fill.price_e4))
    closed: list[ClosedLot] = []
    while rest and open_lots and open_lots[0].quantity * rest < 0:
        number = 0 if matching is Matching.FIFO else len(open_lots) - 1
        lot = open_lots[number]
        units = _toward(lot.quantity, min(abs(lot.quantity), abs(rest)))
        taken, left = divided(lot, units)
        closed.append(_closed(taken, fill, charges))
        open_lots[number : number + 1] = [left] if left else []
        rest, charges = rest + units, ZERO
    if rest:
        opened = Lot(fill.fill_id, rest, value(fill.price_e4, rest), charges, fill.at_ms)
        open_lots.append(opened)
    return tuple(open_lots), closed


def _toward(sign_of: int, size: int) -> int:
    return size if sign_of > 0 else -size


def divided(lot: Lot, units: int) -> tuple[Lot, Lot | None]:
    """So many units of a lot, with all its charges, and what is left of it, if anything. Nothing is lost."""
    if units == lot.quantity:
        return lot, None
    share = {name: quantized(getattr(lot, name) * units / lot.quantity) for name in ("cost", "worst", "best")}
    rest = {name: getattr(lot, name) - part for name, part in share.items()}
    taken = msgspec.structs.replace(lot, quantity=units, **share)
    return taken, msgspec.structs.replace(lot, quantity=lot.quantity - units, charges=ZERO, **rest)


def _closed(lot: Lot, fill: BookedFill, charges: Decimal) -> ClosedLot:
    return ClosedLot(
        instrument=fill.instrument,
        opened_by=lot.opened_by,
        closed_by=fill.fill_id,
        quantity=lot.quantity,
        cost=lot.cost,
        proceeds=value(fill.price_e4, lot.quantity),
        charges=lot.charges + charges,
        opened_at_ms=lot.opened_at_ms,
        closed_at_ms=fill.at_ms,
        worst=lot.worst,
        best=lot.best,
    )
