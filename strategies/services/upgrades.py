"""Giving a deployment other code or other parameters at a step that is written down, and the versions to choose from.

A deployment keeps the code that it was made with, whatever becomes of its file, until somebody does this."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from accounts.services import act_record
from alphapanda.core.refusals import BadRequest, Conflict, NotThere
from marketdata.reference import load_calendars
from strategies import loading
from strategies.domain.base import BadParameters, Strategy, UnknownStrategy, build
from strategies.domain.history import renewed
from strategies.domain.machine import CheckpointDoesNotFit, Machine
from strategies.models import Deployment, StrategyVersion
from strategies.services import catalogue
from strategies.services.lifecycle import deployment_locked


class VersionNotFound(NotThere):
    """A strategy has no such version."""


class DoesNotFit(BadRequest):
    """The parameters do not fit the version, or it does not load."""


class MemoryDoesNotFit(Conflict):
    """What the deployment remembers is none of the new code's."""


def version_named(strategy: str, text: str) -> StrategyVersion:
    """A version by its text (of several the installed, else the newest) or by the first letters of its hash; without
    a text the installed one. Raises VersionNotFound, DoesNotFit."""
    if not text:
        try:
            return catalogue.version_installed(strategy)
        except UnknownStrategy as error:
            raise DoesNotFit(str(error)) from error
    catalogue.catalogue_refresh()
    rows = StrategyVersion.objects.filter(strategy__name=strategy).select_related("strategy")
    named = rows.filter(Q(version=text) | Q(source_hash__startswith=text)).order_by("-is_installed", "-id")
    found = named.first()
    if found is None:
        there_are = ", ".join(f"{row.version} ({row.source_hash[:8]})" for row in rows.defer("source"))
        raise VersionNotFound(f"{strategy} has no version {text}; there are: {there_are}")
    return found


def built(version: StrategyVersion, params: dict[str, Any], instruments: list[str]) -> Strategy:
    """A strategy of a version, checked. Raises DoesNotFit."""
    try:
        return build(loading.strategy_class_of(version), params, instruments=instruments)
    except (BadParameters, UnknownStrategy) as error:
        raise DoesNotFit(str(error)) from error


@transaction.atomic
def deployment_upgrade(
    *,
    deployment_id: UUID,
    actor: str,
    reason: str,
    now: datetime,
    ip: str | None = None,
    version: str = "",
    params: dict[str, Any] | None = None,
    is_fresh: bool = False,
) -> Deployment:
    """Let a deployment go on with another version of its strategy (without a text: the installed one) or with
    other parameters, from the step of its checkpoint on. Its strategy keeps its memory if the code is new and the
    parameters are not; else, or with `is_fresh`, it begins anew. Does nothing where nothing would change.
    Locks the row.

    Raises DeploymentNotFound, ReasonMissing, VersionNotFound, DoesNotFit, MemoryDoesNotFit.
    """
    row = deployment_locked(deployment_id, reason)
    before, params_before = row.strategy_version, row.params
    after = version_named(before.strategy.name, version)
    row.params = params_before if params is None else params
    if after == before and row.params == params_before and not is_fresh:
        return row
    strategy = built(after, row.params, [str(one) for one in row.instruments.all()])
    is_fresh = is_fresh or row.params != params_before
    row.strategy_version = after
    row.checkpoint = _checkpoint(row, strategy, is_fresh=is_fresh)
    row.revision += 1  # the fence: a worker that folds this deployment loads it again, at this step
    row.save(update_fields=["strategy_version", "params", "checkpoint", "revision"])
    details = {
        "step": row.step,
        "from": {"version": str(before), "hash": before.source_hash, "params": params_before},
        "to": {"version": str(after), "hash": after.source_hash, "params": row.params},
        "memory": "anew" if is_fresh else "kept",
    }
    act_record(
        actor=actor,
        action="deployment.upgrade",
        target=f"deployment:{row.name}",
        reason=reason,
        details=details,
        now=now,
        ip=ip,
    )
    return row


def _checkpoint(row: Deployment, strategy: Strategy, *, is_fresh: bool) -> bytes:
    """The checkpoint from which the new code goes on. Raises MemoryDoesNotFit."""
    stored = bytes(row.checkpoint)
    try:
        if is_fresh:
            return renewed(stored, strategy, is_flat=False)
        instruments = loading.instruments_of(row.id)
        spec = loading.spec_of(row, instruments.values())
        Machine(spec, strategy, load_calendars()).restore(stored)
    except CheckpointDoesNotFit as error:
        raise MemoryDoesNotFit(f"{error}; begin its memory anew (fresh) if that is meant") from error
    return stored
