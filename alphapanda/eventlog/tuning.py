"""How the Kafka client is set, and which of its errors pass by themselves."""

from __future__ import annotations

from alphapanda.eventlog.records import MESSAGE_BYTES_MAX

# Key, headers and framing come on top of the value, so broker and client are told a wider limit than ours.
WIRE_BYTES_MAX = 2 * MESSAGE_BYTES_MAX

PRODUCER = {
    "enable.idempotence": True,
    "acks": "all",
    "compression.type": "zstd",
    "linger.ms": 3,
    "message.timeout.ms": 0,
    "message.max.bytes": WIRE_BYTES_MAX,
    "partitioner": "murmur2_random",  # as Java clients and Redpanda's tools choose
    "queue.buffering.max.messages": 20_000,
    "queue.buffering.max.kbytes": 65_536,
}
READER = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "isolation.level": "read_uncommitted",
    "auto.offset.reset": "error",  # a gap is told, never skipped
    "queued.min.messages": 2000,
    "fetch.queue.backoff.ms": 10,  # the default of 1 s stalls a reader whose queue ran full
    "fetch.wait.max.ms": 10,  # the embedded log answers an empty fetch only after this wait
    "fetch.error.backoff.ms": 100,
    "fetch.message.max.bytes": WIRE_BYTES_MAX,
}

# By librdkafka's names. A topic is not known everywhere in the moment after it was made.
TRANSIENT = frozenset(
    [
        "UNKNOWN_TOPIC_OR_PART",
        "_UNKNOWN_TOPIC",
        "_UNKNOWN_PARTITION",
        "_TRANSPORT",
        "_ALL_BROKERS_DOWN",
        "_RESOLVE",
        "_TIMED_OUT",
        "_TIMED_OUT_QUEUE",
        "_MSG_TIMED_OUT",
        "_PURGE_QUEUE",
        "_PURGE_INFLIGHT",
        "_WAIT_COORD",
        "LEADER_NOT_AVAILABLE",
        "NOT_LEADER_FOR_PARTITION",
        "REQUEST_TIMED_OUT",
        "NETWORK_EXCEPTION",
        "NOT_ENOUGH_REPLICAS",
        "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
        "COORDINATOR_NOT_AVAILABLE",
        "NOT_COORDINATOR",
        "COORDINATOR_LOAD_IN_PROGRESS",
    ]
)
