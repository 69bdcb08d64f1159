"""The verdict on signals: small pure rules with stable names, asked in order; the first that objects decides.

Exits are sacred: an order that only reduces a position passes every rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from alphapanda.core import ids
from alphapanda.core.money import value
from alphapanda.core.vocabulary import DeploymentStatus, Side, SignalKind, SignalOrigin
from portfolio.domain.books import FLAT
from risk.domain.context import Case, Context, Leaving, Resting, Sum, Terms, Verdict
from risk.domain.figures import (
    NOTHING,
    Exposure,
    closes,
    equity,
    equity_of,
    key_of,
    own_book,
    peak_of,
    prices,
    replaced,
    sum_of,
    sum_of_own,
    worst,
)
from risk.domain.limits import Limits, Scope, given
from risk.domain.memory import DayState, at_time, counted
from risk.domain.rules import guards, market, orders, sums
from risk.domain.wording import text, written
from strategies.domain.consequences import Working
from strategies.domain.signals import Mark, SignalRow

Rule = Callable[[Case], str | None]

# In the order in which they are asked, with the limits without which a rule objects to nothing (none named: it looks
# at more than limits).
ASKED: tuple[tuple[Rule, tuple[str, ...]], ...] = (
    (guards.kill_switch, ()),
    (guards.start_of_day, ()),
    (guards.unacknowledged_alert, ()),
    (guards.repeated_entries, ()),
    (guards.deployment_status, ()),
    (market.restricted_instrument, ("restricted", "allowed")),
    (market.product_allowed, ()),
    (market.tradable, ()),
    (market.session_phase, ()),
    (market.entry_hours, ("entries_from", "entries_until")),
    (market.expiry_day, ()),
    (market.stale_price, ()),
    (market.price_jump, ("price_jump_percent",)),
    (market.circuit_limit, ()),
    (market.price_collar, ("collar_percent", "collar_ticks")),
    (orders.order_quantity, ()),
    (orders.order_value, ("order_value",)),
    (orders.position_limit, ("position_quantity",)),
    (orders.duplicate_order, ("duplicate_ms",)),
    (orders.self_trade, ("self_trade",)),
    (sums.order_rate, ("orders_per_second", "orders_per_minute")),
    (sums.daily_orders, ("daily_orders",)),
    (sums.daily_loss, ("daily_loss",)),
    (sums.drawdown, ("drawdown",)),
    (sums.gross_exposure, ("gross_exposure",)),
    (sums.net_exposure, ("net_exposure",)),
    (sums.underlying_exposure, ("underlying_exposure",)),
    (sums.margin, ("margin",)),
    (guards.approval, ()),  # last: nobody is asked for what would be refused
)
RULES: tuple[Rule, ...] = tuple(rule for rule, _ in ASKED)
EXIT, WITHIN, CANCEL = "exit", "within_limits", "cancel"
APPROVING = frozenset({EXIT, WITHIN, CANCEL})
WAY_OUT = (
    "is_way_out"  # in the numbers of an order that is an exit once what is being cancelled beside it is gone
)
KEPT_MAX = 256


class Bound(NamedTuple):
    """What follows from limits alone, worked out once: the rules that may object, the limits as JSON, how long an
    entry is remembered, and whether orders must be known one by one."""

    limits: Limits
    scopes: tuple[Scope, ...]
    rules: tuple[Rule, ...]
    written: dict[str, Any]
    look_back_ms: int
    is_meeting: bool


_kept: dict[tuple[int, int], Bound] = {}


def bound(limits: Limits, scopes: tuple[Scope, ...]) -> Bound:
    """What follows from limits; of the same objects it is worked out once."""
    found = _kept.get((id(limits), id(scopes)))
    if found is not None:  # it holds both objects, so nobody else has their ids
        return found
    if len(_kept) >= KEPT_MAX:
        _kept.clear()
    names = {name for one in (limits, *(scope.limits for scope in scopes)) for name in given(one)}
    rules = tuple(rule for rule, wanted in ASKED if not wanted or names & set(wanted))
    found = Bound(limits, scopes, rules, written(limits), look_back_ms(limits), "self_trade" in names)
    _kept[id(limits), id(scopes)] = found
    return found


def review(signals: Sequence[SignalRow], context: Context) -> tuple[list[Verdict], DayState]:
    """Judge the signals of one step in their order, each seeing the approved ones before it as working."""
    verdicts = []
    context, last = _let_go(context), len(signals) - 1
    for number, signal in enumerate(signals):
        context = _at(signal, context)
        case = case_of(signal, context)
        rule, reason = judge(case)
        verdicts.append(_verdict(case, rule, reason))
        context = _after(case, rule, reason, is_last=number == last)
    return verdicts, context.day


def judge(case: Case) -> tuple[str, str]:
    """The rule that decides and why: of an approval `cancel`, `exit` or `within_limits`, else the first that
    objects."""
    if case.signal.kind is SignalKind.CANCEL:
        return CANCEL, "a cancellation is always allowed"
    if case.signal.origin is SignalOrigin.TAKEN:
        return EXIT, "others have closed it at the broker"
    if is_exit(case):
        return EXIT, "reduces the position"
    if case.signal.origin is SignalOrigin.STRATEGY and case.is_way_out:
        return EXIT, "reduces the position once what is being cancelled beside it is gone"
    for rule in bound(case.limits, case.context.scopes).rules:
        if objection := rule(case):
            return rule.__name__, objection
    return WITHIN, "no rule objects"


def is_exit(case: Case) -> bool:
    """Whether the order, with all working ones of its side, can only bring the position nearer to zero."""
    return case.position * case.worst_position >= 0 and abs(case.worst_position) < abs(case.position)


# ---- what rules look at --------------------------------------------------------------------------------------


def _let_go(context: Context) -> Context:
    """The context before a step."""
    day = let_go(context.day, context.status)
    return context if day is context.day else msgspec.structs.replace(context, day=day)


def _at(signal: SignalRow, context: Context) -> Context:
    """The context at the signal's time."""
    day = at_time(context.day, signal.at_ms, look_back_ms=longest_look_back_ms(context))
    if day.equity is None:
        day = msgspec.structs.replace(day, equity=equity(context.holdings, closes(signal.marks)))
    return context if day is context.day else msgspec.structs.replace(context, day=day)


def case_at(signal: SignalRow, context: Context) -> Case:
    """A signal as its judges would see it, with the context brought to its time."""
    return case_of(signal, _at(signal, _let_go(context)))


def look_back_ms(limits: Limits) -> int:
    """How long an entry is remembered."""
    return max(limits.duplicate_ms or 0, limits.repeated_ms or 0)


def longest_look_back_ms(terms: Context | Terms) -> int:
    """How long any rule looks back: an order in one instrument forgets nothing that is remembered for another."""
    return max(map(look_back_ms, (terms.limits, *terms.by_token.values())))


def case_of(signal: SignalRow, context: Context) -> Case:
    """A signal with the figures that rules look at."""
    mark = signal.marks.get(signal.token)
    working = replaced(context.working.get(signal.token, NOTHING), signal)
    position = context.holdings.get(signal.token, FLAT).quantity
    now = equity(context.holdings, prices(signal.marks))
    began_with = context.day.equity
    profit = None if now is None or began_with is None else now - began_with
    exposure = Exposure([own_book(context)], signal.marks, candidate=signal)
    return Case(
        signal=signal,
        context=context,
        limits=context.limits_for(signal.token),
        position=position,
        worst_position=worst(position, working, signal.side, signal.quantity),
        order_value=_order_value(signal, mark),
        price_e4=mark.price_e4 if mark else 0,
        price_age_ms=signal.at_ms - mark.at_ms if mark else None,
        day_pnl=profit,
        sums=(
            sum_of_own(context, signal, exposure, profit, now),
            *(sum_of(scope, context, signal) for scope in _scopes(context, signal.token)),
        ),
    )


def _scopes(context: Context, token: int) -> list[Scope]:
    """Sums of one instrument bound only the orders in it."""
    return [scope for scope in context.scopes if scope.token in (None, token)]


def _order_value(signal: SignalRow, mark: Mark | None) -> Decimal | None:
    """At the last price or the limit: a buy cannot cost more than its limit, a sale may bring more. A stop trades at
    its trigger or worse."""
    price_e4 = max(mark.price_e4 if mark else 0, signal.trigger_price_e4 or 0)
    if signal.limit_price_e4 is not None:
        is_sale = signal.side is Side.SELL
        price_e4 = max(signal.limit_price_e4, price_e4) if is_sale else signal.limit_price_e4
    return value(price_e4, signal.quantity) if price_e4 > 0 else None


# ---- what is remembered --------------------------------------------------------------------------------------


def _after(case: Case, rule: str, reason: str, *, is_last: bool) -> Context:
    """The context after a decision: what was seen is remembered, what was approved works for those that follow.
    What is cancelled may still trade."""
    context, signal, day = case.context, case.signal, remembered(case.context, case)
    day = held_by(day, rule, reason)
    if rule == CANCEL:
        context = _leaving(context, signal)
    if rule not in (EXIT, WITHIN):
        return context if day is context.day else msgspec.structs.replace(context, day=day)
    known = bound(case.limits, context.scopes)
    day = counted(day, signal, is_kept=rule == WITHIN and known.look_back_ms > 0)
    if is_last:
        return msgspec.structs.replace(context, day=day)
    working = replaced(context.working.get(signal.token, NOTHING), signal)
    return msgspec.structs.replace(
        context,
        day=day,
        working={**context.working, signal.token: _more(working, signal)},
        orders=_with(context.orders, signal) if known.is_meeting else context.orders,
    )


def _leaving(context: Context, signal: SignalRow) -> Context:
    assert signal.target is not None, "a cancellation names its order"
    one = Leaving(signal.token, signal.side, signal.replaces)
    return msgspec.structs.replace(context, leaving={**context.leaving, signal.target: one})


def held_by(day: DayState, rule: str, reason: str) -> DayState:
    """The memory after a verdict, which may hold the deployment."""
    if rule != guards.repeated_entries.__name__ or day.held:
        return day
    return msgspec.structs.replace(day, held=reason)


def let_go(day: DayState, status: DeploymentStatus) -> DayState:
    """The memory before a step: a person who has started a held deployment again has cleared it."""
    if not day.held or status is not DeploymentStatus.RUNNING:
        return day
    return msgspec.structs.replace(day, held="", sent=())


def _with(orders: tuple[Resting, ...], signal: SignalRow) -> tuple[Resting, ...]:
    return (*(order for order in orders if order.id != signal.target), _open(signal))


def _more(working: Working, signal: SignalRow) -> Working:
    if signal.side is Side.BUY:
        return Working(working.buy + signal.quantity, working.sell)
    return Working(working.buy, working.sell + signal.quantity)


def _open(signal: SignalRow) -> Resting:
    order_id = signal.target or ids.order_id(ids.decision_id(signal.id), 0)
    return Resting(order_id, signal.token, signal.side, signal.limit_price_e4)


def remembered(context: Context, case: Case) -> DayState:
    """The memory with what the figures of a case tell: loss limits reached, highest net worths."""
    day = tripped_by(context.day, case.sums)
    peaks = _peaks(context, case)
    return msgspec.structs.replace(day, peaks={**day.peaks, **peaks}) if peaks else day


def tripped_by(day: DayState, found: Sequence[Sum]) -> DayState:
    """The memory with the loss limits that figures have reached."""
    reached = [
        one.key
        for one in found
        if one.key not in day.tripped and sums.is_lost(one.profit, one.limits.daily_loss)
    ]
    return msgspec.structs.replace(day, tripped=(*day.tripped, *reached)) if reached else day


def _peaks(context: Context, case: Case) -> dict[str, Decimal]:
    """New highest net worths, where a drawdown is limited."""
    found: dict[str, Decimal] = {}
    for one in case.sums:
        if one.limits.drawdown is None or one.decline is None or one.decline > 0:
            continue
        scope = next((scope for scope in context.scopes if key_of(scope) == one.key), None)
        books = [own_book(context)]
        if scope is not None:
            books += [context.others[other] for other in scope.members & context.others.keys()]
        now = equity_of(books, case.signal.marks)
        if now is not None and now > peak_of(one.key, [own_book(context)]):
            found[one.key] = now
    return found


# ---- what is written -----------------------------------------------------------------------------------------


def _verdict(case: Case, rule: str, reason: str) -> Verdict:
    return Verdict(
        id=ids.decision_id(case.signal.id),
        signal_id=case.signal.id,
        is_approved=rule in APPROVING,
        rule=rule,
        reason=reason,
        numbers=_numbers(case),
        at_ms=case.signal.at_ms,
        guards={
            guards.repeated_entries.__name__: {"entries": guards.entries_counted(case)},
            guards.approval.__name__: {"wait_s": case.context.approval_s},
        },
    )


def _numbers(case: Case) -> dict[str, Any]:
    """The figures on which the decision stands, as JSON: money as text, only limits that are set."""
    context, own = case.context, case.sums[0]
    numbers = {
        "position": case.position,
        "worst_position": case.worst_position,
        "order_value": _text(case.order_value),
        "price_age_ms": case.price_age_ms,
        "day_pnl": _text(case.day_pnl),
        "orders_today": context.day.orders,
        "orders_last_minute": len(context.day.recent_ms),
        "gross_exposure": _text(own.gross),
        "net_exposure": _text(own.net),
        "phase": case.phase.value,
        "status": context.status.value,
        "halts": list(context.halts),
        "limits": bound(case.limits, context.scopes).written,
        "version": context.version,
        "config": context.config,
    }
    if case.context.leaving and not is_exit(case) and case.is_way_out:
        numbers[WAY_OUT] = True
    more = _figures(own)
    if more:
        numbers |= more
    if len(case.sums) > 1:
        numbers["sums"] = {one.key: _shared(one) for one in case.sums[1:]}
    return numbers


def _figures(one: Sum) -> dict[str, Any]:
    """What is worked out only where a limit asks for it."""
    found: dict[str, Any] = {}
    if one.limits.orders_per_second is not None:
        found["orders_last_second"] = one.orders_second
    for name in ("drawdown", "underlying_exposure", "margin"):
        if getattr(one.limits, name) is not None:
            found[name] = _text(_FIGURES[name](one))
    return found


_FIGURES: dict[str, Callable[[Sum], Decimal | None]] = {
    "drawdown": lambda one: one.decline,
    "underlying_exposure": lambda one: one.underlying,
    "margin": lambda one: one.margin,
}


def _shared(one: Sum) -> dict[str, Any]:
    limits = one.limits
    return {
        "orders_today": one.orders_day,
        "orders_last_minute": one.orders_minute,
        **({"day_pnl": _text(one.profit)} if limits.daily_loss is not None else {}),
        **({"gross_exposure": _text(one.gross)} if limits.gross_exposure is not None else {}),
        **({"net_exposure": _text(one.net)} if limits.net_exposure is not None else {}),
        **_figures(one),
        "limits": written(limits),
    }


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else text(amount)
