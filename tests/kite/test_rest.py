"""Every other route through the official client: data of the market, the portfolio, triggers, calculators, limits."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
import requests
from kiteconnect import KiteConnect, exceptions

from alphapanda.core.clock import ist_ms
from alphapanda.kite_simulator.clock import SimClock
from alphapanda.kite_simulator.errors import KiteError
from alphapanda.kite_simulator.ledger import Demat
from alphapanda.kite_simulator.limits import Limits, Rates
from alphapanda.kite_simulator.listing import Listing, load_listing
from alphapanda.kite_simulator.simulator import Simulator
from alphapanda.kite_simulator.walk import Walk
from marketdata.domain.instruments import InstrumentSpec
from marketdata.reference import load_calendar, load_calendars
from tests.builders import at
from tests.kite.samples import differences, sample
from tests.kite.server import INFY, SECOND_MS, Served, a_simulator, quoted, serving
from tests.shared_data import needs_shared_data

FREE = Rates(quote=10**6, historical=10**6, orders=10**6, other=10**6)
LIMIT = {"transaction_type": "BUY", "quantity": 1, "order_type": "LIMIT", "product": "CNC", "price": 1400}


@pytest.fixture
def served() -> Iterator[Served]:
    market = [quoted(1500, -24 * 3_600), *(quoted(1500 + n, n) for n in range(1, 40))]
    with serving(a_simulator(market, rates=FREE)) as found:
        found.advance(SECOND_MS)
        yield found


@pytest.fixture
def walked() -> Iterator[Served]:
    """A walk of three instruments on the ninth of July 2019, from ten on."""
    listing = load_listing()
    tokens = [INFY, 738561, 256265]
    walk = Walk(listing, tokens, seed=5)
    clock = SimClock(starts_ms=at(), speed=0)
    settings = a_simulator(rates=FREE).settings
    simulator = Simulator(
        listing=listing, tokens=tokens, batches=walk.batches(at()), clock=clock, settings=settings, past=walk
    )
    with serving(simulator) as found:
        yield found


def test_quotes_know_the_day_and_leave_out_what_is_unknown(served: Served, kite: KiteConnect) -> None:
    quotes = kite.quote("NSE:INFY", "NSE:NOBODY", "NSE:TCS")
    one = quotes["NSE:INFY"]

    assert list(quotes) == ["NSE:INFY"]
    assert one["ohlc"] == {"open": 1501, "high": 1501, "low": 1501, "close": 1500}
    assert (one["net_change"], one["lower_circuit_limit"], one["upper_circuit_limit"]) == (1, 1200, 1800)
    assert one["depth"]["buy"][0] == {"price": 1500.9, "quantity": 1_000, "orders": 1}
    assert kite.ltp("NSE:INFY")["NSE:INFY"] == {"instrument_token": INFY, "last_price": 1501}
    assert kite.ohlc([str(INFY)])[str(INFY)]["ohlc"]["close"] == 1500


def test_500_quotes_and_1000_prices_are_answered_and_no_more(kite: KiteConnect) -> None:
    keys = [f"NSE:SYMBOLOFTWENTY{number:04d}" for number in range(1_001)]

    assert kite.quote(keys[:500]) == {}
    assert kite.ltp(keys[:1_000]) == kite.ohlc(keys[:1_000]) == {}
    with pytest.raises(exceptions.InputException, match="500"):
        kite.quote(keys[:501])
    with pytest.raises(exceptions.InputException, match="1000"):
        kite.ltp(keys)


def test_instruments_come_as_zipped_csv(served: Served, kite: KiteConnect) -> None:
    listed = {row["tradingsymbol"]: row for row in kite.instruments("NSE")}
    headers = {"Authorization": f"token {kite.api_key}:{kite.access_token}", "Accept-Encoding": "gzip"}
    raw = requests.get(f"{served.url}/instruments", headers=headers, timeout=5, stream=True)

    assert listed["INFY"]["instrument_token"] == INFY
    assert (listed["INFY"]["tick_size"], listed["INFY"]["lot_size"]) == (0.1, 1)
    assert raw.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(raw.raw.read()).startswith(b"instrument_token,exchange_token,tradingsymbol")


def test_the_list_is_written_as_kite_writes_it() -> None:
    lines = load_listing().csv("NSE").decode().splitlines()

    assert lines[1] == "256265,1001,NIFTY 50,NIFTY 50,0.0,,0.0,0.0,0,EQ,INDICES,NSE"
    assert "408065,1594,INFY,INFOSYS,0.0,,0.0,0.1,1,EQ,NSE,NSE" in lines


def test_candles_are_the_ticks_that_were_told(served: Served, kite: KiteConnect) -> None:
    served.advance(30 * SECOND_MS)
    (candle,) = kite.historical_data(INFY, "2019-07-09 09:15:00", "2019-07-09 15:30:00", "minute", oi=True)

    prices = (candle["open"], candle["high"], candle["low"], candle["close"])
    assert prices == (1501, 1531, 1501, 1531)
    assert candle["date"].isoformat() == "2019-07-09T10:00:00+05:30"
    assert candle["oi"] == 0


@pytest.mark.parametrize(
    ("interval", "days"),
    [("minute", 60), ("5minute", 100), ("30minute", 200), ("60minute", 400), ("day", 2000)],
)
def test_candles_of_too_many_days_are_refused(kite: KiteConnect, interval: str, days: int) -> None:
    to = datetime(2019, 7, 9)  # noqa: DTZ001 - as clients give it
    kite.historical_data(INFY, to - timedelta(days=days), to, interval)

    with pytest.raises(exceptions.InputException, match=f"interval exceeds max limit: {days} days"):
        kite.historical_data(INFY, to - timedelta(days=days, seconds=1), to, interval)


def test_a_walk_has_a_past_that_is_always_the_same(walked: Served) -> None:
    kite = walked.kite()
    days = kite.historical_data(INFY, "2019-07-01", "2019-07-08", "day")
    minutes = kite.historical_data(INFY, "2019-07-08 00:00:00", "2019-07-08 23:59:59", "minute")
    quarter = kite.historical_data(INFY, "2019-07-08 00:00:00", "2019-07-08 23:59:59", "15minute")

    assert [candle["date"].day for candle in days] == [1, 2, 3, 4, 5, 8]
    assert len(minutes) == 375
    assert len(quarter) == 25
    assert days[-1]["open"] == minutes[0]["open"] == quarter[0]["open"]
    assert days[-1]["high"] == max(candle["high"] for candle in minutes)
    assert days[-1]["volume"] == sum(candle["volume"] for candle in minutes)


def test_the_past_of_a_walk_ends_where_it_was_told(walked: Served) -> None:
    walked.advance(150 * SECOND_MS)
    candles = walked.kite().historical_data(INFY, "2019-07-09 09:15:00", "2019-07-09 15:30:00", "minute")
    starts = [candle["date"].strftime("%H:%M") for candle in candles]

    assert len(starts) == len(set(starts)) == 48
    assert (starts[0], starts[-3:]) == ("09:15", ["10:00", "10:01", "10:02"])


def test_a_walk_ticks_every_second_on_the_tick_grid(walked: Served) -> None:
    walked.advance(10 * SECOND_MS)
    quotes = walked.kite().quote("NSE:INFY", "NSE:NIFTY 50")

    assert quotes["NSE:INFY"]["timestamp"] == datetime(2019, 7, 9, 10, 0, 10)  # noqa: DTZ001
    assert round(quotes["NSE:INFY"]["last_price"] * 10, 6) % 1 == 0
    assert quotes["NSE:NIFTY 50"]["volume"] == 0


def test_stocks_with_derivatives_are_silent_in_the_closing_auction() -> None:
    listing, day = load_listing(), date(2026, 8, 5)
    calendar = load_calendar("NSE_FNO")
    closes_ms = calendar.closes_ms(ist_ms(day, time(12)))
    walk = Walk(listing, [256265], seed=1)  # an index keeps the hours of stocks with derivatives
    times = [next(batch)[0] for batch in [walk.batches(closes_ms - 3 * SECOND_MS)] for _ in range(3)]

    assert datetime.fromtimestamp(closes_ms / 1000, UTC).strftime("%H:%M") == "09:45"
    assert times[:2] == [closes_ms - 2 * SECOND_MS, closes_ms - SECOND_MS]
    assert times[2] > closes_ms + 17 * 3_600 * SECOND_MS


def gtt(kite: KiteConnect, *, triggers: list[float], **change: Any) -> int:
    kind = "two-leg" if len(triggers) == 2 else "single"
    orders = [LIMIT | change] * len(triggers)
    return kite.place_gtt(kind, "INFY", "NSE", triggers, 1501, orders)["trigger_id"]


def test_a_trigger_fires_once_and_places_its_order(served: Served, kite: KiteConnect) -> None:
    trigger_id = gtt(kite, triggers=[1510], price=1600)
    served.advance(8 * SECOND_MS)
    before = kite.get_gtt(trigger_id)["status"]
    served.advance(4 * SECOND_MS)
    after = kite.get_gtt(trigger_id)
    (order,) = kite.orders()

    assert (before, after["status"]) == ("active", "triggered")
    assert after["orders"][0]["result"]["order_result"]["order_id"] == order["order_id"]
    assert after["orders"][0]["result"]["triggered_at"] == 1510
    assert order["status"] == "COMPLETE"
    assert order["meta"] == {"app_id": served.simulator.account.app_id, "gtt": trigger_id}


def test_a_triggered_order_may_be_refused(served: Served, kite: KiteConnect) -> None:
    with pytest.raises(exceptions.InputException, match="derivatives only"):
        gtt(kite, triggers=[1400, 1510], price=1900)
    trigger_id = gtt(kite, triggers=[1400, 1510], price=1900, transaction_type="SELL")
    served.advance(12 * SECOND_MS)
    below, above = kite.get_gtt(trigger_id)["orders"]

    assert below["result"] is None
    assert above["result"]["order_result"]["status"] == "failed"
    assert "upper circuit limit" in above["result"]["order_result"]["rejection_reason"]
    assert kite.orders() == []


def test_triggers_are_modified_and_deleted(served: Served, kite: KiteConnect) -> None:
    trigger_id = gtt(kite, triggers=[1510])
    kite.modify_gtt(trigger_id, "single", "INFY", "NSE", [1300], 1501, [LIMIT])
    served.advance(20 * SECOND_MS)
    (one,) = kite.get_gtts()
    kite.delete_gtt(trigger_id)

    assert (one["condition"]["trigger_values"], one["status"]) == ([1300], "active")
    assert kite.get_gtt(trigger_id)["status"] == "deleted"
    with pytest.raises(exceptions.InputException, match="deleted"):
        kite.delete_gtt(trigger_id)
    with pytest.raises(exceptions.GeneralException, match="not found"):
        kite.get_gtt(99)


def test_a_trigger_for_intraday_is_refused(kite: KiteConnect) -> None:
    with pytest.raises(exceptions.InputException, match="CNC or NRML"):
        gtt(kite, triggers=[1510], product="MIS")


def contract(symbol: str, exchange: str, kind: str, segment: str) -> InstrumentSpec:
    """A contract that is in no shipped list."""
    return InstrumentSpec(
        key=f"{exchange}:{symbol}",
        exchange=exchange,
        tradingsymbol=symbol,
        token=zlib.crc32(symbol.encode()),
        tick_size_e4=500,
        lot_size=1,
        segment=segment,
        instrument_type=kind,
    )


@needs_shared_data
@pytest.mark.parametrize("number", [0, 1, 2])
def test_charges_are_those_of_kites_own_samples(number: int) -> None:
    shipped, wanted = load_listing(), sample("virtual_contract_note")[number]
    contracts = [
        contract("GOLDPETAL23JULFUT", "MCX", "FUT", "MCX-FUT"),
        contract("NIFTY2371317900PE", "NFO", "PE", "NFO-OPT"),
    ]
    listing = Listing([*shipped.by_key.values(), *contracts], [], load_calendars())
    order = wanted | {"order_id": "1", "average_price": wanted["price"]}
    starts_ms = ist_ms(date(2023, 7, 12), time(12))
    with serving(a_simulator(listing=listing, starts_ms=starts_ms)) as served:
        (found,) = served.kite().get_virtual_contract_note([order])

    assert differences(found, wanted) == []
    for line in ("transaction_tax", "exchange_turnover_charge", "brokerage", "stamp_duty", "total"):
        assert found["charges"][line] == pytest.approx(wanted["charges"][line], abs=1e-9), line


def test_margins_of_orders_are_what_orders_block(kite: KiteConnect) -> None:
    order = {"exchange": "NSE", "tradingsymbol": "INFY", "variety": "regular", **LIMIT}
    delivery, intraday = kite.order_margins([order, order | {"product": "MIS"}])
    basket = kite.basket_order_margins([order, order], mode="compact")

    assert (delivery["total"], delivery["leverage"]) == (1400, 1)
    assert (intraday["total"], intraday["leverage"]) == (280, 5)
    assert delivery["charges"]["stamp_duty"] == 0
    assert (basket["final"]["total"], basket["orders"]) == (2800, [])


def test_what_the_simulator_does_not_offer_says_so(kite: KiteConnect) -> None:
    with pytest.raises(exceptions.GeneralException, match="does not offer"):
        kite.mf_orders()


@needs_shared_data
def test_a_trigger_range_lies_on_the_side_of_the_loss(kite: KiteConnect) -> None:
    buy, sell = (kite.trigger_range(side, "NSE:INFY")["NSE:INFY"] for side in ("BUY", "SELL"))

    assert (buy["lower"], buy["upper"]) == (1425.95, 1501)
    assert (sell["lower"], sell["upper"]) == (1501, 1576.05)
    assert differences(buy, sample("trigger_range")["NSE:INFY"]) == []


def test_limits_count_by_calendar_second_minute_and_day() -> None:
    limits = Limits(Rates(orders=2, orders_a_minute=4, orders_a_day=5))

    def takes(at_ms: int) -> bool:
        try:
            limits.take("orders", at_ms)
        except KiteError as error:
            return error.http != 429
        return True

    noon = at("12:00")
    assert [takes(noon + 999), takes(noon + 999), takes(noon + 999)] == [True, True, False]
    assert [takes(noon + 1_000), takes(noon + 1_000)] == [True, True]  # the next calendar second
    assert takes(noon + 2_000) is False  # four in this minute
    assert takes(noon + 60_000) is True
    assert takes(noon + 120_000) is False  # five on this day
    assert takes(noon + 12 * 3_600_000) is True
    assert limits.orders_today(noon + 12 * 3_600_000) == 1


def test_the_eleventh_call_of_a_second_is_refused_in_both_shapes() -> None:
    with serving(a_simulator(rates=Rates(other=0))) as served:
        kite = served.kite()
        with pytest.raises(exceptions.NetworkException, match="Too many requests") as refused:
            kite.orders()
        assert refused.value.code == 429
        served.simulator.limits.as_200 = True
        with pytest.raises(exceptions.NetworkException, match="Too many requests") as refused:
            kite.orders()
        assert refused.value.code == 200


def test_a_refused_order_counts_to_the_day() -> None:
    with serving(a_simulator([quoted(1500, 0)], rates=Rates(orders_a_day=2))) as served:
        kite = served.kite()
        for _ in range(2):
            with pytest.raises(exceptions.InputException):
                kite.place_order("regular", "NSE", "INFY", "BUY", 0, "CNC", "LIMIT", price=1500)
        with pytest.raises(exceptions.NetworkException, match="for the day"):
            kite.place_order("regular", "NSE", "INFY", "BUY", 1, "CNC", "LIMIT", price=1500)


def test_calls_of_a_minute_of_their_own_kind_do_not_hinder_others() -> None:
    with serving(a_simulator([quoted(1500, 0)], rates=Rates(quote=0))) as served:
        kite = served.kite()

        assert kite.orders() == []
        with pytest.raises(exceptions.NetworkException):
            kite.ltp("NSE:INFY")


def test_holdings_add_up(served: Served) -> None:
    served.simulator.ledger.demat[INFY] = Demat(10, Decimal(1400), 10)
    kite = served.kite()
    (row,) = kite.holdings()
    headers = {"Authorization": f"token {kite.api_key}:{kite.access_token}"}
    summary = requests.get(f"{served.url}/portfolio/holdings/summary", headers=headers, timeout=5).json()

    assert (row["pnl"], row["day_change"], row["quantity"]) == (1010, 1, 10)
    assert summary["data"]["total_pnl"] == 1010
    assert kite.get_auction_instruments() == []


ALERT = {
    "name": "over 1510",
    "type": "simple",
    "lhs_exchange": "NSE",
    "lhs_tradingsymbol": "INFY",
    "lhs_attribute": "LastTradedPrice",
    "operator": ">=",
    "rhs_type": "constant",
    "rhs_constant": "1510",
}


def alerts(served: Served, kite: KiteConnect, method: str, path: str = "", **fields: Any) -> Any:
    """A call for which the official client of this language has no method."""
    headers = {"Authorization": f"token {kite.api_key}:{kite.access_token}"}
    how = {"params": fields} if method in ("GET", "DELETE") else {"data": fields}
    answer = requests.request(method, f"{served.url}/alerts{path}", headers=headers, timeout=5, **how)
    return answer.json()["data"] if answer.ok else answer.json()["message"]


def test_an_alert_counts_how_often_its_price_is_reached(served: Served, kite: KiteConnect) -> None:
    one = alerts(served, kite, "POST", **ALERT)
    served.advance(8 * SECOND_MS)
    before = alerts(served, kite, "GET", f"/{one['uuid']}")
    served.advance(8 * SECOND_MS)
    (after,) = alerts(served, kite, "GET")
    (told,) = alerts(served, kite, "GET", f"/{one['uuid']}/history")

    assert (before["alert_count"], after["alert_count"], after["status"]) == (0, 1, "enabled")
    assert told["meta"][0]["last_price"] == 1510
    assert alerts(served, kite, "PUT", f"/{one['uuid']}", **ALERT | {"name": "other"})["name"] == "other"
    assert alerts(served, kite, "DELETE", uuid=one["uuid"]) is None
    assert alerts(served, kite, "GET") == []
    assert alerts(served, kite, "GET", f"/{one['uuid']}") == "Alert not found."


def test_an_alert_that_orders_does_so_once(served: Served, kite: KiteConnect) -> None:
    item = {"exchange": "NSE", "tradingsymbol": "INFY", "params": LIMIT | {"price": 1600}}
    basket = json.dumps({"name": "b", "items": [item]})
    one = alerts(served, kite, "POST", **ALERT | {"type": "ato", "basket": basket})
    served.advance(20 * SECOND_MS)

    assert [order["status"] for order in kite.orders()] == ["COMPLETE"]
    assert alerts(served, kite, "GET", f"/{one['uuid']}")["status"] == "disabled"


def test_an_alert_that_cannot_be_is_refused(served: Served, kite: KiteConnect) -> None:
    assert "operator" in alerts(served, kite, "POST", **ALERT | {"operator": "=>"})
    assert "LastTradedPrice" in alerts(served, kite, "POST", **ALERT | {"lhs_attribute": "Volume"})
    assert "basket" in alerts(served, kite, "POST", **ALERT | {"type": "ato", "basket": "{}"})
