"""The relay publishes all, in order per key, at least once, and outlives what it depends on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from django.db import connection, transaction

from alphapanda import failpoints
from alphapanda.core.envelope import decode
from alphapanda.core.vocabulary import Broker
from alphapanda.eventlog import client, outbox, relay, retries
from alphapanda.eventlog.client import LogProducer
from alphapanda.eventlog.models import OutboxEvent
from alphapanda.eventlog.records import LogUnavailable
from alphapanda.eventlog.relay import Relay

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("the_log")]


class Crash(BaseException):
    """Stands for the death of the process."""


@pytest.fixture
def a_relay():
    one = Relay()
    yield one
    one.close()


@pytest.fixture
def in_background():
    threads = []

    def start(work):
        def run():
            try:
                work()
            finally:
                connection.close()

        threads.append(threading.Thread(target=run))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def publish(*events):
    with transaction.atomic():
        outbox.publish(events)


def wait_until(holds, *, seconds=20):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def unpublished():
    return OutboxEvent.objects.filter(published_at__isnull=True).count()


def test_what_was_published_is_in_the_log_and_marked(a_relay, an_event, read_all):
    events = [an_event(number) for number in range(3)]
    publish(*events, an_event("real", broker=Broker.ZERODHA))

    assert a_relay.publish_batch() == 4
    assert a_relay.publish_batch() == 0

    assert [decode(r.value)[0] for r in read_all("paper.orders.failed")] == events
    assert [r.key for r in read_all("paper.orders.failed")] == [b"order"] * 3
    assert [decode(r.value)[0].broker for r in read_all("zerodha.orders.failed")] == ["zerodha"]
    assert unpublished() == 0


@pytest.mark.parametrize("name", sorted(n for n in failpoints.NAMES if n.startswith("relay.")))
def test_a_crash_anywhere_loses_nothing_and_keeps_the_order(name, monkeypatch, an_event, read_all):
    events = [an_event(number) for number in range(20)]
    publish(*events)

    def die(at):
        if at == name:
            raise Crash

    monkeypatch.setattr(failpoints, "hit", die)
    first = Relay(batch_max=5)
    with pytest.raises(Crash):
        first.publish_batch()
    first.close()
    monkeypatch.setattr(failpoints, "hit", lambda _name: None)
    second = Relay(batch_max=5)
    while second.publish_batch():
        pass
    second.close()

    found = [decode(record.value)[0] for record in read_all("paper.orders.failed")]
    assert list(dict.fromkeys(event.id for event in found)) == [event.id for event in events]
    assert unpublished() == 0


def test_a_row_that_commits_late_is_not_skipped(in_background, an_event, read_all):
    stop = threading.Event()
    in_background(Relay(stop=stop).run)
    written = threading.Event()

    def slow():
        with transaction.atomic():
            outbox.publish([an_event(("slow", n), key="slow") for n in range(50)])
            written.set()
            time.sleep(2)

    in_background(slow)
    written.wait(5)
    for number in range(200):
        publish(an_event(("fast", number), key=f"fast{number % 7}"))
    wait_until(lambda: OutboxEvent.objects.count() == 250 and unpublished() == 0)
    stop.set()

    found = [decode(record.value) for record in read_all("paper.orders.failed")]
    slow_ids = [envelope.id for envelope, _ in found if envelope.key == "slow"]
    assert slow_ids == [an_event(("slow", n)).id for n in range(50)]
    for lane in range(7):
        lane_ids = [envelope.id for envelope, _ in found if envelope.key == f"fast{lane}"]
        assert lane_ids == [an_event(("fast", n)).id for n in range(lane, 200, 7)]


def test_a_commit_wakes_the_relay_at_once(in_background, an_event, monkeypatch):
    monkeypatch.setattr(relay, "IDLE_S", 30)
    stop = threading.Event()
    in_background(Relay(stop=stop).run)
    publish(an_event("first"))
    wait_until(lambda: unpublished() == 0, seconds=5)

    time.sleep(0.2)  # the relay is listening again
    publish(an_event("second"))
    wait_until(lambda: unpublished() == 0, seconds=5)

    stop.set()
    publish(an_event("third"))  # wakes it to see the flag


def test_one_relay_publishes_while_another_waits(in_background, an_event, monkeypatch):
    monkeypatch.setattr(relay, "STANDBY_S", 0.05)
    stops = [threading.Event(), threading.Event()]
    batches = [0, 0]
    for number, stop in enumerate(stops):
        one = Relay(stop=stop)

        def counted(one=one, number=number, publish_batch=one.publish_batch):
            batches[number] += 1
            return publish_batch()

        one.publish_batch = counted
        in_background(one.run)
    publish(an_event(1))
    wait_until(lambda: unpublished() == 0)

    assert 0 in batches
    holder = batches.index(max(batches))
    stops[holder].set()
    wait_until(lambda: batches[1 - holder] > 0)
    publish(an_event(2))
    wait_until(lambda: unpublished() == 0)
    stops[1 - holder].set()


def test_the_loss_of_its_session_is_outlived(in_background, an_event, monkeypatch):
    monkeypatch.setattr(retries, "MOST_WAIT_S", 0.2)
    stop = threading.Event()
    in_background(Relay(stop=stop).run)
    publish(an_event(1))
    wait_until(lambda: unpublished() == 0)

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s",
            [relay.LOCK[0]],
        )
    publish(an_event(2))
    wait_until(lambda: unpublished() == 0)
    stop.set()


def test_a_log_that_is_away_is_waited_for(an_event, settings, monkeypatch):
    monkeypatch.setattr(relay, "DRAIN_S", 0.1)
    monkeypatch.setattr(client, "CLOSE_TIMEOUT_S", 0.1)
    publish(an_event(1))
    address, settings.KAFKA_BOOTSTRAP = settings.KAFKA_BOOTSTRAP, "127.0.0.1:1"
    first = Relay()
    first.stop.set()  # or it would wait for ever
    with pytest.raises(LogUnavailable, match="1 unanswered"):
        first.publish_batch()
    first.close()

    assert unpublished() == 1
    settings.KAFKA_BOOTSTRAP = address
    second = Relay()
    assert second.publish_batch() == 1
    second.close()


def test_a_refused_event_holds_back_its_key_only(a_relay, an_event, monkeypatch, read_all):
    publish(an_event(1, key="a"), an_event(2, key="a"), an_event(3, key="b"))
    produce = LogProducer.produce

    def refusing(self, topic, value, **more):
        if decode(value)[0].id == an_event(1).id:
            raise ValueError("refused")
        produce(self, topic, value, **more)

    monkeypatch.setattr(LogProducer, "produce", refusing)
    with pytest.raises(LogUnavailable, match="1 of 3 messages refused"):
        a_relay.publish_batch()
    assert unpublished() == 2

    monkeypatch.undo()
    assert a_relay.publish_batch() == 2
    of_a = [decode(r.value)[0].id for r in read_all("paper.orders.failed") if r.key == b"a"]
    assert of_a[-2:] == [an_event(1).id, an_event(2).id]


def test_listeners_hear_of_events_and_cannot_stop_them(an_event):
    heard = []

    def broken(_events):
        raise RuntimeError("broken")

    one = Relay(listeners=[broken, heard.extend])
    publish(an_event(1))

    assert one.publish_batch() == 1
    one.close()

    assert [(envelope.id, payload.reason) for envelope, payload in heard] == [(an_event(1).id, "1")]
    assert unpublished() == 0


def test_sigterm_ends_the_command_cleanly(an_event, settings):
    database = connection.settings_dict
    code = (
        "import django; django.setup();"
        "from django.conf import settings as s; from django.db import connection as c;"
        f"c.settings_dict.update(NAME={database['NAME']!r}, HOST={database['HOST']!r});"
        f"s.KAFKA_BOOTSTRAP = {settings.KAFKA_BOOTSTRAP!r}; s.TOPIC_PREFIX = {settings.TOPIC_PREFIX!r};"
        "from django.core.management import call_command; call_command('relay')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=os.environ | {"DJANGO_SETTINGS_MODULE": "alphapanda.settings"}
    )
    try:
        publish(an_event(1))
        wait_until(lambda: unpublished() == 0)
        process.send_signal(signal.SIGTERM)

        assert process.wait(10) == 0
    finally:
        process.kill()
