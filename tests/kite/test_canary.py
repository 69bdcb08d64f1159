"""Secrets put through login, orders, a crash, a dead letter and its redrive are in no log, table, topic or page."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from accounts import vault
from accounts.models import BrokerAccount, BrokerSession, User
from accounts.selectors import access_token
from alphapanda import logs
from alphapanda.eventlog import bootstrap, dead_letters, incarnation
from alphapanda.eventlog.relay import Relay
from alphapanda.kite_simulator import sessions
from alphapanda.kite_simulator.listing import load_listing
from alphapanda.proof import canary
from alphapanda.proof.kite_parts import PRICE_E4, simulator
from alphapanda.proof.kite_served import serving
from alphapanda.proof.kite_world import World, set_up
from execution.models import BrokerCall, Fill, Order
from execution.services.live import calls
from risk.models import Alert
from strategies.services.quarantine import quarantine
from tests.eventlog.test_dead_letters import a_record

pytestmark = pytest.mark.django_db(transaction=True)
TOKENS = "CanaryToken7x2c4v6b8n0m1a3s5d{:03d}"  # 32 letters and digits, as Kite's
SECRET = "CanarySecret5x9k2m4q6w8e0r1t3y5u"
PASSWORD = "canary-password-8c1d5e7f9a"
SECRETS = {"access token": TOKENS.partition("{")[0], "API secret": SECRET, "password": PASSWORD}
PAGES = (
    "/api/v1/live/", "/api/v1/live/calls/", "/api/v1/live/external-orders/", "/api/v1/alerts/",
    "/api/v1/dead-letters/", "/api/v1/broker-accounts/", "/api/v1/deployments/", "/broker/", "/health/",
    "/admin/execution/brokercall/", "/admin/execution/brokerpush/", "/admin/execution/order/",
    "/admin/risk/alert/", "/admin/eventlog/deadletter/", "/admin/eventlog/outboxevent/",
    "/admin/accounts/auditentry/", "/admin/accounts/brokersession/", "/admin/strategies/deployment/",
)  # fmt: skip


@pytest.fixture
def world(monkeypatch, settings) -> Iterator[World]:
    settings.TOPIC_PREFIX = f"test{uuid4().hex[:8]}"
    settings.TICK_PARTITIONS = 4  # a record that is parked is of the last of them
    bootstrap.ensure_topics()
    set_up()
    number = count()
    monkeypatch.setattr(sessions.secrets, "token_hex", lambda _bytes: TOKENS.format(next(number)))
    account = BrokerAccount.objects.get()
    account.api_secret = vault.seal(SECRET, place=account.secret_place)
    account.save()
    chance = random.Random(1)
    with serving(simulator(load_listing(), chance)) as served, World(served, chance) as world:
        session = BrokerSession.objects.get()
        session.access_token = vault.seal(world.access.access_token, place=session.token_place)
        session.save()
        world.access = access_token(account.pk, now=world.now())
        yield world


def traded(world: World) -> None:
    """An order that fills, one that Kite refuses, and the token refused in the end."""
    first = world.want(quantity=1)
    assert world.work(until=lambda: Fill.objects.filter(order=first).exists(), ends_ms=60_000)
    far = world.want(order_type="LIMIT", limit_price_e4=PRICE_E4 - 500_000, quantity=1)
    assert world.work(until=lambda: of(far).state == "DONE", ends_ms=10_000)


def of(order: Order) -> BrokerCall:
    return BrokerCall.objects.get(order=order.id, kind="ORDER")


def crashed(world: World, monkeypatch: Any) -> None:
    """A process that dies amid a call, one whose call raises with the token in its words, a strategy that does."""
    token = world.access.access_token
    world.deaths.append(("execution.call.after_send", 1))
    world.want(order_type="LIMIT", limit_price_e4=PRICE_E4 - 500_000, quantity=1)
    world.work(until=lambda: bool(world.died), ends_ms=10_000)
    with monkeypatch.context() as patch:
        patch.setattr(calls, "_prepared", lambda *_: boom(f"GET wss://w/?access_token={token} of {token}"))
        bad = world.want(order_type="LIMIT", limit_price_e4=PRICE_E4 - 500_000, quantity=1)
        world.work(until=lambda: of(bad).state == "DROPPED", ends_ms=10_000)
    try:
        boom(f"{token} and {SECRET}")
    except RuntimeError as error:
        quarantine(deployment_id=world.deployment.id, error=logs.without_secrets(repr(error)))
        logs.channel("trading").exception("strategy", frame=token)


def boom(words: str) -> Any:
    raise RuntimeError(words)


def parked(world: World) -> None:
    """A message that nobody can read, told of with the token in the error, kept and sent again."""
    token = world.access.access_token
    error = ValueError(f"no frame: {token}, Authorization: token simulatorapikey:{token}, secret={SECRET}")
    with transaction.atomic():
        letter = dead_letters.park("stream", a_record(), "UNDECODABLE", error, incarnation.current())
    dead_letters.redrive([letter.id], actor="alice", now=timezone.now(), reason=f"mended {letter.id}")


def shown() -> Iterator[tuple[str, bytes]]:
    """What a person sees who logs in, wrongly first."""
    User.objects.create_superuser("canary", password=PASSWORD)
    browser = Client(raise_request_exception=False)
    for password in (PASSWORD + "x", PASSWORD):
        answer = browser.post(
            "/admin/login/", {"username": "canary", "password": password, "next": "/admin/"}
        )
        yield "the login", answer.content
    assert answer.status_code == 302
    for page in PAGES:
        answer = browser.get(page, follow=True)
        assert answer.status_code == 200, page
        yield f"page {page}", answer.content


def test_no_secret_comes_out(world, monkeypatch, capfd):
    traded(world)
    crashed(world, monkeypatch)
    parked(world)
    pages = list(shown())
    relay = Relay()
    while relay.publish_batch():
        pass
    relay.close()
    logged = "".join(capfd.readouterr()).encode()

    assert world.access.access_token.startswith(SECRETS["access token"])
    assert world.died == ["execution.call.after_send"]
    assert "RuntimeError: GET" in Alert.objects.get(code="broker_fault").text
    assert b"execution.broker.contained" in logged
    tables, topics = list(canary.tables()), list(canary.topics())
    assert {"topic market.ticks.dlq", "topic market.ticks"} <= {place for place, _ in topics}
    assert len(tables) > 20
    places = [*tables, *topics, *pages, ("the log", logged)]
    assert canary.hits(SECRETS, places) == []
