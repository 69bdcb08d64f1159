"""The one map of topics: names, keys, partitions, retention, and which event goes where."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from alphapanda.core.envelope import EventType
from alphapanda.core.vocabulary import Broker

MARKET_TICKS = "market.ticks"
MARKET_BARS = "market.bars"
OPERATOR_ACTIONS = "operator.actions"
LOG_INCARNATION = "log.incarnation"
DLQ_SUFFIX = ".dlq"
HOUR_MS = 3_600_000
FOR_EVER = -1

ACCOUNTS = (Broker.PAPER, Broker.ZERODHA)  # the namespaces that orders live in


class WrongNamespace(ValueError):
    """An event of one broker namespace was sent to, or found in, a topic of another."""


class UnknownTopic(KeyError):
    """A topic that is not in the map."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic of the log: what it means and what chooses the partition of a message."""

    name: str
    meaning: str
    key: str
    namespace: Broker

    @property
    def is_dead_letters(self) -> bool:
        return self.name.endswith(DLQ_SUFFIX)

    @property
    def partitions(self) -> int:
        """How many partitions the settings want; a dead-letter topic has as many as its origin."""
        if self.name == LOG_INCARNATION:
            return 1
        origin = self.name.removesuffix(DLQ_SUFFIX)
        return settings.TICK_PARTITIONS if origin == MARKET_TICKS else settings.TOPIC_PARTITIONS

    @property
    def retention_ms(self) -> int:
        """How long the settings keep a message; the incarnation of a log is kept as long as the log."""
        if self.name == LOG_INCARNATION:
            return FOR_EVER
        return settings.TOPIC_RETENTION_HOURS * HOUR_MS


_SHARED = (
    (MARKET_TICKS, "packed ticks and clock items of the market", "instrument token"),
    (MARKET_BARS, "bars made from ticks", "instrument token"),
    (
        OPERATOR_ACTIONS,
        "what operators did or must know: acts, alerts, quarantined deployments, gaps, instrument lists",
        "target",
    ),
)
_PER_BROKER = (
    ("signals.raw", "signals as strategies raised them", "deployment:instrument"),
    ("signals.validated", "signals that risk approved, with the rule that decided", "deployment:instrument"),
    ("signals.rejected", "signals that risk denied, with the rule that decided", "deployment:instrument"),
    ("orders.submitted", "orders handed to the broker", "order id"),
    ("orders.changed", "orders that were triggered, modified, are to be cancelled", "order id"),
    ("orders.filled", "orders that traded, in part or in full", "order id"),
    ("orders.failed", "orders that ended without trading in full", "order id"),
    ("pnl.snapshots", "the books of a deployment after a fill", "portfolio"),
)


def _map() -> dict[str, Topic]:
    topics = [Topic(name, meaning, key, Broker.SHARED) for name, meaning, key in _SHARED]
    for broker in ACCOUNTS:
        topics += [Topic(f"{broker}.{name}", meaning, key, broker) for name, meaning, key in _PER_BROKER]
    dead = [
        Topic(t.name + DLQ_SUFFIX, f"messages of {t.name} that could not be handled", t.key, t.namespace)
        for t in topics
    ]
    incarnation = Topic(LOG_INCARNATION, "identity of this log: its first message", "none", Broker.SHARED)
    return {topic.name: topic for topic in [*topics, *dead, incarnation]}


TOPICS = _map()

_OF_EVENT = {
    EventType.SIGNAL_RAISED: "signals.raw",
    EventType.SIGNAL_APPROVED: "signals.validated",
    EventType.SIGNAL_DENIED: "signals.rejected",
    EventType.ORDER_SUBMITTED: "orders.submitted",
    EventType.ORDER_CHANGED: "orders.changed",
    EventType.ORDER_FILLED: "orders.filled",
    EventType.ORDER_FAILED: "orders.failed",
    EventType.PNL_SNAPSHOT: "pnl.snapshots",
}
_OF_OPERATORS = frozenset(
    {
        EventType.OPERATOR_ACTED,
        EventType.DEPLOYMENT_QUARANTINED,
        EventType.LOG_GAP,
        EventType.FEED_GAP,
        EventType.ALERT_RAISED,
        EventType.INSTRUMENTS_CHANGED,
    }
)


def topic_for(event_type: EventType, broker: Broker) -> str:
    """The topic of an event. Raises WrongNamespace for an order's life outside paper and zerodha."""
    if event_type in _OF_OPERATORS:
        return OPERATOR_ACTIONS
    if event_type is EventType.BAR_CLOSED:
        return MARKET_BARS
    if broker not in ACCOUNTS:
        raise WrongNamespace(f"{event_type} belongs to paper or zerodha, not to {broker}")
    return f"{broker}.{_OF_EVENT[event_type]}"


def find(name: str) -> Topic:
    """A topic of the map. Raises UnknownTopic."""
    if name not in TOPICS:
        raise UnknownTopic(name)
    return TOPICS[name]


def dead_letters_of(name: str) -> str:
    """The dead-letter topic of a topic. Raises UnknownTopic where it has none."""
    return find(name + DLQ_SUFFIX).name


def wire_name(name: str) -> str:
    """The name that the log knows a topic by: the one place where the prefix is prepended."""
    prefix = _prefix()
    return f"{prefix}.{name}" if prefix else name


def logical_name(wire: str) -> str:
    """The name in the map of a topic of the log."""
    prefix = _prefix()
    return wire.removeprefix(f"{prefix}.") if prefix else wire


def group_id(service: str) -> str:
    """The consumer group of a service: PREFIX.service."""
    return f"{_prefix() or 'alphapanda'}.{service}"


def _prefix() -> str:
    return settings.TOPIC_PREFIX.rstrip(".")
