"""Doorbells of the books."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from django.utils import timezone

from alphapanda.eventlog import retries
from portfolio.services import postings_book


@shared_task(name="portfolio.book", queue="trading")
def book(*, deployment_ids: list[str], **_newer: Any) -> None:
    """Book what deployments have unbooked; arguments of newer senders are ignored."""
    retries.for_each(deployment_ids, lambda one: postings_book(deployment_id=one, now=timezone.now()))
