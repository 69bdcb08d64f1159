"""Tells market data which instruments deployments have, and hears what lists change of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from django.db.models import F

from alphapanda.core.vocabulary import DeploymentStatus
from marketdata.users import Use, UseKind, listen, register
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
    """Have whoever folds a deployment of these instruments load it again, with the expiry and the tick of the list."""
    touched = Deployment.objects.filter(instruments__in=instrument_ids, status__in=ACTIVE).values("pk")
    Deployment.objects.filter(pk__in=touched).update(revision=F("revision") + 1)
