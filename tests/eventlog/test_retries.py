"""What is waited out, what is parked, what stops."""

from __future__ import annotations

import threading

import psycopg
import pytest
import redis
from django.db import IntegrityError, InterfaceError, OperationalError
from kombu.exceptions import OperationalError as DoorbellDown

from alphapanda.core.envelope import UndecodableEvent
from alphapanda.eventlog import records, retries


def from_postgres(cause):
    error = OperationalError("wrapped")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (OperationalError("server closed the connection"), "TRANSIENT"),
        (InterfaceError("connection already closed"), "TRANSIENT"),
        (from_postgres(psycopg.errors.SerializationFailure()), "TRANSIENT"),
        (from_postgres(psycopg.errors.DeadlockDetected()), "TRANSIENT"),
        (from_postgres(psycopg.errors.AdminShutdown()), "TRANSIENT"),
        (from_postgres(psycopg.errors.InvalidPassword()), "CODE"),
        (from_postgres(psycopg.errors.InvalidCatalogName()), "CODE"),
        (records.LogUnavailable("away"), "TRANSIENT"),
        (records.NotFlushed(3), "TRANSIENT"),
        (records.QueueFull("full"), "TRANSIENT"),
        (redis.ConnectionError(), "TRANSIENT"),
        (redis.TimeoutError(), "TRANSIENT"),
        (DoorbellDown(), "TRANSIENT"),
        (ConnectionRefusedError(), "TRANSIENT"),
        (TimeoutError(), "TRANSIENT"),
        (UndecodableEvent("bad"), "PERMANENT"),
        (records.MessageTooLarge("big"), "PERMANENT"),
        (records.LogFatal("fenced"), "CODE"),
        (records.LogError("not authorized"), "CODE"),
        (IntegrityError("twice"), "CODE"),
        (ZeroDivisionError(), "CODE"),
    ],
)
def test_an_error_has_a_class(error, fault):
    assert retries.classify(error) == fault


def test_waits_are_full_jitter_up_to_ten_seconds(monkeypatch):
    monkeypatch.setattr(retries.random, "uniform", lambda low, high: (low, high))

    assert [retries.wait_s(n)[1] for n in (0, 1, 2, 6, 7, 1000)] == [0.1, 0.2, 0.4, 6.4, 10, 10]
    assert retries.wait_s(5)[0] == 0


def test_it_tries_again_in_place_until_done(monkeypatch):
    monkeypatch.setattr(retries, "MOST_WAIT_S", 0.001)
    faults, again = [TimeoutError(), TimeoutError()], []

    def work():
        if faults:
            raise faults.pop()
        return "done"

    assert retries.in_place(work, stop=threading.Event(), before_retry=lambda: again.append(1)) == "done"
    assert len(again) == 2


def test_it_raises_what_waiting_does_not_mend_and_heeds_a_stop():
    def fail(error):
        raise error

    stop = threading.Event()
    with pytest.raises(ZeroDivisionError):
        retries.in_place(lambda: fail(ZeroDivisionError()), stop=stop)
    with pytest.raises(TimeoutError):
        retries.in_place(lambda: fail(TimeoutError()), stop=stop, give_up_s=0.01)
    stop.set()
    with pytest.raises(retries.Stopped):
        retries.in_place(lambda: fail(TimeoutError()), stop=stop)
