"""Rows of the journal and of the ways of alerts, and keys of the API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from accounts.models import ApiKey, User
from portfolio.models import Book, TradeNote, TradePicture
from tests.rows_alerts import alerting

NOTED_AT = datetime(2026, 11, 27, 5, tzinfo=UTC)
TRADE = UUID(int=7)


def others(book: Book) -> list[Any]:
    return [*_noted(book), *alerting()]


def _noted(book: Book) -> list[Any]:
    note = TradeNote.objects.create(
        trade_id=TRADE, book=book, tags=["drill"], changed_by="alice", changed_at=NOTED_AT
    )
    picture = TradePicture(id=TRADE, trade_id=TRADE, book=book, kind="png", width=1, height=1, size=1)
    picture.data, picture.added_by, picture.added_at = b"x", "alice", NOTED_AT
    picture.save(force_insert=True)
    return [note, picture]


def an_api_key(at: datetime) -> ApiKey:
    """Of the first person there is."""
    owner = User.objects.order_by("pk").first() or User.objects.create_user("keyholder")
    return ApiKey.objects.create(owner=owner, name="drill", digest="d", begins="apk_x", created_at=at)
