"""All that risk looks at, read from the database as it stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID

import msgspec

from alphapanda.core.vocabulary import DeploymentStatus, Phase
from marketdata.domain.instruments import InstrumentSpec
from portfolio import selectors as books
from portfolio.domain.books import Holding
from risk import loading
from risk.domain.config import config_version
from risk.domain.context import Context, Member, Outside, Terms, leaving, resting
from risk.domain.memory import DayState
from risk.reference import margin_tables
from risk.services.gates import Gates
from risk.services.terms import terms_of_deployment
from strategies import loading as deployments
from strategies.domain.signals import Mark
from strategies.models import Deployment


class Surroundings(NamedTuple):
    """What stands around the decisions of a deployment: what bounds it, the books of those with whom it shares sums,
    its own, what its account holds besides, and the instruments of them all; None: they are read where they count."""

    terms: Terms
    others: Mapping[UUID, Member]
    holdings: Mapping[int, Holding]
    outside: tuple[Outside, ...]
    listed: Sequence[InstrumentSpec] | None = None


def context_of(
    deployment: Deployment,
    *,
    day: DayState,
    instruments: Mapping[int, InstrumentSpec],
    halts: tuple[str, ...],
    phases: Mapping[int, Phase],
    gates: Gates,
    on: date,
    ended: frozenset[int] = frozenset(),
    surroundings: Surroundings | None = None,
) -> Context:
    """The context of a decision of a deployment on a day; `instruments` (as of then), `phases` and `ended` are those of
    the signals. `surroundings`: where they have been read already."""
    terms, others, holdings, outside, _ = own = surroundings or _surroundings_of(deployment)
    after = deployments.consequences_of(deployment)
    return Context(
        limits=terms.limits,
        day=day,
        holdings=holdings,
        working=after.working,
        orders=resting(after.orders),
        leaving=leaving(after.orders),
        instruments=_instruments(deployment, instruments, own, on),
        phases=phases,
        ended=ended,
        halts=halts,
        status=DeploymentStatus(deployment.status),
        may_queue=bool(deployment.execution.get("may_queue", False)),
        approval_s=int(deployment.execution.get("approval_s", 0)),
        by_token=terms.by_token,
        scopes=terms.scopes,
        others=others,
        outside=outside,
        guards=gates.guards,
        product=loading.product_of(deployment),
        margins=margin_tables(),
        version=terms.version,
        config=config_version(deployment.params, deployment.execution),
    )


def _surroundings_of(deployment: Deployment) -> Surroundings:
    terms = terms_of_deployment(deployment.id)
    return Surroundings(
        terms,
        loading.others_of(terms, deployment.id),
        books.holdings_of(deployment.id),
        loading.outside_of(deployment.broker),
    )


def surroundings_of(among: Iterable[Deployment]) -> dict[UUID, Surroundings]:
    """The same of several deployments, in as many queries as for one."""
    rows = {row.id: row for row in among}
    known = loading.terms_by_deployment(rows)
    terms = {one: known.get(one) or terms_of_deployment(one) for one in rows}
    shared = {one: loading.sharing(terms[one], one) for one in rows}
    every = set(rows).union(*shared.values())
    members, holdings = loading.members_of(every), books.holdings_by_book(rows)
    listed = loading.specs_by_deployment(every)
    outside = {broker: loading.outside_of(broker) for broker in {row.broker for row in rows.values()}}
    return {
        one: Surroundings(
            terms[one],
            {other: members[other] for other in shared[one] if other in members},
            holdings.get(one, {}),
            outside[row.broker],
            [spec for who in (one, *shared[one]) for spec in listed.get(who, ())],
        )
        for one, row in rows.items()
    }


def _instruments(
    deployment: Deployment, found: Mapping[int, InstrumentSpec], own: Surroundings, on: date
) -> Mapping[int, InstrumentSpec]:
    """Those of the signals, and where exposure to an underlying or margin counts all that are held."""
    limits = (own.terms.limits, *(scope.limits for scope in own.terms.scopes))
    if all(one.underlying_exposure is None and one.margin is None for one in limits):
        return found
    if own.listed is None:
        return {**loading.specs_of([deployment.id, *own.others], on=on), **found}
    return {spec.token: spec.on(on) for spec in own.listed} | found


class Checkpointed(msgspec.Struct):
    """Of a checkpoint what risk asks for: event time and last prices."""

    at_ms: int = 0
    marks: dict[int, Mark] = {}


def checkpointed(deployment: Deployment) -> Checkpointed:
    """The last prices that a deployment has stored."""
    raw = bytes(deployment.checkpoint)
    return msgspec.msgpack.decode(raw, type=Checkpointed) if raw else Checkpointed()
