"""The kill switch where neither Redis nor the log is there: it needs PostgreSQL and the broker alone."""

from __future__ import annotations

import time

import pytest
from celery import current_app
from django.core.management import call_command

from alphapanda.eventlog import doorbell
from execution.models import BrokerCall, BrokerOrder
from risk.models import KillSwitch
from tests.kite.live import Live
from tests.kite.server import a_simulator, quoted, serving

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS_MAX = 200
NOWHERE = "127.0.0.1:1"


@pytest.fixture
def alone(monkeypatch, settings):
    """An order rests at the broker and an entry waits; then Redis and the log are away, and no worker runs."""
    with serving(a_simulator([quoted(1500, second) for second in range(600)])) as served:
        live = Live(served, monkeypatch)
        live.want(quantity=10, order_type="LIMIT", limit_price_e4=14_000_000)
        live.work(rounds=20)
        live.want(quantity=5)
        settings.REDIS_URL, settings.KAFKA_BOOTSTRAP = f"redis://{NOWHERE}/0", NOWHERE
        settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": settings.REDIS_URL}}
        monkeypatch.setattr(doorbell, "_line", doorbell._Line())
        monkeypatch.setattr(current_app.conf, "broker_url", settings.REDIS_URL)
        yield live


def test_a_kill_switch_by_command_cancels_what_works_without_redis_and_the_log(alone):
    call_command("halt", "global", "--step", "cancel", "--reason", "drill")
    for _ in range(ROUNDS_MAX):
        alone.served.advance(100)
        alone.desk.round()
        if not BrokerOrder.objects.filter(is_open=True).exists():
            break
        time.sleep(0.005)

    book = alone.served.simulator.book
    rows = alone.served.call(lambda: [one.rows[-1] for one in book.orders.values()])
    dropped = BrokerCall.objects.filter(lane="ENTRY", state="DROPPED")
    assert KillSwitch.objects.get().step == "CANCEL"
    assert [row["status"] for row in rows] == ["CANCELLED"]
    assert [call.reason for call in dropped] == ["halted: drill"]
    assert doorbell._line.closed_until > 0, "what was rung has met no Redis"
