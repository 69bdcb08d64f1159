"""A small desk with a morning of trading: rows as services write them, and the events that tell of them."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid5

import msgspec
from django.utils import timezone

from alphapanda.core import ids
from alphapanda.core.clock import ist_ms
from alphapanda.core.envelope import (
    Envelope,
    EventType,
    OrderFilled,
    OrderSubmitted,
    Payload,
    PnlSnapshot,
    SignalDecided,
    SignalRaised,
    seal,
)
from alphapanda.core.vocabulary import (
    Broker,
    FillSource,
    OrderStatus,
    OrderType,
    Product,
    Side,
    SignalKind,
    SignalOrigin,
    Validity,
    Variety,
)
from execution.models import Fill, Order
from marketdata.models import Instrument
from portfolio.domain.books import BookedFill
from portfolio.models import Book, Portfolio, Position, Posting, Snapshot
from risk.models import Decision
from strategies.models import Deployment, Signal, Strategy, StrategyVersion

NAMES = {
    "INFY": (408065, 1_530_4000), "RELIANCE": (738561, 2_871_2500), "HDFCBANK": (341249, 1_642_3000),
    "TCS": (2953217, 3_904_5500), "SBIN": (779521, 812_4500), "ICICIBANK": (1270529, 1_187_9500),
    "TATAMOTORS": (884737, 978_1500), "ITC": (424961, 431_6500),
}  # fmt: skip
STRATEGIES = ("ema_cross", "mean_reversion", "opening_range", "vwap_trend")
START = ist_ms(timezone.datetime(2019, 7, 9).date(), timezone.datetime(2019, 7, 9, 9, 15).time())

Events = list[tuple[Envelope, Payload]]


def desk(broker: str = "paper", count: int = 6, cash: int = 10_00_000) -> SimpleNamespace:
    """Deployments on instruments, each with a book in one portfolio."""
    portfolio = Portfolio.objects.create(
        id=ids.derived("portfolio", broker), name=f"{broker} main", broker=broker, starting_cash=cash
    )
    instruments = [_instrument(name) for name in NAMES]
    deployments = [_deployment(portfolio, instruments[n % len(instruments)], n) for n in range(count)]
    return SimpleNamespace(portfolio=portfolio, instruments=instruments, deployments=deployments)


def _instrument(name: str) -> Instrument:
    defaults = {
        "instrument_token": NAMES[name][0], "exchange_token": NAMES[name][0] >> 8, "tick_size": "0.05",
        "lot_size": 1, "instrument_type": "EQ", "segment": "NSE",
    }  # fmt: skip
    return Instrument.objects.get_or_create(exchange="NSE", tradingsymbol=name, defaults=defaults)[0]


def _deployment(portfolio: Portfolio, instrument: Instrument, number: int) -> Deployment:
    name = STRATEGIES[number % len(STRATEGIES)]
    strategy = Strategy.objects.get_or_create(name=name, defaults={"title": name})[0]
    version = StrategyVersion.objects.get_or_create(
        strategy=strategy, version="1.2", defaults={"source_hash": "0" * 64, "schema": {}}
    )[0]
    title = f"{name}-{instrument.tradingsymbol.lower()}-{portfolio.broker}"
    deployment = Deployment.objects.create(
        id=ids.deployment_id(title), name=title, strategy_version=version, broker=portfolio.broker
    )
    deployment.instruments.add(instrument)
    Book.objects.create(
        deployment_id=deployment.id, portfolio=portfolio, broker=portfolio.broker, name=deployment.name
    )
    return deployment


def trade(
    deployment: Deployment,
    step: int,
    side: Side,
    quantity: int,
    price_e4: int,
    *,
    denied: str = "",
    seen_e4: int = 0,
    basis: dict[str, Any] | None = None,
) -> Events:
    """One signal and all that follows from it, booked. `seen_e4`: the last price that the signal saw, if any."""
    at_ms = START + step * 1000
    instrument = deployment.instruments.get()
    marks = {instrument.instrument_token: {"price_e4": seen_e4, "at_ms": at_ms}} if seen_e4 else {}
    signal = Signal.objects.create(
        id=ids.signal_id(deployment.id, step, 0), deployment=deployment, broker=deployment.broker,
        step=step, ordinal=0, instrument=instrument, side=side, quantity=quantity, order_type="MARKET",
        validity="DAY",
        product="MIS", reason="fast crossed slow", at_ms=at_ms, marks=marks, correlation_id=deployment.id,
        state="DECIDED", basis=basis or {},
    )  # fmt: skip
    decision = Decision.objects.create(
        id=ids.decision_id(signal.id), signal=signal, deployment=deployment, broker=deployment.broker,
        is_approved=not denied, rule=denied or "all_rules", at_ms=at_ms, numbers={"asked": quantity},
        reason="would hold 400, limit is 300" if denied else "within every limit",
    )  # fmt: skip
    events = _told_of_signal(signal, decision)
    return events if denied else events + _executed(signal, decision, price_e4)


def _executed(signal: Signal, decision: Decision, price_e4: int) -> Events:
    value = Decimal(price_e4) * signal.quantity / 10_000
    order = Order.objects.create(
        id=ids.order_id(decision.id, 1), decision=decision, deployment=signal.deployment,
        broker=signal.broker,
        instrument=signal.instrument, step=signal.step, ordinal=0, side=signal.side, quantity=signal.quantity,
        order_type="MARKET", validity="DAY", product="MIS", status="COMPLETE", placed_at_ms=signal.at_ms,
        eligible_from_ms=signal.at_ms, expires_at_ms=signal.at_ms, filled_quantity=signal.quantity,
        turnover=value, fills_count=1, updated_at_ms=signal.at_ms + 400, correlation_id=signal.correlation_id,
    )  # fmt: skip
    charges = {"brokerage": "20.00", "STT": str((value / 4000).quantize(Decimal("0.01"))), "GST": "3.71"}
    fill = Fill.objects.create(
        id=ids.fill_id(order.id, 1), order=order, number=1, deployment=signal.deployment,
        broker=signal.broker,
        instrument=signal.instrument, step=signal.step + 1, side=signal.side, quantity=signal.quantity,
        price_e4=price_e4, charges=charges, at_ms=signal.at_ms + 400,
    )  # fmt: skip
    return _told_of_order(order, fill) + _booked(fill, sum(map(Decimal, charges.values())))


def _booked(fill: Fill, charged: Decimal) -> Events:
    book = Book.objects.get(pk=fill.deployment_id)
    position = Position.objects.get_or_create(book=book, instrument=fill.instrument)[0]
    signed = fill.quantity if fill.side == "BUY" else -fill.quantity
    value = Decimal(fill.price_e4) * signed / 10_000
    if position.quantity * signed < 0:  # these worlds only close in full
        position.realised += -value - position.cost
        position.cost = Decimal(0)
    else:
        position.cost += value
    position.quantity += signed
    position.charges += charged
    position.updated_at_ms = fill.at_ms
    position.save()
    book.cash += -value - charged
    book.save()
    snapshot = Snapshot.objects.create(
        id=uuid5(fill.id, "snapshot"), book=book, portfolio=book.portfolio, cash=book.cash,
        cost=position.cost,
        realised=position.realised, charges=position.charges, at_ms=fill.at_ms,
    )  # fmt: skip
    payload = PnlSnapshot(
        snapshot_id=snapshot.id, deployment_id=book.deployment_id, portfolio_id=book.portfolio_id,
        instrument=str(fill.instrument), quantity=position.quantity, cost=str(position.cost),
        realised=str(position.realised), charges=str(position.charges), cash=str(book.cash), at_ms=fill.at_ms,
    )  # fmt: skip
    return [_event(EventType.PNL_SNAPSHOT, snapshot.id, payload, book.broker)]


def posted(but: Collection[UUID] = ()) -> None:
    """The postings of all other fills, as booked: what the books are rebuilt from."""
    for fill in Fill.objects.exclude(pk__in=but).select_related("instrument").order_by("at_ms", "id"):
        booked = BookedFill(
            fill_id=fill.id, order_id=fill.order_id, deployment_id=fill.deployment_id,
            instrument=str(fill.instrument), token=fill.instrument.instrument_token, side=Side(fill.side),
            quantity=fill.quantity, price_e4=fill.price_e4, at_ms=fill.at_ms,
            charges={line: Decimal(amount) for line, amount in fill.charges.items()},
        )  # fmt: skip
        Posting.objects.create(
            fill_id=fill.id, book_id=fill.deployment_id, fill=msgspec.to_builtins(booked),
            event_id=fill.id, correlation_id=fill.id, state=Posting.State.BOOKED,
            booked_at=timezone.now(),
        )  # fmt: skip


def _event(kind: EventType, subject: UUID, payload: Payload, broker: str) -> tuple[Envelope, Payload]:
    envelope = seal(
        payload, event_type=kind, event_id=ids.event_id(kind, subject), ts=START, source="tests",
        broker=Broker(broker), key="k", correlation_id=subject, causation_id=subject,
    )  # fmt: skip
    return envelope, payload


def _told_of_signal(signal: Signal, decision: Decision) -> Events:
    raised = SignalRaised(
        signal_id=signal.id, deployment_id=signal.deployment_id, instrument=str(signal.instrument),
        step=signal.step, ordinal=0, side=Side(signal.side), quantity=signal.quantity,
        order_type=OrderType.MARKET, limit_price_e4=None, validity=Validity.DAY, product=Product.MIS,
        reason=signal.reason, origin=SignalOrigin.STRATEGY, kind=SignalKind.ORDER, target=None, approves=None,
        replaces=0,
        trigger_price_e4=None, validity_minutes=0, variety=Variety.REGULAR, disclosed_quantity=0,
        iceberg_legs=0, tag="", price_e4=1, at_ms=signal.at_ms,
    )  # fmt: skip
    decided = SignalDecided(
        decision_id=decision.id, signal_id=signal.id, deployment_id=signal.deployment_id,
        instrument=str(signal.instrument), approved=decision.is_approved, rule=decision.rule,
        reason=decision.reason, numbers={}, at_ms=signal.at_ms,
    )  # fmt: skip
    verdict = EventType.SIGNAL_APPROVED if decision.is_approved else EventType.SIGNAL_DENIED
    return [
        _event(EventType.SIGNAL_RAISED, signal.id, raised, signal.broker),
        _event(verdict, decision.id, decided, signal.broker),
    ]


def _told_of_order(order: Order, fill: Fill) -> Events:
    submitted = OrderSubmitted(
        order_id=order.id, decision_id=order.decision_id, deployment_id=order.deployment_id,
        instrument=str(order.instrument), side=Side(order.side), quantity=order.quantity,
        order_type=OrderType.MARKET, limit_price_e4=None, validity=Validity.DAY, product=Product.MIS,
        origin=SignalOrigin.STRATEGY, variety=Variety.REGULAR, trigger_price_e4=None, validity_minutes=0,
        disclosed_quantity=0, iceberg_legs=0, tag="", at_ms=order.placed_at_ms,
    )  # fmt: skip
    filled = OrderFilled(
        fill_id=fill.id, order_id=order.id, deployment_id=order.deployment_id,
        instrument=str(order.instrument), side=Side(order.side), quantity=fill.quantity,
        price_e4=fill.price_e4, charges=fill.charges,
        order_status=OrderStatus.COMPLETE, source=FillSource.DEPTH, at_ms=fill.at_ms,
    )  # fmt: skip
    return [
        _event(EventType.ORDER_SUBMITTED, order.id, submitted, order.broker),
        _event(EventType.ORDER_FILLED, fill.id, filled, order.broker),
    ]


def morning(own: SimpleNamespace, rounds: int = 8) -> Events:
    """Some round trips of every deployment, a denial now and then, and some positions left open."""
    events: Events = []
    for number in range(rounds):
        for index, deployment in enumerate(own.deployments):
            base = NAMES[deployment.instruments.get().tradingsymbol][1]
            step = 60 + number * 400 + index * 37
            drift = ((number * 7 + index * 5) % 11 - 4) * 5_000
            side = Side.BUY if (number + index // 2) % 2 == 0 else Side.SELL
            denied = "position_quantity" if (number * 3 + index) % 13 == 12 else ""
            if denied:
                events += trade(deployment, step + 9, side, 400, base, denied=denied)
            events += trade(deployment, step, side, 100 + 50 * (index % 3), base + drift)
    return events
