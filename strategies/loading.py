"""Rows turned into domain values: deployments as specs, signals as the domain knows them."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

import msgspec
from django.db import OperationalError, connection, transaction
from django.db.models import Exists, OuterRef, QuerySet
from psycopg.errors import LockNotAvailable

from alphapanda.core.refusals import Conflict
from alphapanda.core.vocabulary import (
    Broker,
    CommandKind,
    OrderType,
    Product,
    Side,
    SignalKind,
    SignalOrigin,
    Validity,
    Variety,
    Waiting,
)
from alphapanda.prepared import ANYBODY, Prepared
from marketdata import selectors
from marketdata.domain.instruments import InstrumentSpec
from marketdata.models import Instrument
from strategies.domain.base import Bracket, DeploymentSpec, Strategy, UnknownStrategy
from strategies.domain.codes import Code, hashed, loaded
from strategies.domain.consequences import Consequences
from strategies.domain.signals import CommandRow, Mark, ReportRow, SignalRow, Taken
from strategies.models import Command, Deployment, Report, Signal, StrategyVersion

ANY_SHARD = -1  # stands for a shard in SQL that is written once


def instruments_of(deployment_id: UUID) -> dict[int, Instrument]:
    """The instruments of a deployment by token, in the order of their tokens."""
    return {row.instrument_token: row for row in _instruments(deployment_id)}


_instruments = Prepared(
    lambda one: Instrument.objects.filter(deployment=one).order_by("instrument_token"), ANYBODY
)


def strategy_class_of(version: StrategyVersion) -> type[Strategy]:
    """The class of a version from the text stored with it. Raises UnknownStrategy, DoesNotLoad."""
    if hashed(version.source) != version.source_hash:
        raise UnknownStrategy(f"{version}: the stored text is not that of its hash")
    code = Code(version.file, version.source, version.origin, version.module)
    return loaded(code, version.strategy.name)


def spec_of(deployment: Deployment, instruments: Iterable[Instrument]) -> DeploymentSpec:
    """A deployment as data."""
    execution = dict(deployment.execution)
    return DeploymentSpec(
        id=deployment.id,
        name=deployment.name,
        strategy=deployment.strategy_version.strategy.name,
        params=deployment.params,
        instruments=tuple(map(selectors.spec, instruments)),
        broker=Broker(deployment.broker),
        product=Product(execution.pop("product", Product.MIS)),
        execution=execution,
        watched=watched_by(deployment),
    )


def watched_by(deployment: Deployment) -> tuple[InstrumentSpec, ...]:
    """The instruments of the others of its group, in the order of their tokens."""
    if not deployment.group:
        return ()
    others = Deployment.objects.filter(group=deployment.group).exclude(id=deployment.id)
    rows = Instrument.objects.filter(deployment__in=others).distinct().order_by("instrument_token")
    return tuple(map(selectors.spec, rows))


BUSY_WAIT = "200ms"  # longer than a step of a deployment takes


class DeploymentBusy(Conflict):
    """Somebody has locked a deployment's row for longer than its work takes."""


def locked(deployment_id: UUID) -> Deployment:
    """The deployment's row, locked, without its checkpoint: one writer at a time. Who only writes a row that names it,
    such as an alert or a command, does not wait."""
    found = _locked(deployment_id)
    if not found:
        raise Deployment.DoesNotExist(f"no deployment {deployment_id}")
    return found[0]


_locked = Prepared(
    lambda one: Deployment.objects.select_for_update(no_key=True).defer("checkpoint", "error").filter(id=one),
    ANYBODY,
)


def locked_soon(deployment_id: UUID) -> Deployment:
    """The same for whoever must not stand still with its worker. Raises DeploymentBusy."""
    if found := _locked_now(deployment_id):
        return found[0]
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [BUSY_WAIT])
            row = locked(deployment_id)
            cursor.execute("SET LOCAL lock_timeout TO DEFAULT")
            return row
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable):
            raise
        raise DeploymentBusy(f"the row of deployment {deployment_id} is locked") from None


_locked_now = Prepared(
    lambda one: (
        Deployment.objects.select_for_update(no_key=True, skip_locked=True)
        .defer("checkpoint", "error")
        .filter(id=one)
    ),
    ANYBODY,
)


def members_of(shard: int) -> list[Deployment]:
    """Of the deployments of a shard what its worker must know to go on; `is_commanded` where commands wait,
    `is_reported` where reports of a broker do."""
    return _members(shard)


def _with_commands(shard: int) -> QuerySet[Deployment]:
    rows = Deployment.objects.filter(shard=shard).only("id", "revision", "status", "waiting", "consequences")
    return rows.annotate(
        is_commanded=Exists(Command.objects.filter(deployment=OuterRef("id"), step=None)),
        is_reported=Exists(Report.objects.filter(deployment=OuterRef("id"), told_at=None)),
    )


_members = Prepared(_with_commands, ANY_SHARD)


def settled_of(shard: int) -> list[Deployment]:
    """The deployments of a shard that wait for nothing, with what their orders and books came to."""
    return _settled(shard)


_settled = Prepared(
    lambda shard: Deployment.objects.filter(shard=shard, waiting=Waiting.NOTHING).only(
        "id", "revision", "waiting", "consequences"
    ),
    ANY_SHARD,
)


def consequences_of(deployment: Deployment) -> Consequences:
    """What the deployment's orders and books came to when execution last settled it."""
    return msgspec.convert(deployment.consequences, Consequences, strict=False)


def signals_new(deployment_id: UUID) -> list[Signal]:
    """Undecided signals in the order in which they are to be judged."""
    return _signals_new(deployment_id)


_signals_new = Prepared(
    lambda one: (
        Signal.objects.filter(deployment_id=one, state=Signal.State.NEW)
        .select_related("instrument")
        .order_by("step", "ordinal")
    ),
    ANYBODY,
)


def commands_new(deployment_id: UUID) -> list[CommandRow]:
    """Commands that the deployment has not taken up, oldest first."""
    rows = Command.objects.filter(deployment_id=deployment_id, step=None)
    rows = rows.select_related("entry__instrument", "instrument")
    return [command_row(row) for row in rows.order_by("created_at", "id")]


def command_row(row: Command) -> CommandRow:
    """A stored command as the machine knows it."""
    entry = signal_row(row.entry) if row.entry else None
    taken = msgspec.convert(row.taken, Taken | None)
    name = str(row.instrument) if row.instrument else ""
    return CommandRow(
        row.id, CommandKind(row.kind), row.reason, entry, row.expires_at_ms, taken, name, row.order_id
    )


def reports_new(deployment_id: UUID) -> list[ReportRow]:
    """Reports of the broker that the deployment's machine has not heard of, oldest first."""
    rows = Report.objects.filter(deployment_id=deployment_id, told_at=None).order_by("number")
    return [ReportRow(*row) for row in rows.values_list("id", "step")]


def signal_row(signal: Signal) -> SignalRow:
    """A stored signal as the domain knows it."""
    return SignalRow(
        id=signal.id,
        deployment_id=signal.deployment_id,
        step=signal.step,
        ordinal=signal.ordinal,
        token=signal.instrument.instrument_token,
        instrument=str(signal.instrument),
        side=Side(signal.side),
        quantity=signal.quantity,
        order_type=OrderType(signal.order_type),
        limit_price_e4=signal.limit_price_e4,
        validity=Validity(signal.validity),
        product=Product(signal.product),
        reason=signal.reason,
        at_ms=signal.at_ms,
        received_at_ms=signal.received_at_ms,
        correlation_id=signal.correlation_id,
        marks=msgspec.convert(signal.marks, dict[int, Mark], strict=False),
        origin=SignalOrigin(signal.origin),
        bracket=msgspec.convert(signal.bracket, Bracket | None),
        kind=SignalKind(signal.kind),
        target=signal.target,
        replaces=signal.replaces,
        trigger_price_e4=signal.trigger_price_e4,
        validity_minutes=signal.validity_minutes,
        variety=Variety(signal.variety),
        disclosed_quantity=signal.disclosed_quantity,
        iceberg_legs=signal.iceberg_legs,
        tag=signal.tag,
        approves=signal.approves_id,
    )
