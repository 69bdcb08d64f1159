"""The one event envelope and the payload of every event type. Versioned; its JSON Schema is a golden file."""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec

from alphapanda.core.vocabulary import (
    Broker,
    FillSource,
    OrderStatus,
    OrderType,
    Product,
    Severity,
    Side,
    SignalKind,
    SignalOrigin,
    Validity,
    Variety,
)

SCHEMA_VERSION = 1


class EventType(StrEnum):
    SIGNAL_RAISED = "signal.raised"
    SIGNAL_APPROVED = "signal.approved"
    SIGNAL_DENIED = "signal.denied"
    ORDER_SUBMITTED = "order.submitted"
    ORDER_CHANGED = "order.changed"
    ORDER_FILLED = "order.filled"
    ORDER_FAILED = "order.failed"
    PNL_SNAPSHOT = "pnl.snapshot"
    OPERATOR_ACTED = "operator.acted"
    DEPLOYMENT_QUARANTINED = "deployment.quarantined"
    LOG_GAP = "log.gap"
    FEED_GAP = "feed.gap"
    ALERT_RAISED = "alert.raised"
    BAR_CLOSED = "bar.closed"
    INSTRUMENTS_CHANGED = "instruments.changed"


class Payload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all payloads: prices in 1/10,000 rupee, times in epoch ms, money as decimal text."""


class SignalRaised(Payload, frozen=True, forbid_unknown_fields=True):
    """A strategy, or the platform for it, wants to trade, to cancel or to change an order (`target`)."""

    signal_id: UUID
    deployment_id: UUID
    instrument: str
    step: int
    ordinal: int
    side: Side
    quantity: int
    order_type: OrderType
    limit_price_e4: int | None
    validity: Validity
    product: Product
    reason: str
    origin: SignalOrigin
    kind: SignalKind
    target: UUID | None
    approves: UUID | None
    replaces: int
    trigger_price_e4: int | None
    validity_minutes: int
    variety: Variety
    disclosed_quantity: int
    iceberg_legs: int
    tag: str
    price_e4: int
    at_ms: int


class SignalDecided(Payload, frozen=True, forbid_unknown_fields=True):
    """Risk approved or denied a signal: the rule that decided and the numbers it saw."""

    decision_id: UUID
    signal_id: UUID
    deployment_id: UUID
    instrument: str
    approved: bool
    rule: str
    reason: str
    numbers: dict[str, Any]
    at_ms: int


class OrderSubmitted(Payload, frozen=True, forbid_unknown_fields=True):
    """An order was handed to its broker."""

    order_id: UUID
    decision_id: UUID
    deployment_id: UUID
    instrument: str
    side: Side
    quantity: int
    order_type: OrderType
    limit_price_e4: int | None
    validity: Validity
    product: Product
    origin: SignalOrigin
    variety: Variety
    trigger_price_e4: int | None
    validity_minutes: int
    disclosed_quantity: int
    iceberg_legs: int
    tag: str
    at_ms: int


class OrderChanged(Payload, frozen=True, forbid_unknown_fields=True):
    """An order came to another status while it worked, or its terms were changed: a row of its history."""

    order_event_id: UUID
    order_id: UUID
    deployment_id: UUID
    instrument: str
    number: int
    order_status: OrderStatus
    quantity: int
    filled_quantity: int
    limit_price_e4: int | None
    trigger_price_e4: int | None
    reason: str
    decision_id: UUID | None
    at_ms: int


class OrderFilled(Payload, frozen=True, forbid_unknown_fields=True):
    """A part of an order, or all of it, traded."""

    fill_id: UUID
    order_id: UUID
    deployment_id: UUID
    instrument: str
    side: Side
    quantity: int
    price_e4: int
    charges: dict[str, str]
    order_status: OrderStatus
    source: FillSource
    at_ms: int


class OrderFailed(Payload, frozen=True, forbid_unknown_fields=True):
    """An order ended without trading in full: cancelled, rejected or expired."""

    order_id: UUID
    deployment_id: UUID
    instrument: str
    order_status: OrderStatus
    unfilled: int
    reason: str
    at_ms: int


class PnlSnapshot(Payload, frozen=True, forbid_unknown_fields=True):
    """The books of a deployment after a fill; amounts are rupees as text."""

    snapshot_id: UUID
    deployment_id: UUID
    portfolio_id: UUID
    instrument: str
    quantity: int
    cost: str
    realised: str
    charges: str
    cash: str
    at_ms: int


class OperatorActed(Payload, frozen=True, forbid_unknown_fields=True):
    """An operator halted, released, started, paused, stopped or changed something."""

    action: str
    target: str
    actor: str
    reason: str
    details: dict[str, Any]


class DeploymentQuarantined(Payload, frozen=True, forbid_unknown_fields=True):
    """A strategy, or what follows from its signals, raised; its deployment stands still at its cursor."""

    deployment_id: UUID
    step: int
    error: str


class LogGap(Payload, frozen=True, forbid_unknown_fields=True):
    """The log no longer held what a consumer was to read next; it goes on at `resumed`."""

    consumer: str
    topic: str
    partition: int
    wanted: int
    resumed: int


class FeedGap(Payload, frozen=True, forbid_unknown_fields=True):
    """A connection of a live feed heard nothing of its instruments from `from_ms` on, until `until_ms` (0: it still
    hears nothing). The ticks between are nowhere."""

    source: str
    connection: int
    instruments: int
    from_ms: int
    until_ms: int
    reason: str


class AlertRaised(Payload, frozen=True, forbid_unknown_fields=True):
    """Something that a person must know of; a critical one waits for an acknowledgement."""

    alert_id: int
    code: str
    severity: Severity
    subject: str
    text: str


class BarClosed(Payload, frozen=True, forbid_unknown_fields=True):
    """What an instrument did in the `minutes` (1440: the day) from `starts_ms` on."""

    instrument: str
    token: int
    minutes: int
    starts_ms: int
    open_e4: int
    high_e4: int
    low_e4: int
    close_e4: int
    volume: int
    ticks: int


class TouchedInstrument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An instrument in use that a list changed: the changes in words, deployments and positions by name."""

    instrument: str
    changes: list[str]
    deployments: list[str]
    positions: list[str]


class InstrumentsChanged(Payload, frozen=True, forbid_unknown_fields=True):
    """A new instrument list, in numbers, with every instrument that a deployment or a position uses."""

    load_id: UUID
    list: str
    exchanges: tuple[str, ...]
    added: int
    gone: int
    changed: int
    touched: tuple[TouchedInstrument, ...]
    at_ms: int


PAYLOADS: dict[EventType, type[Payload]] = {
    EventType.SIGNAL_RAISED: SignalRaised,
    EventType.SIGNAL_APPROVED: SignalDecided,
    EventType.SIGNAL_DENIED: SignalDecided,
    EventType.ORDER_SUBMITTED: OrderSubmitted,
    EventType.ORDER_CHANGED: OrderChanged,
    EventType.ORDER_FILLED: OrderFilled,
    EventType.ORDER_FAILED: OrderFailed,
    EventType.PNL_SNAPSHOT: PnlSnapshot,
    EventType.OPERATOR_ACTED: OperatorActed,
    EventType.DEPLOYMENT_QUARANTINED: DeploymentQuarantined,
    EventType.LOG_GAP: LogGap,
    EventType.FEED_GAP: FeedGap,
    EventType.ALERT_RAISED: AlertRaised,
    EventType.BAR_CLOSED: BarClosed,
    EventType.INSTRUMENTS_CHANGED: InstrumentsChanged,
}


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One event. `ts` is event time in epoch ms; `causation_id` the event just before, `correlation_id` the
    event or tick that set all of it off."""

    id: UUID
    type: EventType
    version: int
    ts: int
    source: str
    broker: Broker
    key: str
    correlation_id: UUID
    causation_id: UUID
    trace_id: str
    data: msgspec.Raw


class UndecodableEvent(ValueError):
    """Bytes that are no event of a known type and version."""


def seal(
    payload: Payload,
    *,
    event_type: EventType,
    event_id: UUID,
    ts: int,
    source: str,
    broker: Broker,
    key: str,
    correlation_id: UUID,
    causation_id: UUID,
) -> Envelope:
    """Put a payload into an envelope. Raises TypeError where the payload is not that of the event type."""
    if type(payload) is not PAYLOADS[event_type]:
        expected = PAYLOADS[event_type].__name__
        raise TypeError(f"{event_type} carries {expected}, not {type(payload).__name__}")
    return Envelope(
        id=event_id,
        type=event_type,
        version=SCHEMA_VERSION,
        ts=ts,
        source=source,
        broker=broker,
        key=key,
        correlation_id=correlation_id,
        causation_id=causation_id,
        trace_id=correlation_id.hex,
        data=msgspec.Raw(msgspec.json.encode(payload)),
    )


def encode(envelope: Envelope) -> bytes:
    return msgspec.json.encode(envelope)


_DECODER = msgspec.json.Decoder(Envelope)


def decode(raw: bytes) -> tuple[Envelope, Payload]:
    """An event and its payload, validated. Raises UndecodableEvent."""
    try:
        envelope = _DECODER.decode(raw)
        if envelope.version != SCHEMA_VERSION:
            raise UndecodableEvent(f"schema version {envelope.version}, this code reads {SCHEMA_VERSION}")
        return envelope, msgspec.json.decode(envelope.data, type=PAYLOADS[envelope.type])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UndecodableEvent(str(error)) from error


def schemas() -> dict[str, dict[str, Any]]:
    """JSON Schema of the envelope and of every payload, by file name stem."""
    names = {"envelope": msgspec.json.schema(Envelope)}
    return names | {event_type.value: msgspec.json.schema(PAYLOADS[event_type]) for event_type in EventType}
