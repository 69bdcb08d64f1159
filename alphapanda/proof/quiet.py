"""What is still under way in a stack; a proof that waits for the end of it says at its bound what it waited for."""

from __future__ import annotations

from alphapanda.core.vocabulary import Waiting
from alphapanda.eventlog.models import OutboxEvent
from alphapanda.stack import Stack, StackFailed
from execution.models import BrokerCall, BrokerOrder
from strategies.models import Deployment
from strategies.services.runner import ACTIVE

CALLED = (BrokerCall.State.READY, BrokerCall.State.SENDING, BrokerCall.State.UNKNOWN)


def in_pipeline() -> list[str]:
    """Each deployment that waits for its own consequences, and how many events are not published yet."""
    waiting = Deployment.objects.filter(status__in=ACTIVE).exclude(waiting=Waiting.NOTHING)
    unpublished = OutboxEvent.objects.filter(published_at__isnull=True).count()
    return [
        *(f"{name} waits: {what}" for name, what in waiting.values_list("name", "waiting")),
        *([f"{unpublished} events unpublished"] if unpublished else []),
    ]


def at_broker() -> list[str]:
    """Each order that works at a broker outside, or may, and each call of which the outcome is open."""
    orders = BrokerOrder.objects.filter(is_open=True).values_list("order_id", "order__status", "wants_trades")
    calls = BrokerCall.objects.filter(state__in=CALLED).values_list("kind", "state", "order_id", "reason")
    return [
        *(f"order {order}: {status}{', trades wanted' * wanted}" for order, status, wanted in orders),
        *(f"call {kind} of order {order}: {state} {reason}".rstrip() for kind, state, order, reason in calls),
    ]


def is_quiet() -> bool:
    """Whether nothing is under way, here or at a broker."""
    return not (in_pipeline() or at_broker())


def wait(stack: Stack, *, timeout_s: float, what: str) -> None:
    """Wait until nothing is under way. Raises StackFailed, which names what still is."""
    try:
        stack.wait(is_quiet, timeout_s=timeout_s, what=what)
    except StackFailed as error:
        raise StackFailed(f"{error}\nunder way: {'; '.join([*in_pipeline(), *at_broker()])}") from error
