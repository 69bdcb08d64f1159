"""What no request may say: refused in the one shape of errors, whatever the route."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from alphapanda.core.vocabulary import Broker
from portfolio.services import portfolio_create
from risk.models import LimitSet
from strategies.models import Deployment
from tests.people import client_of
from tests.rows import a_deployment, an_instrument

pytestmark = pytest.mark.django_db
AREA = "/api/v1/"


@pytest.fixture
def alice() -> APIClient:
    return client_of("alice")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "required"),
        (b"{", "truncated"),
        (b"[" * 5000, "recursion"),
        (b'{"reason": NaN}', "malformed"),
        (b'{"reason": "\\ud800"}', "parse error"),
        (b'{"reason": "a\\u0000b"}', "code 0"),
        (b"\xff\xfe", "malformed"),
        (b'{"reason": "a", "reason": "b"}', "field 'reason' is named twice"),
        (b'{"reason": {"a": [{"b": 1, "b": 1}]}}', "field 'b' is named twice"),
        (b'{"reason": "a", "re\\u0061son": "b"}', "field 'reason' is named twice"),
        (b"[]", ""),
        (b'"x"', ""),
    ],
)
def test_a_body_that_is_no_request_is_refused(alice: APIClient, raw: bytes, said: str) -> None:
    address = f"{AREA}deployments/{a_deployment().pk}/pause/"
    answer = alice.generic("POST", address, raw, content_type="application/json")
    assert answer.status_code == 400
    assert said in str(answer.json()["error"]).lower()


def test_an_escaped_backslash_is_no_character_of_code_0(alice: APIClient) -> None:
    address = f"{AREA}deployments/{a_deployment().pk}/pause/"
    answer = alice.generic("POST", address, b'{"reason": "\\\\u0000"}', content_type="application/json")
    assert answer.status_code == 200


def test_a_field_that_nobody_knows_is_named_with_those_that_are_accepted(alice: APIClient) -> None:
    address = f"{AREA}deployments/{a_deployment().pk}/upgrade/"
    answer = alice.post(address, {"reason": "r", "parms": {"fast": 3}})
    assert answer.status_code == 400
    assert "accepted are reason, version, params, is_fresh" in answer.json()["error"]["fields"]["parms"][0]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"limits": {"daily_loss": "1e99"}}, "`daily_loss` is a number from 0"),
        ({"limits": {"daily_orders": 10**30}}, "`daily_orders` is a whole number from 0"),
        ({"limits": {"daily_orders": -1}}, "not -1"),
        ({"limits": {"collar_percent": "123456789"}}, "5 digits and 4 places"),
        ({"limits": {"restricted": ["a" * 81]}}, "of 80 letters at most"),
        ({"limits": {"entries_from": "10:00:00+05:30"}}, "without a zone"),
        ({"execution": {"circuit_percent": "NaN"}}, "finite number"),
        ({"execution": {"capital": "1e99"}}, "`capital` is rupees from 0"),
        ({"execution": {"stale_after_ms": 10**30}}, "from 1 to 1000000000000"),
        ({"instruments": ["NSE:INFY", "NSE:INFY"]}, "NSE:INFY is named twice"),
        ({"instruments": ["NSE:NOSUCH"]}, "no instrument NSE:NOSUCH"),
        ({"product": "NRML"}, "accepted are CNC, MIS"),
    ],
)
def test_what_the_database_could_not_keep_makes_no_deployment(
    alice: APIClient, wrong: dict[str, Any], said: str
) -> None:
    an_instrument()
    portfolio_create(name="paper", broker=Broker.PAPER)
    body = {"name": "n", "strategy": "ema_cross", "instruments": ["NSE:INFY"], "portfolio": "paper"}
    answer = alice.post(f"{AREA}deployments/", body | {"reason": "r"} | wrong)
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]
    assert not Deployment.objects.exists()
    assert not LimitSet.objects.exists()


def test_limits_of_nothing_that_is_there_are_not_previewed(alice: APIClient) -> None:
    body = {"level": "DEPLOYMENT", "deployment": str(uuid4()), "limits": {"daily_orders": 1}}
    answer = alice.post(f"{AREA}limits/preview/", body)
    assert answer.status_code == 400
    assert "is not there: Deployment" in answer.json()["error"]["message"]


@pytest.mark.parametrize("day", ["", "x", "2019-02-30", "0001-01-01", "9999-12-31"])
def test_a_statement_is_of_a_day(alice: APIClient, day: str) -> None:
    portfolio = portfolio_create(name="paper", broker=Broker.PAPER)
    answer = alice.get(f"{AREA}portfolios/{portfolio.pk}/statement/", {"day": day})
    assert answer.status_code == 400
    assert repr(day) in answer.json()["error"]["message"] or "accepted are days from" in str(answer.json())


def test_a_name_that_the_database_cannot_hold_is_a_backtest_that_is_not_there(alice: APIClient) -> None:
    answer = alice.get(f"{AREA}backtests/compare/", {"name": ["\0", "b"]})
    assert answer.status_code == 404
