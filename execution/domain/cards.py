"""Dated rate cards: what brokers, exchanges and the state take from a trade, by day, kind of trade and exchange.

Rates of days before 2021 are nowhere in our sources. Recorded sessions of 2016 and 2019 are replayed, so the
oldest card also covers those days, explicitly marked (`ChargeCard.is_assumed_on`); before 2000 none does.
Where each number comes from stands in the `source` of its card and in docs/money.md.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from datetime import date
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Any

import msgspec

from alphapanda.core.money import ZERO
from alphapanda.core.vocabulary import Product
from marketdata.domain.instruments import Segment


class NoChargeCard(LookupError):
    """No rate card covers a day, or the card of the day has no rates for a segment, exchange and product."""


class BadChargeCards(ValueError):
    """Rate cards that cannot be read, that overlap, that state a thing twice or hold a negative rate."""


class ChargeClass(StrEnum):
    """Kinds of trades that are charged alike: an equity trade is delivery or intraday, others are one kind
    a segment, whatever their product."""

    EQUITY_DELIVERY = "EQUITY_DELIVERY"
    EQUITY_INTRADAY = "EQUITY_INTRADAY"
    FUTURES = "FUTURES"
    OPTIONS = "OPTIONS"
    CURRENCY_FUTURES = "CURRENCY_FUTURES"
    CURRENCY_OPTIONS = "CURRENCY_OPTIONS"
    COMMODITY_FUTURES = "COMMODITY_FUTURES"
    COMMODITY_OPTIONS = "COMMODITY_OPTIONS"


_CLASSES = {
    (Segment.EQUITY, Product.CNC): ChargeClass.EQUITY_DELIVERY,
    (Segment.EQUITY, Product.MIS): ChargeClass.EQUITY_INTRADAY,
} | {
    (segment, product): ChargeClass(segment.value)
    for segment in Segment
    for product in (Product.MIS, Product.NRML)
    if segment is not Segment.EQUITY
}


def charge_class(segment: Segment, product: Product) -> ChargeClass:
    """How a trade of a product is charged, by its product code alone. Raises NoChargeCard for a product that
    the segment does not know: CNC is for equity, NRML for derivatives."""
    try:
        return _CLASSES[segment, product]
    except KeyError:
        accepted = ", ".join(known for of, known in sorted(_CLASSES) if of is segment)
        raise NoChargeCard(f"{product} is no product of {segment}; accepted are {accepted}") from None


class Rates(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Fractions of turnover (of the premium for options) for one kind of trade on one exchange.

    Brokerage of an order in rupees: `brokerage_flat`, and the fraction `brokerage` of its turnover but no
    more than `brokerage_cap`. `stt_*` is CTT for commodities.
    """

    brokerage: Decimal = ZERO
    brokerage_cap: Decimal = ZERO
    brokerage_flat: Decimal = ZERO
    stt_buy: Decimal = ZERO
    stt_sell: Decimal = ZERO
    exchange_fee: Decimal
    ipft: Decimal
    sebi: Decimal
    stamp_buy: Decimal


class Fees(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What does not follow from the turnover of an order: rupees before GST, or fractions; and GST itself.

    `depository` is per scrip and day of delivery sales (`depository_woman` where the first holder is one),
    `square_off` per order that the broker places to close; `exercise_stt` a fraction of the intrinsic value,
    `delivery_brokerage` and `netted_brokerage` fractions of the contract value delivered or netted.
    """

    depository: Decimal
    depository_woman: Decimal
    square_off: Decimal
    exercise_stt: Decimal
    delivery_brokerage: Decimal
    netted_brokerage: Decimal
    gst: Decimal


class ChargeCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All rates from a day on; from `assumed_from` to `valid_from` they stand in for unknown older ones.

    `rates` by kind of trade and exchange; EXCHANGE:GROUP holds for a group of instruments of that exchange.
    """

    valid_from: date
    assumed_from: date | None = None
    source: str
    rates: dict[ChargeClass, dict[str, Rates]]
    fees: Fees

    @property
    def starts(self) -> date:
        return self.assumed_from or self.valid_from

    def is_assumed_on(self, day: date) -> bool:
        """Whether the card stands in, on that day, for rates that nobody wrote down."""
        return day < self.valid_from

    def rates_for(self, *, exchange: str, product: Product, segment: Segment, group: str = "") -> Rates:
        """The rates of a trade by its product code. Raises NoChargeCard."""
        return self.rates_of(charge_class(segment, product), exchange, group)

    def rates_of(self, kind: ChargeClass, exchange: str, group: str = "") -> Rates:
        """The rates of a kind of trade. Raises NoChargeCard."""
        place = f"{exchange}:{group}" if group else exchange
        found = self.rates.get(kind, {}).get(place)
        if found is None:
            raise NoChargeCard(f"the card of {self.valid_from} has no rates for {kind} on {place}")
        return found


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
        cards = msgspec.convert(json.loads(raw, object_pairs_hook=_stated_once), Cards, strict=True)
    except (msgspec.MsgspecError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadChargeCards(str(error)) from error
    if not all(earlier.valid_from < later.starts for earlier, later in pairwise(cards.cards)):
        raise BadChargeCards("rate cards must be in the order of their days")
    for card in cards.cards:
        _check(card)
    return cards


def _stated_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose names differ: of two equal ones the first would be lost without a word."""
    stated = dict(pairs)
    if len(stated) != len(pairs):
        names = [name for name, _ in pairs]
        raise BadChargeCards(f"stated twice: {sorted({name for name in names if names.count(name) > 1})}")
    return stated


def _check(card: ChargeCard) -> None:
    rows = [card.fees, *(rates for by_exchange in card.rates.values() for rates in by_exchange.values())]
    amounts = [amount for row in rows for amount in msgspec.structs.astuple(row)]
    if any(not amount.is_finite() or amount < 0 for amount in amounts):
        raise BadChargeCards(f"the card of {card.valid_from} holds a rate below zero")
    if card.starts > card.valid_from:
        raise BadChargeCards(f"the card of {card.valid_from} is assumed from after it is valid")
