"""How long each hop from a tick to the books took, by the clock of the wall."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from alphapanda.core.clock import to_ms
from execution.models import BrokerCall, Fill
from portfolio.models import Posting

Moment = tuple[int, str, str]


class Hop(NamedTuple):
    """A moment on the way, how long after the one before, and where its bar stands in the whole."""

    at_ms: int
    what: str
    words: str
    took_ms: int
    start_percent: float
    width_percent: float


def hops(chain: dict[str, Any]) -> list[Hop]:
    """From the tick's arrival to the books, in order, each as a bar of the whole."""
    moments = sorted(_moments(chain), key=lambda moment: moment[0])
    if not moments:
        return []
    first, whole = moments[0][0], max(moments[-1][0] - moments[0][0], 1)
    befores = [first, *(at_ms for at_ms, _, _ in moments)]
    return [
        Hop(
            at_ms, what, words, at_ms - before, 100 * (before - first) / whole, 100 * (at_ms - before) / whole
        )
        for (at_ms, what, words), before in zip(moments, befores, strict=False)
    ]


def _moments(chain: dict[str, Any]) -> Iterator[Moment]:
    """In the order in which they belong, so that those of one millisecond stay in it."""
    signal, decision, order = chain["signal"], chain["decision"], chain["order"]
    if signal.received_at_ms:
        yield signal.received_at_ms, "tick", "the tick that raised it came in"
    yield to_ms(signal.created_at), "signal", f"{signal.side} {signal.quantity}: {signal.reason}"
    if decision:
        yield to_ms(decision.created_at), "risk", f"{decision}: {decision.reason}"
    if order:
        yield to_ms(order.created_at), "intent", "the order was written"
    for call in chain["calls"]:
        yield from _of_call(call)
    for fill in chain["fills"]:
        yield from _of_fill(fill, chain["postings"].get(fill.id))


def _of_call(call: BrokerCall) -> Iterator[Moment]:
    if call.sent_at_ms:
        yield call.sent_at_ms, "sent", f"{call.kind.lower()} left for the broker"
    if call.answered_at_ms:
        status = f", HTTP {call.http_status}" if call.http_status else ""
        yield call.answered_at_ms, "answer", f"{call.kind.lower()} {call.state.lower()}{status}"


def _of_fill(fill: Fill, posting: Posting | None) -> Iterator[Moment]:
    if fill.received_at_ms:
        yield fill.received_at_ms, "tick", f"the tick that filled {fill.number} came in"
    yield to_ms(fill.created_at), "fill", str(fill)
    if posting and posting.booked_at:
        yield to_ms(posting.booked_at), "books", f"fill {fill.number} is in the ledger"
