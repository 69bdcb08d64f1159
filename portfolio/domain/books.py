"""Average cost books: a pure fold from fills to holdings and balanced ledger entries."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

import msgspec

from alphapanda.core import ids
from alphapanda.core.money import ZERO, quantized, value
from alphapanda.core.vocabulary import Side

CASH = "CASH"
POSITION = "POSITION"
REALISED = "REALISED"
DIVIDEND = f"{REALISED}:dividend"  # profit that comes without a trade
CHARGES = "CHARGES"


class BookedFill(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A fill as the books see it; `charges` are rupees by line, `instrument` is EXCHANGE:TRADINGSYMBOL."""

    fill_id: UUID
    order_id: UUID
    deployment_id: UUID
    instrument: str
    token: int
    side: Side
    quantity: int
    price_e4: int
    charges: dict[str, Decimal]
    at_ms: int


class Holding(msgspec.Struct, frozen=True, gc=False):
    """Signed quantity at its cost (of the same sign), with profit and charges so far, in rupees."""

    quantity: int = 0
    cost: Decimal = ZERO
    realised: Decimal = ZERO
    charges: Decimal = ZERO


FLAT = Holding()


class Entry(msgspec.Struct, frozen=True):
    """What an account gains by a fill or a corporate action (`fill_id` is the id of either), in rupees; a debit
    is positive, so a profit lowers REALISED."""

    id: UUID
    fill_id: UUID
    number: int
    account: str
    amount: Decimal


def book(holding: Holding, fill: BookedFill) -> tuple[Holding, list[Entry]]:
    """The holding after a fill, and its ledger entries, which add up to exactly zero.

    Weighted average cost: a fill on the side of the position adds to its cost, a fill against it realises
    against the unchanged average, a fill through zero closes at the old average and opens the rest at its
    own price.
    """
    moved = _moved(holding, fill)
    accounts = {
        CASH: -value(fill.price_e4, fill.side.sign * fill.quantity) - moved.charged,
        POSITION: moved.cost_change,
        REALISED: -moved.profit,
    } | {f"{CHARGES}:{line}": quantized(amount) for line, amount in sorted(fill.charges.items())}
    return moved.after, entries_of(fill.fill_id, accounts)


def held(holding: Holding, fill: BookedFill) -> Holding:
    """The holding after a fill: `book` without the entries, which can be made from the fills at any time."""
    return _moved(holding, fill).after


class _Moved(NamedTuple):
    """The holding after a fill, and what it did in rupees."""

    after: Holding
    cost_change: Decimal
    profit: Decimal
    charged: Decimal


def _moved(holding: Holding, fill: BookedFill) -> _Moved:
    direction = (holding.quantity > 0) - (holding.quantity < 0)
    signed = fill.side.sign * fill.quantity
    closed = min(abs(holding.quantity), fill.quantity) if direction * signed < 0 else 0
    released = _cost_of(holding, closed)
    profit = value(fill.price_e4, closed * direction) - released
    cost_change = value(fill.price_e4, signed + closed * direction) - released
    charged = sum(map(quantized, fill.charges.values()), ZERO)
    after = Holding(
        quantity=holding.quantity + signed,
        cost=holding.cost + cost_change,
        realised=holding.realised + profit,
        charges=holding.charges + charged,
    )
    return _Moved(after, cost_change, profit, charged)


def _cost_of(holding: Holding, closed: int) -> Decimal:
    if closed == 0:
        return ZERO
    return quantized(holding.cost * closed / abs(holding.quantity))


def entries_of(fill_id: UUID, accounts: dict[str, Decimal]) -> list[Entry]:
    """Numbered ledger entries of one cause; accounts that gain nothing have none."""
    moved = [(account, quantized(amount)) for account, amount in accounts.items() if amount]
    return [
        Entry(
            id=ids.entry_id(fill_id, number), fill_id=fill_id, number=number, account=account, amount=amount
        )
        for number, (account, amount) in enumerate(moved, start=1)
    ]


def cash_moved(entries: Iterable[Entry]) -> Decimal:
    """Rupees that entries move into cash."""
    return sum((entry.amount for entry in entries if entry.account == CASH), ZERO)


def cash_of(holding: Holding) -> Decimal:
    """Rupees of cash that trading a holding from nothing has moved: the identity that the ledger keeps."""
    return holding.realised - holding.charges - holding.cost


def unrealised(holding: Holding, mark_e4: int) -> Decimal:
    """Profit in rupees if the holding were closed at a mark, before charges."""
    return value(mark_e4, holding.quantity) - holding.cost


def average_price(holding: Holding) -> Decimal | None:
    """Rupees per unit of the open quantity, unrounded; None when flat."""
    return holding.cost / holding.quantity if holding.quantity else None


def net(holding: Holding) -> Decimal:
    """Realised profit after all charges so far, in rupees."""
    return holding.realised - holding.charges
