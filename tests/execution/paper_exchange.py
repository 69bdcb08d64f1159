"""A paper exchange to put orders to: what a tick makes of one, what an act makes of one."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from alphapanda.core.vocabulary import SignalKind
from execution.domain.paper import Memory, Outcome, PaperOrder, PaperSettings, carry_out, match
from marketdata.domain.ticks import Item
from tests.builders import DAY, a_signal, a_standing, a_venue, at

LATER = at() + 1_000
EXACT = PaperSettings(latency_ms=0, slippage_ticks=0)
NEXT_DAY = DAY + timedelta(days=1)


def seen(
    order: PaperOrder, item: Item, how: PaperSettings = EXACT, memory: Memory | None = None, clock_ms: int = 0
) -> Outcome:
    venue = a_venue(how)
    return match([order], item, venue=venue, memory=memory or Memory(), clock_ms=clock_ms)


def after(order: PaperOrder, item: Item, how: PaperSettings = EXACT) -> PaperOrder:
    return seen(order, item, how).orders.get(order.id, order)


def acted(order: PaperOrder, kind: SignalKind, how: PaperSettings = EXACT, **more: Any) -> Outcome:
    """A cancellation or modification at `LATER`."""
    given = {
        "quantity": order.unfilled,
        "limit": None if order.limit_price_e4 is None else Decimal(order.limit_price_e4) / 10_000,
        "trigger": None if order.trigger_price_e4 is None else Decimal(order.trigger_price_e4) / 10_000,
        "validity": order.validity,
        "at_ms": LATER,
        "step": order.events_count + 10,
    } | more
    quantity = given.pop("quantity")
    row = a_signal(order.side, quantity, kind=kind, target=order.id, replaces=order.unfilled, **given)
    return carry_out([row], a_standing([order]), a_venue(how), ended={order.id: order})


def modified(order: PaperOrder, how: PaperSettings = EXACT, **more: Any) -> PaperOrder:
    return acted(order, SignalKind.MODIFY, how, **more).orders[order.id]


def words(outcome: Outcome) -> list[str]:
    return [row.status.value for row in outcome.history]
