"""Reads of dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models.functions import Length

from alphapanda.eventlog.models import DeadLetter

if TYPE_CHECKING:
    from django.db.models import QuerySet


def dead_letters_listed() -> QuerySet[DeadLetter]:
    """Dead letters without their bodies, with the size of each."""
    return DeadLetter.objects.annotate(body_bytes=Length("body")).defer("body", "key")
