"""Chores by the timetable of beat; each may run any number of times."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from alphapanda import logs
from alphapanda.eventlog import outbox
from alphapanda.research import stored
from portfolio.audit import books_differences

log = logs.channel("audit")


@shared_task(name="alphapanda.audit")
def audit(**_newer: object) -> None:
    """Rebuild all books from their fills and from the ledger; an error in the log where they do not add up."""
    found = books_differences()
    tell = log.info if found.adds_up else log.error
    tell(
        "portfolio.books.audited",
        books=found.books,
        fills=found.fills,
        differences=len(found.differences),
        unbalanced_fills=len(found.unbalanced_fills),
    )


@shared_task(name="alphapanda.prune")
def prune(**_newer: object) -> None:
    """Drop events that were published long ago."""
    outbox.prune(now=timezone.now())


@shared_task(name=stored.TASK)
def backtests(**_newer: object) -> None:
    """Carry out the stored backtests that wait, one after the other; put back those whose worker has died."""
    stored.requeue_silent(timezone.now())
    while stored.run_next():
        pass
