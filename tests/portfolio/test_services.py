"""Receiving and booking postings: once each, in sequence, whatever runs at the same time or dies."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from alphapanda import failpoints
from alphapanda.core import ids
from alphapanda.core.envelope import EventType, PnlSnapshot, decode
from alphapanda.core.vocabulary import Broker, Side
from alphapanda.eventlog.models import OutboxEvent
from marketdata.models import Instrument
from portfolio.audit import books_differences
from portfolio.booking import UnknownInstrument
from portfolio.domain.books import Holding
from portfolio.domain.history import rebuild
from portfolio.models import Book, LedgerEntry, Portfolio, Position, Posting, Snapshot
from portfolio.selectors import (
    has_unbooked,
    holdings_of,
    ledger_sums,
    portfolio_totals,
)
from portfolio.services import (
    BrokerConflict,
    book_open,
    portfolio_create,
    postings_book,
    postings_receive,
)
from portfolio.tasks import book as book_task
from tests.portfolio.rows import TOKENS, book_make, request, round_trip


def receive(deployment: UUID) -> None:
    postings_receive(round_trip(deployment))


def run(deployment: UUID) -> int:
    return postings_book(deployment_id=deployment, now=timezone.now())


@pytest.mark.django_db
def test_portfolios_and_books_are_opened_once() -> None:
    deployment = book_make()
    assert book_make() == deployment
    assert (Portfolio.objects.count(), Book.objects.count()) == (1, 1)
    with pytest.raises(BrokerConflict):
        portfolio_create(name="paper desk", broker=Broker.ZERODHA)
    desk = Portfolio.objects.get()
    with pytest.raises(BrokerConflict):
        book_open(deployment_id=deployment, portfolio_id=desk.pk, broker=Broker.ZERODHA, name="ema")
    other = portfolio_create(name="other", broker=Broker.PAPER)
    with pytest.raises(BrokerConflict):
        book_open(deployment_id=deployment, portfolio_id=other.pk, broker=Broker.PAPER, name="ema")


@pytest.mark.django_db
def test_a_fill_is_received_once_and_into_an_open_book() -> None:
    deployment = book_make()
    receive(deployment)
    receive(deployment)
    assert Posting.objects.count() == 4
    assert has_unbooked(deployment)
    postings_receive([])
    with pytest.raises(Book.DoesNotExist):
        receive(ids.deployment_id("nobody"))


@pytest.mark.django_db
def test_booking_writes_what_the_pure_books_say() -> None:
    deployment = book_make()
    receive(deployment)
    assert run(deployment) == 4
    assert run(deployment) == 0
    assert not has_unbooked(deployment)

    expected = rebuild(one.fill for one in round_trip(deployment))
    assert holdings_of(deployment) == {TOKENS[name]: holding for name, holding in expected.items()}
    book = Book.objects.get()
    # -70,000 + 35,500 - 3,000.50 + 70,500 and four times the charges
    assert book.cash == Decimal("32999.50") - 4 * Decimal("1.43000001")
    totals = portfolio_totals(book.portfolio_id)
    assert totals.cash == totals.realised - totals.cost - totals.charges
    sums = ledger_sums(book.portfolio_id)
    assert sum(sums.values()) == 0
    assert sums["CASH"] == book.cash
    assert sums["CHARGES:stt"] == 5
    assert "CHARGES:stamp" not in sums


@pytest.mark.django_db
def test_each_fill_gives_a_snapshot_and_its_event() -> None:
    deployment = book_make()
    receive(deployment)
    run(deployment)
    requests = round_trip(deployment)
    events = list(OutboxEvent.objects.order_by("id"))
    assert len(events) == Snapshot.objects.count() == len(requests)
    for event, one in zip(events, requests, strict=True):
        envelope, payload = decode(bytes(event.body))
        assert isinstance(payload, PnlSnapshot)
        assert envelope.type is EventType.PNL_SNAPSHOT
        assert envelope.broker is Broker.PAPER
        assert envelope.key == str(Portfolio.objects.get().pk)
        assert envelope.causation_id == one.event_id
        assert envelope.correlation_id == one.correlation_id
        assert payload.snapshot_id == ids.derived("snapshot", one.fill.fill_id)
        row = Snapshot.objects.get(pk=payload.snapshot_id)
        assert Decimal(payload.cash) == row.cash == row.realised - row.cost - row.charges
    assert [decode(bytes(event.body))[1].quantity for event in events] == [100, 50, 10, -50]


@pytest.mark.django_db
def test_booking_one_by_one_equals_booking_at_once() -> None:
    at_once, one_by_one = book_make("at once"), book_make("one by one")
    receive(at_once)
    run(at_once)
    for one in round_trip(one_by_one):
        postings_receive([one])
        assert run(one_by_one) == 1
    assert holdings_of(at_once) == holdings_of(one_by_one)
    cash = [
        list(Snapshot.objects.filter(book=book).order_by("at_ms").values_list("cash", "cost", "realised"))
        for book in (at_once, one_by_one)
    ]
    assert cash[0] == cash[1]


@pytest.mark.django_db
def test_a_fill_of_an_unknown_instrument_books_nothing() -> None:
    deployment = book_make()
    receive(deployment)
    Instrument.objects.filter(tradingsymbol="SBIN").delete()
    with pytest.raises(UnknownInstrument, match="NSE:SBIN"):
        run(deployment)
    assert Posting.objects.filter(state="NEW").count() == 4
    assert not LedgerEntry.objects.exists()


@pytest.mark.django_db
def test_the_task_ignores_what_newer_senders_add() -> None:
    deployment = book_make()
    receive(deployment)
    assert book_task.name == "portfolio.book"
    book_task(deployment_ids=[str(deployment)], priority="high")
    assert not has_unbooked(deployment)


@pytest.mark.django_db
def test_the_number_of_queries_does_not_grow_with_the_fills() -> None:
    few, many = book_make("few"), book_make("many")
    postings_receive(round_trip(few)[:1])
    receive(many)
    assert [queries_of(few), queries_of(many)] == [12, 12]
    postings_receive(round_trip(few)[1:2])
    assert queries_of(few) == 11, "instruments come with their positions"


def queries_of(deployment: UUID) -> int:
    with CaptureQueriesContext(connection) as queries:
        run(deployment)
    return len(queries)


@pytest.mark.django_db(transaction=True)
def test_a_posting_vanishes_with_the_transaction_that_wrote_the_fill() -> None:
    deployment = book_make()
    with transaction.atomic():
        receive(deployment)
        transaction.set_rollback(True)
    assert not Posting.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_sequence_numbers_are_in_the_order_of_commits() -> None:
    deployment = book_make()
    first, second, *_ = round_trip(deployment)

    def receive_second() -> None:
        try:
            postings_receive([second])
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            postings_receive([first])
            other = pool.submit(receive_second)
            with pytest.raises(TimeoutError):
                other.result(timeout=0.2)
        other.result()
    in_sequence = Posting.objects.order_by("sequence").values_list("fill_id", flat=True)
    assert list(in_sequence) == [first.fill.fill_id, second.fill.fill_id]


class Death(BaseException):
    """The process dies."""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("point", "left"), [("portfolio.before_commit", 4), ("portfolio.after_commit", 0)])
def test_a_death_books_all_or_nothing(point: str, left: int, monkeypatch: pytest.MonkeyPatch) -> None:
    deployment = book_make()
    receive(deployment)

    def die(name: str) -> None:
        if name == point:
            raise Death

    with monkeypatch.context() as patch:
        patch.setattr(failpoints, "hit", die)
        with pytest.raises(Death):
            run(deployment)
    assert run(deployment) == left
    assert_booked_once(deployment)


@pytest.mark.django_db(transaction=True)
def test_many_runs_at_once_book_each_fill_once() -> None:
    deployments = [book_make(f"book {n}") for n in range(3)]
    for deployment in deployments:
        receive(deployment)

    def ring(deployment: UUID) -> int:
        try:
            return run(deployment)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        booked = list(pool.map(ring, deployments * 8))
    assert sum(booked) == 12
    for deployment in deployments:
        assert_booked_once(deployment)


@pytest.mark.django_db(transaction=True)
def test_the_audit_sees_sound_books_while_they_are_written() -> None:
    deployment = book_make()

    def write() -> None:
        try:
            for number in range(60):
                postings_receive([request(deployment, number, Side.BUY, 1 + number, 700 + number)])
                run(deployment)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write)
        audits = [books_differences()]
        while not writer.done():
            audits.append(books_differences())
        writer.result()
    assert len({audit.fills for audit in audits}) > 2, "the audits ran between the writes"
    assert all(audit.adds_up for audit in audits)
    assert books_differences().fills == 60


def assert_booked_once(deployment: UUID) -> None:
    expected: dict[str, Holding] = rebuild(one.fill for one in round_trip(deployment))
    assert holdings_of(deployment) == {TOKENS[name]: holding for name, holding in expected.items()}
    rows: tuple[Any, ...] = (Posting, Snapshot)
    assert [model.objects.filter(book=deployment).count() for model in rows] == [4, 4]
    assert books_differences().adds_up
    assert Position.objects.filter(book=deployment).count() == 2
