"""Login page, request token, checksum, and the two deaths of an access token, met by the official client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from kiteconnect import exceptions

from alphapanda.kite_simulator.sessions import Account, checksum, dies_ms
from tests.builders import at
from tests.kite.server import Served, a_simulator, serving
from tests.shared_data import SHARED, needs_shared_data

HOUR_MS = 3_600_000
LANDING = "http://127.0.0.1:8000/kite/callback"


@pytest.fixture
def served() -> Iterator[Served]:
    with serving(a_simulator(account=Account(redirect_url=LANDING))) as found:
        yield found


def test_the_login_page_leads_to_a_session(served: Served) -> None:
    kite = served.kite(logged_in=False)
    address = f"{served.url}/connect/login?v=3&api_key={kite.api_key}&redirect_params=state%3Dabc%26x%3D1"
    page = requests.get(address, timeout=5)
    fields = {"api_key": kite.api_key, "redirect_params": "state=abc&x=1", "act": "login"}
    answer = requests.post(f"{served.url}/connect/login", fields, allow_redirects=False, timeout=5)
    query = parse_qs(urlsplit(answer.headers["Location"]).query)

    assert 'value="state=abc&amp;x=1"' in page.text
    assert answer.headers["Location"].startswith(LANDING + "?")
    assert (query["status"], query["state"], query["x"]) == (["success"], ["abc"], ["1"])
    session = kite.generate_session(query["request_token"][0], "simulatorapisecret")
    assert session["login_time"] == datetime(2019, 7, 9, 10)  # noqa: DTZ001 - as the client makes it
    assert kite.profile()["user_id"] == "AB1234"


def test_a_refused_login_goes_back_without_a_token(served: Served) -> None:
    fields = {"api_key": "simulatorapikey", "redirect_params": "state=abc", "act": "refuse"}
    answer = requests.post(f"{served.url}/connect/login", fields, allow_redirects=False, timeout=5)

    assert parse_qs(urlsplit(answer.headers["Location"]).query) == {
        "state": ["abc"],
        "action": ["login"],
        "status": ["cancelled"],
    }


def test_a_request_token_is_good_once(served: Served) -> None:
    kite, token = served.kite(logged_in=False), served.call(served.simulator.sessions.login)
    kite.generate_session(token, "simulatorapisecret")

    with pytest.raises(exceptions.TokenException):
        kite.generate_session(token, "simulatorapisecret")


def test_a_request_token_lives_three_minutes(served: Served) -> None:
    token = served.call(served.simulator.sessions.login)
    served.advance(180_000)

    with pytest.raises(exceptions.TokenException, match="expired"):
        served.kite(logged_in=False).generate_session(token, "simulatorapisecret")


def test_a_wrong_secret_gives_no_session(served: Served) -> None:
    token = served.call(served.simulator.sessions.login)

    with pytest.raises(exceptions.TokenException, match="checksum"):
        served.kite(logged_in=False).generate_session(token, "another secret")


@needs_shared_data
def test_checksums_are_those_of_the_published_vectors() -> None:
    vectors = json.loads((SHARED / "kite" / "auth_vectors.json").read_text())
    (session,), (postback,) = vectors["session"], vectors["postback"]

    parts = (session["api_key"], session["request_token"], session["api_secret"])
    assert checksum(*parts) == session["checksum"]
    parts = (postback["order_id"], postback["order_timestamp"], postback["api_secret"])
    assert checksum(*parts) == postback["checksum"]


def test_a_token_dies_at_six_in_the_morning(served: Served) -> None:
    kite = served.kite()
    served.advance(20 * HOUR_MS - 1)
    kite.profile()
    served.advance(1)

    with pytest.raises(exceptions.TokenException) as raised:
        kite.profile()
    assert raised.value.code == 403


def test_a_login_in_the_small_hours_dies_at_six_of_the_same_day() -> None:
    assert dies_ms(at("05:59")) == at("06:00")


def test_a_second_login_kills_the_token_of_the_first(served: Served) -> None:
    first, second = served.kite(), served.kite()

    assert second.profile()["user_type"] == "individual"
    with pytest.raises(exceptions.TokenException):
        first.profile()


def test_a_logout_kills_the_token(served: Served) -> None:
    kite = served.kite()

    assert kite.invalidate_access_token() is True
    with pytest.raises(exceptions.TokenException):
        kite.profile()


def test_renewal_is_not_for_individuals(served: Served) -> None:
    with pytest.raises(exceptions.PermissionException):
        served.kite().renew_access_token("refresh", "simulatorapisecret")


def test_funds_are_what_the_operator_says(served: Served) -> None:
    margins = served.kite().margins()

    assert margins["equity"]["net"] == 1_000_000
    assert margins["commodity"]["net"] == 0
    assert served.kite().margins("equity") == margins["equity"]


def test_an_unknown_route_is_answered_in_kites_envelope(served: Served) -> None:
    answer = requests.get(f"{served.url}/nothing", timeout=5)

    assert answer.status_code == 404
    assert answer.json() == {
        "status": "error",
        "message": "Route not found",
        "data": None,
        "error_type": "GeneralException",
    }


def test_a_name_that_points_here_from_elsewhere_is_refused(served: Served) -> None:
    answer = requests.get(f"{served.url}/user/profile", headers={"Host": "evil.example"}, timeout=5)

    assert answer.status_code == 403
    assert "this machine only" in answer.text
