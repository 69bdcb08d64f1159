"""Order updates that Kite posts: taken with its checksum, and never without."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from django.test import Client

from alphapanda.kite_feed import Desk
from execution.models import BrokerPush
from tests.rows import a_broker_account

pytestmark = pytest.mark.django_db

ORDER = {
    "user_id": "AB1234",
    "order_id": "220303000308932",
    "order_timestamp": "2022-03-03 09:24:25",
    "status": "COMPLETE",
}


@pytest.fixture(autouse=True)
def enabled(settings: Any) -> None:
    settings.ZERODHA_ENABLED = True


def signed(order: dict[str, Any], key: str = "simulatorapisecret") -> dict[str, Any]:
    text = f"{order['order_id']}{order['order_timestamp']}{key}"
    return order | {"checksum": hashlib.sha256(text.encode()).hexdigest()}


def posted(body: Any, **more: Any) -> int:
    text = body if isinstance(body, str) else json.dumps(body)
    client = Client(enforce_csrf_checks=True)
    return client.post("/kite/postback/", text, content_type="application/json", **more).status_code


def test_what_kite_has_signed_is_kept_as_it_came() -> None:
    a_broker_account()

    assert posted(signed(ORDER)) == 200
    push = BrokerPush.objects.get()
    assert (json.loads(push.body), push.source) == (signed(ORDER), "postback")


@pytest.mark.parametrize(
    "order",
    [
        ORDER,
        signed(ORDER, "another secret"),
        signed(ORDER) | {"order_id": "220303000308933"},
        signed(ORDER) | {"order_timestamp": "2022-03-03 09:24:26"},
        signed(ORDER) | {"user_id": "CD5678"},
        signed(ORDER) | {"user_id": ["AB1234"]},
        signed(ORDER) | {"checksum": None},
        signed(ORDER) | {"checksum": "é" * 64},
        {"user_id": "AB1234", "checksum": hashlib.sha256(b"simulatorapisecret").hexdigest()},
    ],
)
def test_what_is_not_signed_is_refused(order: dict[str, Any]) -> None:
    a_broker_account()

    assert posted(order) == 403
    assert not BrokerPush.objects.exists()


def test_an_account_without_a_secret_or_out_of_use_takes_nothing() -> None:
    account = a_broker_account()
    account.is_active = False
    account.save()
    assert posted(signed(ORDER)) == 403

    account.is_active, account.api_secret = True, b""
    account.save()
    assert posted(signed(ORDER, "")) == 403


@pytest.mark.parametrize("body", ["", "no json", "[]", "1", "[" * 50_000])
def test_what_is_no_order_is_a_bad_request(body: str) -> None:
    assert posted(body) == 400


def test_too_much_is_refused_and_nothing_is_taken_where_nothing_is_sent(settings: Any) -> None:
    a_broker_account()
    assert posted("x" * (1 << 17)) == 413

    settings.ZERODHA_ENABLED = False
    assert posted(signed(ORDER)) == 404


def test_an_address_that_pushes_too_often_is_slowed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    a_broker_account()
    monkeypatch.setattr("alphapanda.web.throttles.Pushes.a_second", 3)
    monkeypatch.setattr("alphapanda.web.throttles.time.time", lambda: 1_000.0)

    assert [posted(signed(ORDER)) for _ in range(5)] == [200, 200, 200, 429, 429]
    assert posted(signed(ORDER), REMOTE_ADDR="10.0.0.9") == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_live", [True, False])
def test_what_the_socket_tells_of_orders_is_kept_where_orders_are_sent(settings: Any, is_live: bool) -> None:
    settings.ZERODHA_ENABLED = is_live
    desk = Desk("")
    desk.update(ORDER)
    desk.close()

    assert [(json.loads(row.body), row.source) for row in BrokerPush.objects.all()] == [
        (ORDER, "stream")
    ] * is_live
