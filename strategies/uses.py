"""Tells market data which instruments deployments have, and hears what lists change of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from uuid import UUID

import msgspec
from django.db import transaction
from django.db.models import Q

from alphapanda.core.vocabulary import DeploymentStatus
from marketdata.users import Use, UseKind, listen, register
from strategies.loading import consequences_of, instruments_of, locked
from strategies.models import Deployment
from strategies.services.runner import ACTIVE


@register
def of_deployments(instrument_ids: Collection[int] | None) -> Iterator[Use]:
    """The instruments of every deployment that has not been stopped."""
    links = Deployment.instruments.through.objects.exclude(deployment__status=DeploymentStatus.STOPPED)
    if instrument_ids is not None:
        links = links.filter(instrument_id__in=instrument_ids)
    columns = ("deployment_id", "deployment__name", "instrument_id", "deployment__status")
    for one, name, instrument_id, status in links.order_by("deployment__name").values_list(*columns):
        yield Use(UseKind.DEPLOYMENT, str(one), name, instrument_id, status in ACTIVE)


@listen
def load_anew(instrument_ids: Collection[int]) -> None:
    """Have whoever folds a deployment of these instruments, or watches their prices for its group, load it again,
    with the expiry, the tick and the tokens of the list."""
    touched = Deployment.objects.filter(instruments__in=instrument_ids)
    groups = touched.exclude(group="").values("group")
    every = Deployment.objects.filter(Q(pk__in=touched.values("pk")) | Q(group__in=groups))
    for deployment_id in every.order_by("pk").values_list("pk", flat=True):
        _renew(deployment_id)


@transaction.atomic
def _renew(deployment_id: UUID) -> None:
    row = locked(deployment_id)
    tokens = {str(one): token for token, one in instruments_of(deployment_id).items()}
    after = consequences_of(row).under(tokens)
    row.consequences = msgspec.to_builtins(after, str_keys=True)
    row.revision += 1
    row.save(update_fields=["consequences", "revision"])
