"""Orders as requests state them, checked for form: what can be no order is refused before anything else looks."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TypeVar

import msgspec

from alphapanda.core.money import PriceNotExact, to_e4
from alphapanda.core.vocabulary import OrderType, Product, Side, Validity, Variety
from alphapanda.kite_simulator.errors import KiteError, bad_input
from execution.domain.orders import AT_MARKET, STOPS
from execution.domain.settings import KITE_BANDS, PERCENT_MAX
from marketdata.domain.instruments import InstrumentSpec
from strategies.domain.signals import QUANTITY_MAX, TAG_LENGTH_MAX

DIGITS_MAX = 12
COMMODITIES = "MCX"  # takes no IOC orders of programs since April 2026
Word = TypeVar("Word", bound=StrEnum)
NO_SUCH_INSTRUMENT = (
    "The instrument you are placing an order for has either expired or does not exist. "
    "Please try again with another instrument."
)
UNPROTECTED = (
    "Market orders without market protection are not allowed via API. "
    "Please set market protection or use a limit order."
)
NOT_OFFERED = "Variety `{}` is not offered by the simulator; use regular, amo or iceberg."


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """An order as somebody wants it. `protection` is percent, -1 for Kite's bands, nothing for none."""

    spec: InstrumentSpec
    variety: Variety
    side: Side
    quantity: int
    product: Product
    order_type: OrderType
    validity: Validity
    price_e4: int | None = None
    trigger_e4: int | None = None
    ttl_minutes: int = 0
    disclosed: int = 0
    legs: int = 0
    leg_quantity: int = 0
    protection: Decimal | None = None
    tag: str | None = None
    is_sliced: bool = False
    algo_id: str = ""
    meta: dict[str, int] = {}  # what its row tells of where it comes from


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """What a modification names; nothing: it stays."""

    quantity: int | None = None
    order_type: OrderType | None = None
    price_e4: int | None = None
    trigger_e4: int | None = None
    validity: Validity | None = None
    ttl_minutes: int | None = None
    disclosed: int | None = None
    protection: Decimal | None = None


def wanted(variety: str, fields: Mapping[str, str], by_key: Mapping[str, InstrumentSpec]) -> Wanted:
    """The order of a request. Raises KiteError."""
    order_type = word("order_type", OrderType, fields)
    kind = _variety(variety)
    found = Wanted(
        spec=instrument(fields, by_key),
        variety=kind,
        side=word("transaction_type", Side, fields),
        quantity=whole("quantity", needed("quantity", fields), least=1),
        product=word("product", Product, fields),
        order_type=order_type,
        validity=word("validity", Validity, {"validity": "DAY"} | dict(fields)),
        price_e4=price_e4("price", fields) if order_type not in AT_MARKET else None,
        trigger_e4=price_e4("trigger_price", fields) if order_type in STOPS else None,
        ttl_minutes=_optional("validity_ttl", fields) or 0,
        disclosed=_optional("disclosed_quantity", fields) or 0,
        legs=(_optional("iceberg_legs", fields) or 0) if kind is Variety.ICEBERG else 0,
        leg_quantity=(_optional("iceberg_quantity", fields) or 0) if kind is Variety.ICEBERG else 0,
        protection=_protection(fields),
        tag=_tag(fields),
        is_sliced=fields.get("autoslice", "").lower() == "true",
        algo_id=fields.get("algo_id", ""),
    )
    _check(found)
    return found


def changed(fields: Mapping[str, str]) -> Changed:
    """The changes of a request. Raises KiteError."""
    return Changed(
        quantity=_optional("quantity", fields),
        order_type=word("order_type", OrderType, fields) if fields.get("order_type") else None,
        price_e4=price_e4("price", fields),
        trigger_e4=price_e4("trigger_price", fields),
        validity=word("validity", Validity, fields) if fields.get("validity") else None,
        ttl_minutes=_optional("validity_ttl", fields),
        disclosed=_optional("disclosed_quantity", fields),
        protection=_protection(fields),
    )


def check_protected(order_type: OrderType, protection: Decimal | None) -> None:
    """Raises KiteError for what goes to the market without a limit of any kind."""
    if order_type in AT_MARKET and not protection:
        raise bad_input(UNPROTECTED)


def _check(order: Wanted) -> None:
    check_protected(order.order_type, order.protection)
    if order.order_type not in AT_MARKET and order.price_e4 is None:
        raise bad_input(f"Price cannot be empty for {order.order_type} orders.")
    if order.order_type in STOPS and order.trigger_e4 is None:
        raise bad_input(f"Trigger price cannot be empty for {order.order_type} orders.")
    if order.validity is Validity.IOC and order.spec.exchange == COMMODITIES:
        raise bad_input("IOC orders are not allowed via API at MCX.")
    if order.variety is Variety.ICEBERG:
        _check_iceberg(order)


def _check_iceberg(order: Wanted) -> None:
    if not 2 <= order.legs <= 50:
        raise bad_input("Iceberg legs should be between 2 and 50.")
    if order.leg_quantity * order.legs < order.quantity or order.leg_quantity < 1:
        raise bad_input("Iceberg quantity and legs do not make the quantity of the order.")
    if order.leg_quantity * (order.legs - 1) >= order.quantity:
        raise bad_input("Iceberg quantity is too large for so many legs.")
    if order.validity is Validity.IOC or order.is_sliced:
        raise bad_input("Iceberg orders are valid for the day or for minutes, and are not sliced.")


def _variety(text: str) -> Variety:
    if text in ("co", "auction", "bo"):
        raise bad_input(NOT_OFFERED.format(text))
    if text not in list(Variety):
        raise bad_input(f"Invalid `variety` {text[:20]!r}.")
    return Variety(text)


def instrument(fields: Mapping[str, str], by_key: Mapping[str, InstrumentSpec]) -> InstrumentSpec:
    key = f"{needed('exchange', fields)}:{needed('tradingsymbol', fields)}"
    if key not in by_key:
        raise bad_input(NO_SUCH_INSTRUMENT)
    return by_key[key]


def needed(name: str, fields: Mapping[str, str]) -> str:
    text = fields.get(name, "").strip()
    if not text:
        raise bad_input(f"Missing or empty field `{name}`")
    return text


def word(name: str, words: type[Word], fields: Mapping[str, str]) -> Word:
    text = needed(name, fields)
    try:
        return words(text)
    except ValueError:
        raise bad_input(f"Invalid `{name}` {text[:20]!r}; accepted are {', '.join(words)}.") from None


def is_whole(text: str) -> bool:
    """Whether a text is a whole number that is not longer than any that means something."""
    return text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX


def whole(name: str, text: str, *, least: int) -> int:
    if not is_whole(text) or not least <= int(text) <= QUANTITY_MAX:
        raise bad_input(f"Invalid `{name}` {text[:20]!r}: a whole number from {least} is expected.")
    return int(text)


def _optional(name: str, fields: Mapping[str, str]) -> int | None:
    text = fields.get(name, "").strip()
    return whole(name, text, least=0) if text else None


def _decimal(name: str, text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise _no_number(name, text) from None
    if not amount.is_finite():
        raise _no_number(name, text)
    return amount


def _no_number(name: str, text: str) -> KiteError:
    return bad_input(f"Invalid `{name}` {text[:20]!r}: a number is expected.")


def price_e4(name: str, fields: Mapping[str, str]) -> int | None:
    """A price in 1/10,000 rupee; nothing where none or 0 is given."""
    text = fields.get(name, "").strip()
    if not text:
        return None
    try:
        price_e4 = to_e4(_decimal(name, text))
    except PriceNotExact:
        raise _no_number(name, text) from None
    if not 0 <= price_e4 < 10**12:
        raise bad_input(f"Invalid `{name}` {text[:20]!r}.")
    return price_e4 or None


def _protection(fields: Mapping[str, str]) -> Decimal | None:
    text = fields.get("market_protection", "").strip()
    if not text:
        return None
    percent = _decimal("market_protection", text)
    if percent and percent != KITE_BANDS and not 0 < percent <= PERCENT_MAX:
        raise bad_input("Invalid `market_protection`: -1, or above 0 and up to 100, is expected.")
    return percent or None


def _tag(fields: Mapping[str, str]) -> str | None:
    tag = fields.get("tag", "").strip()
    if len(tag) > TAG_LENGTH_MAX or not tag.isprintable():
        raise bad_input(f"Invalid `tag`: at most {TAG_LENGTH_MAX} letters and digits are expected.")
    return tag or None
