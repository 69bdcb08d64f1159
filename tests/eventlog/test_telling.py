"""What is decided, ordered, filled, booked or done by hand is one line with its ids, once it is committed."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from structlog.testing import capture_logs

from accounts.services import act_record
from alphapanda.core import ids
from alphapanda.core.envelope import EventType, OrderFilled, Payload, seal
from alphapanda.core.vocabulary import Broker, FillSource, OrderStatus, Side
from alphapanda.eventlog import outbox, telling

TICK, DEPLOYMENT, ORDER = (ids.derived("test", name) for name in ("tick", "deployment", "order"))
FILL = OrderFilled(
    fill_id=ids.fill_id(ORDER, 1),
    order_id=ORDER,
    deployment_id=DEPLOYMENT,
    instrument="NSE:INFY",
    side=Side.BUY,
    quantity=10,
    price_e4=12_490_500,
    charges={},
    order_status=OrderStatus.COMPLETE,
    source=next(iter(FillSource)),
    at_ms=7,
)


def published(payload: Payload, event_type: EventType) -> None:
    envelope = seal(
        payload,
        event_type=event_type,
        event_id=ids.event_id(event_type, FILL.fill_id),
        ts=7,
        source="test",
        broker=Broker.PAPER,
        key=str(ORDER),
        correlation_id=TICK,
        causation_id=ORDER,
    )
    outbox.publish([envelope])


@pytest.mark.django_db(transaction=True)
def test_a_fill_is_a_line_with_all_its_ids_and_none_before_its_commit() -> None:
    with capture_logs() as lines, transaction.atomic():
        published(FILL, EventType.ORDER_FILLED)
        assert lines == []
    (line,) = lines

    assert line == {
        "event": "order.filled",
        "log_level": "info",
        "broker": "paper",
        "event_id": str(ids.event_id(EventType.ORDER_FILLED, FILL.fill_id)),
        "correlation_id": str(TICK),
        "causation_id": str(ORDER),
        "deployment_id": str(DEPLOYMENT),
        "order_id": str(ORDER),
        "fill_id": str(FILL.fill_id),
        "instrument": "NSE:INFY",
        "side": "BUY",
        "quantity": 10,
        "price_e4": 12_490_500,
    }


@pytest.mark.django_db(transaction=True)
def test_what_is_taken_back_leaves_no_line() -> None:
    with capture_logs() as lines, transaction.atomic():
        published(FILL, EventType.ORDER_FILLED)
        transaction.set_rollback(True)
    assert lines == []


@pytest.mark.django_db(transaction=True)
def test_an_act_is_a_line_of_the_audit_channel() -> None:
    with capture_logs() as lines, transaction.atomic():
        act_record(
            actor="alice", action="halt.throw", target="halt:global", reason="drill", now=timezone.now()
        )
    (line,) = lines

    expected: dict[str, Any] = {"event": "operator.acted", "actor": "alice", "action": "halt.throw"}
    expected |= {"target": "halt:global", "reason": "drill"}
    assert expected.items() <= line.items()


def test_every_step_of_a_signal_has_its_line_and_bars_have_none() -> None:
    steps = {
        "signal.approved",
        "signal.denied",
        "order.submitted",
        "order.filled",
        "order.failed",
        "pnl.snapshot",
    }

    assert {one.value for one, channel in telling.CHANNELS.items() if channel is telling.TRADING} == steps
    assert telling.CHANNELS[EventType.OPERATOR_ACTED] is telling.AUDIT
    assert EventType.BAR_CLOSED not in telling.CHANNELS
