"""Trades with their charges, and what working orders and books come to as a machine sees them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from uuid import UUID

import msgspec

from alphapanda.core import ids
from alphapanda.core.clock import ist_date
from alphapanda.core.money import quantized
from alphapanda.core.vocabulary import FillSource, OrderStatus, Side, SignalOrigin
from execution.domain.charges import Cards, exercise_charges, fill_charges, rate_group
from execution.domain.matching import watch
from execution.domain.orders import Execution, PaperOrder
from marketdata.domain.instruments import OPTION_TYPES, InstrumentSpec, segment_of
from portfolio.domain.books import BookedFill, Holding
from strategies.domain.consequences import Consequences, SettledFill, Working, WorkingOrder
from strategies.domain.watches import Watch


class FillRow(msgspec.Struct, frozen=True, gc=False):
    """A trade with its charges, as it is stored."""

    id: UUID
    number: int
    step: int
    fill: BookedFill
    order_status: OrderStatus
    received_at_ms: int
    source: FillSource


def charged(
    executions: Sequence[Execution],
    changed: Iterable[PaperOrder],
    *,
    step: int,
    cards: Cards,
    instruments: Mapping[int, InstrumentSpec],
) -> list[FillRow]:
    """Fills of one item, each with what it adds to the charges of its order.
    Raises NoChargeCard, NoSegment."""
    if not executions:
        return []
    status = {order.id: order.status for order in changed}
    return [
        _charged(execution, step, status[execution.order.id], cards, instruments[execution.order.token])
        for execution in executions
    ]


def named(row: FillRow, fill_id: UUID) -> FillRow:
    """The trade under the id that follows from the broker's name for it, so that it is booked once for ever."""
    return msgspec.structs.replace(row, id=fill_id, fill=msgspec.structs.replace(row.fill, fill_id=fill_id))


def _charged(
    execution: Execution, step: int, order_status: OrderStatus, cards: Cards, instrument: InstrumentSpec
) -> FillRow:
    order = execution.order
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
        charges=_charges(execution, cards, instrument),
        at_ms=execution.at_ms,
    )
    return FillRow(
        fill_id, execution.number, step, fill, order_status, execution.received_at_ms, execution.source
    )


def _charges(execution: Execution, cards: Cards, instrument: InstrumentSpec) -> dict[str, Decimal]:
    """Rupees by line. Each leg of an iceberg is an order of its own to the broker, and its square-off has a fee."""
    order, card = execution.order, cards.on(ist_date(execution.at_ms))
    segment = segment_of(instrument.exchange, instrument.instrument_type)
    group = rate_group(instrument.exchange, segment, instrument.tradingsymbol)
    if execution.source is FillSource.SETTLEMENT and instrument.instrument_type in OPTION_TYPES:
        lines = exercise_charges(
            card,
            exchange=instrument.exchange,
            intrinsic_value=execution.turnover,
            is_buyer=order.side is Side.SELL,
            group=group,
        )
        return {line: quantized(amount) for line, amount in lines.items()}
    return fill_charges(
        card,
        side=order.side,
        product=order.product,
        exchange=instrument.exchange,
        segment=segment,
        group=group,
        turnover_before=order.leg_turnover,
        turnover_after=order.leg_turnover + execution.turnover,
        is_square_off=order.origin is SignalOrigin.SQUARE_OFF,
    )


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
    names: Mapping[int, str],
    matched_step: int,
    fills: Iterable[BookedFill] = (),
    rung: int = 0,
    check_ms: int = 0,
    is_watched: bool = True,
) -> Consequences:
    """What the machine of a deployment may know of its orders and books; `names` are those of the instruments by token,
    `fills` those of the matched step, `rung` that of the loss ladder, `check_ms` when losses are looked at next (0:
    never). Orders that are not watched are filled by a broker's report, not by what the log tells."""
    oldest_first = sorted(orders, key=lambda order: (order.step, order.ordinal))
    return Consequences(
        positions={
            token: holding.quantity for token, holding in sorted(holdings.items()) if holding.quantity
        },
        working=dict(sorted(working_by_token(orders).items())),
        watches=(
            *(map(watch, oldest_first) if is_watched else ()),
            *(_checks(holdings, oldest_first, check_ms) if check_ms else ()),
        ),
        matched_step=matched_step,
        fills=tuple(
            SettledFill(fill.order_id, fill.token, fill.side, fill.quantity, fill.price_e4, fill.at_ms)
            for fill in fills
        ),
        orders=tuple(map(working_order, oldest_first)),
        is_laddered=bool(check_ms),
        rung=rung,
        names=names,
    )


def _checks(holdings: Mapping[int, Holding], orders: Sequence[PaperOrder], check_ms: int) -> Iterator[Watch]:
    """What wakes the look at losses: any item from its time on, while anything is held or works."""
    tokens = {token for token, holding in holdings.items() if holding.quantity} | {
        order.token for order in orders
    }
    if tokens:
        yield Watch(min(tokens), Side.BUY, from_ms=check_ms, until_ms=check_ms, limit_price_e4=None)


def working_order(order: PaperOrder) -> WorkingOrder:
    """An order as its strategy may see it."""
    return WorkingOrder(
        id=order.id,
        token=order.token,
        instrument=order.instrument,
        side=order.side,
        quantity=order.quantity,
        unfilled=order.unfilled,
        order_type=order.order_type,
        product=order.product,
        validity=order.validity,
        validity_minutes=order.validity_minutes,
        limit_price_e4=order.limit_price_e4,
        trigger_price_e4=order.trigger_price_e4,
        disclosed_quantity=order.disclosed_quantity,
        status=order.status,
        tag=order.tag,
        placed_at_ms=order.placed_at_ms,
    )
