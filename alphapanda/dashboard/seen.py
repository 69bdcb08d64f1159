"""What lists read: rows as they stand, or as they stood at the moment that is looked at."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from alphapanda import past, projection_rows
from alphapanda.core.clock import to_datetime
from alphapanda.core.vocabulary import FINAL_STATUSES
from alphapanda.dashboard import moment, screen
from execution.models import BrokerCall, Fill, Order
from execution.past import calls_then, orders_known, orders_then
from marketdata.models import Bar
from risk.models import KillSwitch
from risk.past import step_then
from strategies.models import Deployment, Signal
from strategies.past import deployments_then


def _then() -> datetime | None:
    at_ms = moment.current()
    return None if at_ms is None else to_datetime(at_ms)


def orders() -> QuerySet[Order]:
    """Orders that are there; `order_status` is the column of their status."""
    then = _then()
    return Order.objects.all() if then is None else orders_known(then)


def order_status() -> str:
    """By which column orders are narrowed: then they had other states."""
    return "status" if moment.current() is None else "status_then"


def order_rows(found: QuerySet[Order]) -> list[screen.Row]:
    then = _then()
    return projection_rows.orders(found) if then is None else past.order_rows(found, then)


def signals() -> QuerySet[Signal]:
    return moment.known(Signal.objects.all())


def decided() -> dict[str, datetime]:
    """What narrows signals to those whose verdict was known."""
    then = _then()
    return {} if then is None else {"decision__created_at__lte": then}


def signal_rows(found: QuerySet[Signal]) -> list[screen.Row]:
    then = _then()
    return projection_rows.signals(found) if then is None else past.signal_rows(found, then)


def fills() -> QuerySet[Fill]:
    return moment.known(Fill.objects.all())


def bars() -> QuerySet[Bar]:
    return moment.known(Bar.objects.all(), "stored_at")


def deployment_rows(found: QuerySet[Deployment]) -> list[screen.Row]:
    then = _then()
    if then is None:
        return projection_rows.deployments(found)
    return [projection_rows.deployment(one) for one in deployments_then(found, then)]


def deployment(found: Deployment) -> Deployment | None:
    """A deployment as it stands or stood; None: it was not there yet."""
    then = _then()
    if then is None:
        return found
    return next(iter(deployments_then(Deployment.objects.filter(pk=found.pk), then)), None)


def halt_step(switch: KillSwitch) -> str:
    """How far a halt went."""
    then = _then()
    return switch.step if then is None else step_then(switch, then)


def order(**wanted: Any) -> Order | None:
    """One order as it stands or stood, where there is or was one."""
    then, found = _then(), orders().filter(**wanted)
    return found.first() if then is None else next(iter(orders_then(found, then)), None)


def orders_at_work(**wanted: Any) -> list[Order]:
    """Orders that have not ended, or had not then, as they stand or stood, oldest first."""
    final = {f"{order_status()}__in": [status.value for status in FINAL_STATUSES]}
    then, found = _then(), orders().filter(**wanted).exclude(**final).order_by("created_at")
    return list(found) if then is None else orders_then(found, then)


def calls(found: Order) -> list[BrokerCall]:
    """What was said to a broker of an order, and what it answered; then, as far as it had been sent."""
    then, told = _then(), BrokerCall.objects.filter(order__order=found).order_by("queued_at_ms", "attempt")
    return list(told) if then is None else calls_then(told, then)
