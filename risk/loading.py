"""Rows turned into domain values: limits in force, active kill switches, the books of a group."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date
from uuid import UUID

import msgspec
from django.db.models import Q, QuerySet

from alphapanda.core.vocabulary import Broker, HaltLevel, LimitLevel, Product
from alphapanda.prepared import ANYBODY, Prepared
from marketdata import selectors
from marketdata.domain.instruments import InstrumentSpec
from marketdata.models import Instrument
from portfolio import selectors as books
from portfolio.domain.books import Holding
from portfolio.models import Book
from risk.domain.context import Member, Outside, Terms, resting
from risk.domain.limits import Level, Place
from risk.domain.memory import DayState
from risk.domain.oversight import Change, Oversight
from risk.models import (
    AccountOutside,
    KillSwitch,
    LimitSet,
    LimitsInForce,
    LimitVersion,
    OversightChange,
    RiskState,
)
from strategies import loading as deployments
from strategies.models import Deployment


def halts_active(deployment: Deployment) -> list[KillSwitch]:
    """Kill switches that cover a deployment now, oldest first."""
    return _halts(deployment.broker, deployment.id)


def _covering(broker: str, deployment_id: UUID) -> QuerySet[KillSwitch]:
    covering = (
        Q(level=HaltLevel.GLOBAL)
        | Q(level=HaltLevel.BROKER, broker=broker)
        | Q(level=HaltLevel.DEPLOYMENT, deployment_id=deployment_id)
    )
    return KillSwitch.objects.filter(covering, released_at__isnull=True).order_by("thrown_at", "id")


_halts = Prepared(_covering, "anywhere", ANYBODY)


def halts_by_deployment(among: Iterable[Deployment]) -> dict[UUID, list[KillSwitch]]:
    """The same of several deployments."""
    active = KillSwitch.objects.filter(released_at__isnull=True).select_related("deployment")
    found = list(active.defer("deployment__checkpoint").order_by("thrown_at", "id"))
    return {row.id: [one for one in found if _covers(one, row)] for row in among}


def _covers(halt: KillSwitch, row: Deployment) -> bool:
    match HaltLevel(halt.level):
        case HaltLevel.GLOBAL:
            return True
        case HaltLevel.BROKER:
            return halt.broker == row.broker
        case HaltLevel.DEPLOYMENT:
            return halt.deployment_id == row.id


# ---- limits --------------------------------------------------------------------------------------------------


def levels() -> tuple[Level, ...]:
    """All limits, by the levels at which they stand."""
    return tuple(level for _, level in levels_by_id())


def levels_by_id() -> list[tuple[int, Level]]:
    """All limits with the keys of their rows."""
    rows = LimitSet.objects.select_related("portfolio", "deployment", "instrument")
    return [(row.pk, level_of(row)) for row in rows.defer("deployment__checkpoint").order_by("id")]


def level_of(row: LimitSet) -> Level:
    """One row of limits as the domain knows it."""
    named = row.portfolio or row.deployment or row.instrument
    return Level(
        level=LimitLevel(row.level),
        limits=row.limits,
        broker=row.broker,
        portfolio=str(row.portfolio_id or ""),
        deployment=row.deployment_id,
        instrument=str(row.instrument or ""),
        name=str(named) if named else row.broker,
    )


def places() -> tuple[Place, ...]:
    """Where every deployment stands, in the order of their ids."""
    portfolios = dict(Book.objects.values_list("deployment_id", "portfolio_id"))
    pairs = Deployment.instruments.through.objects.values_list(
        "deployment_id",
        "instrument__exchange",
        "instrument__tradingsymbol",
        "instrument__instrument_token",
    )
    traded: dict[UUID, dict[str, int]] = {}
    for deployment_id, exchange, symbol, token in pairs.order_by("instrument__instrument_token"):
        traded.setdefault(deployment_id, {})[f"{exchange}:{symbol}"] = token
    rows = Deployment.objects.values_list("id", "broker", "shadow_of_id")
    return tuple(
        Place(
            id=deployment_id,
            broker=broker,
            portfolio=str(portfolios.get(deployment_id, "")),
            instruments=traded.get(deployment_id, {}),
            is_shadow=original_id is not None,
        )
        for deployment_id, broker, original_id in rows.order_by("id")
    )


def terms_in_force(deployment_id: UUID) -> Terms | None:
    """What bounds a deployment now, as last written; None where nothing has been written yet."""
    rows = _in_force(deployment_id)
    return msgspec.convert(rows[0].version.terms, Terms, strict=False) if rows else None


_in_force = Prepared(
    lambda one: LimitsInForce.objects.select_related("version").filter(deployment_id=one), ANYBODY
)


def terms_by_deployment(ids: Iterable[UUID]) -> dict[UUID, Terms]:
    """The same of several deployments; without those of whom nothing has been written yet."""
    rows = LimitsInForce.objects.select_related("version").filter(deployment_id__in=list(ids))
    return {row.deployment_id: msgspec.convert(row.version.terms, Terms, strict=False) for row in rows}


# ---- the books of others -------------------------------------------------------------------------------------


def others_of(terms: Terms, deployment_id: UUID) -> dict[UUID, Member]:
    """The books of those with whom a deployment shares sums, as they stand."""
    return members_of(sharing(terms, deployment_id))


def sharing(terms: Terms, deployment_id: UUID) -> list[UUID]:
    """With whom a deployment shares sums."""
    return sorted(frozenset[UUID]().union(*(scope.members for scope in terms.scopes)) - {deployment_id})


def members_of(ids: Collection[UUID]) -> dict[UUID, Member]:
    """The books of deployments, as they stand."""
    if not ids:
        return {}
    days = memories_of(ids)
    holdings = books.holdings_by_book(ids)
    rows = Deployment.objects.filter(id__in=ids).only("id", "consequences", "execution")
    return {row.id: _member(row, holdings.get(row.id, {}), days.get(row.id, DayState())) for row in rows}


def _member(row: Deployment, holdings: dict[int, Holding], day: DayState) -> Member:
    after = deployments.consequences_of(row)
    return Member(
        holdings=holdings,
        working=after.working,
        orders=resting(after.orders),
        day=day,
        product=product_of(row),
    )


def outside_of(broker: str) -> tuple[Outside, ...]:
    """What the account of a broker holds that is in none of our books; of paper there is no such thing."""
    if broker == Broker.PAPER:
        return ()
    rows = _outside(broker)
    return msgspec.convert(rows[0].rows, tuple[Outside, ...]) if rows else ()


_outside = Prepared(lambda one: AccountOutside.objects.filter(broker=one), "any broker")


def product_of(deployment: Deployment) -> Product:
    """The product in which a deployment trades."""
    return Product(deployment.execution.get("product", Product.MIS))


def memory_of(deployment: Deployment) -> RiskState:
    """The row of what risk remembers of a deployment, made where there is none."""
    rows = _memory(deployment.id)
    return rows[0] if rows else RiskState.objects.get_or_create(deployment=deployment)[0]


_memory = Prepared(lambda one: RiskState.objects.filter(deployment_id=one), ANYBODY)


def oversights() -> dict[UUID, list[Change]]:
    """Under what every deployment was judged, from step to step, for a replay."""
    versions = {
        row.version: msgspec.convert(row.terms, Terms, strict=False) for row in LimitVersion.objects.all()
    }
    found: dict[UUID, list[Change]] = {}
    for row in OversightChange.objects.order_by("deployment_id", "from_step", "-is_look"):
        facts = {name: getattr(row, name) for name in Oversight.__struct_fields__}
        seen = msgspec.convert(facts, Oversight)
        change = Change(row.from_step, seen, row.is_look, versions.get(seen.limits))
        found.setdefault(row.deployment_id, []).append(change)
    return found


def memories_of(ids: Iterable[UUID]) -> dict[UUID, DayState]:
    """What risk remembers of deployments."""
    rows = RiskState.objects.filter(deployment_id__in=list(ids))
    return {row.deployment_id: msgspec.convert(row.data, DayState, strict=False) for row in rows}


def specs_of(ids: Iterable[UUID], *, on: date | None = None) -> dict[int, InstrumentSpec]:
    """The instruments of several deployments by token; as the rules of a day say, where one is given."""
    rows = Instrument.objects.filter(deployment__in=list(ids)).distinct()
    found = {row.instrument_token: selectors.spec(row) for row in rows}
    return {token: spec if on is None else spec.on(on) for token, spec in found.items()}


def specs_by_deployment(ids: Iterable[UUID]) -> dict[UUID, list[InstrumentSpec]]:
    """The instruments of several deployments, of each."""
    pairs = Deployment.instruments.through.objects.filter(deployment_id__in=list(ids))
    found: dict[UUID, list[InstrumentSpec]] = {}
    for pair in pairs.select_related("instrument"):
        found.setdefault(pair.deployment_id, []).append(selectors.spec(pair.instrument))
    return found


def is_exposed(deployment_id: UUID) -> bool:
    """Whether a deployment holds anything, or has orders at work."""
    if any(holding.quantity for holding in books.holdings_of(deployment_id).values()):
        return True
    return bool(deployments.consequences_of(Deployment.objects.get(id=deployment_id)).working)
