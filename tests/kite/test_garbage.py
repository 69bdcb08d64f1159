"""Whatever is sent, the simulator answers in Kite's envelope and with a reason: it never fails itself."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from alphapanda.kite_simulator.limits import Rates
from tests.kite.server import INFY, SECOND_MS, Served, a_simulator, quoted, serving

FREE = Rates(quote=10**6, historical=10**6, orders=10**6, other=10**6, orders_a_minute=10**6)
TEXTS = (
    *(
        "",
        " ",
        "0",
        "-1",
        "1",
        "1.5",
        "1e400",
        "nan",
        "Infinity",
        "9" * 5_000,
        "²",
        "٣",
        "\x00",
        "null",
        "true",
    ),
    *(
        "NSE",
        "INFY",
        "NSE:INFY",
        "BUY",
        "SELL",
        "LIMIT",
        "MARKET",
        "SL",
        "CNC",
        "MIS",
        "DAY",
        "IOC",
        "TTL",
        "day",
    ),
    *(
        "1500",
        "1500.05",
        "2019-07-09",
        "2019-07-09 10:00:00",
        "9999-99-99",
        "minute",
        "single",
        "two-leg",
        "ato",
    ),
    *(
        "[]",
        "{}",
        "[1]",
        "[[1, 2]]",
        '{"a": 1}',
        "constant",
        "instrument",
        "LastTradedPrice",
        ">=",
        "x" * 300,
    ),
)
NAMES = (
    *(
        "exchange",
        "tradingsymbol",
        "transaction_type",
        "quantity",
        "product",
        "order_type",
        "price",
        "validity",
    ),
    *(
        "trigger_price",
        "disclosed_quantity",
        "validity_ttl",
        "iceberg_legs",
        "iceberg_quantity",
        "tag",
        "autoslice",
    ),
    *(
        "market_protection",
        "position_type",
        "old_product",
        "new_product",
        "type",
        "condition",
        "orders",
        "basket",
    ),
    *(
        "i",
        "from",
        "to",
        "oi",
        "continuous",
        "mode",
        "uuid",
        "name",
        "lhs_exchange",
        "lhs_tradingsymbol",
        "operator",
    ),
    *(
        "lhs_attribute",
        "rhs_type",
        "rhs_constant",
        "average_price",
        "variety",
        "api_key",
        "request_token",
        "checksum",
    ),
)
GOOD = {
    "exchange": "NSE",
    "tradingsymbol": "INFY",
    "transaction_type": "BUY",
    "quantity": "1",
    "product": "CNC",
    "order_type": "LIMIT",
    "price": "1500",
    "average_price": "1500",
    "variety": "regular",
    "validity": "DAY",
}
ROUTES = (
    *(("POST", f"/orders/{variety}") for variety in ("regular", "amo", "iceberg", "co", "nothing")),
    *((method, "/orders/regular/1") for method in ("PUT", "DELETE")),
    *((method, "/gtt/triggers") for method in ("GET", "POST")),
    *((method, "/gtt/triggers/1") for method in ("GET", "PUT", "DELETE")),
    *((method, "/alerts") for method in ("GET", "POST", "DELETE")),
    *(("POST", path) for path in ("/margins/orders", "/margins/basket", "/charges/orders", "/session/token")),
    *(("GET", path) for path in ("/quote", "/quote/ltp", "/quote/ohlc", "/instruments/NSE", "/orders/1")),
    *(("GET", f"/instruments/historical/{token}/minute") for token in (INFY, 0, "²", "9" * 5_000)),
    ("PUT", "/portfolio/positions"),
    ("DELETE", "/session/token"),
    ("GET", "/user/margins/gold"),
    *(("POST", f"/__simulator__/{name}") for name in ("faults", "step", "orders", "clock", "login")),
)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(a_simulator([quoted(1500, n) for n in range(5)], rates=FREE)) as found:
        found.advance(SECOND_MS)
        yield found


def fields(chance: random.Random) -> dict[str, str]:
    """A good order with some of it spoilt, or nothing but garbage."""
    names = chance.sample(NAMES, chance.randrange(6))
    spoilt = {name: chance.choice(TEXTS) for name in names}
    return GOOD | spoilt if chance.random() < 0.7 else spoilt


def body(chance: random.Random) -> str:
    """JSON of any shape, or none."""
    one: Any = fields(chance)
    shapes = [one, [one], [[one]], {"place": one}, {"arm": [one]}, {"kind": "504", **one}, 7, None, "text"]
    text = json.dumps(chance.choice(shapes))
    return text if chance.random() < 0.9 else text[:-1] + chance.choice(("", "NaN", "}}", "\\"))


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_garbage_is_answered_with_a_reason(served: Served, method: str, path: str) -> None:
    chance, kite = random.Random(f"{method} {path}"), served.kite()
    for _ in range(15):
        headers = {"Authorization": f"token {kite.api_key}:{kite.access_token}"}
        how: dict[str, Any] = {"params": fields(chance)}
        if method in ("POST", "PUT"):
            is_json = path.startswith(("/margins", "/charges", "/__simulator__")) or chance.random() < 0.2
            how = {"data": body(chance) if is_json else fields(chance)}
            headers |= {"Content-Type": "application/json"} if is_json else {}
        answer = requests.request(method, served.url + path, headers=headers, timeout=10, **how)
        if "csv" in answer.headers["Content-Type"]:
            continue
        assert answer.status_code != 500, (how, answer.text)
        assert answer.json()["status"] == ("success" if answer.ok else "error")
        served.simulator.faults.clear()
        if served.simulator.sessions.current is None:
            kite = served.kite()
