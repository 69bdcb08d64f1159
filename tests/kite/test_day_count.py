"""What the broker counts to the orders of a day: all of the account, whoever sends them."""

from __future__ import annotations

from alphapanda.kite_simulator.limits import Rates
from alphapanda.kite_simulator.script import Step, do
from tests.kite.server import SECOND_MS, a_simulator, quoted, serving

ORDER = {
    "exchange": "NSE",
    "tradingsymbol": "INFY",
    "transaction_type": "BUY",
    "product": "CNC",
    "order_type": "LIMIT",
    "price": 1600,
}


def test_orders_of_other_apps_and_each_leg_of_an_iceberg_count_to_the_day() -> None:
    ticks = [quoted(1500, second) for second in range(60)]
    with serving(a_simulator(ticks, rates=Rates(orders=1_000, other=1_000))) as served:
        simulator = served.simulator

        def counted() -> int:
            return served.call(lambda: simulator.limits.orders_today(simulator.clock.pace_ms()))

        served.call(do, simulator, Step(place=ORDER | {"quantity": 1}))
        elsewhere = counted()
        iceberg = {"quantity": 9, "iceberg_legs": 3, "iceberg_quantity": 3}
        served.kite().place_order("iceberg", **ORDER | iceberg)
        served.advance(20 * SECOND_MS)

        assert len(served.kite().orders()) == 4
        assert (elsewhere, counted()) == (1, 4)
