"""Wishes that go out as several orders: entries larger than one may be, and the legs of icebergs."""

from __future__ import annotations

import msgspec

from alphapanda.core.money import PRICE_SCALE
from alphapanda.core.vocabulary import Variety
from marketdata.domain.instruments import InstrumentSpec
from strategies.domain.intents import Intent

PARTS_MAX = 20  # what is larger still is a slip: it stays one, and is refused


def parts(intent: Intent, instrument: InstrumentSpec, mark_e4: int) -> tuple[Intent, ...]:
    """The intent, or where it is too large for one order (at its limit, else at a mark; 0: unknown) parts of it with
    its prices and bracket. They are as equal as whole lots allow, so that a limit on one order refuses all of them or
    none. Legs of an iceberg are small already, and what is no quantity of whole lots stays as it is, to be refused."""
    quantity, lot = intent.quantity, max(instrument.lot_size, 1)
    if type(quantity) is not int or quantity % lot or not _is_plain(intent):
        return (intent,)
    price = intent.limit_price if intent.trigger_price is None else intent.limit_price or intent.trigger_price
    most = instrument.units_max(
        int(price * PRICE_SCALE) if price is not None and price.is_finite() else mark_e4
    )
    count = -(-quantity // most) if most else 1
    if not 1 < count <= PARTS_MAX:
        return (intent,)
    size = part_units(quantity, count, lot)
    return tuple(_part(intent, min(size, quantity - done)) for done in range(0, quantity, size))


def part_units(quantity: int, count: int, lot: int) -> int:
    """Units of each of so many parts of whole lots, as equal as these allow; the last one is what is left."""
    return -(-quantity // (count * lot)) * lot


def legs(quantity: int, wanted: int, instrument: InstrumentSpec) -> int:
    """As how many orders an iceberg of so many legs goes out. They are of equal whole lots, the last one of what is
    left, so that five lots in four legs are two, two and one. What does not fill its legs keeps them, to be refused."""
    lot = max(instrument.lot_size, 1)
    lot = 1 if quantity % lot else lot
    if wanted < 1 or quantity < wanted * lot:
        return wanted
    return -(-quantity // part_units(quantity, wanted, lot))


def _is_plain(intent: Intent) -> bool:
    return not intent.iceberg_legs and intent.variety is Variety.REGULAR


def _part(intent: Intent, quantity: int) -> Intent:
    disclosed = min(intent.disclosed_quantity, quantity)
    return msgspec.structs.replace(intent, quantity=quantity, disclosed_quantity=disclosed)
