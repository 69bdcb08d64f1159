"""Limits, decisions, kill switches."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.apps import AppConfig
from django.db.models.signals import m2m_changed, post_delete, post_save


class RiskConfig(AppConfig):
    name = "risk"
    verbose_name = "Risk"

    def ready(self) -> None:
        """Whoever changes a limit, or what a deployment trades, changes what is in force in the same transaction."""
        from portfolio.models import Book
        from risk.models import LimitSet
        from strategies.models import Deployment

        for sender in (LimitSet, Book):
            post_save.connect(_changed, sender=sender, dispatch_uid=f"risk.{sender.__name__}.saved")
            post_delete.connect(_changed, sender=sender, dispatch_uid=f"risk.{sender.__name__}.deleted")
        through = Deployment.instruments.through
        m2m_changed.connect(_traded, sender=through, dispatch_uid="risk.Deployment.instruments")


def _changed(*, update_fields: frozenset[str] | None = None, **_given: Any) -> None:
    if update_fields is None:  # a book saves its cash at every fill
        _refresh()


def _traded(*, action: str, instance: Any, reverse: bool, **_given: Any) -> None:
    if action.startswith("post_"):
        _refresh(() if reverse else (instance.pk,))


def _refresh(touched: tuple[UUID, ...] = ()) -> None:
    from risk.services.terms import terms_refresh

    terms_refresh(touched=touched)
