"""What a backtest pays: Zerodha's dated charges, or a plain rule of another engine."""

from __future__ import annotations

from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum

import msgspec

from alphapanda.core.money import ZERO
from execution.domain.cards import Cards, ChargeCard, ChargeClass, Fees, Rates
from execution.domain.charges import OTHERS
from execution.reference import charge_cards

BASIS_POINTS = 10_000
NO_CAP = Decimal(10) ** 12  # rupees: brokerage without a cap
COSTS_ACCEPTED = "costs are zerodha, none, order:RUPEES or bps:BASIS_POINTS"
LONG_AGO = date(1990, 1, 1)
PLACES = ("NSE", "BSE", "NFO", "BFO", f"BFO:{OTHERS}", "CDS", "BCD", "MCX")


class CostModel(StrEnum):
    ZERODHA = "ZERODHA"  # the dated rate cards that live and paper trading pay
    NONE = "NONE"
    PER_ORDER = "PER_ORDER"  # so many rupees an executed order
    OF_TURNOVER = "OF_TURNOVER"  # so many basis points of the value traded


class Costs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A cost model and its `amount`: rupees of PER_ORDER, basis points of OF_TURNOVER, else 0."""

    model: CostModel = CostModel.ZERODHA
    amount: Decimal = ZERO

    def __post_init__(self) -> None:
        takes_amount = self.model in (CostModel.PER_ORDER, CostModel.OF_TURNOVER)
        if not self.amount.is_finite() or not 0 <= self.amount <= BASIS_POINTS:
            raise ValueError("`amount` is rupees (PER_ORDER) or basis points (OF_TURNOVER), from 0 to 10000")
        if self.amount and not takes_amount:
            raise ValueError(f"{self.model} takes no `amount`; PER_ORDER and OF_TURNOVER do")


def costs_of(text: str) -> Costs:
    """`zerodha`, `none`, `6 an order` as `order:6`, 3 basis points as `bps:3`. Raises ValueError."""
    word, colon, amount = text.partition(":")
    models = {"zerodha": CostModel.ZERODHA, "none": CostModel.NONE}
    models |= {"order": CostModel.PER_ORDER, "bps": CostModel.OF_TURNOVER}
    if word not in models or bool(colon) != (word in ("order", "bps")):
        raise ValueError(f"{COSTS_ACCEPTED}, not {text!r}")
    try:
        return Costs(models[word], Decimal(amount) if colon else ZERO)
    except InvalidOperation:
        raise ValueError(f"{COSTS_ACCEPTED}, not {text!r}") from None


def cards_of(costs: Costs) -> Cards:
    """The rate cards of a cost model."""
    if costs.model is CostModel.ZERODHA:
        return charge_cards()
    rates = Rates(
        brokerage=costs.amount / BASIS_POINTS if costs.model is CostModel.OF_TURNOVER else ZERO,
        brokerage_cap=NO_CAP,
        brokerage_flat=costs.amount if costs.model is CostModel.PER_ORDER else ZERO,
        exchange_fee=ZERO,
        ipft=ZERO,
        sebi=ZERO,
        stamp_buy=ZERO,
    )
    card = ChargeCard(
        valid_from=LONG_AGO,
        source=f"the model {costs.model}",
        rates={kind: dict.fromkeys(PLACES, rates) for kind in ChargeClass},
        fees=Fees(**dict.fromkeys(Fees.__struct_fields__, ZERO)),
    )
    return Cards((card,))
