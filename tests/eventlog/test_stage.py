"""A stage applies each event once, parks what it cannot handle, and stops when all is poison."""

from __future__ import annotations

import threading
from uuid import UUID

import pytest
from django.db import OperationalError, transaction

from alphapanda.core.envelope import encode
from alphapanda.core.vocabulary import Broker
from alphapanda.eventlog import incarnation, outbox, retries
from alphapanda.eventlog.client import LogProducer
from alphapanda.eventlog.models import DeadLetter, InboxMark, OutboxEvent
from alphapanda.eventlog.records import InvalidMessage, Record
from alphapanda.eventlog.stage import Stage, TooManyPoison

pytestmark = pytest.mark.django_db(transaction=True)
TOPIC = "paper.orders.failed"


class ListReader:
    """A log that holds a list, gives it again from the last commit on, like the real one after a restart."""

    def __init__(self, values):
        self.records = [
            Record(topic=TOPIC, partition=0, offset=n, key=b"k", value=value, timestamp_ms=n, headers={})
            for n, value in enumerate(values)
        ]
        self.committed = 0

    def poll(self, *, messages_max, timeout_s):
        return self.records[self.committed : self.committed + messages_max]

    def commit(self, records):
        self.committed = records[-1].offset + 1

    def close(self):
        pass


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(retries, "MOST_WAIT_S", 0.001)
    monkeypatch.setattr(incarnation, "current", lambda **_: UUID(int=1))


def a_stage(values, handler, **more):
    reader = ListReader(values)
    stage = Stage(
        name="books", topics=[TOPIC], handler=handler, stop=threading.Event(), reader=reader, **more
    )
    return stage, reader


def test_each_event_takes_effect_once_however_often_it_comes(an_event):
    handled = []
    event = encode(an_event(1))
    stage, reader = a_stage([event, event], lambda envelope, payload: handled.append(payload.reason))

    assert stage.run_once() == 2
    reader.committed = 0
    assert stage.run_once() == 2

    assert handled == ["1"]


def test_poison_among_good_costs_itself_only(an_event):
    handled = []

    def handle(envelope, payload):
        if payload.reason == "3":
            raise InvalidMessage("not for me")
        if payload.reason == "4":
            raise ZeroDivisionError("a bug")
        handled.append(payload.reason)

    crossed = encode(an_event("crossed", broker=Broker.ZERODHA))
    good = [encode(an_event(n)) for n in range(6)]
    poison = [b"", b"\xff\xfe", good[0][:40], b"{}", good[0].replace(b'"version":1', b'"version":9')]
    stage, reader = a_stage([*poison, crossed, *good], handle)

    assert stage.run_once() == 12

    assert handled == ["0", "1", "2", "5"]
    assert reader.committed == 12
    reasons = list(DeadLetter.objects.order_by("id").values_list("reason", flat=True))
    assert reasons == ["UNDECODABLE"] * 5 + ["NAMESPACE", "INVALID", "HANDLER"]
    assert OutboxEvent.objects.filter(topic=TOPIC + ".dlq").count() == 8
    assert InboxMark.objects.count() == 4


def test_a_transient_fault_is_waited_out_in_place(an_event):
    handled, faults = [], [OperationalError("gone"), ConnectionError("reset")]

    def handle(envelope, payload):
        if faults:
            raise faults.pop()
        handled.append(payload.reason)

    stage, _reader = a_stage([encode(an_event(1)), encode(an_event(2))], handle)
    stage.run_once()

    assert handled == ["1", "2"]
    assert not DeadLetter.objects.exists()


def test_an_effect_and_its_mark_are_one_transaction(an_event):
    def handle(envelope, payload):
        outbox.publish([an_event("consequence")])
        raise InvalidMessage("after all")

    stage, _reader = a_stage([encode(an_event(1))], handle)
    stage.run_once()

    assert not InboxMark.objects.exists()
    assert not OutboxEvent.objects.filter(event_id=an_event("consequence").id).exists()


def test_it_stops_when_all_is_poison_and_stays_stopped(an_event):
    stage, reader = a_stage([b"bad"] * 10, lambda *_: None, poison_max=3)

    for _start in range(2):
        with pytest.raises(TooManyPoison):
            stage.run_once()

    assert reader.committed == 0
    assert DeadLetter.objects.count() == 4


def test_good_events_reset_the_bound(an_event):
    values = [value for n in range(5) for value in (b"bad", b"bad", encode(an_event(n)))]
    stage, _reader = a_stage(values, lambda *_: None, poison_max=2)

    assert stage.run_once() == 15


def test_a_stop_while_it_retries_leaves_the_record_unsettled(an_event):
    def handle(envelope, payload):
        stage._stop.set()
        raise OperationalError("still away")

    stage, reader = a_stage([encode(an_event(1))], handle)
    stage.run()

    assert reader.committed == 0
    assert not InboxMark.objects.exists()


def test_a_stop_is_kept_within_the_drain_deadline(an_event):
    handled = []

    def handle(envelope, payload):
        handled.append(payload.reason)
        stage._stop.set()

    stage, reader = a_stage([encode(an_event(n)) for n in range(5)], handle, drain_s=0)
    stage.run()

    assert handled == ["0"]
    assert reader.committed == 1


@pytest.mark.usefixtures("the_log")
def test_it_reads_the_log_as_a_group(an_event):
    with LogProducer(Broker.PAPER) as producer:
        for number in range(3):
            producer.produce(TOPIC, encode(an_event(number)), key=b"k")
    handled = []
    stop = threading.Event()

    def handle(envelope, payload):
        assert transaction.get_connection().in_atomic_block
        handled.append(payload.reason)
        if len(handled) == 3:
            stop.set()

    Stage(name="books", topics=[TOPIC], handler=handle, stop=stop).run()

    assert handled == ["0", "1", "2"]
