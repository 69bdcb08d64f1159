"""Rows as plain comparable values: the same words for the in-memory engine and for the database."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from alphapanda.core.money import quantized
from alphapanda.engine.account import Account
from execution.domain.paper import OrderEventRow, PaperOrder
from execution.domain.settlement import FillRow
from portfolio.domain.books import Entry, Holding
from risk.domain.context import Verdict
from strategies.domain.signals import SignalRow

Row = dict[str, Any]
KINDS = ("signals", "decisions", "orders", "order_events", "fills", "entries", "positions")


def amount(value: Decimal) -> str:
    """Money in its one written form."""
    return f"{quantized(value).normalize():f}"


def _id(value: UUID | None) -> str | None:
    return None if value is None else str(value)


def signal_row(signal: SignalRow) -> Row:
    return {
        "id": str(signal.id),
        "deployment": str(signal.deployment_id),
        "step": signal.step,
        "ordinal": signal.ordinal,
        "instrument": signal.instrument,
        "side": signal.side.value,
        "quantity": signal.quantity,
        "order_type": signal.order_type.value,
        "limit_price_e4": signal.limit_price_e4,
        "validity": signal.validity.value,
        "product": signal.product.value,
        "reason": signal.reason,
        "at_ms": signal.at_ms,
        "origin": signal.origin.value,
        "kind": signal.kind.value,
        "target": _id(signal.target),
        "replaces": signal.replaces,
        "trigger_price_e4": signal.trigger_price_e4,
        "validity_minutes": signal.validity_minutes,
        "variety": signal.variety.value,
        "disclosed_quantity": signal.disclosed_quantity,
        "iceberg_legs": signal.iceberg_legs,
        "tag": signal.tag,
        "approves": _id(signal.approves),
        "bracket": msgspec.to_builtins(signal.bracket),
        "marks": {
            str(token): list(msgspec.structs.astuple(mark)) for token, mark in sorted(signal.marks.items())
        },
    }


def decision_row(verdict: Verdict) -> Row:
    return {
        "id": str(verdict.id),
        "signal": str(verdict.signal_id),
        "is_approved": verdict.is_approved,
        "rule": verdict.rule,
        "reason": verdict.reason,
        "numbers": verdict.numbers,
        "at_ms": verdict.at_ms,
    }


def order_row(order: PaperOrder) -> Row:
    return {
        "id": str(order.id),
        "decision": str(order.decision_id),
        "deployment": str(order.deployment_id),
        "step": order.step,
        "ordinal": order.ordinal,
        "instrument": order.instrument,
        "side": order.side.value,
        "quantity": order.quantity,
        "order_type": order.order_type.value,
        "limit_price_e4": order.limit_price_e4,
        "validity": order.validity.value,
        "product": order.product.value,
        "status": order.status.value,
        "reason": order.reason,
        "placed_at_ms": order.placed_at_ms,
        "eligible_from_ms": order.eligible_from_ms,
        "expires_at_ms": order.expires_at_ms,
        "updated_at_ms": order.updated_at_ms,
        "filled_quantity": order.filled_quantity,
        "fills_count": order.fills_count,
        "turnover": amount(order.turnover),
        "origin": order.origin.value,
        "variety": order.variety.value,
        "trigger_price_e4": order.trigger_price_e4,
        "triggered_at_ms": order.triggered_at_ms,
        "validity_minutes": order.validity_minutes,
        "disclosed_quantity": order.disclosed_quantity,
        "iceberg_legs": order.iceberg_legs,
        "tag": order.tag,
        "release_ms": order.release_ms,
        "leg": order.leg,
        "leg_turnover": amount(order.leg_turnover),
        "modifications": order.modifications,
        "is_btst": order.is_btst,
        "events_count": order.events_count,
        "pending": msgspec.to_builtins(order.pending),
        "place": msgspec.to_builtins(order.place),
    }


def order_event_row(event: OrderEventRow) -> Row:
    return {
        "id": str(event.id),
        "order": str(event.order_id),
        "number": event.number,
        "status": event.status.value,
        "at_ms": event.at_ms,
        "quantity": event.quantity,
        "filled_quantity": event.filled_quantity,
        "limit_price_e4": event.limit_price_e4,
        "trigger_price_e4": event.trigger_price_e4,
        "reason": event.reason,
        "decision": _id(event.decision_id),
    }


def fill_row(row: FillRow) -> Row:
    fill = row.fill
    return {
        "id": str(row.id),
        "order": str(fill.order_id),
        "number": row.number,
        "step": row.step,
        "instrument": fill.instrument,
        "side": fill.side.value,
        "quantity": fill.quantity,
        "price_e4": fill.price_e4,
        "source": row.source.value,
        "charges": {line: amount(Decimal(charge)) for line, charge in sorted(fill.charges.items())},
        "at_ms": fill.at_ms,
    }


def entry_row(entry: Entry) -> Row:
    return {
        "id": str(entry.id),
        "fill": str(entry.fill_id),
        "number": entry.number,
        "account": entry.account,
        "amount": amount(entry.amount),
    }


def position_row(deployment: str, instrument: str, holding: Holding) -> Row:
    return {
        "id": f"{deployment} {instrument}",
        "quantity": holding.quantity,
        "cost": amount(holding.cost),
        "realised": amount(holding.realised),
        "charges": amount(holding.charges),
    }


def by_order(events: list[Row], orders: Iterable[UUID]) -> list[Row]:
    """Rows of history in the order of their orders, each order's by number."""
    place = {str(order_id): number for number, order_id in enumerate(orders)}
    return sorted(events, key=lambda row: (place[row["order"]], row["number"]))


def of_account(account: Account) -> dict[str, list[Row]]:
    """All rows of a deployment folded in memory, by kind."""
    journal = account.journal
    return {
        "signals": [signal_row(signal) for signal in journal.signals],
        "decisions": [decision_row(verdict) for verdict in journal.verdicts],
        "orders": [order_row(order) for order in journal.orders.values()],
        "order_events": by_order([order_event_row(event) for event in journal.order_events], journal.orders),
        "fills": [fill_row(fill) for fill in journal.fills],
        "entries": [entry_row(entry) for entry in journal.entries],
        "positions": [
            position_row(str(account.spec.id), account.names[token], holding)
            for token, holding in sorted(account.holdings.items())
        ],
    }
