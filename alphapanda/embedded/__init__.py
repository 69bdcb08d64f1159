"""Servers from wheels, started where no address is configured, owned by the process that starts them."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from alphapanda.embedded.server import DidNotStart, Server

__all__ = ["ALL", "LOCK", "DidNotStart", "RunDirTaken", "Server", "lock", "make", "start_all"]

ALL = ("postgres", "redis", "kafka")
LOCK = "up.lock"


class RunDirTaken(RuntimeError):
    """Another supervisor uses RUN_DIR."""


def make(run_dir: Path, names: Sequence[str] = ALL, *, durable: bool = True) -> dict[str, Server]:
    """The named servers of RUN_DIR, not started."""
    from alphapanda.embedded.kafka import Kafka  # here: kafka.py is also run as a program
    from alphapanda.embedded.postgres import Postgres
    from alphapanda.embedded.redis import Redis

    kinds: dict[str, Server] = {
        "postgres": Postgres(run_dir, durable=durable),
        "redis": Redis(run_dir),
        "kafka": Kafka(run_dir),
    }
    return {name: kinds[name] for name in names}


@contextmanager
def lock(run_dir: Path) -> Iterator[int]:
    """Hold RUN_DIR for this process and yield the lock's descriptor; raises RunDirTaken."""
    run_dir.mkdir(parents=True, exist_ok=True)
    with (run_dir / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunDirTaken(
                f"another `manage.py up` uses {run_dir}: stop it, or set ALPHAPANDA_RUN_DIR"
            ) from None
        yield file.fileno()


@contextmanager
def start_all(
    run_dir: Path, names: Sequence[str] = ALL, *, durable: bool = True
) -> Iterator[dict[str, Server]]:
    """The named servers of RUN_DIR, ready; they are stopped in reverse on leaving."""
    with lock(run_dir):
        servers = make(run_dir, names, durable=durable)
        try:
            for server in servers.values():
                server.start()
            yield servers
        finally:
            for server in reversed(servers.values()):
                server.stop()
