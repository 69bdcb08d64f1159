"""Our orders in Kite's words: the parameters of placing and modifying."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from alphapanda.core.money import to_rupees
from alphapanda.core.vocabulary import OrderType, Product, Side, Validity, Variety
from execution.domain.orders import AT_MARKET, STOPS, Terms
from execution.domain.settings import KITE_BANDS
from marketdata.domain.instruments import LOT_NOT_TOLD, LOTS_OF_MANY, InstrumentSpec, segment_of
from strategies.domain.slicing import part_units

LIMITED = (OrderType.LIMIT, OrderType.SL)
PERCENT_MAX = 100


class CannotBeSaid(ValueError):
    """An order, or a change of one, that Kite's vocabulary has no words for."""


class Placement(msgspec.Struct, frozen=True):
    """A new order with all that Kite is told of it. `tag` is the one by which it is found again, not its strategy's;
    `algo_id` is the exchange's name of a registered algorithm; `protection` is in percent, -1 Kite's own bands."""

    instrument: InstrumentSpec
    side: Side
    product: Product
    variety: Variety
    terms: Terms
    tag: str
    iceberg_legs: int = 0
    protection: Decimal = KITE_BANDS
    algo_id: str = ""


def units_a_lot(instrument: InstrumentSpec) -> int:
    """How many of our units Kite counts as one: it counts lots of currency and commodities, units of all else."""
    segment = segment_of(instrument.exchange, instrument.instrument_type)
    return max(instrument.lot_size, 1) if segment in LOTS_OF_MANY else 1


def place(order: Placement) -> dict[str, str]:
    """The form of a new order; its variety is in the address. Raises CannotBeSaid."""
    instrument, terms = order.instrument, order.terms
    form = {
        "exchange": instrument.exchange,
        "tradingsymbol": instrument.tradingsymbol,
        "transaction_type": order.side.value,
        "quantity": counted(terms.quantity, instrument),
        "product": order.product.value,
        "order_type": terms.order_type.value,
        "validity": terms.validity.value,
        "tag": order.tag,
        **_prices(terms),
        **_protection(terms, order.protection),
    }
    if terms.validity is Validity.TTL:
        form["validity_ttl"] = str(terms.validity_minutes)
    if terms.disclosed_quantity:
        form["disclosed_quantity"] = counted(terms.disclosed_quantity, instrument)
    if order.variety is Variety.ICEBERG:
        form |= _legs(order)
    if order.algo_id:
        form["algo_id"] = order.algo_id
    return form


def modify(
    before: Terms, after: Terms, instrument: InstrumentSpec, *, protection: Decimal = KITE_BANDS
) -> dict[str, str]:
    """The form of a change. The quantity goes along only where it changes: Kite leaves open whether it means the total
    or what is left. Raises CannotBeSaid: a change cannot give an order minutes to live."""
    minutes = (before.validity, before.validity_minutes), (after.validity, after.validity_minutes)
    if after.validity is Validity.TTL and minutes[0] != minutes[1]:
        raise CannotBeSaid("a change cannot say how many minutes an order is to live")
    form = {
        "order_type": after.order_type.value,
        **_prices(after),
        **_protection(after, protection),
    }
    if after.validity is not before.validity:
        form["validity"] = after.validity.value
    if after.quantity != before.quantity:
        form["quantity"] = counted(after.quantity, instrument)
    if after.disclosed_quantity != before.disclosed_quantity:
        disclosed = after.disclosed_quantity
        form["disclosed_quantity"] = counted(disclosed, instrument) if disclosed else "0"
    return form


def _prices(terms: Terms) -> dict[str, str]:
    """Those that the order type has; a market order has none, whatever limit protects it."""
    wanted = {
        "price": (terms.order_type in LIMITED, terms.limit_price_e4),
        "trigger_price": (terms.order_type in STOPS, terms.trigger_price_e4),
    }
    form = {}
    for name, (is_needed, price_e4) in wanted.items():
        if is_needed and (price_e4 is None or price_e4 <= 0):
            raise CannotBeSaid(f"an order of type {terms.order_type.value} needs a {name}")
        if is_needed and price_e4 is not None:
            form[name] = rupees(price_e4)
    return form


def rupees(price_e4: int) -> str:
    """A price as text: two places, four where it has them."""
    return f"{to_rupees(price_e4):.2f}" if price_e4 % 100 == 0 else f"{to_rupees(price_e4):.4f}"


def _protection(terms: Terms, percent: Decimal) -> dict[str, str]:
    """Always said for what goes to the market: left out or 0, Kite refuses the order."""
    if terms.order_type not in AT_MARKET:
        return {}
    if percent != KITE_BANDS and not 0 < percent <= PERCENT_MAX:
        raise CannotBeSaid(
            f"a market protection of {percent} is neither -1 nor above 0 and at most 100 percent"
        )
    return {"market_protection": f"{percent.normalize():f}"}


def _legs(order: Placement) -> dict[str, str]:
    """Legs of whole lots, the last one what is left."""
    lot, legs = max(order.instrument.lot_size, 1), order.iceberg_legs
    if legs < 1:
        raise CannotBeSaid("an iceberg order needs its number of legs")
    leg = part_units(order.terms.quantity, legs, lot)
    return {"iceberg_legs": str(legs), "iceberg_quantity": counted(leg, order.instrument)}


def counted(units: int, instrument: InstrumentSpec) -> str:
    """Units as Kite counts them. Raises CannotBeSaid."""
    if not instrument.is_lot_told:
        raise CannotBeSaid(f"{instrument.key}: {LOT_NOT_TOLD}")
    lot = units_a_lot(instrument)
    if units < 1 or units % lot:
        raise CannotBeSaid(f"{units} units of {instrument.key} are no whole number of lots of {lot}")
    return str(units // lot)
