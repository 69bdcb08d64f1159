"""Kite's answers on what an account holds, may spend and has paid: positions, holdings, funds, charges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from alphapanda.core.money import PRICE_SCALE
from alphapanda.core.vocabulary import Side
from execution.domain.kite.bills import Bill, Charges
from execution.domain.kite.rows import NUMBER_MAX, NotKites, Where, decoded, listed


class Amount(msgspec.Struct, frozen=True):
    """Units that are held, and the last price that Kite tells with them; 0 where it tells none."""

    units: int
    price_e4: int = 0


class Funds(msgspec.Struct, frozen=True):
    """Rupees of a segment: what the day began with, and what may still be spent."""

    opening: Decimal
    net: Decimal


class _Position(msgspec.Struct):
    exchange: str
    tradingsymbol: str
    product: str
    quantity: int
    last_price: Decimal = Decimal(0)


class _Holding(msgspec.Struct):
    exchange: str
    tradingsymbol: str
    quantity: int
    t1_quantity: int = 0
    used_quantity: int = 0
    realised_quantity: int | None = None
    last_price: Decimal = Decimal(0)


class _Available(msgspec.Struct):
    opening_balance: Decimal = Decimal(0)


class _Segment(msgspec.Struct):
    net: Decimal
    available: _Available


class _Charges(msgspec.Struct):
    total: Decimal
    stamp_duty: Decimal


class _Billed(msgspec.Struct):
    tradingsymbol: str
    transaction_type: Side
    quantity: int
    charges: _Charges


class _Net(msgspec.Struct):
    net: list[_Position]


class _Positions(msgspec.Struct):
    status: str
    data: _Net | None = None
    message: str = ""


class _Margins(msgspec.Struct):
    status: str
    data: dict[str, _Segment] | None = None
    message: str = ""


def positions_of(body: bytes, units: Mapping[str, int]) -> dict[Where, Amount]:
    """What is held, net, by instrument and product. Raises NotKites where the answer is no list of positions."""
    answer = decoded(body, _Positions)
    if answer.status != "success" or answer.data is None:
        raise NotKites(f"no positions: {answer.status} {answer.message}"[:200])
    held: dict[Where, Amount] = {}
    for row in answer.data.net:
        where = Where(f"{row.exchange}:{row.tradingsymbol}", row.product)
        more = row.quantity * units.get(where.instrument, 1)
        held[where] = Amount(held.get(where, Amount(0)).units + more, _last_e4(row.last_price))
    return held


def holdings_of(body: bytes) -> dict[str, Amount]:
    """Shares in the depository as the day found them, by instrument: what is there, what comes tomorrow, and what the
    day has sold of the first. Raises NotKites where the answer is no list of holdings."""
    held: dict[str, Amount] = {}
    for raw in listed(body, "holdings"):
        row = decoded(bytes(raw), _Holding)
        there = row.quantity + row.used_quantity if row.realised_quantity is None else row.realised_quantity
        began = row.quantity + row.t1_quantity + min(row.used_quantity, max(there, 0))
        key = f"{row.exchange}:{row.tradingsymbol}"
        held[key] = Amount(held.get(key, Amount(0)).units + began, _last_e4(row.last_price))
    return held


def funds_of(body: bytes) -> dict[str, Funds]:
    """Rupees by segment. Raises NotKites."""
    answer = decoded(body, _Margins)
    if answer.status != "success" or answer.data is None:
        raise NotKites(f"no funds: {answer.status} {answer.message}"[:200])
    return {name: Funds(row.available.opening_balance, row.net) for name, row in answer.data.items()}


def charges_of(body: bytes, bills: Sequence[Bill]) -> dict[str, Charges]:
    """Rupees that each of the orders costs, by their ids. Raises NotKites where the answer is of other orders."""
    rows = [decoded(bytes(raw), _Billed) for raw in listed(body, "charges")]
    asked = [(bill.symbol, bill.side, bill.quantity) for bill in bills]
    if [(row.tradingsymbol, row.transaction_type, row.quantity) for row in rows] != asked:
        raise NotKites(f"charges of {len(rows)} orders that are not the {len(asked)} that were asked for")
    return {
        bill.order_id: Charges(row.charges.total, row.charges.stamp_duty)
        for bill, row in zip(bills, rows, strict=True)
    }


def _last_e4(rupees: Decimal) -> int:
    """A price that is told beside what matters: none where it is none."""
    return round(rupees * PRICE_SCALE) if rupees.is_finite() and 0 <= rupees <= NUMBER_MAX else 0
