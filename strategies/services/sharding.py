"""Which shard folds which deployment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import transaction
from django.db.models import F

from alphapanda import env
from alphapanda.core.refusals import Conflict
from alphapanda.core.vocabulary import Side, Waiting
from alphapanda.eventlog import cursors
from strategies.domain.watches import Watch
from strategies.loading import consequences_of
from strategies.models import Deployment


class GroupSplit(Conflict):
    """Deployments that must be decided together read several partitions of the log."""


def consumer_of(shard: int) -> str:
    """The name under which a shard says how far it has come."""
    return f"strategies.{shard}"


def least_loaded_shard() -> int:
    """The shard with the fewest deployments, of several the first."""
    found = Counter(Deployment.objects.values_list("shard", flat=True))
    return min(range(settings.SHARDS), key=lambda shard: (found[shard], shard))


@transaction.atomic
def groups_assign(groups: Mapping[UUID, str], *, touched: Collection[UUID] = ()) -> int:
    """Write down who is decided with whom, and bring each group to one shard. Members of a group that has
    changed, or of which `touched` holds one, are loaded anew. Returns how many rows were written.
    Raises GroupSplit where the members of a group are on several partitions of the log."""
    rows = list(Deployment.objects.only("id", "name", "group", "shard", "partition").order_by("id"))
    wanted = {row.id: groups.get(row.id, "") for row in rows}
    changed = {group for row in rows if row.group != wanted[row.id] for group in (row.group, wanted[row.id])}
    changed |= {wanted[row.id] for row in rows if row.id in touched}
    there = {group for group in wanted.values() if group}
    shards = {group: _shard_of([row for row in rows if wanted[row.id] == group]) for group in changed & there}
    moving = [row for row in rows if wanted[row.id] in shards or row.group != wanted[row.id]]
    for row in moving:
        group = wanted[row.id]
        Deployment.objects.filter(id=row.id).update(
            group=group,
            shard=shards.get(group, row.shard),
            revision=F("revision") + 1,  # whoever folds it loads it anew, with what it must watch now
        )
    return len(moving)


def ladders_assign(laddered: Collection[UUID]) -> int:
    """Write down whose losses are looked at once a minute; how many changed. Who holds something now is looked at
    with its next item."""
    changed = 0
    for row in Deployment.objects.only("id", "is_laddered").order_by("id"):
        if row.is_laddered != (row.id in laddered):
            _ladder(row.id, is_laddered=row.id in laddered)
            changed += 1
    return changed


def _ladder(deployment_id: UUID, *, is_laddered: bool) -> None:
    row = Deployment.objects.select_for_update().defer("checkpoint").get(id=deployment_id)
    after = consequences_of(row)
    tokens = after.positions.keys() | after.working.keys()
    if (
        is_laddered and tokens and row.waiting == Waiting.NOTHING
    ):  # who waits is settled with the ladder anyway
        look = Watch(min(tokens), Side.BUY, row.at_ms, row.at_ms, None)
        after = msgspec.structs.replace(after, watches=(*after.watches, look), is_laddered=True)
        row.consequences = msgspec.to_builtins(after, str_keys=True)
    row.is_laddered = is_laddered
    row.revision += 1
    row.save(update_fields=["is_laddered", "consequences", "revision"])


def _shard_of(members: Sequence[Deployment]) -> int:
    """The shard of a group's first member. Raises GroupSplit."""
    partitions = {row.partition: row.name for row in members}
    if len(partitions) > 1:
        names = ", ".join(f"{name} reads partition {number}" for number, name in sorted(partitions.items()))
        raise GroupSplit(
            f"deployments that share a limit must read one partition of the log: {names}. Put their instruments"
            " on one partition, or give them limits of their own."
        )
    return members[0].shard


@transaction.atomic
def deployments_reshard() -> int:
    """Take deployments from shards that SHARDS no longer has, and nobody waits for those shards any more.
    Returns how many moved. No worker may run meanwhile."""
    cursors.forget(*map(consumer_of, range(settings.SHARDS, env.SHARDS_MAX)))
    moved = Deployment.objects.select_for_update().filter(shard__gte=settings.SHARDS).order_by("name")
    rows = list(moved.only("id", "shard", "group", "revision"))
    shards: dict[str, int] = {}
    for row in rows:
        row.shard = shards.get(row.group, least_loaded_shard())
        if row.group:
            shards[row.group] = row.shard
        row.revision += 1
        row.save(update_fields=["shard", "revision"])
    return len(rows)
