"""What may be traded when, and which market data is trusted: each rule at its edge and one step past it."""

from __future__ import annotations

from datetime import time, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from alphapanda.core.vocabulary import Side
from marketdata.domain.instruments import InstrumentSpec
from risk.domain.limits import Limits
from tests.builders import DAY, TICK_E4, a_holding, a_mark, a_signal, an_instrument, at, e4
from tests.risk.test_rules import a_context, rule_on

FINE = "within_limits"


def instrument(**facts: Any) -> InstrumentSpec:
    return msgspec.structs.replace(an_instrument(7), **facts)


def decided(limits: dict[str, Any], *, spec: InstrumentSpec | None = None, **signal: Any) -> str:
    instruments = {7: spec or an_instrument(7)}
    return rule_on(a_signal(**signal), a_context(limits=Limits(**limits), instruments=instruments))


@pytest.mark.parametrize(
    ("limits", "rule"),
    [
        ({}, FINE),
        ({"restricted": ("NSE:STOCK8",)}, FINE),
        ({"restricted": ("NSE:STOCK7",)}, "restricted_instrument"),
        ({"restricted": ("NIFTY",)}, "restricted_instrument"),  # by its underlying
        ({"allowed": ("NSE:STOCK7",)}, FINE),
        ({"allowed": ("NIFTY",)}, FINE),
        ({"allowed": ("NSE:STOCK8",)}, "restricted_instrument"),
        ({"allowed": ()}, "restricted_instrument"),
        ({"allowed": ("NIFTY",), "restricted": ("NSE:STOCK7",)}, "restricted_instrument"),
    ],
)
def test_lists_of_instruments(limits: dict[str, Any], rule: str) -> None:
    assert decided(limits, spec=instrument(underlying="NIFTY")) == rule


@pytest.mark.parametrize(
    ("products", "taken", "rule"),
    [
        (None, (), FINE),
        (("MIS",), (), FINE),
        (("CNC", "NRML"), (), "product_allowed"),
        ((), (), "product_allowed"),
        (None, ("CNC", "MIS"), FINE),
        (None, ("CNC",), "product_allowed"),  # the exchange takes no other
    ],
)
def test_products(products: tuple[str, ...] | None, taken: tuple[str, ...], rule: str) -> None:
    limits = {} if products is None else {"products": products}
    assert decided(limits, spec=instrument(products=taken)) == rule


@pytest.mark.parametrize(
    ("clock", "rule"),
    [
        ("09:29:59.999", "entry_hours"),
        ("09:30", FINE),
        ("14:59:59.999", FINE),
        ("15:00", "entry_hours"),
    ],
)
def test_hours_of_entries(clock: str, rule: str) -> None:
    limits = {"entries_from": time(9, 30), "entries_until": time(15)}
    assert decided(limits, at_ms=at(clock)) == rule


@pytest.mark.parametrize(
    ("days_ahead", "clock", "until", "rule"),
    [
        (1, "15:29", time(0), FINE),
        (0, "10:59:59.999", time(11), FINE),
        (0, "11:00", time(11), "expiry_day"),
        (0, "09:15", time(0), "expiry_day"),
        (0, "15:29", None, FINE),
        (-1, "09:15", None, "expiry_day"),  # expired
    ],
)
def test_the_last_day_of_a_contract(days_ahead: int, clock: str, until: time | None, rule: str) -> None:
    limits = {} if until is None else {"expiry_until": until}
    spec = instrument(expiry=DAY + timedelta(days=days_ahead))

    assert decided(limits, spec=spec, at_ms=at(clock)) == rule
    context = a_context(limits=Limits(**limits), instruments={7: spec}, holdings={7: a_holding(10)})
    assert rule_on(a_signal(Side.SELL, 10, at_ms=at(clock)), context) == "exit"


@pytest.mark.parametrize(
    ("before", "price", "rule"),
    [
        (0, 100, FINE),  # nothing to compare with
        (100, 102, FINE),
        (100, 98, FINE),
        (100, "102.05", "price_jump"),
        (100, "97.95", "price_jump"),
    ],
)
def test_a_price_that_jumps(before: object, price: object, rule: str) -> None:
    limits = {"price_jump_percent": Decimal(2)}
    assert decided(limits, marks={7: a_mark(price, before=before)}) == rule


@pytest.mark.parametrize("price_e4", [0, -1])
def test_a_price_that_is_none_refuses(price_e4: int) -> None:
    mark = msgspec.structs.replace(a_mark(), price_e4=price_e4)
    assert decided({}, marks={7: mark}) == "stale_price"


@pytest.mark.parametrize(
    ("side", "limit", "rule"),
    [
        (Side.BUY, "110", FINE),
        (Side.BUY, "110.05", "circuit_limit"),
        (Side.BUY, "90", FINE),
        (Side.BUY, "89.95", "circuit_limit"),
        (Side.SELL, "110.05", "circuit_limit"),
        (Side.SELL, "90", FINE),
        (Side.SELL, None, FINE),
    ],
)
def test_circuit_limits(side: Side, limit: object, rule: str) -> None:
    spec = instrument(lower_circuit_e4=e4(90), upper_circuit_e4=e4(110))
    assert decided({}, spec=spec, side=side, limit=limit) == rule


@pytest.mark.parametrize("limits", [{"collar_percent": Decimal(1)}, {"collar_ticks": 20}])
@pytest.mark.parametrize(
    ("side", "limit", "bid", "ask", "rule"),
    [
        (Side.BUY, "101", 0, 0, FINE),
        (Side.BUY, "101.05", 0, 0, "price_collar"),
        (Side.BUY, "50", 0, 0, FINE),  # better than the market by any distance
        (Side.SELL, "99", 0, 0, FINE),
        (Side.SELL, "98.95", 0, 0, "price_collar"),
        (Side.SELL, "500", 0, 0, FINE),
        (Side.BUY, None, 0, "101", FINE),  # at the market: what the far touch asks
        (Side.BUY, None, 0, "101.05", "price_collar"),
        (Side.SELL, None, "99", 0, FINE),
        (Side.SELL, None, "98.95", 0, "price_collar"),
        (Side.BUY, "104", "103", "103.05", FINE),  # the near touch has moved away
        (Side.SELL, "96.05", "96.95", "97", FINE),
        (Side.SELL, "95.95", "96.95", "97", "price_collar"),
    ],
)
def test_the_collar(
    limits: dict[str, Any], side: Side, limit: object, bid: object, ask: object, rule: str
) -> None:
    assert an_instrument(7).tick_size_e4 == TICK_E4
    assert decided(limits, side=side, limit=limit, marks={7: a_mark(bid=bid, ask=ask)}) == rule


@pytest.mark.parametrize(
    ("side", "trigger", "limit", "rule"),
    [
        (Side.BUY, "110", "111.10", FINE),
        (Side.BUY, "110", "111.15", "price_collar"),
        (Side.SELL, "90", "89.10", FINE),
        (Side.SELL, "90", "89.05", "price_collar"),
        (Side.BUY, "150", None, FINE),  # at the market once it is there
    ],
)
def test_the_collar_of_a_stop_is_around_its_trigger(
    side: Side, trigger: object, limit: object, rule: str
) -> None:
    assert decided({"collar_percent": Decimal(1)}, side=side, trigger=trigger, limit=limit) == rule


def test_an_entry_without_a_fresh_reference_is_refused_by_the_collar_s_company() -> None:
    assert decided({"collar_percent": Decimal(1)}, marks={}, limit="100") == "stale_price"
