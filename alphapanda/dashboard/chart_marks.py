"""What stands on the candles of an instrument: signals, refusals, fills, and the prices at which orders and brackets
wait."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse

from alphapanda.core.clock import to_ms
from alphapanda.core.money import to_rupees
from alphapanda.core.vocabulary import OrderStatus, SignalKind
from alphapanda.dashboard import moment, seen
from alphapanda.exits import guarded
from alphapanda.research import selectors
from alphapanda.web.formats import number, price
from execution.models import Fill, Order
from marketdata.models import Instrument
from risk.domain.wording import named
from strategies.models import BacktestRun, Deployment, Signal

MARKERS = 2_000
Marker = dict[str, Any]


def markers(instrument: Instrument, deployments: Sequence[Deployment], since_ms: int) -> list[Marker]:
    """The newest of each kind from a time on, in order of time: fills, signals that risk denied, those of which the
    order was rejected, and the rest."""
    chosen: dict[str, Any] = {
        "instrument": instrument, "deployment__in": deployments, "at_ms__gte": since_ms,
    }  # fmt: skip
    names = {one.pk: one.name for one in deployments}
    fills = seen.fills().filter(**chosen).order_by("-at_ms")[:MARKERS]
    signals = seen.signals().filter(**chosen, kind=SignalKind.ORDER).select_related("decision")
    found = [_filled(fill, names) for fill in fills]
    newest = list(signals.order_by("-at_ms")[:MARKERS])
    refused = {seen.order_status(): OrderStatus.REJECTED, "decision__signal__in": newest}
    rejected = dict(seen.orders().filter(**refused).values_list("decision__signal_id", "reason"))
    found += [_wanted(signal, names, rejected.get(signal.pk)) for signal in newest]
    return sorted(found, key=lambda marker: marker["at_ms"])


def _filled(fill: Fill, names: dict[Any, str]) -> Marker:
    return {
        "at_ms": fill.at_ms,
        "side": fill.side,
        "kind": "fill",
        "deployment": str(fill.deployment_id),
        "words": f"{fill.side} {number(fill.quantity)} at {price(fill.price_e4)}, {names[fill.deployment_id]}",
        "address": reverse("fill", args=[fill.pk]),
    }


def _wanted(signal: Signal, names: dict[Any, str], rejected: str | None) -> Marker:
    decision, then_ms = getattr(signal, "decision", None), moment.current()
    is_known = decision is not None and (then_ms is None or to_ms(decision.created_at) <= then_ms)
    is_denied = is_known and not decision.is_approved
    outcome = f"denied by {named(decision.rule)}" if is_denied else signal.reason or "no reason given"
    if rejected is not None:
        outcome = f"rejected: {rejected or 'no reason was given'}"
    return {
        "at_ms": signal.at_ms,
        "side": signal.side,
        "kind": "denied" if is_denied else "signal" if rejected is None else "rejected",
        "deployment": str(signal.deployment_id),
        "words": f"wants {signal.side} {number(signal.quantity)}: {outcome}, {names[signal.deployment_id]}",
        "address": reverse("signal", args=[signal.pk]),
    }


# ---- where orders and brackets wait --------------------------------------------------------------------------


def lines(instrument: Instrument, deployments: Sequence[Deployment]) -> list[Marker]:
    """A price for each limit and trigger of an order at work, each stop and target of a bracket."""
    at_work = seen.orders_at_work(instrument=instrument, deployment__in=deployments)
    found = [line for order in at_work for line in _of_order(order)]
    if moment.current() is not None:  # brackets of then are not kept
        return found
    return found + [line for one in deployments for line in _of_brackets(one, instrument)]


def _of_order(order: Order) -> Iterator[Marker]:
    left = number(order.quantity - order.filled_quantity)
    address = reverse("order", args=[order.pk])
    for kind, price_e4 in (("stop", order.trigger_price_e4), ("limit", order.limit_price_e4)):
        if price_e4 is not None:
            words = f"{order.side} {left} {kind}"
            yield _line(order.deployment_id, kind, order.side, price_e4, words, address)


def _of_brackets(deployment: Deployment, instrument: Instrument) -> Iterator[Marker]:
    """As the checkpoint has them, which is a second old at most."""
    state = guarded(deployment)
    address = reverse("strategy", args=[deployment.pk])
    for token, protections in state.guards.protections.items() if state else ():
        if state.names.get(token, "") != str(instrument):
            continue
        for one in protections:
            for kind, price_e4 in (("stop", one.stop_e4), ("target", one.target_e4)):
                if price_e4:
                    words = f"{kind} of {number(one.quantity)}"
                    yield _line(deployment.pk, kind, one.side.value, price_e4, words, address)


def _line(deployment: Any, kind: str, side: str, price_e4: int, words: str, address: str) -> Marker:
    return {
        "price": float(to_rupees(price_e4)),
        "kind": kind,
        "side": side,
        "deployment": str(deployment),
        "words": words,
        "address": address,
    }


# ---- what a backtest did -------------------------------------------------------------------------------------


def of_backtest(run: BacktestRun, instrument: Instrument) -> list[Marker]:
    """Fills and refusals of a stored backtest on the instrument, in order of time."""
    result = selectors.result_of(run)
    address = reverse("backtest", args=[run.pk])
    found = [
        _of_run(row, "fill", f"{row['side']} {number(row['quantity'])} at {row['price']}", address)
        for row in _on(result["fills"], instrument)
    ]
    found += [
        _of_run(
            row, "denied", f"{row['side']} {number(row['quantity'])} denied by {named(row['rule'])}", address
        )
        for row in _on(result["denied"], instrument)
    ]
    return sorted(found, key=lambda marker: marker["at_ms"])


def _on(rows: Iterable[dict[str, Any]], instrument: Instrument) -> list[dict[str, Any]]:
    return [row for row in rows if row["instrument"] == str(instrument)]


def _of_run(row: dict[str, Any], kind: str, words: str, address: str) -> Marker:
    return {
        "at_ms": to_ms(datetime.fromisoformat(row["time"])),
        "side": row["side"],
        "kind": kind,
        "deployment": "",
        "words": f"{words}, {row['deployment']} (backtest)",
        "address": address,
    }


def traders(broker: str, instrument: Instrument) -> QuerySet[Deployment]:
    """Deployments of a namespace that trade an instrument."""
    return Deployment.objects.filter(broker=broker, instruments=instrument).order_by("name")
