"""Which shard folds which deployment."""

from __future__ import annotations

from collections import Counter

from django.conf import settings
from django.db import transaction

from alphapanda import env
from alphapanda.eventlog import cursors
from strategies.models import Deployment


def consumer_of(shard: int) -> str:
    """The name under which a shard says how far it has come."""
    return f"strategies.{shard}"


def least_loaded_shard() -> int:
    """The shard with the fewest deployments, of several the first."""
    found = Counter(Deployment.objects.values_list("shard", flat=True))
    return min(range(settings.SHARDS), key=lambda shard: (found[shard], shard))


@transaction.atomic
def deployments_reshard() -> int:
    """Take deployments from shards that SHARDS no longer has, and nobody waits for those shards any more.
    Returns how many moved. No worker may run meanwhile."""
    cursors.forget(*map(consumer_of, range(settings.SHARDS, env.SHARDS_MAX)))
    moved = Deployment.objects.select_for_update().filter(shard__gte=settings.SHARDS).order_by("name")
    rows = list(moved.only("id", "shard", "revision"))
    for row in rows:
        row.shard = least_loaded_shard()
        row.revision += 1
        row.save(update_fields=["shard", "revision"])
    return len(rows)
