"""How large one order may be, and whether it repeats or meets another of ours."""

from __future__ import annotations

from collections.abc import Iterator

from alphapanda.core.vocabulary import Side, SignalKind
from risk.domain.context import Case, Resting
from risk.domain.memory import sent_of
from risk.domain.wording import text
from strategies.domain.slicing import part_units


def order_quantity(case: Case) -> str | None:
    """Units of one order: our limit, and of each leg the exchange's freeze quantity where it is known."""
    quantity, limit = case.signal.quantity, case.limits.order_quantity
    if limit is not None and quantity > limit:
        return f"{quantity} units, at most {limit} in one order"
    frozen, leg = case.instrument.quantity_max, _leg(case)
    if frozen and leg > frozen and quantity > case.signal.replaces:
        return f"{leg} units, the exchange takes at most {frozen} in one order"
    return None


def _leg(case: Case) -> int:
    """Units of the largest order that the exchange sees at once: legs are in whole lots."""
    lot = max(case.instrument.lot_size, 1)
    return part_units(case.signal.quantity, max(case.signal.iceberg_legs, 1), lot)


def order_value(case: Case) -> str | None:
    """Rupees of one order."""
    limit = case.limits.order_value
    if limit is None:
        return None
    if case.order_value is None:
        return "the value of the order is unknown"
    if case.order_value > limit:
        return f"worth {text(case.order_value)}, at most {text(limit)} in one order"
    return None


def position_limit(case: Case) -> str | None:
    """Units of one instrument in one deployment, working orders counted."""
    limit = case.limits.position_quantity
    if limit is not None and abs(case.worst_position) > limit:
        return f"the position could reach {case.worst_position}, at most {limit} either way"
    return None


def duplicate_order(case: Case) -> str | None:
    """The same instrument, side, quantity and prices again within a time."""
    within_ms = case.limits.duplicate_ms
    if within_ms is None or case.signal.kind is not SignalKind.ORDER:
        return None
    signal, after_ms = case.signal, case.signal.at_ms - within_ms
    wish = sent_of(signal).wish
    for sent in case.context.day.sent:
        if sent.at_ms > after_ms and sent.wish == wish and not _is_part(case, sent.at_ms):
            since_ms = signal.at_ms - sent.at_ms
            return f"the same order was sent {since_ms} ms before, {within_ms} must lie between"
    return None


def _is_part(case: Case, sent_ms: int) -> bool:
    """Whether the order and the same one of the same moment are parts of one that was too large for one order."""
    most = case.instrument.units_max(case.price_e4)
    return sent_ms == case.signal.at_ms and 0 < most < 2 * case.signal.quantity


def self_trade(case: Case) -> str | None:
    """The order would trade with one of ours that works already; the newer one is blocked."""
    for order in _working(case):
        is_other = order.id != case.signal.target  # which it would replace
        if is_other and order.token == case.signal.token and _crosses(case, order):
            return f"would trade with our own order {order.id}"
    return None


def _working(case: Case) -> Iterator[Resting]:
    context = case.context
    scopes = [scope for scope in context.scopes if scope.limits.self_trade]
    if scopes or context.limits.self_trade:
        yield from context.orders
    members = frozenset[object]().union(*(scope.members for scope in scopes))
    for one in sorted(members & context.others.keys(), key=str):
        yield from context.others[one].orders  # type: ignore[index]


def _crosses(case: Case, other: Resting) -> bool:
    """Whether a buy and a sale can meet: one of them is at the market, or the buyer pays what the seller asks."""
    signal = case.signal
    if other.side is signal.side:
        return False
    if signal.limit_price_e4 is None or other.limit_price_e4 is None:
        return True
    if signal.side is Side.BUY:
        return signal.limit_price_e4 >= other.limit_price_e4
    return signal.limit_price_e4 <= other.limit_price_e4
