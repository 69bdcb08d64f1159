"""The kill switch at a broker outside: what works is cancelled, the largest exposure first, until nothing works. Needs
the database and the broker, and nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from django.db.models import Max, QuerySet

from alphapanda.core.clock import to_ms
from alphapanda.core.vocabulary import Broker, HaltLevel, HaltStep, Severity, SignalKind
from alphapanda.prepared import Prepared
from execution.domain.kite import killing
from execution.domain.kite.orders import LiveOrder
from execution.models import BrokerCall, BrokerOrder
from execution.services.live import evidence, states
from execution.services.live.containing import savepoint
from risk.domain.review import EXIT
from risk.models import KillSwitch
from risk.services.alerts import alert_raise

UNSEEN_MS = 30_000
CANCELLING = (HaltStep.CANCEL, HaltStep.FLATTEN)


def sweep(now: datetime) -> int:
    """Ask for the end of each order that an active kill switch covers and that has not been told so in the last
    seconds; how many works."""
    found = 0
    for halt in _halts():
        rows = {str(row.order_id): row for row in covered(halt)}
        found += len(rows)
        for name in evidence.told_to_go(now):
            rows.pop(str(name), None)
        known = {str(name): live for name, live in states.readable(rows.values(), now).items()}
        for name in _unseen_since(rows, known, now):
            del rows[name]
        for place, row in enumerate(_largest_first(rows, known)):
            at = now + timedelta(milliseconds=place)  # calls leave in this order
            savepoint("cancellation", row.order_id, now, partial(_cancel, row, halt, at))
    return found


_halts = Prepared(lambda: KillSwitch.objects.filter(released_at=None, step__in=CANCELLING))


def _unseen_since(rows: dict[str, BrokerOrder], known: dict[str, LiveOrder], now: datetime) -> list[str]:
    """Of these, orders that nobody has seen at the broker since their cancellation was answered a moment ago: most are
    gone. Later they are asked for all the same, for a status may lie."""
    cancels = BrokerCall.objects.filter(kind=SignalKind.CANCEL, order__in=rows.values())
    said = cancels.values_list("order_id").annotate(last_ms=Max("answered_at_ms"))
    return [
        str(order_id)
        for order_id, last_ms in said
        if last_ms
        and last_ms > to_ms(now) - UNSEEN_MS
        and str(order_id) in known
        and known[str(order_id)].seen_ms <= last_ms
    ]


def covered(halt: KillSwitch) -> QuerySet[BrokerOrder]:
    """The orders that work and that a kill switch covers: all but exits that were decided after it came to its step,
    such as those of its own flattening. Decisions and the kill switch wait for each other, so none lies between."""
    rows = BrokerOrder.objects.filter(is_open=True).select_related("order__deployment")
    rows = rows.exclude(order__decision__rule=EXIT, order__decision__created_at__gt=halt.reached_at)
    if halt.level == HaltLevel.BROKER and halt.broker != Broker.ZERODHA:
        return rows.none()
    if halt.level == HaltLevel.DEPLOYMENT:
        return rows.filter(order__deployment_id=halt.deployment_id)
    return rows


def _largest_first(rows: dict[str, BrokerOrder], known: dict[str, LiveOrder]) -> list[BrokerOrder]:
    """By what they may still come to; one whose row cannot be read may be the largest."""
    ranked = sorted(known.keys() & rows.keys(), key=lambda name: killing.rank(known[name]))
    return [*(row for name, row in rows.items() if name not in known), *(rows[name] for name in ranked)]


def _cancel(row: BrokerOrder, halt: KillSwitch, now: datetime) -> None:
    times = evidence.cancel_wanted(row, now=now, reason=f"kill switch: {halt.reason}"[:200])
    if times >= killing.STUBBORN_AFTER:
        alert_raise(
            code="order_will_not_die",
            subject=str(row.order_id),
            text=f"{row.order}: was cancelled {times} times and still works; call the broker",
            severity=Severity.CRITICAL,
            deployment_id=row.order.deployment_id,
            now=now,
        )
