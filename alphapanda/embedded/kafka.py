"""A Kafka-protocol broker in memory: librdkafka's own, in a process of its own. It forgets on exit.

`python -m alphapanda.embedded.kafka RUN_DIR` serves until it is told to end and imports no Django.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from alphapanda.embedded.places import KAFKA_ADDRESS
from alphapanda.embedded.server import Server


class Kafka(Server):
    """The log of RUN_DIR; its address is new at every start and stands in a file."""

    name = "kafka"

    def clean(self) -> None:
        (self.run_dir / KAFKA_ADDRESS).unlink(missing_ok=True)

    def command(self) -> list[str]:
        return [sys.executable, "-m", "alphapanda.embedded.kafka", str(self.run_dir)]

    def is_ready(self) -> bool:
        return (self.run_dir / KAFKA_ADDRESS).exists()


def serve(run_dir: Path) -> None:
    """Host the broker, write its address into RUN_DIR atomically, wait for a signal to end."""
    from confluent_kafka import Producer  # here: the supervisor's own process needs no client

    host = Producer({"test.mock.num.brokers": 1})
    brokers = host.list_topics(timeout=10).brokers.values()
    draft = run_dir / f"{KAFKA_ADDRESS}.{os.getpid()}.tmp"
    draft.write_text(",".join(f"{broker.host}:{broker.port}" for broker in brokers))
    draft.replace(run_dir / KAFKA_ADDRESS)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})  # before any thread is made
    serve(Path(sys.argv[1]))
