"""Exits that wait for a price: the stops and targets of brackets, and stop orders at work."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any
from uuid import UUID

import msgspec

from alphapanda.core.vocabulary import FINAL_STATUSES, OrderStatus, Side
from execution.models import Order
from strategies.domain.guards import Guards
from strategies.domain.protection import Protection
from strategies.models import Deployment

Row = dict[str, Any]
TARGET = "target"


class Guarded(msgspec.Struct):
    """What of a checkpoint says which exits are watched. The rest of it is not built."""

    guards: Guards = msgspec.field(default_factory=Guards)
    names: dict[int, str] = msgspec.field(default_factory=dict)  # whose tokens these are


def guarded(deployment: Deployment) -> Guarded | None:
    """None: the checkpoint cannot be read, and its shard says so."""
    try:
        return msgspec.msgpack.decode(bytes(deployment.checkpoint) or b"\x80", type=Guarded)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def waiting(deployments: Collection[UUID]) -> list[Row]:
    """Of these deployments every exit by deployment and token, in two queries: the level at which it leaves, how many
    units, on which side, and whether a loss ends there (`is_stop`), as it does not at a target. Brackets are those of
    the checkpoint, which is written every few seconds."""
    if not deployments:
        return []
    found = Deployment.objects.filter(id__in=deployments).only("checkpoint")
    return [row for one in found for row in _of_brackets(one)] + list(_of_orders(deployments))


def _of_brackets(deployment: Deployment) -> Iterator[Row]:
    state = guarded(deployment)
    for token, protections in state.guards.protections.items() if state else ():
        for one in protections:
            yield from _of_bracket(str(deployment.pk), token, one)


def _of_bracket(deployment: str, token: int, one: Protection) -> Iterator[Row]:
    stop = "trailing stop" if one.trail_e4 else "stop"
    for words, level_e4 in ((stop, one.stop_e4), (TARGET, one.target_e4)):
        if level_e4:
            yield _row(deployment, token, words, level_e4, one.quantity, one.side.opposite)


def _of_orders(deployments: Iterable[UUID]) -> Iterator[Row]:
    """Once its price has come it is a limit order as any other, which the price may have left behind."""
    stops = Order.objects.filter(
        deployment__in=deployments, trigger_price_e4__isnull=False, triggered_at_ms=0
    )
    waiting = stops.exclude(status__in=[status.value for status in FINAL_STATUSES])
    for one in waiting.exclude(status=OrderStatus.OPEN).select_related("instrument"):
        left, token = one.quantity - one.filled_quantity, one.instrument.instrument_token
        yield _row(str(one.deployment_id), token, "stop order", one.trigger_price_e4, left, Side(one.side))


def _row(deployment: str, token: int, what: str, level_e4: int, quantity: int, side: Side) -> Row:
    return {
        "deployment_id": deployment,
        "token": token,
        "what": what,
        "level_e4": level_e4,
        "quantity": quantity,
        "side": side.value,  # of the order that leaves
        "is_stop": what != TARGET,
    }
