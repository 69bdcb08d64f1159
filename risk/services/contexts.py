"""All that risk looks at, read from the database as it stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from uuid import UUID

import msgspec

from alphapanda.core.vocabulary import DeploymentStatus, Phase
from marketdata.domain.instruments import InstrumentSpec
from portfolio import selectors as books
from risk import loading
from risk.domain.config import config_version
from risk.domain.context import Context, Terms, leaving, resting
from risk.domain.memory import DayState
from risk.reference import margin_tables
from risk.services.gates import Gates
from risk.services.terms import terms_of_deployment
from strategies import loading as deployments
from strategies.domain.signals import Mark
from strategies.models import Deployment


def context_of(
    deployment: Deployment,
    *,
    day: DayState,
    instruments: Mapping[int, InstrumentSpec],
    halts: tuple[str, ...],
    phases: Mapping[int, Phase],
    gates: Gates,
    on: date,
) -> Context:
    """The context of a decision of a deployment on a day; `instruments` (as of then) and `phases` are those of the
    signals."""
    terms = terms_of_deployment(deployment.id)
    after = deployments.consequences_of(deployment)
    others = loading.others_of(terms, deployment.id)
    return Context(
        limits=terms.limits,
        day=day,
        holdings=books.holdings_of(deployment.id),
        working=after.working,
        orders=resting(after.orders),
        leaving=leaving(after.orders),
        instruments=_instruments(deployment, instruments, terms, others, on),
        phases=phases,
        halts=halts,
        status=DeploymentStatus(deployment.status),
        may_queue=bool(deployment.execution.get("may_queue", False)),
        approval_s=int(deployment.execution.get("approval_s", 0)),
        by_token=terms.by_token,
        scopes=terms.scopes,
        others=others,
        outside=loading.outside_of(deployment.broker),
        guards=gates.guards,
        product=loading.product_of(deployment),
        margins=margin_tables(),
        version=terms.version,
        config=config_version(deployment.params, deployment.execution),
    )


def _instruments(
    deployment: Deployment,
    found: Mapping[int, InstrumentSpec],
    terms: Terms,
    others: Iterable[UUID],
    on: date,
) -> Mapping[int, InstrumentSpec]:
    """Those of the signals, and where exposure to an underlying or margin counts all that are held."""
    limits = (terms.limits, *(scope.limits for scope in terms.scopes))
    if any(one.underlying_exposure is not None or one.margin is not None for one in limits):
        return {**loading.specs_of([deployment.id, *others], on=on), **found}
    return found


class Checkpointed(msgspec.Struct):
    """Of a checkpoint what risk asks for: event time and last prices."""

    at_ms: int = 0
    marks: dict[int, Mark] = {}


def checkpointed(deployment: Deployment) -> Checkpointed:
    """The last prices that a deployment has stored."""
    raw = bytes(deployment.checkpoint)
    return msgspec.msgpack.decode(raw, type=Checkpointed) if raw else Checkpointed()
