"""The official client cannot tell: every route of Kite's table is called through it, unpatched but for its root, and
answers on the wire have the shape of Kite's own samples, name by name and type by type."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import requests
from kiteconnect import KiteConnect
from kiteconnect import exceptions as official

from alphapanda.kite_simulator.errors import HTTP_CODES
from alphapanda.kite_simulator.ledger import Demat
from alphapanda.kite_simulator.limits import Rates
from alphapanda.kite_simulator.listing import Listing, load_listing, row_of
from alphapanda.kite_simulator.sessions import checksum
from marketdata.domain.instruments import InstrumentSpec
from marketdata.reference import load_calendars
from tests.builders import e4
from tests.kite.samples import differences, sample
from tests.kite.server import INFY, SECOND_MS, Served, a_simulator, quoted, serving
from tests.shared_data import SHARED, needs_shared_data

pytestmark = needs_shared_data
SBIN = 779521
OPTION = 12073986
FREE = Rates(quote=10**6, historical=10**6, orders=10**6, other=10**6)
ORDER = {"exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "product": "CNC"}


def a_listing() -> Listing:
    """What ships, and an option with a freeze quantity."""
    shipped = load_listing()
    option = InstrumentSpec(
        key="NFO:NIFTY19JUL11500CE",
        exchange="NFO",
        tradingsymbol="NIFTY19JUL11500CE",
        token=OPTION,
        tick_size_e4=500,
        lot_size=75,
        segment="NFO-OPT",
        instrument_type="CE",
        underlying="NIFTY",
        strike_e4=e4(11_500),
        freeze_quantity=200,
    )
    specs = [*shipped.by_key.values(), option]
    return Listing(specs, [*shipped.rows, row_of(option)], load_calendars())


@pytest.fixture
def served() -> Iterator[Served]:
    """A day with everything in it: an order of each end, holdings, a position, a trigger that has fired."""
    tokens = ((INFY, 1500), (SBIN, 350), (OPTION, 100))
    market = [quoted(price, -24 * 3_600, token=token) for token, price in tokens]
    market += [quoted(price, n, token=token) for n in range(1, 60) for token, price in tokens]
    demat = {SBIN: Demat(20, Decimal(300), 20)}
    with serving(a_simulator(market, listing=a_listing(), demat=demat, rates=FREE)) as found:
        found.advance(SECOND_MS)
        yield found


def wire(served: Served, kite: KiteConnect, path: str, **query: Any) -> Any:
    """The data of an answer as it is sent, before the client makes anything of it."""
    headers = {"Authorization": f"token {kite.api_key}:{kite.access_token}", "X-Kite-Version": "3"}
    answer = requests.get(served.url + path, params=query, headers=headers, timeout=5)
    body = answer.json()
    assert (answer.status_code, body["status"]) == (200, "success"), body
    assert answer.headers["Content-Type"].startswith("application/json")
    return body["data"]


def a_day(served: Served, kite: KiteConnect) -> str:
    """A filled, a cancelled, a rejected and a modified order, and a position. The id of the modified one."""
    limit = {"variety": "regular", **ORDER, "order_type": "LIMIT", "quantity": 10}
    kite.place_order(**limit, price=1600, tag="connect1")
    cancelled = kite.place_order(**limit, price=1400)
    kite.place_order(**limit | {"quantity": 10_000}, price=1500)
    modified = kite.place_order(**limit, price=1300)
    served.advance(SECOND_MS)
    kite.cancel_order("regular", cancelled)
    kite.modify_order("regular", modified, price=1310)
    served.advance(SECOND_MS)
    return modified


def test_the_session_has_kites_shape(served: Served) -> None:
    token, kite = served.call(served.simulator.sessions.login), served.kite(logged_in=False)
    fields = {"api_key": kite.api_key, "request_token": token}
    fields["checksum"] = checksum(kite.api_key, token, served.simulator.account.api_secret)
    body = requests.post(f"{served.url}/session/token", fields, timeout=5).json()

    assert differences(body["data"], sample("generate_session")) == []
    kite.set_access_token(body["data"]["access_token"])
    assert kite.invalidate_access_token() is sample("session_logout")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/user/profile", "profile"),
        ("/user/margins", "margins"),
        ("/user/margins/equity", "margins_equity"),
        ("/portfolio/holdings", "holdings"),
    ],
)
def test_the_user_has_kites_shape(served: Served, kite: KiteConnect, path: str, name: str) -> None:
    found = wire(served, kite, path)

    assert found
    assert differences(found, sample(name)) == []


def test_orders_and_trades_have_kites_shape(served: Served, kite: KiteConnect) -> None:
    modified = a_day(served, kite)
    orders, newest = wire(served, kite, "/orders"), sample("orders")[-2]
    history = wire(served, kite, f"/orders/{modified}")

    assert {row["status"] for row in orders} == {"COMPLETE", "CANCELLED", "REJECTED", "OPEN"}
    for theirs in (newest, sample("orders")[0]):
        assert differences(orders, [theirs]) == []
    assert [row["status"] for row in history] == [row["status"] for row in sample("order_info")]
    assert _missing(history[0], sample("order_info")[0]) == set()
    assert differences(wire(served, kite, "/trades"), sample("trades")) == []
    assert [trade["tradingsymbol"] for trade in kite.trades()] == ["INFY"]
    assert len(kite.orders()) == 4


def _missing(ours: dict[str, Any], theirs: dict[str, Any]) -> set[str]:
    """Of an old sample: what was there then is there now."""
    return theirs.keys() - ours.keys()


def test_answers_of_writes_have_kites_shape(served: Served, kite: KiteConnect) -> None:
    headers = {"Authorization": f"token {kite.api_key}:{kite.access_token}"}
    fields = ORDER | {"order_type": "LIMIT", "quantity": "1", "price": "1400"}
    placed = requests.post(f"{served.url}/orders/regular", fields, headers=headers, timeout=5).json()["data"]
    url = f"{served.url}/orders/regular/{placed['order_id']}"
    served.advance(SECOND_MS)
    changed = requests.put(url, {"price": "1401"}, headers=headers, timeout=5).json()["data"]
    served.advance(SECOND_MS)
    ended = requests.delete(url, headers=headers, timeout=5).json()["data"]

    for data, name in ((placed, "order_response"), (changed, "order_modify"), (ended, "order_cancel")):
        assert differences(data, sample(name)) == []
        assert isinstance(data["order_id"], str)


def test_positions_have_kites_shape_and_convert(served: Served, kite: KiteConnect) -> None:
    kite.place_order("regular", **ORDER | {"product": "MIS"}, quantity=2, order_type="LIMIT", price=1600)
    served.advance(SECOND_MS)

    assert differences(wire(served, kite, "/portfolio/positions"), sample("positions")) == []
    done = kite.convert_position("NSE", "INFY", "BUY", "day", 1, "MIS", "CNC")
    assert done is sample("convert_position")


def test_quotes_have_kites_shape(served: Served, kite: KiteConnect) -> None:
    for path, name in (("/quote", "quote"), ("/quote/ohlc", "ohlc"), ("/quote/ltp", "ltp")):
        assert differences(wire(served, kite, path, i="NSE:INFY"), sample(name)) == []


def test_candles_have_kites_shape(served: Served, kite: KiteConnect) -> None:
    query = {"from": "2019-07-09 09:15:00", "to": "2019-07-09 15:30:00"}
    found = wire(served, kite, f"/instruments/historical/{INFY}/minute", **query)

    assert differences(found, sample("historical_minute")) == []
    assert len(found["candles"][0]) == len(sample("historical_minute")["candles"][0])
    assert len(found["candles"][0][0]) == len("2017-12-15T09:15:00+0530")


def test_instruments_have_kites_columns(kite: KiteConnect) -> None:
    theirs = kite._parse_instruments((SHARED / "kite" / "rest" / "instruments_nse.csv").read_bytes())
    ours = kite.instruments("NSE")

    assert list(ours[0]) == list(theirs[0])
    assert {name: type(value) for name, value in ours[0].items()} == {
        name: type(value) for name, value in theirs[0].items()
    }
    assert {row["exchange"] for row in kite.instruments()} == {"NSE", "NFO"}


def test_triggers_have_kites_shape(served: Served, kite: KiteConnect) -> None:
    order = {
        "transaction_type": "SELL",
        "quantity": 1,
        "order_type": "LIMIT",
        "product": "CNC",
        "price": 1900,
    }
    placed = kite.place_gtt("two-leg", "INFY", "NSE", [1400, 1499.9], 1490, [order, order])
    changed = kite.modify_gtt(
        placed["trigger_id"], "two-leg", "INFY", "NSE", [1400, 1500], 1490, [order, order]
    )
    served.advance(SECOND_MS)
    found = wire(served, kite, f"/gtt/triggers/{placed['trigger_id']}")
    waiting = kite.place_gtt("single", "INFY", "NSE", [1400], 1500, [order])

    assert differences(placed, sample("gtt_place_order")) == []
    assert differences(changed, sample("gtt_modify_order")) == []
    assert found["status"] == "triggered"
    assert differences(found, sample("gtt_get_order")) == []
    assert differences(found["orders"][1], sample("gtt_get_order")["orders"][1]) == []
    assert len(kite.get_gtts()) == 2
    assert differences(kite.delete_gtt(waiting["trigger_id"]), sample("gtt_delete_order")) == []


def test_charges_have_kites_shape(kite: KiteConnect) -> None:
    order = ORDER | {
        "order_id": "1",
        "variety": "regular",
        "order_type": "LIMIT",
        "quantity": 1,
        "average_price": 1500,
    }

    assert differences(kite.get_virtual_contract_note([order]), sample("virtual_contract_note")) == []


def test_margins_tell_premiums_from_span(kite: KiteConnect) -> None:
    option = {
        "exchange": "NFO",
        "tradingsymbol": "NIFTY19JUL11500CE",
        "variety": "regular",
        "product": "NRML",
    }
    option |= {"order_type": "LIMIT", "quantity": 75, "price": 100}
    bought, sold = kite.order_margins(
        [option | {"transaction_type": "BUY"}, option | {"transaction_type": "SELL"}]
    )

    assert (bought["option_premium"], bought["span"], bought["total"]) == (7_500, 0, 7_500)
    assert (sold["option_premium"], sold["span"]) == (0, 103_500)  # 12 percent of the strike


def test_a_sliced_order_has_a_parent_and_children(served: Served, kite: KiteConnect) -> None:
    order = {"exchange": "NFO", "tradingsymbol": "NIFTY19JUL11500CE", "transaction_type": "BUY"}
    found = kite.place_autoslice_order(
        "regular", **order, quantity=375, product="NRML", order_type="LIMIT", price=120
    )
    served.advance(SECOND_MS)
    rows = kite.orders()

    assert [row["order_id"] for row in rows] == [child["order_id"] for child in found["children"]]
    assert [row["quantity"] for row in rows] == [150, 150, 75]
    assert rows[0]["tags"] == ["autoslice", f"autoslice:{found['order_id']}"]
    with pytest.raises(official.InputException, match="freeze quantity of 200"):
        kite.place_order("regular", **order, quantity=375, product="NRML", order_type="LIMIT", price=120)
    with pytest.raises(official.InputException, match="11 slices"):
        kite.place_autoslice_order(
            "regular", **order, quantity=1_650, product="NRML", order_type="LIMIT", price=120
        )


def test_a_slice_may_be_refused_alone_and_the_answer_may_be_a_list(served: Served, kite: KiteConnect) -> None:
    served.simulator.switches.slices_are_flat = True
    order = {"exchange": "NFO", "tradingsymbol": "NIFTY19JUL11500CE", "transaction_type": "BUY"}
    found = kite.place_autoslice_order(
        "regular", **order, quantity=151, product="NRML", order_type="LIMIT", price=120
    )

    assert list(found[0]) == ["order_id"]
    assert found[1]["error"]["error_type"] == "InputException"
    assert "lot of 75" in found[1]["error"]["message"]


def test_every_name_of_an_error_is_one_that_the_client_knows_or_takes_as_general(kite: KiteConnect) -> None:
    theirs = json.loads((SHARED / "kite" / "errors.json").read_text())["pykiteconnect_default_http_codes"]
    known = {name for name in HTTP_CODES if hasattr(official, name)}

    assert HTTP_CODES.keys() - known == {"MarginException", "HoldingException"}
    assert known <= theirs.keys()
