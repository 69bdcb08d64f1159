"""Rings Celery tasks by name. A doorbell that does not ring costs latency only: the sweeper rings again."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from celery import Signature, Task, chain, current_app
from kombu import Connection

from alphapanda import logs

SOCKET_TIMEOUT_S = 0.3
COOL_OFF_S = 0.5
LOG_EVERY_S = 1.0
TRADING = "trading"

log = logs.channel("application")


class _Line(threading.local):
    """The connection of one thread of one process; a forked child opens its own."""

    pid = 0
    connection: Connection | None = None
    closed_until = 0.0


_line = _Line()
_logged_at = -LOG_EVERY_S


def ring(task_name: str, *, queue: str = TRADING, **kwargs: Any) -> bool:
    """Ring one task. False, within a second and without raising, where Redis does not take it."""
    return _send(_signature(task_name, queue, kwargs))


def ring_shard(shard: int, *, partition_ends: dict[str, int]) -> bool:
    """Tell a shard how far the log goes now, by partition."""
    arguments = {"shard": shard, "partition_ends": partition_ends}
    return _send(_signature("strategies.evaluate", shard_queue(shard), arguments))


def ring_signals(deployment_ids: Sequence[str]) -> bool:
    """Start the chain of deployments that have raised signals."""
    return _ring_chain(
        ("risk.decide", "execution.submit", "portfolio.book", "execution.settle"), deployment_ids
    )


def ring_due(deployment_ids: Sequence[str]) -> bool:
    """Start the chain of deployments whose working orders are due for matching."""
    return _ring_chain(("execution.match", "portfolio.book", "execution.settle"), deployment_ids)


def carry_on(task: Task) -> None:
    """Run the rest of a task's chain here and now, each link as the task it is, instead of by the queue.

    A link that answers True has left nothing to do for those behind it. What a crash leaves undone is rung
    again by the sweeper, as after a lost message."""
    links = [Signature.from_dict(link, app=task.app) for link in reversed(task.request.chain or ())]
    task.request.chain = None
    for link in links:
        if task.app.tasks[link.task](**link.kwargs):
            return


def shard_queue(shard: int) -> str:
    """The queue that the workers of a shard listen to."""
    return f"strategies.{shard}"


def queue_depth(queue: str) -> int | None:
    """How many messages wait in a queue that no worker has taken; None where Redis does not answer."""
    return _tried(lambda line: int(line.default_channel.client.llen(queue)))


def _ring_chain(names: tuple[str, ...], deployment_ids: Sequence[str]) -> bool:
    links = [_signature(name, TRADING, {"deployment_ids": list(deployment_ids)}) for name in names]
    return _send(chain(*links, app=current_app))


def _signature(name: str, queue: str, kwargs: dict[str, Any]) -> Signature:
    options = {"queue": queue, "retry": False, "ignore_result": True}
    return current_app.signature(name, kwargs=kwargs, immutable=True, options=options)


def _send(what: Signature) -> bool:
    # `connection`, because a chain forgets the `producer` that it is given
    return _tried(lambda line: what.apply_async(connection=line, retry=False)) is not None


def _tried(work: Callable[[Connection], Any]) -> Any:
    if time.monotonic() < _line.closed_until and _line.pid == os.getpid():
        return None
    try:
        return work(_connection())
    except Exception as error:  # noqa: BLE001  never raises into the transaction or loop that rang
        _drop()
        _tell(error)
        return None


def _connection() -> Connection:
    if _line.connection is None or _line.pid != os.getpid():
        # kombu retries to open a connection without limit, whatever `retry` says about publishing
        _line.connection = current_app.connection_for_write(
            transport_options={
                "max_retries": 0,
                "interval_start": 0,
                "socket_connect_timeout": SOCKET_TIMEOUT_S,
                "socket_timeout": SOCKET_TIMEOUT_S,
                "retry_on_timeout": False,
            },
        )
        _line.pid = os.getpid()
    return _line.connection


def _drop() -> None:
    connection, _line.connection = _line.connection, None
    _line.pid = os.getpid()
    _line.closed_until = time.monotonic() + COOL_OFF_S
    if connection is not None:
        connection.collect()


def _tell(error: Exception) -> None:
    global _logged_at
    now = time.monotonic()
    if now - _logged_at >= LOG_EVERY_S:
        _logged_at = now
        log.warning("eventlog.doorbell.silent", error=type(error).__name__, text=str(error)[:200])
