"""Exits decided beside the cancellation of what would have closed the same units: they leave after it."""

from __future__ import annotations

import msgspec
from django.db.models import BigIntegerField, JSONField, Min, Q, QuerySet, Value

from alphapanda.core.clock import to_ms
from alphapanda.core.vocabulary import OrderStatus, Side, SignalKind
from execution.domain.kite.lookup import PATIENCE_MS
from execution.domain.kite.orders import LiveOrder
from execution.models import BrokerCall, BrokerOrder, Order
from execution.services.live import states
from portfolio.models import Position, Posting
from risk.domain.review import EXIT, WAY_OUT

State = BrokerCall.State
READY, SENDING, UNKNOWN, DONE, REFUSED = (
    State.READY, State.SENDING, State.UNKNOWN, State.DONE, State.REFUSED,
)  # fmt: skip
AGAIN_MS = 500  # until what is being cancelled is looked at again
OVER = [status for status in OrderStatus if status.is_final]


class Hindrance(msgspec.Struct, frozen=True):
    """Why an exit does not leave; where it `passes`, for now."""

    reason: str
    passes: bool


def hindrance(row: BrokerCall, now_ms: int) -> Hindrance | None:
    """What keeps an exit that was none yet when it was decided: while what is being cancelled may still trade, both
    would; and where that has traded, or works on, the exit would open a position. None: it is an exit by now.

    Told by what is booked: an order is over no earlier than its trades are in the books."""
    if row.decision is None or (row.decision.rule == EXIT and WAY_OUT not in row.decision.numbers):
        return None
    order = row.order.order
    working = Order.objects.filter(
        deployment_id=order.deployment_id, instrument_id=order.instrument_id, side=order.side
    )
    others = list(working.exclude(pk=order.pk).exclude(status__in=OVER))
    closing = sum(one.quantity - one.filled_quantity for one in others)
    held = _held(order)
    if order.quantity <= max(0, -held * Side(order.side).sign) - closing:
        return None
    told = f"{held} units are held, and {closing} are being closed"
    return Hindrance(told, any(_is_leaving(one, row, now_ms) for one in others))


def _is_leaving(order: Order, row: BrokerCall, now_ms: int) -> bool:
    """Whether an order that counts as at work will soon be gone, beside an exit that waits for that, or is over and not
    booked yet. A cancellation that was taken may need a while, in which the order is still seen at work."""
    at_broker = BrokerOrder.objects.get(order=order)
    live, cancels = states.known(at_broker), at_broker.calls.filter(kind=SignalKind.CANCEL)
    if live.status.is_final or cancels.filter(state__in=(READY, SENDING)).exists():
        return True
    is_told = live.status is OrderStatus.CANCEL_PENDING or cancels.filter(_may_have_gone(live)).exists()
    return is_told and _waited_since_ms(row, cancels) > now_ms - PATIENCE_MS


def _may_have_gone(live: LiveOrder) -> Q:
    """Cancellations after which an order may be gone: one is refused for what has ended, too, which the next look at
    the book shows."""
    return Q(state__in=(UNKNOWN, DONE)) | Q(state=REFUSED, answered_at_ms__gte=live.seen_ms)


def _waited_since_ms(row: BrokerCall, cancels: QuerySet[BrokerCall]) -> int:
    """When the first cancellation was sent for which an exit waits, or the exit was decided, if it was sent before."""
    assert row.decision is not None, "only decisions place orders"
    decided_ms = to_ms(row.decision.created_at)
    first_ms: int | None = cancels.filter(sent_at_ms__gte=decided_ms).aggregate(at=Min("sent_at_ms"))["at"]
    return first_ms or decided_ms


def in_doubt(row: BrokerCall) -> QuerySet[BrokerOrder]:
    """The orders beside an exit of whose cancellation it is not known what came, or that work in spite of it: a second
    one does no harm, and a look in vain takes two minutes."""
    order = row.order.order
    beside = BrokerOrder.objects.filter(
        order__deployment_id=order.deployment_id,
        order__instrument_id=order.instrument_id,
        order__side=order.side,
    )
    lost = BrokerCall.objects.filter(kind=SignalKind.CANCEL, state__in=(UNKNOWN, DONE))
    return beside.filter(is_open=True, pk__in=lost.values("order")).exclude(pk=row.order_id)


def _held(order: Order) -> int:
    """Units that the deployment holds of an order's instrument, with the trades that wait to be booked. It is one
    statement, for units move from these into the position while it runs."""
    waiting = Posting.objects.filter(book_id=order.deployment_id, state=Posting.State.NEW)
    rows = Position.objects.filter(book_id=order.deployment_id, instrument_id=order.instrument_id)
    nothing, no_units = Value(None, output_field=JSONField()), Value(0, output_field=BigIntegerField())
    held = rows.values_list("quantity", nothing).union(waiting.values_list(no_units, "fill"), all=True)
    units = 0
    for booked, fill in held:
        is_ours = fill is not None and fill["instrument"] == str(order.instrument)
        units += booked + (Side(fill["side"]).sign * fill["quantity"] if is_ours else 0)
    return units
