"""Rows of the read model out of rows of PostgreSQL: plain values, money as text, `order` by arrival."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from alphapanda.core.clock import ist_date, ist_midnight_ms, to_ms
from alphapanda.core.money import ZERO, value, written
from alphapanda.core.vocabulary import Severity, SignalKind
from execution.models import ENDED, Fill, Order
from execution.selectors import orders_timed
from portfolio.models import Book, Portfolio, Position, Snapshot
from risk.channel_models import AlertSilence
from risk.domain.silences import silence_of
from risk.loading import product_of
from risk.models import Alert, Decision, KillSwitch
from risk.past import act_then, step_then
from strategies.domain.errors import in_short
from strategies.models import Deployment, Signal

Row = dict[str, Any]


def _arrival(moment: datetime) -> int:
    """Microseconds: what a list is ordered by. Event time would sort a recorded session below a live one."""
    return to_ms(moment) * 1000 + moment.microsecond % 1000


def _common(found: Any) -> Row:
    return {
        "id": str(found.id),
        "deployment_id": str(found.deployment_id),
        "deployment": found.deployment.name,
        "broker": found.broker,
        "order": _arrival(found.created_at),
    }


def _traded(found: Signal | Order | Fill) -> Row:
    return _common(found) | {
        "instrument": str(found.instrument),
        "side": found.side,
        "quantity": found.quantity,
    }


def deployments(found: QuerySet[Deployment]) -> list[Row]:
    """Deployments as they stand in their rows; the checkpoint itself is not read."""
    chosen = found.defer("checkpoint", "consequences", "params")
    related = chosen.select_related("strategy_version__strategy").prefetch_related("instruments")
    return [deployment(one) for one in related]


def deployment(found: Deployment) -> Row:
    """A deployment; how far it has read may be unknown."""
    instruments = sorted((str(i), i.instrument_token) for i in found.instruments.all())
    return {
        "id": str(found.id),
        "name": found.name,
        "broker": found.broker,
        "strategy": found.strategy_version.strategy.name,
        "version": found.strategy_version.version,
        "product": product_of(found),
        "status": found.status,
        "waiting": found.waiting,
        "waiting_since_ms": to_ms(found.waiting_since) if found.waiting_since else None,
        "step": found.step,
        "at_ms": found.at_ms,
        "error": in_short(found.error),
        "instruments": [{"instrument": name, "token": token} for name, token in instruments],
    }


def portfolio(found: Portfolio) -> Row:
    """A portfolio without its sums: those are added up when it is read."""
    return {
        "id": str(found.id),
        "name": found.name,
        "broker": found.broker,
        "starting_cash": written(found.starting_cash),
    }


def book(found: Book, newest: Snapshot | None, net_before: Callable[[UUID, int], str]) -> Row:
    """A book with its profit so far and what that was when the day of its newest booking began."""
    day = ist_date(newest.at_ms) if newest else None
    return {
        "id": str(found.deployment_id),
        "portfolio_id": str(found.portfolio_id),
        "broker": found.broker,
        "cash": written(found.cash),
        "net": written(newest.realised - newest.charges) if newest else "0",
        "day": day.isoformat() if day else None,
        "day_base": net_before(found.deployment_id, ist_midnight_ms(day)) if day else "0",
    }


def positions(found: QuerySet[Position]) -> list[Row]:
    """Positions, flat ones too, by deployment and instrument: its token may change."""
    return [position(one) for one in found.select_related("book", "instrument")]


def position(found: Position) -> Row:
    """A position at its cost: it has its mark when it is read."""
    token = found.instrument.instrument_token
    return {
        "id": f"{found.book_id}:{found.instrument_id}",
        "deployment_id": str(found.book_id),
        "deployment": found.book.name,
        "portfolio_id": str(found.book.portfolio_id),
        "broker": found.book.broker,
        "instrument": str(found.instrument),
        "token": token,
        "quantity": found.quantity,
        "cost": written(found.cost),
        "realised": written(found.realised),
        "charges": written(found.charges),
        "updated_at_ms": found.updated_at_ms,
    }


def signals(found: QuerySet[Signal]) -> list[Row]:
    """Signals with the verdict of risk where it has been given."""
    related = found.select_related("deployment", "instrument", "decision")
    return [signal(one, getattr(one, "decision", None)) for one in related]


def signal(found: Signal, decision: Decision | None) -> Row:
    """A signal with its verdict, if there is one."""
    return _traded(found) | {
        "step": found.step,
        "order_type": found.order_type,
        "limit_price_e4": found.limit_price_e4,
        "price_e4": found.marks.get(str(found.instrument.instrument_token), {}).get("price_e4"),
        "product": found.product,
        "reason": found.reason,
        "at_ms": found.at_ms,
        "decision": _verdict(decision) if decision else None,
        "asked": decision is not None and is_asked(found, decision),
    }


def is_asked(found: Signal, decision: Decision) -> bool:
    """Whether a decision is no refusal: a person is, or was, asked to let the entry pass."""
    is_first = found.approves_id is None and found.kind != SignalKind.MODIFY
    return is_first and not decision.is_approved and decision.rule == ASKS


ASKS = "approval"  # the rule that waits for a person


def _verdict(found: Decision) -> Row:
    return {
        "approved": found.is_approved,
        "rule": found.rule,
        "reason": found.reason,
        "at_ms": found.at_ms,
    }


def decisions(found: QuerySet[Decision]) -> list[Row]:
    """Decisions with the rule that decided and the numbers it saw."""
    related = found.select_related("deployment")
    return [
        _common(decision)
        | _verdict(decision)
        | {"signal_id": str(decision.signal_id), "numbers": decision.numbers}
        for decision in related
    ]


def orders(found: QuerySet[Order]) -> list[Row]:
    """Orders as they stand."""
    return [order(one) for one in orders_timed(found).select_related("deployment", "instrument")]


def order(found: Any) -> Row:
    """An order as it stands, out of `orders_timed`."""
    filled = found.filled_quantity
    return (
        _traded(found)
        | _latency(found)
        | {
            "broker_order_id": found.broker_order_id,
            "order_type": found.order_type,
            "limit_price_e4": found.limit_price_e4,
            "product": found.product,
            "validity": found.validity,
            "status": found.status,
            "is_open": found.status not in ENDED,
            "reason": found.reason,
            "filled_quantity": filled,
            "average": str(found.turnover / filled) if filled else None,
            "at_ms": found.placed_at_ms,
            "updated_at_ms": found.updated_at_ms,
        }
    )


def _latency(found: Any) -> Row:
    """Milliseconds of the wall's clock from risk's decision to the broker's answer and to the first fill, as hops are
    counted; `latency_ms` is that to the answer, or to the fill where nobody answers, as on paper."""
    decided_ms = to_ms(found.decided_at)
    answered = None if found.acknowledged_ms is None else found.acknowledged_ms - decided_ms
    filled = None if found.filled_at is None else to_ms(found.filled_at) - decided_ms
    return {
        "answered_after_ms": answered,
        "filled_after_ms": filled,
        "latency_ms": filled if answered is None else answered,
    }


def fills(found: QuerySet[Fill]) -> list[Row]:
    """Fills with their charges by line."""
    return [
        _traded(fill)
        | {
            "order_id": str(fill.order_id),
            "number": fill.number,
            "price_e4": fill.price_e4,
            "charges": fill.charges,
            "charged": written(sum(map(Decimal, fill.charges.values()), ZERO)),
            "value": str(value(fill.price_e4, fill.quantity)),
            "at_ms": fill.at_ms,
        }
        for fill in found.select_related("deployment", "instrument")
    ]


def snapshots(found: QuerySet[Snapshot]) -> list[Row]:
    """Points of the profit curve."""
    return [
        {
            "id": str(snapshot.id),
            "order": _arrival(snapshot.created_at),
            "book_id": str(snapshot.book_id),
            "broker": snapshot.book.broker,
            "net": written(snapshot.realised - snapshot.charges),
            "at_ms": snapshot.at_ms,
        }
        for snapshot in found.select_related("book")
    ]


def halt(found: KillSwitch, moment: datetime | None = None) -> Row:
    """An active kill switch, with who took it how far and why, by now or by an earlier moment."""
    act = act_then(found, moment)
    return {
        "id": found.pk,
        "level": found.level,
        "target": found.broker or (found.deployment.name if found.deployment else ""),
        "broker": found.broker or (found.deployment.broker if found.deployment else ""),
        "step": found.step if moment is None else step_then(found, moment),
        "reason": act.reason if act else found.reason,
        "by": act.actor if act else found.thrown_by,
        "at_ms": to_ms(act.at if act else found.thrown_at),
    }


def alerts(found: QuerySet[Alert], silences: Sequence[AlertSilence]) -> Row:
    """How many alerts wait for a person and how many of them are silent; of the others how many are critical, when the
    last of those was raised, and what the gravest says, of equals the newest."""
    told = list(found.values_list("severity", "text", "raised_at", "code", "subject"))
    loud = [one for one in told if not silence_of(one[3], one[4], silences)]
    critical = [one for one in loud if one[0] == Severity.CRITICAL]
    gravest = max(critical or loud, key=lambda one: one[2], default=None)
    return {
        "open": len(told),
        "silent": len(told) - len(loud),
        "critical": len(critical),
        "newest": max((to_ms(one[2]) for one in critical), default=None),
        "gravest": None if gravest is None else {"text": gravest[1], "at_ms": to_ms(gravest[2])},
    }
