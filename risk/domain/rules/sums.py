"""What adds up over a deployment or several: rates of orders, losses, exposure, margin."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from alphapanda.core.vocabulary import SignalKind
from risk.domain.context import Case, Sum
from risk.domain.memory import orders_of
from risk.domain.wording import text


def _limited(case: Case, name: str) -> Iterator[tuple[Sum, Any]]:
    """Each level's figures with its limit, where one is set."""
    for one in case.sums:
        limit = getattr(one.limits, name)
        if limit is not None:
            yield one, limit


def _in(one: Sum) -> str:
    """Where a sum stands, for people; nothing for the deployment by itself."""
    return f" in {one.key}" if one.is_shared else ""


def order_rate(case: Case) -> str | None:
    """Orders of a second and of a minute of event time; what is left for exits alone is not for entries."""
    for name, seen, span in (
        ("orders_per_second", "orders_second", "second"),
        ("orders_per_minute", "orders_minute", "minute"),
    ):
        for one, limit in _limited(case, name):
            so_far = getattr(one, seen)
            if so_far >= limit - (one.limits.exit_lane or 0):
                return f"{so_far} orders in the last {span}, at most {limit}{_lane(one)}{_in(one)}"
    return None


def daily_orders(case: Case) -> str | None:
    """Orders of a session; the broker counts each leg of an iceberg, and no change of an order."""
    if case.signal.kind is SignalKind.MODIFY:
        return None
    for one, limit in _limited(case, "daily_orders"):
        if one.orders_day + orders_of(case.signal) > limit - (one.limits.exit_lane or 0):
            return f"{one.orders_day} orders today, at most {limit}{_lane(one)}{_in(one)}"
    return None


def _lane(one: Sum) -> str:
    return f", {one.limits.exit_lane} of them for exits alone" if one.limits.exit_lane else ""


def daily_loss(case: Case) -> str | None:
    """The session's loss, realised and marked, charges counted. Once reached it holds for the session."""
    for one, limit in _limited(case, "daily_loss"):
        if one.is_tripped:
            return f"the day's loss has reached {text(limit)}{_in(one)}: no entries until the next session"
        if one.profit is None:
            return f"the day's profit and loss is unknown{_in(one)}: a held instrument has no price"
        if is_lost(one.profit, limit):
            return f"the day stands at {text(one.profit)}, stop at -{text(limit)}{_in(one)}"
    return None


def is_lost(profit: Decimal | None, limit: Decimal | None) -> bool:
    """Whether a loss has reached its limit; what is not known is not lost."""
    return limit is not None and profit is not None and profit <= -limit


def drawdown(case: Case) -> str | None:
    """The distance from the highest net worth seen at a decision."""
    for one, limit in _limited(case, "drawdown"):
        if one.decline is None:
            return f"the drawdown is unknown{_in(one)}: a held instrument has no price"
        if one.decline >= limit:
            return f"{text(one.decline)} below the peak, at most {text(limit)}{_in(one)}"
    return None


def gross_exposure(case: Case) -> str | None:
    """Longs and shorts together, working orders at their worst."""
    return _exposed(case, "gross_exposure", "gross", "the gross exposure")


def net_exposure(case: Case) -> str | None:
    """Longs less shorts, if all working orders of the order's side filled and none of the other."""
    for one, limit in _limited(case, "net_exposure"):
        if one.net is None:
            return f"the net exposure is unknown{_in(one)}: a held instrument has no price"
        if one.net * case.signal.side.sign > limit:
            reached = f"could reach {text(one.net)}, at most {text(limit)} either way"
            return f"the net exposure {reached}{_in(one)}"
    return None


def underlying_exposure(case: Case) -> str | None:
    """Gross exposure to what the instrument rises and falls with: a stock, its futures and its options."""
    return _exposed(case, "underlying_exposure", "underlying", "the exposure to the underlying")


def margin(case: Case) -> str | None:
    """What positions and working orders block."""
    return _exposed(case, "margin", "margin", "the margin", "or no margin rate")


def _exposed(case: Case, name: str, figure: str, words: str, more: str = "") -> str | None:
    for one, limit in _limited(case, name):
        reached = getattr(one, figure)
        if reached is None:
            lacking = f"a held instrument has no price {more}".strip()
            return f"{words} is unknown{_in(one)}: {lacking}"
        if reached > limit:
            return f"{words} could reach {text(reached)}, at most {text(limit)}{_in(one)}"
    return None
