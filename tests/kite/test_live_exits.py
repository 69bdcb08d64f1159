"""Exits at the broker: one that is refused, or cannot leave, is neither forgotten nor sent without end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from execution.domain.kite.outcomes import Stage
from execution.models import BrokerCall
from execution.services.live import answers
from execution.services.live.http import Answer, Failed, KiteHttp
from portfolio.models import Position
from risk.models import Alert
from risk.services import halts
from strategies.models import Deployment
from tests.kite.live import Live
from tests.kite.server import a_simulator, quoted, serving
from tests.pipeline.hand import packed

pytestmark = pytest.mark.django_db(transaction=True)
IP_UNKNOWN = {"status": "error", "message": "IP not allowed", "error_type": "PermissionException"}


@pytest.fixture
def live(monkeypatch: Any) -> Iterator[Live]:
    with serving(a_simulator([quoted(1500, second) for second in range(600)])) as served:
        yield Live(served, monkeypatch)


def held(live: Live) -> None:
    live.want(quantity=10)
    live.work()
    assert Position.objects.get().quantity == 10


def tick(live: Live, second: int) -> None:
    live.hand.readers[0].values += packed([quoted(1500, second)], source=second, batch=1)


def test_an_exit_that_is_refused_is_asked_for_again_once_a_minute(live: Live, monkeypatch: Any) -> None:
    held(live)
    refusal = Answer(403, json.dumps(IP_UNKNOWN).encode())
    monkeypatch.setattr(KiteHttp, "write", lambda *_given, **_named: refusal)
    halts.halt_throw(level="GLOBAL", step="FLATTEN", reason="drill", actor="alice", now=live.now())
    tick(live, 601)
    live.work()
    exits = BrokerCall.objects.filter(lane="EXIT")
    assert exits.count() == 1
    alert = Alert.objects.get(code="exit_refused")
    assert (alert.text, alert.times) == ("the position is held on: IP not allowed", 1)

    tick(live, 662)
    live.work()
    assert exits.count() == 2


def test_what_kite_forbids_pauses_all_and_exits_go_on(live: Live, monkeypatch: Any) -> None:
    held(live)
    refusal = Answer(403, json.dumps(IP_UNKNOWN).encode())
    with monkeypatch.context() as patched:
        patched.setattr(KiteHttp, "write", lambda *_given, **_named: refusal)
        live.want(quantity=5)
        live.work()
    assert Deployment.objects.get().status == "PAUSED"
    assert Alert.objects.get(code="broker_forbids").text.endswith("IP not allowed")

    live.want(side="SELL", quantity=10)
    live.work()
    assert Position.objects.get().quantity == 0


def test_an_exit_that_cannot_leave_waits_for_the_network(live: Live, monkeypatch: Any) -> None:
    held(live)

    def away(*_given: Any, **_named: Any) -> Answer:
        raise Failed(Stage.NOT_SENT, "connection refused")

    with monkeypatch.context() as patched:
        patched.setattr(KiteHttp, "write", away)
        live.want(side="SELL", quantity=10)
        live.work(rounds=5 * answers.ATTEMPTS_MAX, advance_ms=2_000)
    assert live.desk._spent.placed <= 2, "the entry, and an exit that may be under way"

    live.work()
    assert Position.objects.get().quantity == 0
    (call,) = BrokerCall.objects.filter(lane="EXIT")
    assert (call.state, call.attempt) == ("DONE", 1)
