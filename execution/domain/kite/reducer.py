"""News of an order of ours, from any source, into what it is: any news twice, and in any order, gives the same.

Trades make fills; snapshots only tell what to ask for. Snapshots come by websocket, postback and poll, doubled, late
and out of order, and all go the same way."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from uuid import UUID

import msgspec

from alphapanda.core import ids
from alphapanda.core.vocabulary import OrderStatus, OrderType, Validity
from execution.domain.kite.orders import (
    BEFORE_EXCHANGE,
    STEPS,
    ActStage,
    Alarm,
    LiveAct,
    LiveOrder,
    Local,
    Part,
    Sending,
    Told,
    Want,
)
from execution.domain.kite.outcomes import Outcome, Verdict
from execution.domain.kite.rows import OrderSnapshot, TradeRow
from execution.domain.orders import Terms


class Placing(msgspec.Struct, frozen=True):
    """How far an attempt to place the order is; `order_ids` are what the broker called it."""

    sending: Sending
    at_ms: int
    attempt: int
    tag: str = ""
    reason: str = ""
    order_ids: tuple[str, ...] = ()


class Seen(msgspec.Struct, frozen=True):
    """The broker showed the order."""

    snapshot: OrderSnapshot
    received_ms: int


class Traded(msgspec.Struct, frozen=True):
    """The broker showed a trade of the order."""

    trade: TradeRow
    received_ms: int


class ActNews(msgspec.Struct, frozen=True):
    """How far a cancellation (without terms) or modification of the order is."""

    decision_id: UUID
    stage: ActStage
    at_ms: int
    terms: Terms | None = None
    reason: str = ""


class Gone(msgspec.Struct, frozen=True):
    """The broker's book is of a later day than the order's: it works no more, and what it traded last nobody tells."""

    at_ms: int


class LastLeg(msgspec.Struct, frozen=True):
    """After so many legs of an iceberg order that was to end the broker has sent none for so long that none is waited
    for."""

    legs: int
    at_ms: int


Evidence = Placing | Seen | Traded | ActNews | Gone | LastLeg


class Change(msgspec.Struct, frozen=True):
    """A row of history to write; whoever stores it gives it its number. `decision_id` is that of an act that ended.
    Terms that were not told (None) stay as they were."""

    status: OrderStatus
    at_ms: int
    quantity: int
    filled_quantity: int
    limit_price_e4: int | None
    trigger_price_e4: int | None
    reason: str
    decision_id: UUID | None = None
    modifications: int = 0
    order_type: OrderType | None = None
    validity: Validity | None = None
    validity_minutes: int | None = None
    disclosed_quantity: int | None = None


class NewFill(msgspec.Struct, frozen=True):
    """A fill to book. Its id follows from the trade, not from when we heard of it."""

    id: UUID
    order_id: UUID
    broker_order_id: str
    trade_key: str
    quantity: int
    price_e4: int
    at_ms: int


class Result(msgspec.Struct, frozen=True):
    """The order after the news, and what is new because of it. `wants` are all that stand."""

    order: LiveOrder
    changes: tuple[Change, ...] = ()
    fills: tuple[NewFill, ...] = ()
    alarms: frozenset[Alarm] = frozenset()
    wants: frozenset[Want] = frozenset()


_SENDINGS = {
    Verdict.ACCEPTED: Sending.ACKED,
    Verdict.REFUSED: Sending.REFUSED,
    Verdict.TOKEN_DEAD: Sending.REFUSED,
    Verdict.UNKNOWN: Sending.UNKNOWN,
}


def answered(outcome: Outcome, *, attempt: int, at_ms: int) -> Placing:
    """What the answer to a placing says of the order."""
    return Placing(
        sending=_SENDINGS[outcome.verdict],
        at_ms=at_ms,
        attempt=attempt,
        reason=outcome.reason,
        order_ids=outcome.order_ids,
    )


def is_known(order: LiveOrder, evidence: Seen | Traded) -> bool:
    """Whether it was told word for word: a trade that is here, an end as it was told before. A snapshot of what works
    is never known, for the one that came last may decide."""
    if isinstance(evidence, Traded):
        part = order.parts.get(evidence.trade.order_id, Part())
        return part.trades.get(evidence.trade.key) == evidence.trade
    part = order.parts.get(evidence.snapshot.order_id, Part())
    return part.end is not None and _told_of(evidence.snapshot, part.end.received_ms) == part.end


def take(order: LiveOrder, evidence: Evidence) -> Result:
    """One piece of news. What contradicts the order is not counted, and raises an alarm."""
    after = _merged(order, evidence)
    fills = _fills(order, after, evidence.received_ms) if isinstance(evidence, Traded) else ()
    return Result(
        order=after,
        changes=_changes(order, after, evidence),
        fills=fills,
        alarms=after.alarms - order.alarms,
        wants=after.wants,
    )


def take_all(order: LiveOrder, evidence: list[Evidence]) -> Result:
    """Several pieces of news in their order."""

    def step(so_far: Result, news: Evidence) -> Result:
        result = take(so_far.order, news)
        return Result(
            order=result.order,
            changes=so_far.changes + result.changes,
            fills=so_far.fills + result.fills,
            alarms=so_far.alarms | result.alarms,
            wants=result.wants,
        )

    return reduce(step, evidence, Result(order, wants=order.wants))


def _merged(order: LiveOrder, evidence: Evidence) -> LiveOrder:
    if isinstance(evidence, Placing):
        return _placed(order, evidence)
    if isinstance(evidence, Seen):
        return _seen(order, evidence)
    if isinstance(evidence, Traded):
        return _traded(order, evidence.trade)
    if isinstance(evidence, LastLeg):
        return msgspec.structs.replace(order, last_leg=min(order.last_leg or evidence.legs, evidence.legs))
    if isinstance(evidence, Gone):
        return msgspec.structs.replace(order, gone_ms=min(order.gone_ms or evidence.at_ms, evidence.at_ms))
    return _acted(order, evidence)


def _placed(order: LiveOrder, news: Placing) -> LiveOrder:
    local = Local(news.attempt, news.sending.rank, news.at_ms, news.reason)
    unseen = {order_id: Part() for order_id in news.order_ids if order_id not in order.parts}
    return msgspec.structs.replace(
        order,
        local=max(order.local, local),
        tags=order.tags | ({news.tag} if news.tag else set()),
        parts=order.parts | unseen,
    )


def _seen(order: LiveOrder, news: Seen) -> LiveOrder:
    snapshot = news.snapshot
    if (snapshot.instrument, snapshot.side) != (order.instrument, order.side):
        return _contradicted(order, snapshot.order_id)
    told = _told_of(snapshot, news.received_ms)
    part = order.parts.get(snapshot.order_id, Part())
    most = max(part.most, snapshot.quantity)
    if snapshot.is_final:
        ends = {"end": _best(max, part.end, told), "first_end": _best(min, part.first_end, told)}
        return _with_part(order, snapshot.order_id, msgspec.structs.replace(part, most=most, **ends))
    named = part.named if snapshot.status is None else _best(max, part.named, told)
    latest = _best(max, part.latest, told)
    part = msgspec.structs.replace(part, most=most, latest=latest, named=named)
    return _with_part(order, snapshot.order_id, part)


def _traded(order: LiveOrder, trade: TradeRow) -> LiveOrder:
    if (trade.instrument, trade.side) != (order.instrument, order.side):
        return _contradicted(order, trade.key)
    part = order.parts.get(trade.order_id, Part())
    known = part.trades.get(trade.key)
    if known is not None:  # what is booked stays as it is
        return order if known == trade else _contradicted(order, trade.key)
    part = msgspec.structs.replace(part, trades={**part.trades, trade.key: trade})
    return _with_part(order, trade.order_id, part)


def _acted(order: LiveOrder, news: ActNews) -> LiveOrder:
    act = LiveAct(news.stage, news.at_ms, news.terms, news.reason)
    known = order.acts.get(news.decision_id)
    if known is not None and known.key >= act.key:
        return order
    return msgspec.structs.replace(order, acts={**order.acts, news.decision_id: act})


def _told_of(snapshot: OrderSnapshot, received_ms: int) -> Told:
    """A snapshot as it is kept."""
    return Told(
        filled=snapshot.filled,
        at_ms=snapshot.at_ms,
        is_at_exchange=snapshot.status not in BEFORE_EXCHANGE,
        received_ms=received_ms,
        step=-1 if snapshot.status is None else STEPS[snapshot.status],
        status_text=snapshot.status_text,
        quantity=snapshot.quantity,
        limit_price_e4=snapshot.limit_price_e4 or 0,
        trigger_price_e4=snapshot.trigger_price_e4 or 0,
        disclosed_quantity=snapshot.disclosed_quantity,
        order_type=snapshot.order_type,
        validity=snapshot.validity,
        reason=snapshot.reason,
    )


def _with_part(order: LiveOrder, broker_id: str, part: Part) -> LiveOrder:
    return msgspec.structs.replace(order, parts={**order.parts, broker_id: part})


def _contradicted(order: LiveOrder, name: str) -> LiveOrder:
    return msgspec.structs.replace(order, contradicted=order.contradicted | {name})


def _best(choose: Callable[[Told, Told], Told], one: Told | None, other: Told) -> Told:
    return other if one is None else choose(one, other)


def _fills(before: LiveOrder, after: LiveOrder, received_ms: int) -> tuple[NewFill, ...]:
    known = {trade.key for trade in before.trades}
    return tuple(
        NewFill(
            id=ids.derived("fill", after.id, trade.key),
            order_id=after.id,
            broker_order_id=trade.order_id,
            trade_key=trade.key,
            quantity=trade.quantity,
            price_e4=trade.price_e4,
            at_ms=trade.at_ms or received_ms,
        )
        for trade in after.trades
        if trade.key not in known
    )


def _changes(before: LiveOrder, after: LiveOrder, evidence: Evidence) -> tuple[Change, ...]:
    """A row where what can be seen of the order changed, and one with its decision where an act ended."""
    act_id = evidence.decision_id if isinstance(evidence, ActNews) else None
    at_ms = _at_ms(evidence)
    row = _row(after, at_ms)
    if act_id is not None and _has_ended(before, after, act_id):
        ended = {"decision_id": act_id, "reason": after.acts[act_id].reason}
        return (msgspec.structs.replace(row, **ended, modifications=after.modifications),)
    return () if row == _row(before, at_ms) and not _is_first(before, after) else (row,)


def _is_first(before: LiveOrder, after: LiveOrder) -> bool:
    return before.local.sending is Sending.READY and after.local.sending is not Sending.READY


def _has_ended(before: LiveOrder, after: LiveOrder, act_id: UUID) -> bool:
    known = before.acts.get(act_id)
    was_at_work = known is None or known.stage is ActStage.SENT
    return was_at_work and after.acts[act_id].stage is not ActStage.SENT


def _row(order: LiveOrder, at_ms: int) -> Change:
    terms = order.now
    return Change(
        status=order.status,
        at_ms=at_ms,
        quantity=terms.quantity,
        filled_quantity=order.filled_quantity,
        limit_price_e4=terms.limit_price_e4,
        trigger_price_e4=terms.trigger_price_e4,
        reason=order.reason,
        order_type=terms.order_type,
        validity=terms.validity,
        validity_minutes=terms.validity_minutes,
        disclosed_quantity=terms.disclosed_quantity,
    )


def _at_ms(evidence: Evidence) -> int:
    """When it happened, as far as it is told."""
    if isinstance(evidence, Seen):
        return evidence.snapshot.at_ms or evidence.received_ms
    if isinstance(evidence, Traded):
        return evidence.trade.at_ms or evidence.received_ms
    return evidence.at_ms
