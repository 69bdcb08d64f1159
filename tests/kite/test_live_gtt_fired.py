"""Triggers that have fired: what came of their orders is told when the broker tells it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from alphapanda.kite_simulator.script import Step, do
from execution.domain.kite import gtt as kite_gtt
from execution.models import ExternalOrder
from risk.models import Alert
from tests.kite.live import Live
from tests.kite.test_live_gtt import FALLS_AT, authorised, go, live, placed  # noqa: F401

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
