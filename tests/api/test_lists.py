"""Lists and rows over REST: their numbers, filters, pages, live state and errors."""

from __future__ import annotations

from base64 import b64encode
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from django.core.management import call_command
from redis.exceptions import RedisError
from rest_framework.test import APIClient

from alphapanda.health import registry
from alphapanda.push import readmodel
from alphapanda.web.formats import plain, presentable, rupees_exact
from marketdata.models import TickFaultCount
from portfolio.models import Portfolio
from strategies.models import Deployment
from tests.people import PASSWORD, client_of
from tests.rows import AT_MS, a_deployment, a_signal, an_instrument, one_of_each

pytestmark = pytest.mark.django_db
AREA = "/api/v1/"
STAMP = "2019-07-09T09:20:00.000+05:30"


@pytest.fixture
def bob() -> APIClient:
    return client_of("bob")


def results(client: APIClient, route: str, **filters: Any) -> list[dict[str, Any]]:
    answer = client.get(AREA + route, filters)
    assert answer.status_code == 200, answer.json()
    return answer.json()["results"]


def test_every_list_shows_rupees_as_text_and_times_in_ist(bob: APIClient):
    one_of_each()

    (signal,) = results(bob, "signals/")
    (order,) = results(bob, "orders/")
    (fill,) = results(bob, "fills/")
    (entry,) = results(bob, "ledger/")
    (instrument,) = results(bob, "instruments/")

    assert (signal["limit_price"], signal["quantity"], signal["at"]) == ("1249.05", 10, STAMP)
    assert (order["limit_price"], order["turnover"], order["placed_at"]) == ("1249.05", "0.00", STAMP)
    assert (fill["price"], fill["charges"], fill["at"]) == ("1249.05", {"stt": "12.49"}, STAMP)
    assert (entry["amount"], entry["instrument"]) == ("-12490.50", "NSE:INFY")
    assert (instrument["tick_size"], instrument["lot_size"]) == ("0.05", 1)
    for route in ("deployments/", "decisions/", "halts/", "tick-faults/", "dead-letters/"):
        assert len(results(bob, route)) == 1, route


def test_a_portfolio_shows_what_is_booked_on_it(bob: APIClient):
    one_of_each()

    shown = bob.get(f"{AREA}portfolios/{Portfolio.objects.get().pk}/").json()

    assert shown["starting_cash"] == "1000000.00"
    assert shown["totals"] == {
        "cash": "1000000.00",
        "cost": "12490.50",
        "realised": "0.00",
        "charges": "0.00",
        "open_positions": 1,
    }


def test_filters_search_and_refuse_nonsense(bob: APIClient):
    deployment = a_deployment()
    a_signal(deployment)
    an_instrument(tradingsymbol="SBIN", name="STATE BANK", instrument_token=1)

    assert len(results(bob, "signals/", deployment=deployment.pk, since=STAMP)) == 1
    assert results(bob, "signals/", until=STAMP) == []
    assert results(bob, "deployments/", broker="zerodha") == []
    assert [row["tradingsymbol"] for row in results(bob, "instruments/", search="state")] == ["SBIN"]
    wrong = bob.get(AREA + "signals/", {"since": "yesterday", "broker": "nse"})
    assert wrong.status_code == 400
    assert set(wrong.json()["error"]["fields"]) == {"since", "broker"}


@pytest.mark.parametrize("limit", ["abc", "0", "-1", "1001", "1.5", "", "9" * 5000])
def test_a_page_has_a_length_that_is_one(bob: APIClient, limit: str):
    answer = bob.get(AREA + "signals/", {"limit": limit})

    assert answer.status_code == 400
    assert answer.json()["error"]["fields"] == {"limit": ["A whole number from 1 to 1000."]}
    assert bob.get(AREA + "signals/", {"limit": "1000"}).status_code == 200


@pytest.mark.parametrize(
    ("route", "accepted"),
    [
        ("signals/", "since, until"),
        ("strategies/", "is_enabled, limit, cursor"),
        ("dead-letters/", "topic, consumer, state, reason, limit, cursor"),
        ("positions/", "broker"),
        ("statement/", "broker, day"),
        ("backtests/compare/", "name"),
        ("limits/headroom/", "deployment"),
        ("health/", "none"),
    ],
)
def test_a_query_parameter_that_nobody_knows_is_refused(bob: APIClient, route: str, accepted: str):
    answer = bob.get(AREA + route, {"nosuch": "1"})

    assert answer.status_code == 400
    (said,) = answer.json()["error"]["fields"]["nosuch"]
    assert "accepted are" in said
    assert accepted in said


@pytest.mark.parametrize("route", ["positions/", "portfolios/"])
@pytest.mark.parametrize("broker", ["nosuch", "", "paper\0"])
def test_a_broker_that_there_is_not_is_refused(bob: APIClient, route: str, broker: str):
    answer = bob.get(AREA + route, {"broker": broker})

    assert answer.status_code == 400
    assert answer.json()["error"]["fields"] == {
        "broker": [f"{broker!r} is no broker; there are paper, zerodha."]
    }


def test_pages_miss_nothing_while_rows_come_in(bob: APIClient):
    deployment = a_deployment()
    for step in range(5):
        a_signal(deployment, step)
    first = bob.get(AREA + "signals/", {"limit": 2}).json()
    a_signal(deployment, 99)

    seen, address = [row["step"] for row in first["results"]], first["next"]
    while address:
        page = bob.get(address).json()
        seen += [row["step"] for row in page["results"]]
        address = page["next"]

    assert seen == [4, 3, 2, 1, 0]


@pytest.mark.parametrize("route", ["signals/", "deployments/", "instruments/", "ledger/", "tick-faults/"])
@pytest.mark.parametrize("place", ["abc", "\0", "9" * 40, "2020-13-45", "-1", None])
def test_a_cursor_that_no_answer_gave_is_refused(bob: APIClient, route: str, place: str | None):
    text = "zzz" if place is None else b64encode(f"p={quote(place)}".encode()).decode()

    answer = bob.get(AREA + route, {"cursor": text})

    is_text = route in ("deployments/", "instruments/") and place not in (None, "\0")
    is_number = route in ("ledger/", "tick-faults/") and place == "-1"
    assert answer.status_code == (200 if is_text or is_number else 400), answer.json()
    assert is_text or is_number or set(answer.json()["error"]["fields"]) == {"cursor"}


def test_pages_end_however_many_rows_are_equal(bob: APIClient):
    """An offset that is cut leads to the same page for ever."""
    TickFaultCount.objects.bulk_create(
        TickFaultCount(instrument_token=token, fault="DUPLICATE", count=1) for token in range(2_100)
    )

    seen, address = [], f"{AREA}tick-faults/?limit=700"
    for _ in range(4):
        page = bob.get(address).json()
        seen += [row["instrument_token"] for row in page["results"]]
        address = page["next"]
        if not address:
            break

    assert address is None
    assert (len(seen), len(set(seen))) == (2_100, 2_100)


def test_instruments_have_places_of_their_own(bob: APIClient):
    for number in range(4):
        an_instrument(tradingsymbol=f"S{number}", instrument_token=number + 1)

    first = bob.get(AREA + "instruments/", {"limit": 2}).json()
    an_instrument(tradingsymbol="R", instrument_token=9)

    assert [row["tradingsymbol"] for row in bob.get(first["next"]).json()["results"]] == ["S2", "S3"]


def test_lists_need_no_query_per_row(bob: APIClient, django_assert_max_num_queries):
    for number in range(20):
        a_signal(a_deployment(f"ma-{number}"))

    for route in ("signals/", "deployments/"):
        with django_assert_max_num_queries(6):
            assert len(results(bob, route)) == 20


def test_live_state_comes_from_the_read_model_only(bob: APIClient, monkeypatch):
    rows = [
        {"broker": "paper", "mark_e4": 12_490_500, "unrealised": Decimal("-1E+2"), "updated_at_ms": AT_MS},
        {"broker": "zerodha"},
    ]
    monkeypatch.setattr(readmodel, "positions", lambda: rows)

    assert results(bob, "positions/", broker="paper") == [
        {"broker": "paper", "mark": "1249.05", "unrealised": "-100.00", "updated_at": STAMP}
    ]


@pytest.mark.parametrize("name", ["positions", "portfolios"])
def test_without_a_read_model_live_state_is_unavailable(bob: APIClient, monkeypatch, name: str):
    def unavailable() -> None:
        raise readmodel.ReadModelUnavailable("Redis is down.")

    monkeypatch.setattr(readmodel, name, unavailable)

    answer = bob.get(f"{AREA}{name}/")

    assert answer.status_code == 503
    assert answer.json() == {
        "error": {"code": "live_state_unavailable", "message": "Redis is down.", "fields": {}}
    }


def test_health_is_repeated_with_its_status(bob: APIClient, monkeypatch):
    broken = (registry.Group.READY, lambda: registry.fail("down"))
    monkeypatch.setattr(registry, "_checks", {"redis": broken})

    answer = bob.get(AREA + "health/")

    assert (answer.status_code, answer.json()) == (503, {"status": "fail", "checks": {"redis": "fail"}})
    assert answer.json() == bob.get("/health/ready").json()


def test_errors_have_one_shape(bob: APIClient, monkeypatch):
    bob.raise_request_exception = False

    def broken() -> None:
        raise RuntimeError("canary-secret")

    monkeypatch.setattr(readmodel, "positions", broken)
    answers = {
        "not_found": bob.get(AREA + "nothing/here"),
        "permission_denied": bob.post(AREA + "halts/", {"level": "GLOBAL", "reason": "x"}),
        "not_authenticated": APIClient().get(AREA + "orders/"),
        "method_not_allowed": client_of("alice").delete(AREA + "orders/"),
        "parse_error": client_of("alice").post(AREA + "halts/", "{", content_type="application/json"),
        "server_error": bob.get(AREA + "positions/"),
    }

    for code, answer in answers.items():
        assert answer.json()["error"]["code"] == code
        assert set(answer.json()["error"]) == {"code", "message", "fields"}
    assert answers["not_authenticated"]["WWW-Authenticate"].startswith("Bearer")
    assert "canary" not in answers["server_error"].content.decode()


NONSENSE = ["\x00", "9" * 40, "-1", "1e400", "NaN", "[]", "{}", "é", "0001-01-01", "9999-12-31T23:59:59Z", ""]
ASKED = ("since", "until", "broker", "deployment", "limit", "cursor", "search", "instrument_token", "shard")


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_nonsense_is_never_an_error_of_ours(nonsense: str):
    alice = client_of("alice")
    lists = ("signals/", "deployments/", "instruments/", "halts/", "orders/", "dead-letters/", "positions/")
    bodies = [{"level": nonsense, "reason": nonsense}, {"level": "DEPLOYMENT", "deployment": nonsense}]

    answers = [alice.get(AREA + route, {name: nonsense}) for route in lists for name in ASKED]
    answers += [alice.post(AREA + "halts/", body) for body in [*bodies, [nonsense], nonsense, None]]
    answers += [alice.post(AREA + "token/", {"username": nonsense, "password": nonsense})]
    answers += [alice.post(f"{AREA}halts/{'9' * 40}/release/", {"reason": "x"})]

    assert {answer.status_code for answer in answers} <= {200, 400, 401, 404, 503}


def test_a_browser_session_needs_the_csrf_token_to_act():
    client_of("alice")
    browser = APIClient(enforce_csrf_checks=True)
    browser.login(request=browser.get("/login/").wsgi_request, username="alice", password=PASSWORD)
    act = {"level": "GLOBAL", "reason": "drill"}

    refused = browser.post(AREA + "halts/", act)
    browser.get("/login/")
    token = APIClient().get("/login/").cookies["csrftoken"].value
    browser.cookies["csrftoken"] = token
    done = browser.post(AREA + "halts/", act, headers={"X-CSRFToken": token})

    assert refused.status_code == 403
    assert "CSRF" in refused.json()["error"]["message"]
    assert done.status_code == 201


@pytest.mark.parametrize(("name", "scope"), [("anonymous", "anon"), ("bob", "user")])
def test_too_many_requests_are_throttled(monkeypatch, name: str, scope: str):
    throttle = {"anon": "Anonymous", "user": "Known"}[scope]
    monkeypatch.setattr(f"alphapanda.web.throttles.{throttle}.THROTTLE_RATES", {scope: "2/min"})
    client = client_of(name)

    codes = [client.get(AREA + "strategies/").status_code for _ in range(3)]

    served = 200 if name == "bob" else 401
    assert codes == [served, served, 429]


def test_a_stranger_is_counted_whatever_address_the_headers_claim(monkeypatch):
    monkeypatch.setattr("alphapanda.web.throttles.Token.THROTTLE_RATES", {"token": "2/min"})
    client, asked = client_of("anonymous"), {"username": "alice", "password": "wrong"}

    codes = [
        client.post(AREA + "token/", asked, HTTP_X_FORWARDED_FOR=f"10.0.0.{number}").status_code
        for number in range(3)
    ]

    assert codes == [401, 401, 429]


def test_what_lowers_risk_gets_through_though_the_same_person_asks_too_often(monkeypatch):
    monkeypatch.setattr("alphapanda.web.throttles.Known.THROTTLE_RATES", {"user": "2/min"})
    deployment = one_of_each()[Deployment]
    client, own, why = client_of("alice"), f"{AREA}deployments/{deployment.pk}/", {"reason": "drill"}

    looked = [client.get(AREA + "strategies/").status_code for _ in range(3)]
    raised = [client.post(AREA + "halts/9/release/", why).status_code for _ in range(3)]
    halted = [client.post(AREA + "halts/", why | {"level": "GLOBAL"}).status_code for _ in range(3)]
    acts = [client.post(f"{own}{act}/", why).status_code for act in ("pause", "flatten", "exit", "stop")]

    assert looked == [200, 200, 429]
    assert raised == [404, 404, 429]
    assert halted == [201, 201, 201]
    assert 429 not in acts
    assert client.post(f"{AREA}orders/{deployment.pk}/cancel/", why).status_code == 404
    assert client_of("anonymous").post(AREA + "halts/", why | {"level": "GLOBAL"}).status_code == 401


@pytest.mark.parametrize(("name", "expected"), [("alice", 201), ("anonymous", 503)])
def test_a_halt_gets_through_when_the_counters_are_out_of_reach(monkeypatch, name: str, expected: int):
    def down(*_args: object) -> None:
        raise RedisError("down")

    client = client_of(name)
    monkeypatch.setattr("rest_framework.throttling.SimpleRateThrottle.cache", SimpleNamespace(get=down))

    answer = client.post(AREA + "halts/", {"level": "GLOBAL", "reason": "drill"})

    assert answer.status_code == expected


def test_the_schema_is_valid_and_complete(tmp_path):
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yml"))


def test_the_documentation_needs_no_foreign_host(bob: APIClient):
    page = bob.get(AREA + "docs/")

    assert "<style" not in page.content.decode()
    assert "http://" not in page.content.decode()
    assert "https://" not in page.content.decode()
    assert "img-src 'self' data:" in page["Content-Security-Policy"]


def test_amounts_for_people_and_for_programs():
    assert rupees_exact(Decimal("-12345678.5")) == "-₹1,23,45,678.50"
    assert rupees_exact(Decimal("83.2575")) == "₹83.2575"
    assert plain(Decimal("0E-8")) == "0.00"
    assert plain(Decimal("1249.05500000")) == "1249.055"
    assert presentable({"lines": [{"cost_e4": 10_000}], "step": 3}) == {
        "lines": [{"cost": "1.00"}],
        "step": 3,
    }
