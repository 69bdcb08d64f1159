"""What a person does to one order: cancel it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from alphapanda.core.refusals import Conflict, NotThere
from execution.models import ENDED, Order
from strategies.services.lifecycle import deployment_cancel


class OrderNotFound(NotThere):
    """No order has this id."""


class OrderEnded(Conflict):
    """Nothing of the order is left to cancel."""


def order_cancel(*, order_id: UUID, actor: str, reason: str, now: datetime, ip: str | None = None) -> Order:
    """Have the deployment of an order cancel it at its next step, and go on. Idempotent.

    Raises OrderNotFound, OrderEnded, lifecycle.IllegalTransition, lifecycle.ReasonMissing.
    """
    order = Order.objects.filter(pk=order_id).first()
    if order is None:
        raise OrderNotFound(f"No order has the id {order_id}.")
    if order.status in ENDED:
        raise OrderEnded(f"The order is {order.status}: nothing of it is left to cancel.")
    deployment_cancel(
        deployment_id=order.deployment_id, order_id=order.pk, actor=actor, reason=reason, now=now, ip=ip
    )
    return order
