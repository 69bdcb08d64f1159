"""Limits as plain values: what each bounds, at which level it stands, and how several levels come together.

Two kinds. Limits of *one order or one deployment*: of all levels that cover an order the strictest counts. *Sums*:
each level's limit bounds what all deployments in its scope come to together, in each broker namespace by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import time
from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import UUID

import msgspec

from alphapanda.core.vocabulary import LimitLevel, Product
from marketdata.domain.markets import EXCHANGES

SUMS = (
    "gross_exposure",
    "net_exposure",
    "underlying_exposure",
    "margin",
    "daily_loss",
    "loss_cancel",
    "loss_flatten",
    "drawdown",
    "orders_per_second",
    "orders_per_minute",
    "daily_orders",
    "exit_lane",
    "self_trade",
)
RATES = ("orders_per_second", "orders_per_minute", "daily_orders")
HOURS = ("entries_from", "entries_until", "expiry_until")
LADDER = ("daily_loss", "loss_cancel", "loss_flatten")
# What a deployment earns is not split by instrument, and its orders are not counted by instrument.
NOT_OF_AN_INSTRUMENT = (
    *LADDER,
    *RATES,
    "margin",
    "underlying_exposure",
    "drawdown",
    "exit_lane",
    "allowed",
    "restricted",
)
# what the database keeps: see risk.models
WHOLE_MOST = 2**63 - 1
RUPEES_SIZE = (18, 2)  # digits before the point, places after it
PERCENT_SIZE = (5, 4)
NAME_LENGTH = 80


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """None: no limit. Quantities in units, values and losses in rupees, percentages of a price, ages and windows
    in milliseconds of event time, hours in IST. Raises ValueError for what bounds nothing."""

    # of one order
    order_quantity: int | None = None
    order_value: Decimal | None = None
    collar_percent: Decimal | None = None
    collar_ticks: int | None = None
    price_age_ms: int | None = None
    price_jump_percent: Decimal | None = None
    duplicate_ms: int | None = None
    restricted: tuple[str, ...] | None = None
    allowed: tuple[str, ...] | None = None
    products: tuple[str, ...] | None = None
    entries_from: time | None = None
    entries_until: time | None = None
    expiry_until: time | None = None
    # of one deployment
    position_quantity: int | None = None
    repeated_entries: int | None = None
    repeated_ms: int | None = None
    # sums over the scope of a level
    gross_exposure: Decimal | None = None
    net_exposure: Decimal | None = None
    underlying_exposure: Decimal | None = None
    margin: Decimal | None = None
    daily_loss: Decimal | None = None
    loss_cancel: Decimal | None = None
    loss_flatten: Decimal | None = None
    drawdown: Decimal | None = None
    orders_per_second: int | None = None
    orders_per_minute: int | None = None
    daily_orders: int | None = None
    exit_lane: int | None = None
    self_trade: bool | None = None

    def __post_init__(self) -> None:
        for name, limit in given(self).items():
            if isinstance(limit, Decimal) and not limit.is_finite():
                raise ValueError(f"`{name}` must be a finite number, not {limit}")
        if (self.repeated_entries is None) != (self.repeated_ms is None):
            raise ValueError("`repeated_entries` and `repeated_ms` go together: so many entries in so long")
        rungs = [(name, limit) for name in LADDER if (limit := getattr(self, name)) is not None]
        for (lower, below), (upper, above) in pairwise(rungs):
            if below > above:
                raise ValueError(f"`{lower}` of {below} must not be above `{upper}` of {above}")


def written(values: Mapping[str, Any]) -> Limits:
    """Limits as an operator writes them down, by name. Raises ValueError for what bounds nothing, or what the
    database would keep as something else."""
    for name in HOURS if isinstance(values, Mapping) else ():
        _check_hour(name, values.get(name))
    limits = msgspec.convert(values, Limits, strict=False)
    for name, limit in given(limits).items():
        if isinstance(limit, tuple):
            _check_listed(name, limit)
        elif isinstance(limit, Decimal):
            _check_amount(name, limit)
        elif not isinstance(limit, time) and not 0 <= limit <= WHOLE_MOST:
            raise ValueError(f"`{name}` is a whole number from 0 to {WHOLE_MOST}, not {limit}")
    check_names(limits)
    return limits


def _check_amount(name: str, limit: Decimal) -> None:
    digits, places = PERCENT_SIZE if name.endswith("_percent") else RUPEES_SIZE
    if limit < 0 or limit.adjusted() >= digits or limit != round(limit, places):
        raise ValueError(f"`{name}` is a number from 0 with {digits} digits and {places} places, not {limit}")


def _check_hour(name: str, hour: object) -> None:
    if hour is not None and not _is_hour(hour):
        raise ValueError(f"`{name}` is a time in India without a zone, such as 15:00:00, not {hour!r:.40}")


def _is_hour(hour: object) -> bool:
    try:
        return msgspec.convert(hour, time).tzinfo is None
    except msgspec.ValidationError:
        return False


def check_names(limits: Limits) -> None:
    """Raises ValueError where a list names what can be no instrument and no underlying: as typed it would match
    nothing, and so restrict nothing."""
    for name in ("restricted", "allowed"):
        for one in getattr(limits, name) or ():
            if not _is_named(one):
                raise ValueError(
                    f"`{name}`: {one!r:.100} is neither an instrument (EXCHANGE:SYMBOL such as NSE:INFY, of"
                    f" {', '.join(sorted(EXCHANGES))}) nor an underlying (such as NIFTY), in capitals"
                )


def _is_named(name: str) -> bool:
    exchange, colon, symbol = name.rpartition(":")
    is_known = exchange in EXCHANGES if colon else True
    return is_known and bool(symbol) and symbol == " ".join(symbol.upper().split())


def _check_listed(name: str, names: tuple[str, ...]) -> None:
    if not names or not all(0 < len(one) <= NAME_LENGTH and one.isprintable() for one in names):
        raise ValueError(
            f"`{name}` is a list of names, of {NAME_LENGTH} letters at most each; null for no limit"
        )
    if name == "products" and (unknown := sorted(set(names) - set(Product))):
        raise ValueError(f"`{name}`: {unknown[0]!r} is none of {', '.join(Product)}")


def given(limits: Limits) -> dict[str, Any]:
    """The limits that are set, by name."""
    return {name: limit for name in Limits.__struct_fields__ if (limit := getattr(limits, name)) is not None}


class Level(msgspec.Struct, frozen=True):
    """The limits that stand at one level, and what they cover there: a broker namespace, a portfolio (its id as
    text), a deployment or an instrument (EXCHANGE:TRADINGSYMBOL). `name` is for people."""

    level: LimitLevel
    limits: Limits
    broker: str = ""
    portfolio: str = ""
    deployment: UUID | None = None
    instrument: str = ""
    name: str = ""


class Place(msgspec.Struct, frozen=True):
    """Where a deployment stands: what levels may cover it. Instruments by key, with their tokens. A shadow is bound
    by the same limits, but nothing that it does adds up with what others do."""

    id: UUID
    broker: str
    portfolio: str
    instruments: Mapping[str, int]
    is_shadow: bool = False


class Scope(msgspec.Struct, frozen=True):
    """Sums of one level over several deployments. `token`: only what is in that instrument counts."""

    level: LimitLevel
    name: str
    limits: Limits
    members: frozenset[UUID]
    token: int | None = None


def check_level(level: LimitLevel, limits: Limits) -> None:
    """Raises ValueError where a limit means nothing at a level."""
    if level is LimitLevel.INSTRUMENT:
        wrong = [name for name in NOT_OF_AN_INSTRUMENT if getattr(limits, name) is not None]
        if wrong:
            raise ValueError(
                f"{', '.join(wrong)} cannot be limited for one instrument; accepted levels are GLOBAL, BROKER,"
                " PORTFOLIO and DEPLOYMENT"
            )


def covers(level: Level, place: Place) -> bool:
    """Whether a level's limits count for a deployment."""
    match level.level:
        case LimitLevel.GLOBAL:
            return True
        case LimitLevel.BROKER:
            return level.broker == place.broker
        case LimitLevel.PORTFOLIO:
            return level.portfolio == place.portfolio
        case LimitLevel.DEPLOYMENT:
            return level.deployment == place.id
        case LimitLevel.INSTRUMENT:
            return level.instrument in place.instruments


def own_limits(levels: Iterable[Level], place: Place) -> Limits:
    """What bounds every order of a deployment, and the sums over itself alone."""
    found = [level for level in levels if level.level is not LimitLevel.INSTRUMENT and covers(level, place)]
    return strictest(
        level.limits if level.level is LimitLevel.DEPLOYMENT else _without_sums(level.limits)
        for level in found
    )


def limits_by_token(levels: Iterable[Level], place: Place, own: Limits) -> dict[int, Limits]:
    """What bounds orders of a deployment in instruments that have limits of their own."""
    found: dict[int, list[Limits]] = {}
    for level in levels:
        if level.level is LimitLevel.INSTRUMENT and covers(level, place):
            token = place.instruments[level.instrument]
            found.setdefault(token, [own]).append(_without_sums(level.limits))
    return {token: strictest(limits) for token, limits in sorted(found.items())}


def scopes_of(levels: Iterable[Level], place: Place, places: Iterable[Place]) -> tuple[Scope, ...]:
    """The sums in which a deployment is counted with others, in a stable order; each over one broker namespace. A
    shadow is counted by itself."""
    counted = [other for other in places if other.broker == place.broker and not other.is_shadow]
    mates = [place] if place.is_shadow else counted
    found = [
        Scope(
            level=level.level,
            name=level.name,
            limits=_only_sums(level.limits),
            members=frozenset(other.id for other in mates if covers(level, other)),
            token=place.instruments.get(level.instrument),
        )
        for level in levels
        if level.level is not LimitLevel.DEPLOYMENT and has_sums(level.limits) and covers(level, place)
    ]
    order = list(LimitLevel)
    return tuple(sorted(found, key=lambda scope: (order.index(scope.level), scope.name)))


def has_sums(limits: Limits) -> bool:
    """Whether any limit is a sum; a lane for exits alone bounds nothing."""
    return any(getattr(limits, name) is not None for name in SUMS if name != "exit_lane")


def _without_sums(limits: Limits) -> Limits:
    return msgspec.structs.replace(limits, **dict.fromkeys(SUMS))


def _only_sums(limits: Limits) -> Limits:
    return _laddered({name: limit for name, limit in given(limits).items() if name in SUMS})


def _both(sets: list[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted(set.intersection(*map(set, sets))))


def _either(sets: list[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted(set().union(*sets)))


# Of most limits the smallest is the strictest; of these it is something else.
_STRICTER: dict[str, Callable[[list[Any]], Any]] = {
    "duplicate_ms": max,
    "repeated_ms": max,
    "exit_lane": max,
    "entries_from": max,
    "self_trade": any,
    "restricted": _either,
    "allowed": _both,
    "products": _both,
}


def strictest(levels: Iterable[Limits]) -> Limits:
    """The limits of several levels at once: of each, the strictest. Of "so many entries in so long" that is the
    smallest number and the longest time, which is at least as strict as each level."""
    every = list(levels)
    merged = {}
    for name in Limits.__struct_fields__:
        found = [limit for limits in every if (limit := getattr(limits, name)) is not None]
        if found:
            merged[name] = _STRICTER.get(name, min)(found)
    return _laddered(merged)


def _laddered(merged: dict[str, Any]) -> Limits:
    """A rung of the loss ladder counts for those below it too: who flattens at 100 cancels and enters no more there."""
    least = None
    for name in reversed(LADDER):
        limits = [limit for limit in (merged.get(name), least) if limit is not None]
        if limits:
            least = merged[name] = min(limits)
    return Limits(**merged)
