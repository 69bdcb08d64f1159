"""Trades with their charges, and what working orders and books come to as a machine sees them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import msgspec

from alphapanda.core import ids
from alphapanda.core.clock import ist_date
from alphapanda.core.vocabulary import OrderStatus, Side
from execution.domain.charges import Cards, fill_charges, rate_group
from execution.domain.paper import Execution, PaperOrder, watch
from marketdata.domain.instruments import InstrumentSpec, segment_of
from portfolio.domain.books import BookedFill, Holding
from strategies.domain.consequences import Consequences, SettledFill, Working


class FillRow(msgspec.Struct, frozen=True):
    """A trade with its charges, as it is stored."""

    id: UUID
    number: int
    step: int
    fill: BookedFill
    order_status: OrderStatus
    received_at_ms: int


def charged(
    executions: Sequence[Execution],
    changed: Sequence[PaperOrder],
    *,
    step: int,
    cards: Cards,
    instruments: Mapping[int, InstrumentSpec],
) -> list[FillRow]:
    """Fills of one item, each with what it adds to the charges of its order.
    Raises NoChargeCard, NoSegment."""
    status = {order.id: order.status for order in changed}
    return [
        _charged(execution, step, status[execution.order.id], cards, instruments[execution.order.token])
        for execution in executions
    ]


def _charged(
    execution: Execution, step: int, order_status: OrderStatus, cards: Cards, instrument: InstrumentSpec
) -> FillRow:
    order = execution.order
    segment = segment_of(instrument.exchange, instrument.instrument_type)
    charges = fill_charges(
        cards.on(ist_date(execution.at_ms)),
        side=order.side,
        product=order.product,
        exchange=instrument.exchange,
        segment=segment,
        group=rate_group(instrument.exchange, segment, instrument.tradingsymbol),
        turnover_before=order.turnover,
        turnover_after=order.turnover + execution.turnover,
    )
    fill_id = ids.fill_id(order.id, execution.number)
    fill = BookedFill(
        fill_id=fill_id,
        order_id=order.id,
        deployment_id=order.deployment_id,
        instrument=order.instrument,
        token=order.token,
        side=order.side,
        quantity=execution.quantity,
        price_e4=execution.price_e4,
        charges=charges,
        at_ms=execution.at_ms,
    )
    return FillRow(fill_id, execution.number, step, fill, order_status, execution.received_at_ms)


def working_by_token(orders: Iterable[PaperOrder]) -> dict[int, Working]:
    """Unfilled units of working orders by instrument and side."""
    sums: dict[int, Working] = {}
    for order in orders:
        now = sums.get(order.token, Working())
        buy = order.unfilled if order.side is Side.BUY else 0
        sums[order.token] = Working(now.buy + buy, now.sell + order.unfilled - buy)
    return sums


def consequences(
    holdings: Mapping[int, Holding],
    orders: Sequence[PaperOrder],
    *,
    matched_step: int,
    fills: Iterable[BookedFill] = (),
) -> Consequences:
    """What the machine of a deployment may know of its orders and books; `fills` are those of the matched step."""
    working = working_by_token(orders)
    return Consequences(
        positions={
            token: holding.quantity for token, holding in sorted(holdings.items()) if holding.quantity
        },
        working=dict(sorted(working.items())),
        watches=tuple(
            watch(order) for order in sorted(orders, key=lambda order: (order.step, order.ordinal))
        ),
        matched_step=matched_step,
        fills=tuple(
            SettledFill(fill.order_id, fill.token, fill.side, fill.quantity, fill.price_e4, fill.at_ms)
            for fill in fills
        ),
    )
