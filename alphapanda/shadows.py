"""Shadows: another version or other parameters decide beside a running deployment, on the same items of the log, on
paper and with a book of their own; and how their decisions differ. A shadow never trades with a real broker: its
row cannot be of one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from django.db import transaction

from accounts.services import act_record
from alphapanda.core import ids
from alphapanda.core.clock import ist_text
from alphapanda.core.money import ZERO, to_rupees
from alphapanda.core.refusals import Conflict, NotThere
from alphapanda.core.vocabulary import Broker, DeploymentStatus, HaltLevel, Side, SignalKind
from alphapanda.deploying import NAME_MAX, check_name
from execution.domain.settings import as_paper
from execution.models import Fill
from portfolio import services as portfolios
from risk.models import LimitSet
from strategies.domain.history import renewed
from strategies.domain.machine import CheckpointDoesNotFit
from strategies.domain.memory import State
from strategies.models import Deployment, Signal
from strategies.services.lifecycle import deployment_locked
from strategies.services.sharding import least_loaded_shard
from strategies.services.upgrades import built, version_named

PORTFOLIO = "Shadows"
SUFFIX = " (shadow)"
SAME, ONLY_HERE, ONLY_THERE, OTHER = "same", "only here", "only there", "other"
# all that a wish is, but for its reason and the order that it is about, whose id is of one alone
WISH = (
    "kind", "side", "quantity", "order_type", "limit_price_e4", "trigger_price_e4", "validity", "validity_minutes",
    "variety", "disclosed_quantity", "iceberg_legs", "tag", "bracket",
)  # fmt: skip


class ShadowExists(Conflict):
    """There is a deployment of that name."""


class NoShadow(NotThere):
    """A deployment is no shadow and has none, or several."""


class CannotBeShadowed(Conflict):
    """A shadow has no shadow, and one whose checkpoint cannot be read has none either."""


class Difference(msgspec.Struct, frozen=True):
    """What the original (here) and its shadow (there) wanted of an instrument at one item of the log."""

    at_ms: int
    instrument: str
    verdict: str
    here: list[str]
    there: list[str]
    step_here: int | None
    step_there: int | None


class Comparison(msgspec.Struct, frozen=True):
    """All differences since the shadow began, as far as both have come, and the rupees that each has made since."""

    original: str
    shadow: str
    since: str
    until: str
    counts: dict[str, int]
    profit_here: Decimal
    profit_there: Decimal
    differences: list[Difference]

    @property
    def profit_difference(self) -> Decimal:
        """What the shadow has made more."""
        return self.profit_there - self.profit_here


@transaction.atomic
def shadow_create(
    *,
    deployment_id: UUID,
    actor: str,
    reason: str,
    now: datetime,
    ip: str | None = None,
    version: str = "",
    params: dict[str, Any] | None = None,
    name: str = "",
) -> Deployment:
    """A shadow that goes on where its original stands: with the same open bars and gates, without a position and
    without a memory. Locks the original's row, changes nothing of it.

    Raises DeploymentNotFound, ReasonMissing, BadDefinition, VersionNotFound, DoesNotFit, ShadowExists,
    CannotBeShadowed.
    """
    original = deployment_locked(deployment_id, reason)
    if original.shadow_of_id is not None:
        raise CannotBeShadowed(f"{original.name} is a shadow itself.")
    name = name or f"{original.name[: NAME_MAX - len(SUFFIX)]}{SUFFIX}"
    check_name(name)
    if Deployment.objects.filter(name=name).exists():
        raise ShadowExists(f"There is a deployment named {name!r} already.")
    found = version_named(original.strategy_version.strategy.name, version)
    instruments = list(original.instruments.all())
    params = original.params if params is None else params
    strategy = built(found, params, [str(one) for one in instruments])
    try:
        checkpoint = renewed(bytes(original.checkpoint), strategy, is_flat=True)
        start = _start(original)
    except CheckpointDoesNotFit as error:
        raise CannotBeShadowed(str(error)) from error
    shadow = Deployment.objects.create(
        id=ids.deployment_id(name),
        name=name,
        strategy_version=found,
        broker=Broker.PAPER,
        params=params,
        execution=as_paper(original.execution),
        status=DeploymentStatus.RUNNING,
        shadow_of=original,
        shadow_start=start,
        shard=least_loaded_shard(),
        checkpoint=checkpoint,
        **{column: getattr(original, column) for column in _PLACE},
    )
    shadow.instruments.set(instruments)
    _equip(original, shadow)
    details = {"original": original.name, "version": str(found), "params": params, "step": original.step}
    act_record(
        actor=actor,
        action="deployment.shadow",
        target=f"deployment:{name}",
        reason=reason,
        details=details,
        now=now,
        ip=ip,
    )
    return shadow


_PLACE = ("partition", "incarnation", "offset", "index", "source", "seq", "step", "at_ms")


def _equip(original: Deployment, shadow: Deployment) -> None:
    """The limits of the original, and a book apart from those that count."""
    for limits in LimitSet.objects.filter(level=HaltLevel.DEPLOYMENT, deployment=original):
        limits.pk, limits.deployment = None, shadow
        limits._state.adding = True
        limits.save()
    portfolio = portfolios.portfolio_create(name=PORTFOLIO, broker=Broker.PAPER)
    portfolios.book_open(
        deployment_id=shadow.id, portfolio_id=portfolio.id, broker=Broker.PAPER, name=shadow.name
    )


def _start(original: Deployment) -> dict[str, Any]:
    return {"step": original.step, "at_ms": original.at_ms, "marks": _marks(original)}


def _marks(deployment: Deployment) -> dict[str, int]:
    """Last prices by EXCHANGE:TRADINGSYMBOL as its checkpoint has them. Raises CheckpointDoesNotFit."""
    stored = bytes(deployment.checkpoint)
    try:
        state = msgspec.msgpack.decode(stored, type=State) if stored else State()
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CheckpointDoesNotFit(f"the checkpoint of {deployment.name} cannot be read: {error}") from error
    return {state.names[token]: mark.price_e4 for token, mark in state.marks.items()}


def shadow_of(name: str) -> Deployment:
    """A shadow by its own name or by that of an original with one shadow. Raises NoShadow."""
    rows = Deployment.objects.select_related("shadow_of")
    found = rows.filter(name=name, shadow_of__isnull=False).first()
    if found is not None:
        return found
    shadows = list(rows.filter(shadow_of__name=name).order_by("name"))
    if len(shadows) == 1:
        return shadows[0]
    there_are = f"; it has {', '.join(repr(one.name) for one in shadows)}: name one" if shadows else ""
    raise NoShadow(f"{name!r} is no shadow and has {'several' if shadows else 'none'}{there_are}")


def shadow_compare(name: str) -> Comparison:
    """How a shadow has decided otherwise than its original. Raises NoShadow."""
    shadow = shadow_of(name)
    original = shadow.shadow_of
    assert original is not None
    start = shadow.shadow_start
    until_ms = min(original.at_ms, shadow.at_ms)
    differences = _differences(original, shadow, start["step"], until_ms)
    marks = _marks(original)
    return Comparison(
        original=original.name,
        shadow=shadow.name,
        since=ist_text(start["at_ms"]),
        until=ist_text(until_ms),
        counts={SAME: 0, ONLY_HERE: 0, ONLY_THERE: 0, OTHER: 0}
        | Counter(difference.verdict for difference in differences),
        profit_here=_profit(original, start, marks, until_ms),
        profit_there=_profit(shadow, start, marks, until_ms),
        differences=differences,
    )


def _differences(
    original: Deployment, shadow: Deployment, since_step: int, until_ms: int
) -> list[Difference]:
    """By item of the log, for both count their own steps: an operator's command is a step of one alone."""
    sides: dict[tuple[Any, ...], tuple[list[Signal], list[Signal]]] = defaultdict(lambda: ([], []))
    for place, deployment in enumerate((original, shadow)):
        rows = Signal.objects.filter(deployment=deployment, step__gt=since_step, at_ms__lte=until_ms)
        for row in rows.select_related("instrument").order_by("step", "ordinal"):
            sides[row.at_ms, row.correlation_id, str(row.instrument)][place].append(row)
    return [
        _difference(key[0], key[2], *sides[key]) for key in sorted(sides, key=lambda key: (key[0], key[2]))
    ]


def _difference(at_ms: int, instrument: str, here: list[Signal], there: list[Signal]) -> Difference:
    if not there:
        verdict = ONLY_HERE
    elif not here:
        verdict = ONLY_THERE
    else:
        verdict = SAME if _wishes(here) == _wishes(there) else OTHER
    return Difference(
        at_ms=at_ms,
        instrument=instrument,
        verdict=verdict,
        here=[_text(row) for row in here],
        there=[_text(row) for row in there],
        step_here=here[0].step if here else None,
        step_there=there[0].step if there else None,
    )


def _wishes(signals: Iterable[Signal]) -> list[tuple[Any, ...]]:
    return [tuple(getattr(row, name) for name in WISH) for row in signals]


def _text(row: Signal) -> str:
    kind = "" if row.kind == SignalKind.ORDER else f"{row.kind} "
    limit = "" if row.limit_price_e4 is None else f" at {to_rupees(row.limit_price_e4)}"
    trigger = "" if row.trigger_price_e4 is None else f" from {to_rupees(row.trigger_price_e4)}"
    return f"{kind}{row.side} {row.quantity} {row.order_type}{trigger}{limit}"


def _profit(deployment: Deployment, start: dict[str, Any], marks: dict[str, int], until_ms: int) -> Decimal:
    """Rupees since the start, charges paid, what is held at the last price: what was held then counts from its price
    then on."""
    cash, held, held_then = ZERO, Counter[str](), Counter[str]()
    for fill in Fill.objects.filter(deployment=deployment, at_ms__lte=until_ms).select_related("instrument"):
        name, units = str(fill.instrument), Side(fill.side).sign * fill.quantity
        held[name] += units
        if fill.step <= start["step"]:
            held_then[name] += units
        else:
            cash -= units * to_rupees(fill.price_e4) + sum(map(Decimal, fill.charges.values()))
    now = sum((units * to_rupees(marks.get(name, 0)) for name, units in held.items()), ZERO)
    then = sum((units * to_rupees(start["marks"][name]) for name, units in held_then.items()), ZERO)
    return cash + now - then
