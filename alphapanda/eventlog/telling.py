"""Lines of the log for people: what was decided, ordered, filled, booked and done by hand, with all its ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from alphapanda import logs
from alphapanda.core.envelope import Envelope, EventType

TRADING, AUDIT = logs.channel("trading"), logs.channel("audit")
CHANNELS: dict[EventType, Any] = {
    EventType.SIGNAL_APPROVED: TRADING,
    EventType.SIGNAL_DENIED: TRADING,
    EventType.ORDER_SUBMITTED: TRADING,
    EventType.ORDER_FILLED: TRADING,
    EventType.ORDER_FAILED: TRADING,
    EventType.PNL_SNAPSHOT: TRADING,  # one for each fill that is booked
    EventType.OPERATOR_ACTED: AUDIT,
}


class Told(msgspec.Struct):
    """Of the payloads what stands in a line; the rest is in the event."""

    deployment_id: str = ""
    signal_id: str = ""
    decision_id: str = ""
    order_id: str = ""
    fill_id: str = ""
    snapshot_id: str = ""
    instrument: str = ""
    side: str = ""
    quantity: int | None = None
    price_e4: int | None = None
    rule: str = ""
    actor: str = ""
    action: str = ""
    target: str = ""
    reason: str = ""


def told(envelopes: Sequence[Envelope]) -> list[Envelope]:
    """Those of which a line is written."""
    return [envelope for envelope in envelopes if envelope.type in CHANNELS]


def tell(envelopes: Sequence[Envelope]) -> None:
    """One line for each event; for when they are committed."""
    for envelope in envelopes:
        facts = msgspec.structs.asdict(msgspec.json.decode(envelope.data, type=Told))
        CHANNELS[envelope.type].info(
            envelope.type.value,
            broker=envelope.broker.value,
            event_id=str(envelope.id),
            correlation_id=str(envelope.correlation_id),
            causation_id=str(envelope.causation_id),
            **{name: value for name, value in facts.items() if value not in ("", None)},
        )
