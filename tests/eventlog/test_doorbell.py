"""Doorbells reach their queues; a Redis that is dead or mute neither raises nor blocks."""

from __future__ import annotations

import json
import socket
import time
from uuid import UUID

import celery
import pytest
import redis

from alphapanda.eventlog import doorbell

DEPLOYMENT = str(UUID(int=7))


@pytest.fixture
def app(monkeypatch):
    one = celery.Celery("test", set_as_current=False)
    one.conf.task_ignore_result = True
    monkeypatch.setattr(doorbell, "current_app", one)
    monkeypatch.setattr(doorbell, "_line", doorbell._Line())
    monkeypatch.setattr(doorbell, "_logged_at", -doorbell.LOG_EVERY_S)
    return one


@pytest.fixture
def server(app, settings):
    one = redis.Redis.from_url(settings.REDIS_URL)
    one.flushdb()
    app.conf.broker_url = settings.CELERY_BROKER_URL
    yield one
    one.close()


def messages(server, queue):
    found = [json.loads(raw) for raw in server.lrange(queue, 0, -1)]
    return [(m["headers"]["task"], _body(m)) for m in reversed(found)]


def _body(message):
    import base64

    return json.loads(base64.b64decode(message["body"]))


def test_a_shard_hears_how_far_the_log_goes(server):
    assert doorbell.ring_shard(3, partition_ends={"0": 12})

    ((name, (_args, kwargs, _embed)),) = messages(server, "strategies.3")
    assert (name, kwargs) == ("strategies.evaluate", {"shard": 3, "partition_ends": {"0": 12}})
    assert doorbell.queue_depth("strategies.3") == 1
    assert doorbell.queue_depth("strategies.4") == 0


@pytest.mark.parametrize(
    ("ring", "names"),
    [
        (doorbell.ring_signals, ["risk.decide", "execution.submit", "portfolio.book", "execution.settle"]),
        (doorbell.ring_due, ["execution.match", "portfolio.book", "execution.settle"]),
    ],
)
def test_a_chain_carries_ids_only(server, ring, names):
    assert ring([DEPLOYMENT])

    ((first, (args, kwargs, embed)),) = messages(server, "trading")
    rest = list(reversed(embed["chain"]))
    assert [first, *(link["task"] for link in rest)] == names
    for link in rest:
        assert (link["kwargs"], link["args"], link["immutable"]) == (kwargs, [], True)
        assert link["options"]["queue"] == "trading"
    assert (args, kwargs) == ([], {"deployment_ids": [DEPLOYMENT]})


def test_any_task_can_be_rung_by_name(server):
    assert doorbell.ring("execution.sweep", queue="sweeps", limit=5)

    ((name, (_args, kwargs, _embed)),) = messages(server, "sweeps")
    assert (name, kwargs) == ("execution.sweep", {"limit": 5})


def test_it_rings_again_after_redis_forgot_everything(server):
    assert doorbell.ring_shard(0, partition_ends={})
    server.flushdb()
    assert doorbell.ring_shard(0, partition_ends={})

    assert doorbell.queue_depth("strategies.0") == 1


@pytest.mark.parametrize("is_mute", [False, True])
def test_a_dead_redis_costs_a_moment_and_nothing_else(app, is_mute, monkeypatch):
    told = []
    monkeypatch.setattr(doorbell.log, "warning", lambda event, **more: told.append(event), raising=False)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if not is_mute:
            listener.close()
            app.conf.broker_url = "redis://127.0.0.1:1/0"
        else:
            app.conf.broker_url = f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        started = time.monotonic()

        assert doorbell.ring_signals([DEPLOYMENT]) is False
        assert time.monotonic() - started < 1.2
        for _ in range(100):
            assert doorbell.ring("execution.sweep") is False
        assert doorbell.queue_depth("trading") is None
        assert time.monotonic() - started < 1.5

    assert told == ["eventlog.doorbell.silent"]
