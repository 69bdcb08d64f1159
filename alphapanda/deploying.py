"""Deployments from definitions: what the admin, seeding, `parity` and `backtest` share. A definition is plain
JSON: name, strategy, params, instruments (EXCHANGE:SYMBOL), broker, execution, limits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from django.db import transaction

from accounts.services import act_record
from alphapanda.core import ids
from alphapanda.core.refusals import BadRequest
from alphapanda.core.strict_json import BadJson, decoded
from alphapanda.core.vocabulary import Broker, DeploymentStatus, LimitLevel, Product
from alphapanda.warming import History, from_table
from execution.domain.charges import NoChargeCard
from execution.domain.expiry import underlying_key
from execution.domain.settings import settings_of
from execution.reference import charge_cards
from marketdata import selectors
from marketdata.domain.instruments import LOT_NOT_TOLD, InstrumentSpec, NoSegment, is_lot_told, segment_of
from marketdata.domain.markets import INDICES
from marketdata.models import Instrument
from marketdata.reference import load_calendars
from portfolio import services as portfolios
from portfolio.models import Portfolio
from risk.domain.limits import given, written
from risk.models import LimitSet
from strategies.domain.base import DeploymentSpec, UnknownStrategy, build
from strategies.domain.machine import StrategyFailed, assembled
from strategies.domain.memory import NotStorable
from strategies.models import Deployment, StrategyVersion
from strategies.registry import find
from strategies.services.catalogue import version_installed
from strategies.services.sharding import least_loaded_shard

NAME_MAX = 80  # characters: the column of strategies.Deployment
SEEDS = Path(__file__).parent / "seeds" / "deployments.json"


class BadDefinition(BadRequest):
    """A definition of a deployment does not fit; the text says which and why."""


class Definition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A deployment as an operator writes it down."""

    name: str
    strategy: str
    instruments: tuple[str, ...]
    params: dict[str, Any] = {}
    broker: Broker = Broker.PAPER
    execution: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    product: Product = Product.MIS


def read(path: Path) -> list[Definition]:
    """The definitions of a file, checked. Raises BadDefinition."""
    try:
        definitions = decoded(path.read_bytes(), list[Definition])
    except (OSError, BadJson) as error:
        raise BadDefinition(f"{path}: {error}") from error
    for definition in definitions:
        check_name(definition.name)
        check(definition)
    names = [definition.name for definition in definitions]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise BadDefinition(f"{path}: {doubled[0]} is defined twice; every deployment has its own name")
    return definitions


def check_name(name: str) -> None:
    """Refuse what nobody could read or the database could not keep. Raises BadDefinition."""
    if not 0 < len(name) <= NAME_MAX or not name.isprintable() or name != name.strip():
        raise BadDefinition(
            f"name {name[:NAME_MAX]!r}: 1 to {NAME_MAX} printable characters, no blanks around them"
        )


def check(definition: Definition) -> None:
    """Refuse what the strategy, the paper exchange or risk would refuse later. Raises BadDefinition."""
    if not definition.instruments:
        raise BadDefinition(f"{definition.name}: instruments: name at least one, as NSE:INFY")
    if odd := [name for name in definition.instruments if not _is_named(name)]:
        raise BadDefinition(
            f"{definition.name}: instruments: {odd[0]!r} is no EXCHANGE:SYMBOL such as NSE:INFY"
        )
    doubled = sorted({name for name in definition.instruments if definition.instruments.count(name) > 1})
    if doubled:
        raise BadDefinition(f"{definition.name}: instruments: {doubled[0]} is named twice; once is enough")
    try:
        build(find(definition.strategy), definition.params, instruments=definition.instruments)
        settings_of(definition.execution, definition.broker)
        written(definition.limits)
    except (LookupError, ValueError) as error:
        raise BadDefinition(f"{definition.name}: {error}") from error


def _is_named(instrument: str) -> bool:
    exchange, _, symbol = instrument.partition(":")
    return bool(exchange and symbol) and instrument.isprintable()


def spec(
    definition: Definition,
    instrument_of: Callable[[str], InstrumentSpec],
    *,
    history: History | None = None,
) -> DeploymentSpec:
    """A definition as the engine wants it; `instrument_of` knows instruments by name, `history` the past bars
    for its strategy's warm-up."""
    plain = DeploymentSpec(
        id=ids.deployment_id(definition.name),
        name=definition.name,
        strategy=definition.strategy,
        params=definition.params,
        instruments=tuple(
            sorted(map(instrument_of, definition.instruments), key=lambda instrument: instrument.token)
        ),
        broker=definition.broker,
        product=definition.product,
        execution=definition.execution,
        limits=definition.limits,
    )
    if history is None:
        return plain
    strategy = build(find(plain.strategy), plain.params)
    return msgspec.structs.replace(plain, history=history(plain, strategy))


@transaction.atomic
def deploy(
    definitions: Sequence[Definition], *, portfolio_id: UUID, history: History | None = None
) -> list[Deployment]:
    """Deployments that run at once; those that are there already stay as they are. Raises as `create`."""
    there = Deployment.objects.in_bulk([ids.deployment_id(definition.name) for definition in definitions])
    return [
        there.get(ids.deployment_id(definition.name))
        or create(definition, portfolio_id=portfolio_id, status=DeploymentStatus.RUNNING, history=history)
        for definition in definitions
    ]


def differing(definitions: Iterable[Definition]) -> list[str]:
    """Names of deployments that are not what their definitions say, but for limits, which operators change."""
    wanted = {definition.name: definition for definition in definitions}
    stored = Deployment.objects.filter(name__in=wanted).prefetch_related("instruments")
    found = stored.select_related("strategy_version__strategy").order_by("name")
    return [deployment.name for deployment in found if not _is(deployment, wanted[deployment.name])]


def _is(deployment: Deployment, definition: Definition) -> bool:
    execution = {**definition.execution, "product": definition.product.value}
    return (
        deployment.strategy_version.strategy.name == definition.strategy
        and deployment.broker == definition.broker
        and (deployment.params, deployment.execution) == (definition.params, execution)
        and {str(instrument) for instrument in deployment.instruments.all()} == set(definition.instruments)
    )


@transaction.atomic
def create(
    definition: Definition, *, portfolio_id: UUID, status: DeploymentStatus, history: History | None = None
) -> Deployment:
    """The one way to make a deployment: with its instruments and their partition, the shard that has least to
    do, its limits, its book, and a first checkpoint that has seen the past bars.
    Raises BadDefinition, BrokerConflict, NoPast."""
    check_name(definition.name)
    version = _version(definition)
    check(definition)
    instruments = [_instrument(name) for name in definition.instruments]
    specs = [selectors.spec(instrument) for instrument in instruments]
    if all(one.segment == INDICES for one in specs):
        raise BadDefinition(
            f"{definition.name}: {specs[0].key} is an index and cannot be traded: name what is to be traded with it"
        )
    for one in specs:
        check_charges(definition, one, specs)
    deployment = Deployment.objects.create(
        id=ids.deployment_id(definition.name),
        name=definition.name,
        strategy_version=version,
        broker=definition.broker,
        params=definition.params,
        execution={**definition.execution, "product": definition.product.value},
        status=status,
        shard=least_loaded_shard(),
        partition=_partition(definition.name, instruments),
        checkpoint=_warmed_up(definition, instruments, history) if history else b"",
    )
    deployment.instruments.set(instruments)
    _limit(deployment, definition.limits)
    portfolios.book_open(
        deployment_id=deployment.id,
        portfolio_id=portfolio_id,
        broker=definition.broker,
        name=definition.name,
    )
    return deployment


@transaction.atomic
def create_by(
    definition: Definition,
    *,
    portfolio: str,
    actor: str,
    reason: str,
    now: datetime,
    ip: str | None = None,
    warm_up_until_ms: int | None = None,
) -> Deployment:
    """Make a deployment that is stopped, in a portfolio by its name, warmed up with the stored bars before a time,
    with an audit entry. Raises BadDefinition, BrokerConflict, NoPast."""
    found = Portfolio.objects.filter(name=portfolio).first()
    if found is None:
        raise BadDefinition(f"{definition.name}: there is no portfolio named {portfolio!r}")
    if Deployment.objects.filter(name=definition.name).exists():
        raise BadDefinition(f"{definition.name}: there is a deployment of that name already")
    history = None if warm_up_until_ms is None else from_table(warm_up_until_ms)
    made = create(definition, portfolio_id=found.pk, status=DeploymentStatus.STOPPED, history=history)
    act_record(
        actor=actor,
        action="deployment.add",
        target=f"deployment:{made.name}",
        reason=reason,
        details=msgspec.to_builtins(definition) | {"warm_up_until_ms": warm_up_until_ms},
        now=now,
        ip=ip,
    )
    return made


def _warmed_up(definition: Definition, instruments: list[Instrument], history: History) -> bytes:
    """The checkpoint of a machine that has seen the past, and nothing else."""
    known = {str(instrument): selectors.spec(instrument) for instrument in instruments}
    try:
        plan = spec(definition, known.__getitem__, history=history)
        return assembled(plan, find(definition.strategy), load_calendars()).checkpoint()
    except (StrategyFailed, NotStorable) as error:
        raise BadDefinition(f"{definition.name}: its warm-up failed: {error}") from error


def _version(definition: Definition) -> StrategyVersion:
    """The installed code, tried in a process of its own before this one imports it."""
    try:
        return version_installed(definition.strategy)
    except UnknownStrategy as error:
        raise BadDefinition(f"{definition.name}: {error}") from error


def check_charges(
    definition: Definition, instrument: InstrumentSpec, others: Iterable[InstrumentSpec] = ()
) -> None:
    """What cannot be charged cannot be booked: refuse it before it trades. An index never trades: it is there to be
    watched, and for what settles on it; so is a share beside a contract on it (`others` has all instruments) with the
    product of contracts, and orders in it are refused. Raises BadDefinition."""
    if instrument.segment == INDICES or _is_watched(definition.product, instrument, others):
        return
    key = instrument.key
    try:
        segment = segment_of(instrument.exchange, instrument.instrument_type)
        latest = charge_cards().cards[-1]
        latest.rates_for(exchange=instrument.exchange, product=definition.product, segment=segment)
    except (NoChargeCard, NoSegment) as error:
        raise BadDefinition(f"{definition.name}: {key}: {error}") from error
    if not is_lot_told(instrument.exchange, instrument.instrument_type, instrument.lot_size):
        raise BadDefinition(f"{definition.name}: {key}: {LOT_NOT_TOLD}")


def _is_watched(product: Product, instrument: InstrumentSpec, others: Iterable[InstrumentSpec]) -> bool:
    is_share = instrument.instrument_type == "EQ" and product is Product.NRML
    return is_share and any(one.underlying and underlying_key(one) == instrument.key for one in others)


def _partition(name: str, instruments: list[Instrument]) -> int:
    partitions = {instrument.partition for instrument in instruments}
    if len(partitions) != 1:
        raise BadDefinition(f"{name}: its instruments must be on one partition of the log")
    return partitions.pop()


def _limit(deployment: Deployment, limits: dict[str, Any]) -> None:
    if limits:
        values = given(written(limits))
        lists = {name: list(value) for name, value in values.items() if isinstance(value, tuple)}
        LimitSet.objects.create(level=LimitLevel.DEPLOYMENT, deployment=deployment, **values | lists)


def _instrument(name: str) -> Instrument:
    exchange, _, symbol = name.partition(":")
    try:
        return Instrument.objects.get(exchange=exchange, tradingsymbol=symbol)
    except Instrument.DoesNotExist:
        raise BadDefinition(
            f"no instrument {name}: load its list with `manage.py load_instruments`"
        ) from None


def portfolio_of(broker: Broker, *, starting_cash: Decimal) -> UUID:
    """The one seeded portfolio of a broker namespace."""
    name = f"{broker.value.title()} portfolio"
    return portfolios.portfolio_create(name=name, broker=broker, starting_cash=starting_cash).id


def to_json(definitions: Iterable[Definition]) -> str:
    """Definitions as a file that `read` takes."""
    return json.dumps(msgspec.to_builtins(list(definitions)), indent=2)
