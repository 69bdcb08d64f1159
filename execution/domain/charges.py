"""What an executed order costs: its charges, those of single fills, and the form in which Kite states them.

Everything here is API parity mode: lines of one executed order by its product code, in Decimal, unrounded, as
Kite's `/charges/orders` computes them. `execution.domain.notes` is the other mode: what the contract note of
a client and a day says, with trades netted and lines rounded.

Where sources disagree (docs/money.md has the list):
- GST is taken on brokerage, exchange and SEBI fee, not on the investor protection fund (IPFT): Kite's sample
  contract note of July 2023 says so (SBIN: 0.0033768). A real note of June 2024 has the fund in the base; so
  have the notes of this house. Since 2026-03-01 the fund is part of the exchange fee and the question is moot.
- Stamp duty is unrounded here. Kite's samples state 0 for 0.084, 0.0156 and 0.0045 rupees: whole rupees, half
  up, is the one rule that gives all of them, and `as_kite_states` rounds so.

Turnover is rupees: price times units, and units of a contract are its lots times what a lot holds.
BSE's dearer groups (X, XT, Z, P, ZP) are charged at the rate of the others: the instrument list does not
tell them. Agricultural commodities are charged CTT and the full SEBI fee, which is too much.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal

from alphapanda.core.money import ZERO, quantized
from alphapanda.core.vocabulary import Product, Side
from execution.domain.cards import (
    BadChargeCards,
    Cards,
    ChargeCard,
    ChargeClass,
    NoChargeCard,
    Rates,
    cards_from_json,
)
from marketdata.domain.instruments import Segment

__all__ = (
    "BadChargeCards",
    "Cards",
    "ChargeCard",
    "ChargeClass",
    "NoChargeCard",
    "as_kite_states",
    "brokerage_of",
    "cards_from_json",
    "exercise_charges",
    "fill_charges",
    "order_charges",
    "physical_delivery_charges",
    "rate_group",
)

RUPEE = Decimal(1)
COMMODITIES = (Segment.COMMODITY_FUTURES, Segment.COMMODITY_OPTIONS)
OTHERS = "OTHERS"
_BFO_INDEX_OPTION = re.compile(r"(SENSEX(?!50)|BANKEX)\d")  # SENSEX50 is an index of its own


def rate_group(exchange: str, segment: Segment, tradingsymbol: str) -> str:
    """The group of instruments whose rates hold: BFO options of other underlyings than SENSEX and BANKEX are
    cheaper. Empty for the ordinary rates of the exchange."""
    is_other = exchange == "BFO" and segment is Segment.OPTIONS and not _BFO_INDEX_OPTION.match(tradingsymbol)
    return OTHERS if is_other else ""


def brokerage_of(rates: Rates, turnover: Decimal) -> Decimal:
    """Unrounded rupees of an executed order; nothing for one that has not traded."""
    if not turnover:
        return ZERO
    return rates.brokerage_flat + min(turnover * rates.brokerage, rates.brokerage_cap)


def order_charges(
    card: ChargeCard,
    *,
    side: Side,
    turnover: Decimal,
    product: Product,
    exchange: str,
    segment: Segment,
    group: str = "",
    is_square_off: bool = False,
) -> dict[str, Decimal]:
    """Unrounded rupees by line of an executed order; `turnover` is price times quantity of all its fills.

    `is_square_off`: the broker's system placed the order to close a position, for which it takes a fee.
    Raises NoChargeCard.
    """
    rates = card.rates_for(exchange=exchange, product=product, segment=segment, group=group)
    is_buy = side is Side.BUY
    brokerage = brokerage_of(rates, turnover)
    exchange_fee = turnover * rates.exchange_fee
    sebi = turnover * rates.sebi
    fee = card.fees.square_off if is_square_off and turnover else ZERO
    lines = {
        "brokerage": brokerage,
        "ctt" if segment in COMMODITIES else "stt": turnover * (rates.stt_buy if is_buy else rates.stt_sell),
        "exchange": exchange_fee,
        "sebi": sebi,
        "gst": (brokerage + exchange_fee + sebi + fee) * card.fees.gst,
        "stamp": turnover * rates.stamp_buy if is_buy else ZERO,
    }
    if rates.ipft:
        lines["ipft"] = turnover * rates.ipft
    if fee:
        lines["square_off"] = fee
    return lines


def fill_charges(
    card: ChargeCard,
    *,
    side: Side,
    product: Product,
    exchange: str,
    segment: Segment,
    turnover_before: Decimal,
    turnover_after: Decimal,
    group: str = "",
    is_square_off: bool = False,
) -> dict[str, Decimal]:
    """What one fill adds to the charges of its order, in rupees at booking precision.

    Each line is the difference of the order's booked lines after and before the fill, so that the fills of an
    order add up exactly to `quantized` order charges, brokerage cap included, however the order was split.
    Raises NoChargeCard.
    """

    def lines(turnover: Decimal) -> dict[str, Decimal]:
        return order_charges(
            card,
            side=side,
            turnover=turnover,
            product=product,
            exchange=exchange,
            segment=segment,
            group=group,
            is_square_off=is_square_off,
        )

    booked = {line: quantized(amount) for line, amount in lines(turnover_after).items()}
    if not turnover_before:
        return booked
    before = lines(turnover_before)
    return {line: amount - quantized(before[line]) for line, amount in booked.items()}


def exercise_charges(
    card: ChargeCard, *, exchange: str, intrinsic_value: Decimal, is_buyer: bool, group: str = ""
) -> dict[str, Decimal]:
    """Unrounded rupees by line of an option that is settled in cash at expiry: the broker's flat fee, also for
    one that is assigned or expires worthless, and STT on the intrinsic value, from the buyer only.
    Raises NoChargeCard."""
    rates = card.rates_of(ChargeClass.OPTIONS, exchange, group)
    return {
        "brokerage": rates.brokerage_flat,
        "stt": intrinsic_value * card.fees.exercise_stt if is_buyer else ZERO,
        "gst": rates.brokerage_flat * card.fees.gst,
    }


def physical_delivery_charges(
    card: ChargeCard, *, contract_value: Decimal, is_netted: bool = False
) -> dict[str, Decimal]:
    """Unrounded rupees by line of one side of a stock contract that ends in shares given or taken.

    `is_netted`: contracts that oppose each other leave nothing to deliver; then there is a smaller fee and no
    STT. STT of a delivery is that of an equity delivery, from either side (no example is in our sources).
    """
    fees = card.fees
    brokerage = contract_value * (fees.netted_brokerage if is_netted else fees.delivery_brokerage)
    delivery = card.rates_of(ChargeClass.EQUITY_DELIVERY, "NSE")
    return {
        "brokerage": brokerage,
        "stt": ZERO if is_netted else contract_value * delivery.stt_sell,
        "gst": brokerage * fees.gst,
    }


def as_kite_states(lines: Mapping[str, Decimal]) -> dict[str, object]:
    """Charges of an order in the form of Kite's `/charges/orders`: IPFT in the exchange charge, stamp duty in
    whole rupees, all GST as IGST."""
    exchange = lines["exchange"] + lines.get("ipft", ZERO)
    stamp = lines["stamp"].quantize(RUPEE, rounding=ROUND_HALF_UP)
    tax = "ctt" if "ctt" in lines else "stt"
    brokerage = lines["brokerage"] + lines.get("square_off", ZERO)
    return {
        "transaction_tax": lines[tax],
        "transaction_tax_type": tax,
        "exchange_turnover_charge": exchange,
        "sebi_turnover_charge": lines["sebi"],
        "brokerage": brokerage,
        "stamp_duty": stamp,
        "gst": {"igst": lines["gst"], "cgst": ZERO, "sgst": ZERO, "total": lines["gst"]},
        "total": lines[tax] + exchange + lines["sebi"] + brokerage + stamp + lines["gst"],
    }
