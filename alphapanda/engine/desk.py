"""Accounts in memory that share limits: each sees the books of the others as they stand at its place of the log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any
from uuid import UUID

import msgspec

from alphapanda.core.vocabulary import Broker, LimitLevel
from alphapanda.engine.account import Account
from alphapanda.engine.live_account import LiveAccount, LiveReport
from execution.domain.charges import Cards
from marketdata.domain.calendar import MarketHours
from marketdata.domain.instruments import InstrumentSpec
from risk.domain.context import terms_of
from risk.domain.coupling import groups
from risk.domain.limits import Level, Limits, Place
from risk.domain.oversight import Changes
from strategies.domain.base import DeploymentSpec
from strategies.domain.signals import CommandRow


class Desk:
    """The accounts of several deployments, in the order of their specs. Whoever drives them hands each item to all
    of them by deployment id, so that decisions of a group are made in the order of the log."""

    def __init__(
        self,
        specs: Sequence[DeploymentSpec],
        *,
        calendar: MarketHours,
        cards: Cards,
        levels: Sequence[Level] = (),
        commands: Mapping[UUID, Mapping[int, CommandRow]] | None = None,
        oversights: Mapping[UUID, Changes] | None = None,
        reports: Mapping[UUID, Mapping[int, LiveReport]] | None = None,
    ) -> None:
        """`levels` are limits besides those that the specs carry themselves."""
        every = (*levels, *(_own(spec) for spec in specs if spec.limits))
        places = tuple(place_of(spec) for spec in sorted(specs, key=lambda spec: spec.id))
        coupled = groups(every, places)
        by_id = {place.id: place for place in places}
        self.accounts = [
            _account(
                msgspec.structs.replace(spec, watched=_watched(spec, specs, coupled)),
                calendar=calendar,
                cards=cards,
                commands=(commands or {}).get(spec.id),
                reports=(reports or {}).get(spec.id),
                oversights=(oversights or {}).get(spec.id, ()),
                terms=terms_of(every, by_id[spec.id], places),
            )
            for spec in specs
        ]
        members = {account.spec.id: account for account in self.accounts}
        for account in self.accounts:
            later = [change.terms.scopes for change in account.oversights if change.terms is not None]
            scopes = chain(account.terms.scopes, *later)
            shared = frozenset[UUID]().union(*(scope.members for scope in scopes))
            account.others = [members[one] for one in sorted((shared & members.keys()) - {account.spec.id})]
            account.is_coupled = bool(coupled[account.spec.id])


def _account(spec: DeploymentSpec, *, reports: Mapping[int, LiveReport] | None, **more: Any) -> Account:
    """By broker: on paper orders are matched here, elsewhere reports tell of them."""
    if spec.broker is Broker.PAPER:
        return Account(spec, **more)
    return LiveAccount(spec, reports=reports, **more)


def _own(spec: DeploymentSpec) -> Level:
    limits = msgspec.convert(spec.limits, Limits, strict=False)
    return Level(LimitLevel.DEPLOYMENT, limits, deployment=spec.id, name=spec.name)


def place_of(spec: DeploymentSpec) -> Place:
    """Where a deployment stands, for limits."""
    tokens = {instrument.key: instrument.token for instrument in spec.instruments}
    return Place(id=spec.id, broker=spec.broker.value, portfolio=spec.portfolio, instruments=tokens)


def _watched(
    spec: DeploymentSpec, specs: Iterable[DeploymentSpec], coupled: dict[UUID, str]
) -> tuple[InstrumentSpec, ...]:
    """The instruments of the others of its group, in the order of their tokens."""
    group = coupled[spec.id]
    mates = [other for other in specs if group and other.id != spec.id and coupled[other.id] == group]
    found = {instrument.token: instrument for mate in mates for instrument in mate.instruments}
    return tuple(found[token] for token in sorted(found))
