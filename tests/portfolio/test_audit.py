"""The audit finds every kind of damage, and none where there is none."""

from __future__ import annotations

import json
from decimal import Decimal
from io import StringIO
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from portfolio.audit import books_differences
from portfolio.models import Book, LedgerEntry, Position
from portfolio.services import postings_book, postings_receive
from tests.portfolio.rows import book_make, round_trip

pytestmark = pytest.mark.django_db


@pytest.fixture
def booked() -> UUID:
    deployment = book_make()
    postings_receive(round_trip(deployment))
    postings_book(deployment_id=deployment, now=timezone.now())
    return deployment


def command(*arguments: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("audit_books", *arguments, stdout=out)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_sound_books_add_up(booked: UUID) -> None:
    audit = books_differences()
    assert audit.adds_up
    assert (audit.books, audit.fills) == (1, 4)
    assert audit.ledger_sums == {"paper desk": Decimal(0)}
    code, text = command()
    assert code == 0
    assert "1 books, 4 fills: all add up" in text
    code, text = command("--json")
    assert code == 0
    assert json.loads(text)["differences"] == []


def test_nothing_to_audit_adds_up() -> None:
    assert books_differences().adds_up


@pytest.mark.parametrize("figure", ["quantity", "cost", "realised", "charges"])
def test_a_changed_position_is_found(booked: UUID, figure: str) -> None:
    row = Position.objects.get(instrument__tradingsymbol="INFY")
    setattr(row, figure, getattr(row, figure) + 1)
    row.save()
    audit = books_differences()
    assert {(d.figure, d.origin) for d in audit.differences} == {(figure, "fills"), (figure, "ledger")}
    assert {d.stored - d.expected for d in audit.differences} == {1}
    code, text = command()
    assert code == 1
    assert "NSE:INFY" in text


def test_changed_cash_is_found(booked: UUID) -> None:
    Book.objects.update(cash=Decimal("0.01"))
    assert {(d.figure, d.origin) for d in books_differences().differences} == {
        ("cash", "fills"),
        ("cash", "ledger"),
    }
    assert command("--json")[0] == 1


def test_a_position_that_vanished_is_found(booked: UUID) -> None:
    Position.objects.filter(instrument__tradingsymbol="SBIN").delete()
    assert {d.instrument for d in books_differences().differences} == {"NSE:SBIN"}


def test_a_lost_ledger_entry_is_found(booked: UUID) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role TO replica")  # no trigger keeps it from us
        LedgerEntry.objects.filter(account="REALISED").first().delete()
    audit = books_differences()
    assert len(audit.unbalanced_fills) == 1
    assert audit.ledger_sums["paper desk"] != 0
    assert {(d.figure, d.origin) for d in audit.differences} == {("realised", "ledger")}
    code, text = command()
    assert code == 1
    assert "ledger sum" in text
