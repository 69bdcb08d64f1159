"""What an operator does with a dead letter (stand-in for the event log's own)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from alphapanda.core.refusals import Conflict
from alphapanda.eventlog.models import DeadLetter

if TYPE_CHECKING:
    from datetime import datetime


class DeadLetterSettled(Conflict):
    """A dead letter was sent again or given up before."""


def redrive(*, dead_letter_id: int, now: datetime) -> None:
    """Send a dead letter again. Raises DeadLetterSettled."""
    raise DeadLetterSettled(f"Dead letter {dead_letter_id} cannot be sent again at {now:%H:%M} yet.")


@transaction.atomic
def discard(*, dead_letter_id: int, now: datetime) -> None:
    """Give a dead letter up. Raises DeadLetterSettled."""
    letter = DeadLetter.objects.select_for_update().get(pk=dead_letter_id)
    if letter.state != DeadLetter.State.NEW:
        raise DeadLetterSettled(f"Dead letter {dead_letter_id} is {letter.state}.")
    letter.state, letter.settled_at = DeadLetter.State.DISCARDED, now
    letter.save(update_fields=["state", "settled_at"])
