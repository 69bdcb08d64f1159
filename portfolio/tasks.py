"""Doorbells of the books."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from celery import shared_task
from django.utils import timezone

from portfolio.services import postings_book


@shared_task(name="portfolio.book", queue="trading")
def book(*, deployment_ids: list[str], **_newer: Any) -> None:
    """Book what deployments have unbooked; arguments of newer senders are ignored."""
    for deployment_id in deployment_ids:
        postings_book(deployment_id=UUID(deployment_id), now=timezone.now())
