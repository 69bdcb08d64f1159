"""Placing at the paper exchange: what it refuses, from when an order can trade and until when it works."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core import ids
from alphapanda.core.vocabulary import OrderStatus, Product, Side
from execution.domain.paper import PaperSettings
from marketdata.domain.instruments import InstrumentSpec
from strategies.domain.signals import Mark
from tests.builders import DAY, a_signal, an_index, an_instrument, an_order, at, e4

FRIDAY = date(2019, 7, 12)
MONDAY = date(2019, 7, 15)
QUEUING = PaperSettings(latency_ms=0, may_queue=True, square_off=False)
OPTION = msgspec.structs.replace(
    an_instrument(7, lot=65), exchange="NFO", instrument_type="CE", freeze_quantity=1_800
)
STAYING = PaperSettings(latency_ms=0, square_off=False)


def test_an_order_takes_over_its_signal_and_derives_its_identity() -> None:
    order = an_order(Side.SELL, 25, limit="100.05", settings=PaperSettings(latency_ms=70))
    signal = a_signal(Side.SELL, 25, limit="100.05")

    decision = ids.decision_id(signal.id)
    assert (order.id, order.decision_id) == (ids.order_id(decision, 0), decision)
    assert (order.side, order.quantity, order.limit_price_e4) == (Side.SELL, 25, e4("100.05"))
    assert (order.status, order.unfilled, order.turnover) == (OrderStatus.OPEN, 25, Decimal(0))
    assert order.placed_at_ms == order.updated_at_ms == at()
    assert order.eligible_from_ms == at() + 70
    assert order.expires_at_ms == at("15:30")


@pytest.mark.parametrize(
    ("quantity", "lot", "status"),
    [(75, 75, "OPEN"), (150, 75, "OPEN"), (74, 75, "REJECTED"), (76, 75, "REJECTED"), (1, 1, "OPEN")],
)
def test_only_whole_lots(quantity: int, lot: int, status: str) -> None:
    order = an_order(quantity=quantity, instrument=an_instrument(lot=lot))

    assert order.status == status
    assert ("multiple of the lot of 75" in order.reason) == (status == "REJECTED")


def test_an_index_cannot_be_traded() -> None:
    order = an_order(instrument=an_index())

    assert order.status is OrderStatus.REJECTED
    assert "cannot be traded" in order.reason


@pytest.mark.parametrize("limit", ["100.03", "0", "-0.05", "0.01"])
def test_a_limit_off_the_grid_is_refused(limit: str) -> None:
    assert an_order(limit="100.05").status is OrderStatus.OPEN
    order = an_order(limit=limit)

    assert order.status is OrderStatus.REJECTED
    assert "tick size" in order.reason


@pytest.mark.parametrize(
    ("clock", "day", "queued_until", "otherwise_until"),
    [
        ("00:00", DAY, (DAY, "15:30"), None),  # a day that trades: its session is still to come
        ("08:59:59.999", DAY, (DAY, "15:30"), None),
        ("09:00", DAY, (DAY, "15:30"), (DAY, "15:30")),
        ("09:05", DAY, (DAY, "15:30"), (DAY, "15:30")),
        ("15:29:59.999", DAY, (DAY, "15:30"), (DAY, "15:30")),
        ("15:30", DAY, (DAY + timedelta(days=1), "15:30"), None),
        ("23:30", DAY, (DAY + timedelta(days=1), "15:30"), None),
        ("16:00", FRIDAY, (MONDAY, "15:30"), None),
        ("11:00", FRIDAY + timedelta(days=1), (MONDAY, "15:30"), None),
    ],
)
def test_after_hours_an_order_waits_for_the_next_session_or_is_refused(
    clock: str, day: date, queued_until: tuple[date, str], otherwise_until: tuple[date, str] | None
) -> None:
    queued = an_order(at_ms=at(clock, day), settings=QUEUING)
    other = an_order(at_ms=at(clock, day), settings=STAYING)

    assert queued.status is (OrderStatus.OPEN if otherwise_until else OrderStatus.AMO_RECEIVED)
    assert queued.expires_at_ms == at(queued_until[1], queued_until[0])
    if otherwise_until is None:
        assert other.status is OrderStatus.REJECTED
        assert "The market is closed." in other.reason
    else:
        assert (other.status, other.expires_at_ms) == (
            OrderStatus.OPEN,
            at(otherwise_until[1], otherwise_until[0]),
        )


@pytest.mark.parametrize("settings", [{"latency_ms": -1}, {"slippage_ticks": -1}, {"latency": 5}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"latency|slippage"):
        msgspec.convert(settings, PaperSettings)


@given(
    st.sampled_from([an_instrument(7), an_instrument(7, lot=7), OPTION]),
    st.integers(0, 40_000_000).map(lambda ticks: ticks * 500),
    st.sampled_from(Side),
)
def test_the_largest_order_of_an_instrument_is_taken_and_one_lot_more_is_not(
    instrument: InstrumentSpec, price_e4: int, side: Side
) -> None:
    most = instrument.units_max(price_e4)
    facts = {"instrument": instrument, "marks": {7: Mark(price_e4, at())}}
    if instrument is OPTION:
        facts["product"] = Product.NRML

    assert an_order(side, most, **facts).status is not OrderStatus.REJECTED or most == instrument.lot_size
    assert an_order(side, most + instrument.lot_size, **facts).status is OrderStatus.REJECTED
