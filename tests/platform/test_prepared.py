"""A prepared query gives the rows of its queryset with the values put in, and writes its SQL once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from alphapanda.core import ids
from alphapanda.core.vocabulary import Broker
from alphapanda.prepared import Prepared
from portfolio.models import Book, Portfolio

ANY = UUID(int=0)
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def books() -> list[Book]:
    portfolio = Portfolio.objects.create(id=ids.derived("portfolio", "p"), name="p", broker=Broker.PAPER)
    return [
        Book.objects.create(
            deployment_id=ids.derived("d", str(n)), portfolio=portfolio, broker=Broker.PAPER, name=f"b{n}"
        )
        for n in range(3)
    ]


def test_it_asks_with_the_values_of_each_call(books):
    written = []

    def build(one):
        written.append(one)
        return Book.objects.filter(deployment_id=one).select_related("portfolio")

    found = Prepared(build, ANY)
    for book in (*books, *reversed(books)):
        assert found(book.deployment_id) == [book]
    assert found(UUID(int=7)) == []
    assert written == [ANY]


def test_related_rows_annotations_and_plain_values_come_as_the_orm_gives_them(books):
    related = Prepared(lambda one: Book.objects.filter(pk=one).select_related("portfolio"), ANY)
    with CaptureQueriesContext(connection) as asked:
        (row,) = related(books[1].pk)
        assert row.portfolio.name == "p"
    assert len(asked) == 1
    names = Prepared(lambda one: Book.objects.filter(pk=one).values_list("name", flat=True), ANY)
    assert names(books[2].pk) == ["b2"]


def test_rows_are_read_anew_and_can_be_saved(books):
    found = Prepared(lambda one: Book.objects.filter(pk=one), ANY)
    (row,) = found(books[0].pk)
    row.name = "renamed"
    row.save()
    assert [again.name for again in found(books[0].pk)] == ["renamed"]


def test_rows_can_be_locked(books):
    locked = Prepared(lambda one: Book.objects.select_for_update().filter(pk=one), ANY)
    with transaction.atomic(), CaptureQueriesContext(connection) as asked:
        assert locked(books[0].pk) == [books[0]]
    assert "FOR UPDATE" in asked[0]["sql"]


def test_each_thread_asks_over_its_own_connection(books):
    found = Prepared(lambda one: Book.objects.filter(pk=one), ANY)
    found(books[0].pk)

    def ask() -> list[Book]:
        try:
            return found(books[1].pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(ask).result() == [books[1]]


def test_two_places_take_their_own_values_wherever_they_stand(books):
    found = Prepared(
        lambda name, one: Book.objects.filter(pk=one, name=name) | Book.objects.filter(name=name),
        "?name",
        ANY,
    )
    assert found("b1", books[1].pk) == [books[1]]
    assert found("b0", books[1].pk) == [books[0]]


def test_a_stand_in_that_is_not_in_the_query_is_refused():
    with pytest.raises(ValueError, match="not every one"):
        Prepared(lambda one: Book.objects.all(), ANY)(ANY)


def test_another_number_of_values_is_refused():
    with pytest.raises(ValueError, match="2 values for 1 place"):
        Prepared(lambda one: Book.objects.filter(pk=one), ANY)(ANY, ANY)
