"""What Kite says of holdings, funds and charges: its own samples, and what is no answer."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from alphapanda.core.vocabulary import Side
from execution.domain.kite.answers import Amount, Funds, charges_of, funds_of, holdings_of, positions_of
from execution.domain.kite.bills import Bill, Charges, said, unequal
from execution.domain.kite.rows import NotKites, Where
from tests.builders import e4
from tests.shared_data import SHARED, needs_shared_data

REST = SHARED / "kite/rest"


def bill(order_id: str, symbol: str, side: Side, **more: Any) -> Bill:
    facts = {
        "day": date(2026, 4, 1), "exchange": "NSE", "variety": "regular", "product": "CNC", "order_type": "MARKET",
        "quantity": 1, "average_price": Decimal(560), "charges": Charges(Decimal("0.664"), Decimal("0.084")),
    }  # fmt: skip
    return Bill(order_id=order_id, symbol=symbol, side=side, **(facts | more))


SAMPLE = [
    bill("1", "SBIN", Side.BUY),
    bill("2", "GOLDPETAL23JULFUT", Side.SELL),
    bill("3", "NIFTY2371317900PE", Side.BUY, quantity=100),
]


@needs_shared_data
def test_kites_own_samples() -> None:
    assert holdings_of((REST / "holdings.json").read_bytes()) == {
        "NSE:AARON": Amount(1, e4("352.95")),
        "BSE:SBIN": Amount(16, e4("762.45")),
    }
    assert funds_of((REST / "margins.json").read_bytes())["commodity"] == Funds(
        Decimal("100661.7"), Decimal("100661.7")
    )
    held = positions_of((REST / "positions.json").read_bytes(), {"MCX:LEADMINI17DECFUT": 1_000})
    assert held[Where("MCX:LEADMINI17DECFUT", "NRML")] == Amount(1_000, e4("161.05"))
    told = charges_of((REST / "virtual_contract_note.json").read_bytes(), SAMPLE)
    assert [str(round(one.total, 8)) for one in told.values()] == ["0.58269680", "2.84811132", "23.68942700"]


def answer(data: Any, status: str = "success") -> bytes:
    return json.dumps({"status": status, "data": data}).encode()


@pytest.mark.parametrize(
    ("row", "units"),
    [
        ({"quantity": 6, "used_quantity": 4, "realised_quantity": 10}, 10),
        ({"quantity": 6, "used_quantity": 4}, 10),
        ({"quantity": 0, "t1_quantity": 10, "realised_quantity": 0}, 10),
        # shares on their way were sold: they are still told as on their way
        ({"quantity": 0, "t1_quantity": 10, "used_quantity": 4, "realised_quantity": 0}, 10),
        ({"quantity": 0, "t1_quantity": 10, "used_quantity": 5, "realised_quantity": 3}, 13),
    ],
)
def test_shares_as_the_morning_found_them(row: dict[str, int], units: int) -> None:
    body = answer([{"exchange": "NSE", "tradingsymbol": "STOCK7"} | row])

    assert holdings_of(body) == {"NSE:STOCK7": Amount(units)}


@pytest.mark.parametrize("body", [b"", b"[]", answer(None), answer([], "error"), answer([{"quantity": "1"}])])
def test_what_is_no_answer_is_no_information(body: bytes) -> None:
    for read in (
        holdings_of,
        funds_of,
        lambda one: charges_of(one, SAMPLE),
        lambda one: positions_of(one, {}),
    ):
        if (read, body) != (holdings_of, answer([])):
            with pytest.raises(NotKites):
                read(body)


def test_charges_of_other_orders_than_were_asked_for_are_none() -> None:
    rows = [
        {
            "tradingsymbol": one.symbol,
            "transaction_type": one.side,
            "quantity": one.quantity,
            "charges": {"total": 1, "stamp_duty": 0},
        }
        for one in SAMPLE
    ]
    assert len(charges_of(answer(rows), SAMPLE)) == 3
    for wrong in (rows[::-1], rows[:2]):
        with pytest.raises(NotKites):
            charges_of(answer(wrong), SAMPLE)


def test_a_bill_as_kite_is_asked_for_it() -> None:
    assert said([bill("1", "SBIN", Side.BUY, average_price=Decimal("560.123456"))]) == [
        {
            "order_id": "1", "exchange": "NSE", "tradingsymbol": "SBIN", "transaction_type": "BUY",
            "variety": "regular", "product": "CNC", "order_type": "MARKET", "quantity": 1, "average_price": 560.1235,
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("total", "stamp", "differs"),
    [
        ("0.60", "0", False),
        ("0.56", "0", False),
        ("0.601", "0", True),
        ("0", "0", True),
        ("0.664", "0.084", False),
        ("1.18", "0.60", False),
        ("1.19", "0.61", True),
    ],
)
def test_an_order_may_cost_two_paise_more_or_less_and_its_stamp_duty_is_rounded(
    total: str, stamp: str, differs: bool
) -> None:
    one, theirs = bill("1", "SBIN", Side.BUY), Charges(Decimal(total), Decimal(stamp))

    assert unequal([one], {"1": theirs}) == ([(one, theirs)] if differs else [])
