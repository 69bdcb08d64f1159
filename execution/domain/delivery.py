"""Delivery of shares: what is bought is settled on the next trading day; sold on that day it is a BTST."""

from __future__ import annotations

import msgspec

from alphapanda.core.clock import DAY_MS, ist_day
from alphapanda.core.vocabulary import Side
from marketdata.domain.calendar import Calendar

_SEARCH_DAYS = 60


class Delivery(msgspec.Struct, frozen=True):
    """Net units traded on `day` (an ordinal of an IST date), and those of the trading day before it that were still
    held then: Kite's t1_quantity."""

    day: int = 0
    net: int = 0
    t1: int = 0


def delivered_until(delivery: Delivery, at_ms: int, calendar: Calendar) -> Delivery:
    """The delivery as it stands on the day of a time: yesterday's purchases are on their way, older ones are there."""
    today = ist_day(at_ms)
    if today <= delivery.day:
        return delivery
    t1 = max(delivery.net, 0) if _is_next_trading_day(delivery.day, at_ms, calendar) else 0
    return Delivery(day=today, t1=t1)


def _is_next_trading_day(day: int, at_ms: int, calendar: Calendar) -> bool:
    """Whether no trading day lies between a day and that of a time."""
    between = ist_day(at_ms) - day - 1
    if not day or between > _SEARCH_DAYS:
        return False
    return not any(calendar.has_session(at_ms - ago * DAY_MS) for ago in range(1, between + 1))


def traded(delivery: Delivery, side: Side, quantity: int, at_ms: int, calendar: Calendar) -> Delivery:
    """The delivery after a trade. A sale comes off the day's own purchases first, as the day is netted, and off
    those of the day before last."""
    now = delivered_until(delivery, at_ms, calendar)
    return msgspec.structs.replace(now, net=now.net + side.sign * quantity)


def unsettled(delivery: Delivery, at_ms: int, calendar: Calendar) -> int:
    """Units held that were bought on the trading day before."""
    return delivered_until(delivery, at_ms, calendar).t1


def is_btst(delivery: Delivery, *, position: int, quantity: int, at_ms: int, calendar: Calendar) -> bool:
    """Whether a sale of so many units of a position needs some that are not delivered yet."""
    return quantity > position - unsettled(delivery, at_ms, calendar)
