"""What an executed order costs: dated rate cards, and the charges of orders and of single fills.

Charges follow the API parity mode of Kite's `/charges/orders`: unrounded Decimal lines per executed order.
Two published samples disagree on the base of GST: Kite's API leaves the investor protection fund (IPFT) out
of it (sample contract note, SBIN, July 2023: 0.0033768), a real contract note of June 2024 has it in. The API
is followed here; the difference is 18 % of 10 rupees a crore, and nothing since 2026-03-01, when the fund
became part of the exchange fee.

Not here, because they do not belong to one order: the depository fee of a delivery sale (15.34 rupees per
ISIN and day), the rounding of STT to rupees on a contract note, and the netting of intraday against delivery
per scrip and day. BSE's dearer groups (X, XT, Z, P, ZP) are charged at the rate of the others.

Rates of days before 2021 are nowhere in our sources. Recorded sessions of 2016 and 2019 are replayed, so the
oldest card also covers those days, explicitly marked (`ChargeCard.is_assumed_on`); before 2000 none does.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import date
from decimal import Decimal
from itertools import pairwise

import msgspec

from alphapanda.core.money import ZERO, quantized
from alphapanda.core.vocabulary import Product, Side

EQUITY = "EQUITY"


class NoChargeCard(LookupError):
    """No rate card covers a day, or the card of the day has no rates for an exchange and product."""


class BadChargeCards(ValueError):
    """Rate cards that cannot be read, that overlap or that hold a negative rate."""


class Rates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fractions of turnover for one segment, exchange and product; `brokerage_cap` is rupees per order."""

    segment: str
    exchange: str
    product: Product
    brokerage: Decimal
    brokerage_cap: Decimal
    stt_buy: Decimal
    stt_sell: Decimal
    exchange_fee: Decimal
    ipft: Decimal
    sebi: Decimal
    stamp_buy: Decimal
    gst: Decimal

    @property
    def key(self) -> tuple[str, str, Product]:
        return self.segment, self.exchange, self.product

    @property
    def amounts(self) -> tuple[Decimal, ...]:
        return tuple(a for a in msgspec.structs.astuple(self) if isinstance(a, Decimal))


class ChargeCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All rates from a day on; from `assumed_from` to `valid_from` they stand in for unknown older ones."""

    valid_from: date
    source: str
    rates: tuple[Rates, ...]
    assumed_from: date | None = None

    @property
    def starts(self) -> date:
        return self.assumed_from or self.valid_from

    def is_assumed_on(self, day: date) -> bool:
        """Whether the card stands in, on that day, for rates that nobody wrote down."""
        return day < self.valid_from

    def rates_for(self, *, exchange: str, product: Product, segment: str = EQUITY) -> Rates:
        """The rates of an exchange and product. Raises NoChargeCard."""
        for rates in self.rates:
            if rates.key == (segment, exchange, product):
                return rates
        raise NoChargeCard(f"the card of {self.valid_from} has no rates for {segment} {exchange} {product}")


class Cards(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rate cards in the order of the days from which they hold."""

    cards: tuple[ChargeCard, ...]

    def on(self, day: date) -> ChargeCard:
        """The card in force on a trading date (IST). Raises NoChargeCard for a day before the first card."""
        number = bisect_right(self.cards, day, key=lambda card: card.starts)
        if number == 0:
            raise NoChargeCard(f"no rate card covers {day}")
        return self.cards[number - 1]


def cards_from_json(raw: bytes) -> Cards:
    """Rate cards of a JSON file, validated. Raises BadChargeCards."""
    try:
        cards = msgspec.json.decode(raw, type=Cards)
    except msgspec.MsgspecError as error:
        raise BadChargeCards(str(error)) from error
    if not all(earlier.valid_from < later.starts for earlier, later in pairwise(cards.cards)):
        raise BadChargeCards("rate cards must be in the order of their days")
    for card in cards.cards:
        _check(card)
    return cards


def _check(card: ChargeCard) -> None:
    keys = [rates.key for rates in card.rates]
    if len(set(keys)) != len(keys):
        raise BadChargeCards(f"the card of {card.valid_from} states rates twice")
    if any(not amount.is_finite() or amount < 0 for rates in card.rates for amount in rates.amounts):
        raise BadChargeCards(f"the card of {card.valid_from} holds a rate below zero")
    if card.starts > card.valid_from:
        raise BadChargeCards(f"the card of {card.valid_from} is assumed from after it is valid")


def order_charges(
    card: ChargeCard, *, side: Side, turnover: Decimal, product: Product, exchange: str
) -> dict[str, Decimal]:
    """Unrounded rupees by line of an executed order; `turnover` is price times quantity of all its fills."""
    rates = card.rates_for(exchange=exchange, product=product)
    is_buy = side is Side.BUY
    brokerage = min(turnover * rates.brokerage, rates.brokerage_cap)
    exchange_fee = turnover * rates.exchange_fee
    sebi = turnover * rates.sebi
    lines = {
        "brokerage": brokerage,
        "stt": turnover * (rates.stt_buy if is_buy else rates.stt_sell),
        "exchange": exchange_fee,
        "sebi": sebi,
        "gst": (brokerage + exchange_fee + sebi) * rates.gst,
        "stamp": turnover * rates.stamp_buy if is_buy else ZERO,
    }
    if rates.ipft:
        lines["ipft"] = turnover * rates.ipft
    return lines


def fill_charges(
    card: ChargeCard,
    *,
    side: Side,
    product: Product,
    exchange: str,
    turnover_before: Decimal,
    turnover_after: Decimal,
) -> dict[str, Decimal]:
    """What one fill adds to the charges of its order, in rupees at booking precision.

    Each line is the difference of the order's booked lines after and before the fill, so that the fills of an
    order add up exactly to `quantized` order charges, brokerage cap included, however the order was split.
    """
    after = order_charges(card, side=side, turnover=turnover_after, product=product, exchange=exchange)
    if not turnover_before:
        return {line: quantized(amount) for line, amount in after.items()}
    before = order_charges(card, side=side, turnover=turnover_before, product=product, exchange=exchange)
    return {line: quantized(amount) - quantized(before[line]) for line, amount in after.items()}
