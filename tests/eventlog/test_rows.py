"""Outbox and cursors: they commit with the change they stand for, once."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.utils import timezone

from alphapanda.core.vocabulary import Broker
from alphapanda.eventlog import cursors, outbox
from alphapanda.eventlog.models import OutboxEvent
from alphapanda.eventlog.topics import WrongNamespace

LOG, OTHER_LOG = UUID(int=1), UUID(int=2)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "write",
    [
        lambda event: outbox.publish([event]),
        lambda event: cursors.advance("c", "t", 0, expected_offset=None, offset=1, incarnation=LOG),
    ],
)
def test_nothing_is_written_outside_of_a_transaction(write, an_event):
    with pytest.raises(outbox.NotInTransaction):
        write(an_event(1))


@pytest.mark.django_db
def test_an_event_published_twice_is_one_row(an_event):
    outbox.publish([an_event(1), an_event(2)])
    outbox.publish([an_event(2), an_event(3)])

    assert list(OutboxEvent.objects.order_by("id").values_list("event_id", flat=True)) == [
        an_event(1).id,
        an_event(2).id,
        an_event(3).id,
    ]
    assert set(OutboxEvent.objects.values_list("topic", flat=True)) == {"paper.orders.failed"}


@pytest.mark.django_db
def test_an_order_event_of_no_broker_is_refused(an_event):
    with pytest.raises(WrongNamespace):
        outbox.publish([an_event(1, broker=Broker.SHARED)])

    assert not OutboxEvent.objects.exists()


@pytest.mark.django_db
def test_only_old_published_rows_are_pruned(an_event, settings):
    settings.OUTBOX_KEEP_DAYS = 14
    now = timezone.now()
    outbox.publish([an_event("old"), an_event("new"), an_event("never published")])
    OutboxEvent.objects.filter(event_id=an_event("old").id).update(published_at=now - timedelta(days=15))
    OutboxEvent.objects.filter(event_id=an_event("new").id).update(published_at=now - timedelta(days=13))

    assert outbox.prune(now=now) == 1
    assert not OutboxEvent.objects.filter(event_id=an_event("old").id).exists()


@pytest.mark.django_db
def test_a_cursor_moves_only_from_where_it_is_expected():
    def advance(expected, offset, incarnation=LOG):
        cursors.advance(
            "c", "market.ticks", 0, expected_offset=expected, offset=offset, incarnation=incarnation, seq=9
        )

    assert cursors.load("c", "market.ticks", 0) is None
    advance(None, 5)
    advance(5, 8)

    for expected in (None, 5):
        with pytest.raises(cursors.CursorMoved):
            advance(expected, 9)
    cursor = cursors.load("c", "market.ticks", 0)
    assert (cursor.offset, cursor.seq, cursor.incarnation) == (8, 9, LOG)

    advance(8, 0, OTHER_LOG)
    assert cursors.load("c", "market.ticks", 0).incarnation == OTHER_LOG
