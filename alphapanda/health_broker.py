"""Checks of live trading: whether the process of the broker is at work, has seen the book, and knows what it sent."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from django.conf import settings
from django.utils import timezone

from alphapanda.core.clock import to_ms
from alphapanda.health.basics import age_s
from alphapanda.health.registry import Group, Status, check, fail, ok, warn
from execution.domain.kite.budgets import Lane
from execution.live_selectors import DeskNow, desk_now

SEEN_WARN_S, SEEN_FAIL_S = 5.0, 15.0  # it says so twice a second
LOOK_WARN_S, LOOK_FAIL_S = 90.0, 300.0  # the book is read every 30 s where nothing is in flight
FUNDS_SHARE = Decimal(
    "1.01"
)  # of the account's funds that our books may claim: profits of the day are theirs
UNKNOWN_FAIL_S = 150.0  # an outcome is looked for during two minutes


@check("live", Group.STAGE)
def live_desk() -> Status | Mapping[str, Status]:
    """One line each: process, book, unknown outcomes, differences, faults, funds, what is left of the day's orders."""
    if not settings.ZERODHA_ENABLED:
        return ok("orders to Zerodha are off")
    now = desk_now(timezone.now())
    if now.desk is None:
        return fail("its process never ran: `manage.py up`, or `manage.py broker`")
    return {
        "process": _process(now),
        "book": _book(now),
        "unknown": _unknown(now),
        "differences": _differences(now),
        "faults": _faults(now),
        "funds": _funds(now),
        "orders": _orders(now),
    }


def _process(now: DeskNow) -> Status:
    assert now.desk is not None, "asked of a desk that there is"
    if now.desk.seen_at is None:
        return fail("not at work: `manage.py broker`")
    age = age_s(now.desk.seen_at)
    if age >= SEEN_FAIL_S:
        return fail("not at work: is the role broker running?", age_s=age)
    if now.desk.stopped:
        return fail(f"sends nothing: {now.desk.stopped}", age_s=age)
    return warn("slow", age_s=age) if age >= SEEN_WARN_S else ok("at work", age_s=age)


def _book(now: DeskNow) -> Status:
    """The age of the last look at the broker's book that showed all of it."""
    if now.desk is None or now.desk.reconciled_at is None:
        return warn("not compared since the process began: entries wait")
    age = age_s(now.desk.reconciled_at)
    if age >= LOOK_FAIL_S:
        return fail("not compared for long", age_s=age)
    return warn("not compared lately", age_s=age) if age >= LOOK_WARN_S else ok("compared", age_s=age)


def _unknown(now: DeskNow) -> Status:
    count = now.waiting.get("UNKNOWN", 0)
    if not count or now.unknown_since_ms is None:
        return ok("none", value=0)
    age = (to_ms(timezone.now()) - now.unknown_since_ms) / 1000
    words = f"{count} calls of which nobody knows yet what came of them"
    return (fail if age >= UNKNOWN_FAIL_S else warn)(words, age_s=age, value=count)


def _faults(now: DeskNow) -> Status:
    """Rows, updates and answers that failed and were left alone; of what all need, nobody trades or sees meanwhile."""
    if not now.faults:
        return ok("none", value=0)
    words = f"left alone, until its alert is acknowledged: {now.faults[0]}"
    return (fail if now.is_failing else warn)(words, value=len(now.faults))


def _differences(now: DeskNow) -> Status:
    count = now.differences
    return fail(f"{count} open: the admin, Differences", value=count) if count else ok("none", value=0)


def _funds(now: DeskNow) -> Status:
    """A figure, no difference: what a person pays in and takes out is not ours to know."""
    if now.funds is None:
        return ok("not told yet")
    words = f"our books may spend {now.books:.2f} rupees, the account has {now.funds:.2f}"
    return warn(words) if now.books > now.funds * FUNDS_SHARE else ok(words)


def _orders(now: DeskNow) -> Status:
    """How many new orders Kite still takes today: what has no room waits until midnight, exits too."""
    left = {one.lane: one.day for one in now.left}
    if not left[Lane.EXIT]:
        return fail("Kite takes no more orders today, exits neither: close by telephone", value=0)
    if not left[Lane.ENTRY]:
        return warn("no entry leaves any more today", value=0)
    return ok("may be placed today", value=left[Lane.ENTRY])
