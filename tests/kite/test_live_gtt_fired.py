"""Triggers that have fired: what came of their orders is told when the broker tells it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from alphapanda.core.clock import to_ms
from alphapanda.core.vocabulary import Product
from alphapanda.kite_simulator.script import Step, do
from execution.domain.kite import gtt as kite_gtt
from execution.domain.kite.account import Outside
from execution.gtt_models import Gtt
from execution.models import ExternalOrder
from execution.services.live import account, external, gtt_looking, pushes
from execution.services.live.gtt import GttRefused
from portfolio.models import Position
from risk.models import Alert
from strategies.models import Deployment
from tests.kite.live import Live
from tests.kite.looks import open_differences, tick, until_morning
from tests.kite.server import a_simulator, quoted, serving
from tests.kite.test_live_gtt import FALLS_AT, RATES, authorised, go, live, placed  # noqa: F401
from tests.kite_builders import snapshot

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """While it holds something, Kite shows triggers as fired and does not say yet what came of their orders."""
    is_silent: list[bool] = []
    read = kite_gtt.trigger_of

    def reading(raw: bytes, units: Mapping[str, int]) -> Any:
        row = msgspec.json.decode(raw)
        for order in row["orders"] if is_silent else ():
            order["result"] = None
        return read(msgspec.json.encode(row), units)

    monkeypatch.setattr(kite_gtt, "trigger_of", reading)
    return is_silent


@pytest.mark.parametrize("authorised", [0])
def test_an_order_that_was_not_taken_is_told_though_the_trigger_was_seen_to_fire_before(
    live: Live,  # noqa: F811
    silent: list[bool],
) -> None:
    row = placed(live)
    silent.append(True)
    go(live, FALLS_AT + 40)
    row.refresh_from_db()
    assert (row.status, row.orders, Alert.objects.filter(code="gtt_order_failed").exists()) == (
        "TRIGGERED",
        [],
        False,
    )

    silent.clear()
    go(live, 40)
    assert Alert.objects.get(code="gtt_order_failed").severity == "CRITICAL"


@pytest.mark.parametrize(
    ("facts", "is_read"),
    [
        ({"status": "TRIGGERED"}, True),
        ({"status": "TRIGGERED", "orders": [{"leg": 0, "order_id": "x1", "reason": ""}]}, False),
        ({"status": "TRIGGERED", "is_ours": False}, False),
    ],
)
def test_the_list_is_read_for_an_order_of_a_trigger_that_was_seen_to_fire_before(
    live: Live,  # noqa: F811
    facts: dict[str, Any],
    is_read: bool,
) -> None:
    """Its only trigger is active no more, and has not named its order yet."""
    placed(live)
    Gtt.objects.update(**facts)
    looked_at = live.now()
    external.keep([snapshot(order_id="x1", tags=())], looked_at + timedelta(seconds=1))

    assert gtt_looking.is_due(to_ms(looked_at), looked_at + timedelta(seconds=2)) is is_read


def test_the_order_of_a_trigger_that_ends_untraded_is_critical(live: Live) -> None:  # noqa: F811
    """Taken, and rejected later, or cancelled: the position stands."""
    placed(live, stop_limit=Decimal(1400))
    go(live, FALLS_AT + 40)
    order = ExternalOrder.objects.get()
    assert not Alert.objects.filter(code="gtt_order_failed").exists()

    live.served.call(lambda: do(live.served.simulator, Step(cancel=order.broker_order_id)))
    go(live, 40)
    told = Alert.objects.get(code="gtt_order_failed")
    assert (told.severity, "0 of 10 units traded" in told.text) == ("CRITICAL", True)

    Alert.objects.update(acknowledged_at=live.now(), acknowledged_by="alice")
    go(live, 40)
    assert Alert.objects.filter(code="gtt_order_failed").count() == 1


def test_an_order_of_a_trigger_that_nobody_saw_end_is_not_told_as_untraded(live: Live) -> None:  # noqa: F811
    """It may have traded after the last look: the book of the next day does not know it any more."""
    placed(live, stop_limit=Decimal(1400))
    go(live, FALLS_AT + 40)
    until_morning(live)
    go(live, 40)

    assert ExternalOrder.objects.get().is_open is False
    assert not Alert.objects.filter(code="gtt_order_failed").exists()
    told = Alert.objects.get(code="order_day_ended")
    assert (told.severity, "0 of 10 units traded when it was seen last" in told.text) == ("CRITICAL", True)


def test_what_a_trigger_has_closed_halts_nobody_though_its_order_is_told_before_the_list_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ticks = [quoted(1500 if second < FALLS_AT else 1395, second) for second in range(600)]
    with serving(a_simulator(ticks, rates=RATES)) as served:
        live = Live(served, monkeypatch, product=Product.CNC)
        go(live)
        live.want(quantity=10, product=Product.CNC)
        live.work()
        tick(live)
        go(live, 8)
        placed(live, stop_limit=Decimal(1390))
        served.advance((FALLS_AT + 5) * 1_000)
        live.desk._looked_ms = live.desk._gtts_looked_ms = to_ms(live.now())
        (_, told) = json.loads(live.desk._signed().read("/orders").body)["data"]
        pushes.keep(json.dumps(told).encode(), pushes.STREAM)
        for _ in range(20):
            go(live, 2)
            live.hand.run()
        go(live, 40)

        assert ExternalOrder.objects.get().gtt is not None
        assert (Deployment.objects.get().status, open_differences()) == ("RUNNING", [])
        assert not Position.objects.exclude(quantity=0).exists()


def test_shares_are_one_heap_whatever_exchange_they_are_shown_and_sold_at(
    live: Live,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Kite shows them as of the other exchange on another day."""
    placed(live, quantity=6, stop=Decimal(1300))
    monkeypatch.setattr(account, "outside_of", lambda _desk: Outside(units={"BSE:INFY CNC": 10}))
    go(live, 100)
    assert not Alert.objects.filter(code="gtt_exceeds").exists()

    assert placed(live, "k2", quantity=3).status == "ACTIVE"
    Gtt.objects.filter(quantity=6).update(instrument="BSE:INFY")
    with pytest.raises(GttRefused, match="9 of them covered"):
        placed(live, "k3", quantity=2)
