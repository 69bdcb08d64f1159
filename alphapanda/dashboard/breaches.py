"""What went against a limit today: entries that risk denied, halts that were thrown, steps of the loss ladder."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from accounts.models import AuditEntry
from alphapanda.core.clock import ist_date, ist_midnight_ms, to_datetime, to_ms
from alphapanda.core.vocabulary import SignalOrigin
from alphapanda.dashboard import moment, screen
from alphapanda.dashboard.verdicts import Seen, rules_of
from alphapanda.projection_rows import is_asked
from risk.domain.ladder import ALERT
from risk.models import Alert, Decision, KillSwitch
from risk.past import STEPS
from risk.selectors import HEAVY
from strategies.loading import signal_row
from strategies.models import Signal

SHOWN = 100  # of each kind: a halt has every entry denied, and those may not push it off the page


def breaches(broker: str, now: datetime) -> dict[str, screen.Row]:
    """Those of a namespace on the day of now, or of the moment that is looked at, the newest first: by the clock of the
    wall, for a halt has no other."""
    seen_at = moment.until() or now
    since = to_datetime(ist_midnight_ms(ist_date(to_ms(seen_at))))
    found = [*_denied(broker, since), *_halted(broker, since), *_stepped(broker, since)]
    newest = sorted(found, key=lambda row: (row["order"], row["id"]), reverse=True)
    return {row["id"]: row | {"broker": broker} for row in newest}


def idle(limits: dict[str, screen.Row]) -> screen.Row:
    """What stands there where nothing went against a limit."""
    used = sum(bool(row["percent"]) for row in limits.values())
    return {"id": "breaches", "limits": len(limits), "used": used, "is_past": moment.current() is not None}


def _denied(broker: str, since: datetime) -> Iterator[screen.Row]:
    known = moment.known(Decision.objects.filter(broker=broker, is_approved=False, created_at__gte=since))
    related = known.select_related("deployment", "signal__instrument").defer(*HEAVY)
    for one in related.order_by("-created_at")[:SHOWN]:
        if is_asked(one.signal, one):
            continue
        objected = [rule for rule in rules_of(one, signal_row(one.signal)) if rule.outcome == "objected"]
        yield _row("denied", one.pk, one.created_at, one.rule, one.reason) | _of_signal(one.signal) | {
            "seen": [_figure(seen) for rule in objected for seen in rule.seen],
            "deployment": one.deployment.name,
            "deployment_id": str(one.deployment_id),
        }  # fmt: skip


def _of_signal(signal: Signal) -> screen.Row:
    return {
        "signal": str(signal.pk),
        "event_ms": signal.at_ms,
        "what": f"{signal.side} {signal.quantity} {signal.instrument}",
    }


def _figure(seen: Seen) -> screen.Row:
    told = {"limit": seen.limit, "bound": seen.bound, "figure": seen.figure, "unit": seen.unit}
    return told | {"level": "" if seen.level == "own" else seen.level}


def _halted(broker: str, since: datetime) -> Iterator[screen.Row]:
    """Also one that was taken further."""
    acts = moment.known(AuditEntry.objects.filter(action__in=STEPS, at__gte=since), "at")
    told = list(acts.order_by("-at", "-pk")[:SHOWN])
    switches = KillSwitch.objects.select_related("deployment").defer(*HEAVY)
    halts = switches.in_bulk({act.details["halt"] for act in told})
    for act in told:
        halt = halts[act.details["halt"]]
        own = halt.deployment
        if (own.broker if own else halt.broker) in ("", broker):
            target = own.name if own else halt.broker or "everything"
            words = f"{target}, by {act.actor}: {act.reason}"
            yield _row("halt", act.pk, act.at, f"halt_{act.details['step'].lower()}", words) | _of_deployment(
                own
            )


def _stepped(broker: str, since: datetime) -> Iterator[screen.Row]:
    """The alerts of the rungs, and what the ladder then cancelled and closed."""
    raised = Alert.objects.filter(code=ALERT, deployment__broker=broker, raised_at__gte=since)
    newest = moment.known(raised, "raised_at").order_by("-raised_at")
    for alert in newest.select_related("deployment").defer(*HEAVY)[:SHOWN]:
        yield _row("ladder", alert.pk, alert.raised_at, ALERT, alert.text) | _of_deployment(alert.deployment)
    acts = moment.known(
        Signal.objects.filter(broker=broker, origin=SignalOrigin.LADDER, created_at__gte=since)
    )
    for one in acts.select_related("deployment", "instrument").defer(*HEAVY).order_by("-created_at")[:SHOWN]:
        told = _row("ladder", one.pk, one.created_at, ALERT, one.reason)
        yield told | _of_signal(one) | _of_deployment(one.deployment)


def _of_deployment(found: Any) -> screen.Row:
    return {"deployment": found.name, "deployment_id": str(found.pk)} if found else {}


def _row(kind: str, key: Any, at: datetime, rule: str, words: str) -> screen.Row:
    return {
        "id": f"{kind}-{key}",
        "order": to_ms(at),
        "kind": kind,
        "at_ms": to_ms(at),
        "rule": rule,
        "words": words,
        "seen": [],
    }
