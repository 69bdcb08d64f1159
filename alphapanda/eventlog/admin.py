"""Outbox, dead letters and cursors in the admin."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib import admin

from alphapanda.eventlog import dead_letters
from alphapanda.eventlog.models import DeadLetter, LogCursor, OutboxEvent
from alphapanda.web.admin import ReadOnlyDesk

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from django.db.models import QuerySet
    from django.http import HttpRequest

ADMIN = "in the admin"


@admin.register(OutboxEvent)
class OutboxEventAdmin(ReadOnlyDesk):
    list_display = ("id", "type", "broker", "topic", "key", "created_at", "published_at")
    list_filter = ("type", "broker", ("published_at", admin.EmptyFieldListFilter))
    search_fields = ("=event_id", "=correlation_id", "=causation_id", "key")
    date_hierarchy = "created_at"
    ordering = ("-id",)


@admin.register(LogCursor)
class LogCursorAdmin(ReadOnlyDesk):
    list_display = ("consumer", "topic", "partition", "offset", "seq", "incarnation", "updated_at")
    list_filter = ("consumer", "topic")
    ordering = ("consumer", "topic", "partition")


@admin.register(DeadLetter)
class DeadLetterAdmin(ReadOnlyDesk):
    list_display = (
        "failed_at",
        "topic",
        "partition",
        "offset",
        "consumer",
        "reason",
        "error",
        "state",
        "redrive_count",
    )
    list_filter = ("state", "topic", "consumer", "reason")
    search_fields = ("error", "reason")
    date_hierarchy = "failed_at"
    ordering = ("-id",)
    actions = ("redrive", "discard")

    @admin.action(description="Send again", permissions=["act"])
    def redrive(self, request: HttpRequest, letters: QuerySet[DeadLetter]) -> None:
        self._settle(request, letters, self._redrive, "redrive")

    @admin.action(description="Discard", permissions=["act"])
    def discard(self, request: HttpRequest, letters: QuerySet[DeadLetter]) -> None:
        self._settle(request, letters, self._discard, "discard")

    def _settle(
        self, request: HttpRequest, letters: QuerySet[DeadLetter], service: Callable[..., Any], verb: str
    ) -> None:
        audited = partial(self._audited, request, service, verb)
        self.act_on(request, letters, audited, key="dead_letter_id")

    def _audited(
        self,
        request: HttpRequest,
        service: Callable[..., Any],
        verb: str,
        *,
        dead_letter_id: int,
        now: datetime,
    ) -> None:
        service(dead_letter_id, actor=request.user.get_username(), now=now)
        self.admin_site.record(
            request,
            action=f"deadletter.{verb}",
            target=f"deadletter:{dead_letter_id}",
            details={},
            now=now,
        )

    @staticmethod
    def _redrive(dead_letter_id: int, *, actor: str, now: datetime) -> None:
        dead_letters.redrive([dead_letter_id], actor=actor, now=now, reason=ADMIN)

    @staticmethod
    def _discard(dead_letter_id: int, *, actor: str, now: datetime) -> None:
        dead_letters.discard([dead_letter_id], actor=actor, now=now, reason=ADMIN)
