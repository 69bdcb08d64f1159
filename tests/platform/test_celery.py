"""What Celery is configured to do when Redis is not there."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from celery import Celery
from django.conf import settings
from kombu.exceptions import OperationalError


@pytest.mark.parametrize("listens", [False, True], ids=["gone", "frozen"])
def test_a_dead_redis_does_not_hold_up_who_rings(tmp_path: Path, listens: bool) -> None:
    path = tmp_path / "redis.sock"
    with socket.socket(socket.AF_UNIX) as frozen:
        if listens:
            frozen.bind(str(path))
            frozen.listen()
        app = Celery("dead", broker=f"redis+socket://{path}", set_as_current=False)
        app.config_from_object("django.conf:settings", namespace="CELERY")
        app.conf.broker_url = f"redis+socket://{path}"
        before = time.monotonic()

        with pytest.raises(OperationalError):
            app.send_task("any", retry=False)

        assert time.monotonic() - before < 4


def test_nothing_makes_a_message_more_than_a_doorbell() -> None:
    assert settings.CELERY_TASK_IGNORE_RESULT
    assert settings.CELERY_TASK_ACKS_LATE
    assert not settings.CELERY_TASK_REJECT_ON_WORKER_LOST
    assert settings.CELERY_WORKER_PREFETCH_MULTIPLIER == 1
    assert settings.CELERY_ACCEPT_CONTENT == ["json"]
    assert not hasattr(settings, "CELERY_RESULT_BACKEND")
