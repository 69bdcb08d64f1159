"""What arrives late at the simulated broker, and can be no more: nothing of it vanishes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from kiteconnect import KiteConnect, exceptions

from alphapanda.kite_simulator import parsing
from alphapanda.kite_simulator.faults import Fault, Kind
from alphapanda.kite_simulator.ledger import Demat
from alphapanda.kite_simulator.listing import Listing, load_listing
from alphapanda.kite_simulator.simulator import Simulator
from marketdata.domain.instruments import InstrumentSpec
from marketdata.reference import load_calendars
from tests.kite.acts import BUY, last
from tests.kite.server import INFY, SECOND_MS, Served, a_simulator, quoted, serving

SALE = BUY | {"transaction_type": "SELL", "quantity": 10, "price": 1400}


def test_what_can_be_no_order_is_refused_at_once_though_it_would_be_late(
    served: Served, kite: KiteConnect
) -> None:
    served.simulator.faults.arm([Fault(kind=Kind.LATE, ms=(8_000, 8_000))])
    with pytest.raises(exceptions.InputException, match="Tick size"):
        kite.place_order(**BUY | {"price": 1500.03})
    served.advance(9 * SECOND_MS)

    assert kite.orders() == []


def test_a_late_order_that_cannot_be_any_more_is_rejected_in_the_book() -> None:
    with serving(a_simulator([quoted(1500 + n, n) for n in range(30)])) as served:
        kite = served.kite()
        served.simulator.faults.arm([Fault(kind=Kind.LATE, ms=(8_000, 8_000))])
        stop = {"order_type": "SL", "trigger_price": 1504, "price": 1520}
        order_id = kite.place_order(**BUY | stop)
        served.advance(9 * SECOND_MS)

        row = last(kite, order_id)

    assert row["status"] == "REJECTED"
    assert "rigger" in row["status_message"]


def the_next_is_late(simulator: Simulator) -> None:
    simulator.faults.arm([Fault(kind=Kind.LATE, ms=(8_000, 8_000))])


def frozen(spec: InstrumentSpec) -> InstrumentSpec:
    """With a freeze quantity, which orders are sliced at."""
    return msgspec.structs.replace(spec, freeze_quantity=6)


def sold(simulator: Simulator, **terms: Any) -> str:
    """A sale of another size or price, at once."""
    fields = {name: str(one) for name, one in (SALE | terms).items() if name != "variety"}
    wanted = parsing.wanted("regular", fields, simulator.listing.by_key)
    order_id: str = simulator.place(wanted)["order_id"]
    return order_id


def test_a_late_sale_of_what_is_not_authorised_any_more_is_rejected_in_the_book() -> None:
    shares = Demat(20, Decimal(1200), authorised=10)
    with serving(a_simulator([quoted(1500, n) for n in range(30)], demat={INFY: shares})) as served:
        kite = served.kite()
        the_next_is_late(served.simulator)
        order_id = kite.place_order(**SALE)
        sold(served.simulator)
        served.advance(9 * SECOND_MS)

        row, rows = last(kite, order_id), kite.order_history(order_id)

    assert [one["status"] for one in rows] == ["PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "REJECTED"]
    assert row["status_message"].startswith("Your holdings need to be authorised at CDSL")
    assert row["filled_quantity"] == row["pending_quantity"] == 0


def test_slices_that_come_late_and_cannot_be_any_more_are_rejected_in_the_book() -> None:
    shipped = load_listing()
    listing = Listing(map(frozen, shipped.by_key.values()), shipped.rows, load_calendars())
    shares = Demat(20, Decimal(1200), authorised=10)
    ticks = [quoted(1500, n) for n in range(30)]
    with serving(a_simulator(ticks, listing=listing, demat={INFY: shares})) as served:
        kite = served.kite()
        the_next_is_late(served.simulator)
        kite.place_autoslice_order(**SALE | {"quantity": 8})
        sold(served.simulator, quantity=4)
        served.advance(9 * SECOND_MS)
        slices = [
            (row["quantity"], row["status"]) for row in kite.orders() if "autoslice" in row.get("tags", [])
        ]

    assert slices == [(6, "COMPLETE"), (2, "REJECTED")]


def test_a_late_change_that_cannot_be_any_more_is_a_message_on_its_order(walking: Served) -> None:
    """More than it is to have in all has traded meanwhile."""
    kite = walking.kite()
    order_id = kite.place_order(**BUY | {"price": 1501.1, "quantity": 12})
    walking.advance(20)
    the_next_is_late(walking.simulator)
    kite.modify_order("regular", order_id, quantity=3)
    walking.advance(9 * SECOND_MS)
    before, row = kite.order_history(order_id)[-2], last(kite, order_id)

    assert (row["status"], row["quantity"], row["filled_quantity"]) == ("OPEN", 12, 4)
    assert row["status_message"] == row["status_message_raw"] == "Quantity cannot be 3: 4 units have traded."
    assert row == before | {name: row[name] for name in ("status_message", "status_message_raw")}

    kite.modify_order("regular", order_id, price=1500)
    walking.advance(SECOND_MS)
    assert last(kite, order_id)["status_message"] is None


@pytest.mark.parametrize("name", ["modify", "cancel"])
def test_a_late_act_on_an_order_that_has_ended_leaves_it_as_it_is(walking: Served, name: str) -> None:
    kite = walking.kite()
    order_id = kite.place_order(**BUY | {"price": 1501.1, "quantity": 4})
    walking.advance(20)
    the_next_is_late(walking.simulator)
    act = {"modify": kite.modify_order, "cancel": kite.cancel_order}[name]
    act("regular", order_id, **({"price": 1490} if name == "modify" else {}))
    walking.advance(2 * SECOND_MS)
    rows = kite.order_history(order_id)
    walking.advance(9 * SECOND_MS)

    assert rows[-1]["status"] == "COMPLETE"
    assert kite.order_history(order_id) == rows


def test_an_act_that_is_impossible_now_is_refused_now_though_it_would_be_late(
    served: Served, kite: KiteConnect
) -> None:
    order_id = kite.place_order(**BUY | {"price": 1400})
    served.advance(SECOND_MS)
    the_next_is_late(served.simulator)
    with pytest.raises(exceptions.InputException, match="Tick size"):
        kite.modify_order("regular", order_id, price=1400.03)
    served.advance(9 * SECOND_MS)

    assert last(kite, order_id)["status_message"] is None


def test_a_late_act_on_an_order_of_the_day_before_finds_none(served: Served, kite: KiteConnect) -> None:
    order_id = kite.place_order(**BUY | {"price": 1400})
    served.advance(SECOND_MS)
    served.simulator.faults.arm([Fault(kind=Kind.LATE, ms=(24 * 3_600_000, 24 * 3_600_000))])
    kite.cancel_order("regular", order_id)
    order = served.simulator.book.orders[order_id]
    served.advance(23 * 3_600_000)
    shown = len(order.rows)
    served.advance(2 * 3_600_000)

    assert order_id not in served.simulator.book.orders
    assert len(order.rows) == shown
