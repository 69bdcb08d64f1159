"""Checks of what every part stands on: database, migrations, outbox, dead letters."""

from __future__ import annotations

from datetime import datetime

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from alphapanda.eventlog.models import DeadLetter, OutboxEvent
from alphapanda.health.registry import Group, Status, check, fail, ok, warn

OUTBOX_AGE_WARN_S, OUTBOX_AGE_FAIL_S = 5.0, 60.0


def age_s(moment: datetime) -> float:
    """Seconds since a moment, by the wall clock."""
    return max((timezone.now() - moment).total_seconds(), 0.0)


@check("database", Group.READY)
def database() -> Status:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return ok("answers")


@check("migrations", Group.READY)
def migrations() -> Status:
    executor = MigrationExecutor(connection)
    waiting = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    return (
        fail(f"{waiting} not applied: run `manage.py migrate`", value=waiting) if waiting else ok("applied")
    )


@check("outbox", Group.QUEUE)
def outbox() -> Status:
    """Events that wait for the relay."""
    waiting = OutboxEvent.objects.filter(published_at=None)
    oldest = waiting.order_by("id").values_list("created_at", flat=True).first()
    if oldest is None:
        return ok("all published", value=0)
    age, count = age_s(oldest), waiting.count()
    words = f"{count} to publish"
    if age >= OUTBOX_AGE_FAIL_S:
        return fail(f"{words}; is the relay running?", age_s=age, value=count)
    return (warn if age >= OUTBOX_AGE_WARN_S else ok)(words, age_s=age, value=count)


@check("dead letters", Group.QUEUE)
def dead_letters() -> Status:
    """Messages that nobody has looked at yet."""
    count = DeadLetter.objects.filter(state=DeadLetter.State.NEW).count()
    return warn(f"{count} to look at in Admin, Dead letters", value=count) if count else ok("none", value=0)
