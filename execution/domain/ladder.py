"""Kite's ladder of statuses: which may follow which, and the one way in which an order goes from one to the next."""

from __future__ import annotations

from uuid import UUID

import msgspec

from alphapanda.core.vocabulary import OrderStatus as S
from execution.domain.orders import OrderEventRow, PaperOrder

REASON_LENGTH_MAX = 200
_ENDS = frozenset({S.COMPLETE, S.CANCELLED, S.EXPIRED})
_ACTS = frozenset({S.MODIFY_VALIDATION_PENDING, S.MODIFIED, S.CANCEL_PENDING})
_RESTS = frozenset({S.OPEN, S.TRIGGER_PENDING, S.AMO_RECEIVED})
FIRST = frozenset({S.PUT_RECEIVED, S.AMO_RECEIVED})

# From a status to those that may follow it. An order may trade and be triggered while an act is on its way to it.
LADDER: dict[S, frozenset[S]] = {
    S.PUT_RECEIVED: frozenset({S.VALIDATION_PENDING}),
    S.AMO_RECEIVED: frozenset({S.VALIDATION_PENDING, S.OPEN_PENDING, S.EXPIRED, S.CANCELLED}) | _ACTS,
    S.VALIDATION_PENDING: frozenset({S.OPEN_PENDING, S.REJECTED}),
    S.OPEN_PENDING: frozenset({S.OPEN, S.TRIGGER_PENDING, S.REJECTED}),
    S.TRIGGER_PENDING: frozenset({S.OPEN, S.EXPIRED, S.CANCELLED}) | _ACTS,
    S.OPEN: frozenset({S.OPEN}) | _ENDS | _ACTS,
    S.MODIFY_VALIDATION_PENDING: frozenset({S.MODIFY_PENDING}),
    S.MODIFY_PENDING: frozenset({S.MODIFIED, S.CANCEL_PENDING, S.OPEN_PENDING}) | _RESTS | _ENDS,
    S.MODIFIED: _RESTS,
    S.CANCEL_PENDING: frozenset({S.OPEN, S.OPEN_PENDING}) | _ENDS,
    S.COMPLETE: frozenset(),
    S.CANCELLED: frozenset(),
    S.REJECTED: frozenset(),
    S.EXPIRED: frozenset(),
}


class IllegalStep(ValueError):
    """An order was to go from a status to one that cannot follow it."""


class History(list[OrderEventRow]):
    """Rows of history in the order in which they came to be."""

    def move(
        self,
        order: PaperOrder,
        status: S,
        at_ms: int,
        *,
        reason: str = "",
        decision_id: UUID | None = None,
        is_first: bool = False,
    ) -> PaperOrder:
        """The order at its next status, with a row of history. A refused act is a row at the same status, with
        its reason and decision. Raises IllegalStep."""
        is_remark = status is order.status and decision_id is not None
        is_legal = status in FIRST if is_first else is_remark or status in LADDER[order.status]
        if not is_legal:
            raise IllegalStep(f"order {order.id}: {status.value} cannot follow {order.status.value}")
        order = msgspec.structs.replace(order, status=status, events_count=order.events_count + 1)
        self.append(
            OrderEventRow(
                order_id=order.id,
                number=order.events_count,
                status=status,
                at_ms=at_ms,
                quantity=order.quantity,
                filled_quantity=order.filled_quantity,
                limit_price_e4=order.limit_price_e4,
                trigger_price_e4=order.trigger_price_e4,
                reason=reason[:REASON_LENGTH_MAX],
                decision_id=decision_id,
            )
        )
        return order
