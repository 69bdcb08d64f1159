"""The verdict on signals: small pure rules with stable names, asked in order; the first that objects decides.

Exits are sacred: an order that only reduces a position passes every rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from alphapanda.core import ids
from alphapanda.core.clock import ist_date
from alphapanda.core.money import value
from alphapanda.core.vocabulary import DeploymentStatus, Phase, Side, SignalKind
from marketdata.domain.instruments import InstrumentSpec
from portfolio.domain.books import FLAT, Holding, net, unrealised
from risk.domain.limits import DayState, Limits
from strategies.domain.consequences import Working
from strategies.domain.signals import Mark, SignalRow

MINUTE_MS = 60_000


class Context(msgspec.Struct, frozen=True):
    """What risk knows besides the signal. Maps are by instrument token; `halts` are the active kill switches."""

    limits: Limits
    day: DayState
    holdings: Mapping[int, Holding]
    working: Mapping[int, Working]
    instruments: Mapping[int, InstrumentSpec]
    phase: Phase
    halts: tuple[str, ...] = ()
    status: DeploymentStatus = DeploymentStatus.RUNNING
    may_queue: bool = False  # an order after hours waits for the next session


class Verdict(msgspec.Struct, frozen=True):
    """A decision: the rule that decided, why in words, and the numbers that it saw."""

    id: UUID
    signal_id: UUID
    is_approved: bool
    rule: str
    reason: str
    numbers: dict[str, Any]
    at_ms: int


class Case(msgspec.Struct, frozen=True):
    """One signal before its judges, with the figures that rules need worked out once."""

    signal: SignalRow
    context: Context
    position: int
    worst_position: int
    order_value: Decimal | None
    price_age_ms: int | None
    day_pnl: Decimal | None


Rule = Callable[[Case], str | None]


def review(signals: Sequence[SignalRow], context: Context) -> tuple[list[Verdict], DayState]:
    """Judge the signals of one step in their order, each seeing the approved ones before it as working."""
    verdicts = []
    for signal in signals:
        context = _at(signal, context)
        verdict = _judge(_case(signal, context))
        verdicts.append(verdict)
        if verdict.is_approved:
            context = _counted(signal, context)
    return verdicts, context.day


def _at(signal: SignalRow, context: Context) -> Context:
    """The context at the signal's time: a new session starts its counts, old orders leave the minute."""
    day = context.day
    today = ist_date(signal.at_ms).toordinal()
    if today != day.day:
        day = DayState(day=today, recent_ms=day.recent_ms)
    if day.equity is None:
        day = msgspec.structs.replace(day, equity=_equity(context, _closes(signal)))
    recent = tuple(at for at in day.recent_ms if at > signal.at_ms - MINUTE_MS)
    return msgspec.structs.replace(context, day=msgspec.structs.replace(day, recent_ms=recent))


def _closes(signal: SignalRow) -> dict[int, int]:
    """The prices at which positions were carried into the session."""
    return {token: mark.close_before_e4 or mark.price_e4 for token, mark in signal.marks.items()}


def _equity(context: Context, prices: Mapping[int, int]) -> Decimal | None:
    """Net worth of the deployment at given prices; None where a held instrument has none."""
    total = Decimal(0)
    for token, holding in context.holdings.items():
        total += net(holding)
        if holding.quantity:
            if not prices.get(token):
                return None
            total += unrealised(holding, prices[token])
    return total


def _case(signal: SignalRow, context: Context) -> Case:
    mark = signal.marks.get(signal.token)
    working = _replaced(context.working.get(signal.token, Working()), signal)
    position = context.holdings.get(signal.token, FLAT).quantity
    equity = _equity(context, {token: mark.price_e4 for token, mark in signal.marks.items()})
    began_with = context.day.equity
    return Case(
        signal=signal,
        context=context,
        position=position,
        worst_position=_worst(position, working, signal),
        order_value=_order_value(signal, mark),
        price_age_ms=signal.at_ms - mark.at_ms if mark else None,
        day_pnl=None if equity is None or began_with is None else equity - began_with,
    )


def _replaced(working: Working, signal: SignalRow) -> Working:
    """Working units without those of the order that a modification replaces by its own."""
    if signal.side is Side.BUY:
        return Working(working.buy - signal.replaces, working.sell)
    return Working(working.buy, working.sell - signal.replaces)


def _worst(position: int, working: Working, signal: SignalRow) -> int:
    """The largest position on the side of the signal if all orders of that side filled and no other did."""
    if signal.side is Side.BUY:
        return position + working.buy + signal.quantity
    return position - working.sell - signal.quantity


def _order_value(signal: SignalRow, mark: Mark | None) -> Decimal | None:
    """At the last price or the limit: a buy cannot cost more than its limit, a sale may bring more."""
    price_e4 = mark.price_e4 if mark else 0
    if signal.limit_price_e4 is not None:
        is_sale = signal.side is Side.SELL
        price_e4 = max(signal.limit_price_e4, price_e4) if is_sale else signal.limit_price_e4
    return value(price_e4, signal.quantity) if price_e4 > 0 else None


def _judge(case: Case) -> Verdict:
    if case.signal.kind is SignalKind.CANCEL:
        return _verdict(case, is_approved=True, rule="cancel", reason="a cancellation is always allowed")
    if _is_exit(case):
        return _verdict(case, is_approved=True, rule="exit", reason="reduces the position")
    for rule in RULES:
        if objection := rule(case):
            return _verdict(case, is_approved=False, rule=rule.__name__, reason=objection)
    return _verdict(case, is_approved=True, rule="within_limits", reason="no rule objects")


def _is_exit(case: Case) -> bool:
    """Whether the order, with all working ones of its side, can only bring the position nearer to zero."""
    return case.position * case.worst_position >= 0 and abs(case.worst_position) < abs(case.position)


def _verdict(case: Case, *, is_approved: bool, rule: str, reason: str) -> Verdict:
    return Verdict(
        id=ids.decision_id(case.signal.id),
        signal_id=case.signal.id,
        is_approved=is_approved,
        rule=rule,
        reason=reason,
        numbers=_numbers(case),
        at_ms=case.signal.at_ms,
    )


def _numbers(case: Case) -> dict[str, Any]:
    """The figures on which the decision stands, as JSON: money as text."""
    day = case.context.day
    return {
        "position": case.position,
        "worst_position": case.worst_position,
        "order_value": _text(case.order_value),
        "price_age_ms": case.price_age_ms,
        "day_pnl": _text(case.day_pnl),
        "orders_today": day.orders,
        "orders_last_minute": len(day.recent_ms),
        "phase": case.context.phase.value,
        "status": case.context.status.value,
        "halts": list(case.context.halts),
        "limits": {
            name: _plain(limit) for name, limit in msgspec.structs.asdict(case.context.limits).items()
        },
    }


def _text(amount: Decimal | None) -> str | None:
    """An amount in its shortest form, so that 0.00 and 0 read the same."""
    return None if amount is None else f"{amount.normalize():f}"


def _plain(limit: Decimal | int | None) -> str | int | None:
    return _text(limit) if isinstance(limit, Decimal) else limit


def _counted(signal: SignalRow, context: Context) -> Context:
    """The context after an approval. What is cancelled may still trade, and a changed order is no new one."""
    if signal.kind is SignalKind.CANCEL:
        return context
    working = _replaced(context.working.get(signal.token, Working()), signal)
    more = (
        Working(working.buy + signal.quantity, working.sell)
        if signal.side is Side.BUY
        else Working(working.buy, working.sell + signal.quantity)
    )
    day = context.day
    if signal.kind is SignalKind.ORDER:
        day = msgspec.structs.replace(day, orders=day.orders + 1, recent_ms=(*day.recent_ms, signal.at_ms))
    return msgspec.structs.replace(context, working={**context.working, signal.token: more}, day=day)


# The rules. Each returns its objection in words, or None. A figure that cannot be had is an objection.


def kill_switch(case: Case) -> str | None:
    """No entry while a kill switch covers the deployment."""
    return f"halted: {'; '.join(case.context.halts)}" if case.context.halts else None


def deployment_status(case: Case) -> str | None:
    """Only a running deployment may enter."""
    status = case.context.status
    return None if status is DeploymentStatus.RUNNING else f"the deployment is {status.value.lower()}"


def tradable(case: Case) -> str | None:
    """An index has no lots; other instruments trade in whole lots."""
    lot = case.context.instruments[case.signal.token].lot_size
    if lot < 1:
        return f"{case.signal.instrument} is an index and cannot be traded"
    if case.signal.quantity % lot:
        return f"{case.signal.quantity} is no multiple of the lot of {lot}"
    return None


def session_phase(case: Case) -> str | None:
    """Entries only in continuous trading, unless orders may wait for the next session."""
    phase = case.context.phase
    if phase is Phase.CONTINUOUS or case.context.may_queue:
        return None
    return f"the session phase is {phase.value.lower()}"


def stale_price(case: Case) -> str | None:
    """The last price must be young enough in event time."""
    limit = case.context.limits.price_age_ms
    if case.price_age_ms is None:
        return "there is no price"
    if limit is not None and case.price_age_ms > limit:
        return f"the last price is {case.price_age_ms} ms old, at most {limit} allowed"
    return None


def order_quantity(case: Case) -> str | None:
    limit = case.context.limits.order_quantity
    if limit is not None and case.signal.quantity > limit:
        return f"{case.signal.quantity} units, at most {limit} in one order"
    return None


def order_value(case: Case) -> str | None:
    limit = case.context.limits.order_value
    if limit is None:
        return None
    if case.order_value is None:
        return "the value of the order is unknown"
    if case.order_value > limit:
        return f"worth {_text(case.order_value)}, at most {_text(limit)} in one order"
    return None


def position_limit(case: Case) -> str | None:
    limit = case.context.limits.position_quantity
    if limit is not None and abs(case.worst_position) > limit:
        return f"the position could reach {case.worst_position}, at most {limit} either way"
    return None


def order_rate(case: Case) -> str | None:
    limit = case.context.limits.orders_per_minute
    so_far = len(case.context.day.recent_ms)
    if limit is not None and so_far >= limit:
        return f"{so_far} orders in the last minute, at most {limit}"
    return None


def daily_orders(case: Case) -> str | None:
    limit = case.context.limits.daily_orders
    so_far = case.context.day.orders
    return f"{so_far} orders today, at most {limit}" if limit is not None and so_far >= limit else None


def daily_loss(case: Case) -> str | None:
    limit = case.context.limits.daily_loss
    if limit is None:
        return None
    if case.day_pnl is None:
        return "the day's profit and loss is unknown: a held instrument has no price"
    if case.day_pnl <= -limit:
        return f"the day stands at {_text(case.day_pnl)}, stop at -{_text(limit)}"
    return None


RULES: tuple[Rule, ...] = (
    kill_switch,
    deployment_status,
    tradable,
    session_phase,
    stale_price,
    order_quantity,
    order_value,
    position_limit,
    order_rate,
    daily_orders,
    daily_loss,
)
