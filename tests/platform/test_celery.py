"""What Celery is configured to do when Redis is not there."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from pathlib import Path
from unittest.mock import Mock

import pytest
from celery import Celery, signals
from celery.fixups.django import DjangoWorkerFixup
from django.conf import settings
from django.db import OperationalError as OperationalDatabaseError
from django.db import connection
from kombu.exceptions import OperationalError

from alphapanda.celery import app


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


@pytest.mark.django_db(transaction=True)
def test_a_task_finds_the_connection_of_the_one_before_unless_it_is_dead() -> None:
    fixup = DjangoWorkerFixup(app)
    task = Mock()
    task.request.is_eager = False

    def ran() -> int:
        """The server process that answers inside a task."""
        fixup.on_task_prerun(task)
        signals.task_prerun.send(sender=task, task_id="1", task=task)
        with connection.cursor() as cursor:
            cursor.execute("select pg_backend_pid()")
            (pid,) = cursor.fetchone()
        fixup.on_task_postrun(task)
        return int(pid)

    first = ran()
    assert ran() == first
    with connection.cursor() as cursor, suppress(OperationalDatabaseError):
        cursor.execute("select pg_terminate_backend(pg_backend_pid())")
    assert ran() != first


def test_nothing_makes_a_message_more_than_a_doorbell() -> None:
    assert settings.CELERY_TASK_IGNORE_RESULT
    assert settings.CELERY_BROKER_TRANSPORT_OPTIONS["ack_emulation"] is False
    assert settings.CELERY_WORKER_PREFETCH_MULTIPLIER == 1
    assert settings.CELERY_ACCEPT_CONTENT == ["json"]
    assert not hasattr(settings, "CELERY_RESULT_BACKEND")
