"""What is left of every limit, and the smallest order that it would refuse: asked of the rules themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import ROUND_CEILING, Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec

from alphapanda.core.vocabulary import OrderType, Side, Validity
from marketdata.domain.instruments import InstrumentSpec
from risk.domain.context import Case, Context, Sum
from risk.domain.figures import OWN, key_of
from risk.domain.limits import Limits
from risk.domain.review import case_at, is_exit
from risk.domain.rules import guards, market, orders, sums
from strategies.domain.signals import Mark, SignalRow

LOTS_MAX = 1 << 40  # where even so many lots are not refused, the limit does not bind
_NOBODY = UUID(int=0)
Rule = Callable[[Case], str | None]
Figure = Callable[[Case, Sum], Decimal | int | None]


class Headroom(msgspec.Struct, frozen=True):
    """One limit as it binds one instrument and side now. Rupees, units, orders, percent, ticks or milliseconds, as the
    limit is; None where the figure cannot be had, or where the limit is no number. `smallest_refused`: units of the
    smallest order that it would refuse; None: of no size."""

    level: str
    limit_name: str
    limit: Any
    used: Decimal | int | None
    left: Decimal | int | None
    instrument: str = ""
    side: str = ""
    smallest_refused: int | None = None


class By(Enum):
    """For what a limit has a figure of its own."""

    ALL = "ALL"
    INSTRUMENT = "INSTRUMENT"
    SIDE = "SIDE"  # each side of each instrument


class _Kind(msgspec.Struct, frozen=True):
    """How a limit is measured. `sized`: whether it refuses every order larger than one that it refuses; else it refuses
    all or those of the sizes of orders sent before. `beside`: limits without which it means nothing."""

    rule: Rule
    used: Figure
    sized: bool = True
    by: By = By.SIDE
    beside: tuple[str, ...] = ()


_WITH_LANE = (sums.order_rate, sums.daily_orders)
# The two limits that have no row of their own: they are part of those that they go with.
PARTS = ("repeated_ms", "exit_lane")


def _loss(_case: Case, one: Sum) -> Decimal | None:
    return None if one.profit is None else max(-one.profit, Decimal(0))


def _no_rule(_case: Case) -> str | None:
    """A rung of the loss ladder acts on what is there; it refuses no order."""
    return None


def _no_number(_case: Case, _one: Sum) -> None:
    return None


def _priced(rule: Rule) -> Rule:
    """Rules that look at a price are asked after the one that wants it to be there."""
    return lambda case: market.stale_price(case) or rule(case)


def _jumped(case: Case, _one: Sum) -> Decimal | None:
    mark = case.signal.marks.get(case.signal.token)
    if mark is None or mark.price_e4 <= 0:
        return None
    return _percent(abs(mark.price_e4 - mark.before_e4), mark.before_e4) if mark.before_e4 > 0 else Decimal(0)


def _worse(case: Case) -> int | None:
    return max(0, market.worse_e4(case)) if case.price_e4 > 0 else None


def _worse_percent(case: Case, _one: Sum) -> Decimal | None:
    worse = _worse(case)
    return None if worse is None else _percent(worse, market.market_e4(case))


def _worse_ticks(case: Case, _one: Sum) -> int | None:
    worse = _worse(case)
    return None if worse is None else -(-worse // max(case.instrument.tick_size_e4, 1))


def _percent(part: int, whole: int) -> Decimal:
    """Rounded up, so that what is left is never more than it is."""
    return (Decimal(part * 100) / whole).quantize(Decimal("0.0001"), ROUND_CEILING)


def _gate(rule: Rule, by: By = By.INSTRUMENT) -> _Kind:
    """A limit that is no number: it lets orders through, or does not."""
    return _Kind(rule, _no_number, sized=False, by=by)


OF_ORDERS: dict[str, _Kind] = {
    "order_quantity": _Kind(orders.order_quantity, lambda _case, _one: 0),
    "order_value": _Kind(orders.order_value, lambda _case, _one: Decimal(0)),
    "collar_percent": _Kind(_priced(market.price_collar), _worse_percent, sized=False),
    "collar_ticks": _Kind(_priced(market.price_collar), _worse_ticks, sized=False),
    "price_age_ms": _Kind(
        market.stale_price, lambda case, _one: case.price_age_ms, sized=False, by=By.INSTRUMENT
    ),
    "price_jump_percent": _Kind(_priced(market.price_jump), _jumped, sized=False, by=By.INSTRUMENT),
    "duplicate_ms": _Kind(orders.duplicate_order, _no_number, sized=False),
    "restricted": _gate(market.restricted_instrument),
    "allowed": _gate(market.restricted_instrument),
    "products": _gate(market.product_allowed),
    "entries_from": _gate(market.entry_hours, By.ALL),
    "entries_until": _gate(market.entry_hours, By.ALL),
    "expiry_until": _gate(market.expiry_day),
    "position_quantity": _Kind(orders.position_limit, lambda case, _one: _worst_now(case)),
    "repeated_entries": _Kind(
        guards.repeated_entries,
        lambda case, _one: guards.entries_counted(case),
        sized=False,
        by=By.ALL,
        beside=("repeated_ms",),
    ),
}
OF_SUMS: dict[str, _Kind] = {
    "orders_per_second": _Kind(sums.order_rate, lambda _case, one: one.orders_second, sized=False, by=By.ALL),
    "orders_per_minute": _Kind(sums.order_rate, lambda _case, one: one.orders_minute, sized=False, by=By.ALL),
    "daily_orders": _Kind(sums.daily_orders, lambda _case, one: one.orders_day, sized=False, by=By.ALL),
    "daily_loss": _Kind(sums.daily_loss, _loss, sized=False, by=By.ALL),
    "loss_cancel": _Kind(_no_rule, _loss, sized=False, by=By.ALL),
    "loss_flatten": _Kind(_no_rule, _loss, sized=False, by=By.ALL),
    "drawdown": _Kind(sums.drawdown, lambda _case, one: one.decline, sized=False, by=By.ALL),
    "gross_exposure": _Kind(sums.gross_exposure, lambda _case, one: one.gross),
    "net_exposure": _Kind(sums.net_exposure, lambda case, one: _towards(case, one.net)),
    "underlying_exposure": _Kind(sums.underlying_exposure, lambda _case, one: one.underlying),
    "margin": _Kind(sums.margin, lambda _case, one: one.margin),
    "self_trade": _gate(orders.self_trade, By.SIDE),
}
ONE_ORDER = tuple(name for name in OF_ORDERS if name not in ("position_quantity", "repeated_entries"))


def _worst_now(case: Case) -> int:
    return max(0, case.worst_position * case.signal.side.sign)


def _towards(case: Case, net: Decimal | None) -> Decimal | None:
    return None if net is None else max(Decimal(0), net * case.signal.side.sign)


def headroom(context: Context, marks: Mapping[int, Mark], *, at_ms: int) -> list[Headroom]:
    """Every limit that is set, for each instrument and side that the deployment trades."""
    found: list[Headroom] = []
    for token in sorted(context.instruments):
        instrument = context.instruments[token]
        if instrument.lot_size < 1:
            continue
        for side in Side:
            probe = _Probe(context, marks, instrument, side, at_ms)
            found += probe.rows()
    return _once(found)


def _once(rows: list[Headroom]) -> list[Headroom]:
    """What is the same for every instrument and side stands once, with the smallest order of any of them."""
    seen: dict[tuple[str, str, str, str], Headroom] = {}
    for row in rows:
        key = row.level, row.limit_name, row.instrument, row.side
        first = seen.setdefault(key, row)
        sizes = [size for size in (first.smallest_refused, row.smallest_refused) if size is not None]
        seen[key] = msgspec.structs.replace(first, smallest_refused=min(sizes, default=None))
    return list(seen.values())


class _Probe:
    """Orders that nobody has given, before the judges."""

    def __init__(
        self, context: Context, marks: Mapping[int, Mark], instrument: InstrumentSpec, side: Side, at_ms: int
    ) -> None:
        self.context = context
        self.marks = marks
        self.instrument = instrument
        self.side = side
        self.at_ms = at_ms
        self.now = self._case(0)

    def rows(self) -> Iterator[Headroom]:
        for name, kind in OF_ORDERS.items():
            limit = getattr(self.now.limits, name)
            if limit is not None:
                level = "ORDER" if name in ONE_ORDER else "DEPLOYMENT"
                yield self._row(level, name, limit, kind, None)
        for one in self.now.sums:
            for name, kind in OF_SUMS.items():
                limit = getattr(one.limits, name)
                if limit is not None:
                    yield self._row(one.key, name, limit, kind, one)

    def _row(self, level: str, name: str, limit: Any, kind: _Kind, one: Sum | None) -> Headroom:
        used = kind.used(self.now, one or self.now.sums[0])
        lane = (one.limits.exit_lane or 0) if one is not None and kind.rule in _WITH_LANE else 0
        return Headroom(
            level=level,
            limit_name=name,
            limit=limit,
            used=used,
            left=None if used is None else max(type(used)(0), limit - lane - used),
            instrument="" if kind.by is By.ALL else self.instrument.key,
            side=self.side.value if kind.by is By.SIDE else "",
            smallest_refused=self._smallest(kind, level, name),
        )

    def _smallest(self, kind: _Kind, level: str, name: str) -> int | None:
        """By halving: who refuses an order refuses every larger one, and none that only reduces the position."""
        lot = self.instrument.lot_size
        if not kind.sized:
            return self._first_refused(kind, level, name)
        if not self._is_refused(kind, level, name, LOTS_MAX):
            return None
        passed, refused = 0, LOTS_MAX
        while refused - passed > 1:
            middle = (passed + refused) // 2
            if self._is_refused(kind, level, name, middle):
                refused = middle
            else:
                passed = middle
        return refused * lot

    def _first_refused(self, kind: _Kind, level: str, name: str) -> int | None:
        """Of one lot, of the sizes of orders sent before, and of that just past an exit."""
        lot = self.instrument.lot_size
        sizes = {sent.quantity // lot for sent in self.context.day.sent} | {1, self._closing() // lot + 1}
        refused = (size for size in sorted(sizes) if size and self._is_refused(kind, level, name, size))
        return next((size * lot for size in refused), None)

    def _closing(self) -> int:
        """Units that would only reduce the position."""
        left = -self.now.worst_position * self.side.sign
        return max(0, left) if self.now.position * self.side.sign < 0 else 0

    def _is_refused(self, kind: _Kind, level: str, name: str, lots: int) -> bool:
        case = self._case(lots * self.instrument.lot_size)
        if is_exit(case):
            return False
        return kind.rule(_only(case, level, name, kind)) is not None

    def _case(self, quantity: int) -> Case:
        signal = SignalRow(
            id=_NOBODY,
            deployment_id=_NOBODY,
            step=0,
            ordinal=0,
            token=self.instrument.token,
            instrument=self.instrument.key,
            side=self.side,
            quantity=quantity,
            order_type=OrderType.MARKET,
            limit_price_e4=None,
            validity=Validity.DAY,
            product=self.context.product,
            reason="",
            at_ms=self.at_ms,
            received_at_ms=0,
            correlation_id=_NOBODY,
            marks=dict(self.marks),
        )
        return case_at(signal, self.context)


def _only(case: Case, level: str, name: str, kind: _Kind) -> Case:
    """The case as if no other limit were set."""
    kept = {one: getattr(case.limits, one) for one in (name, *kind.beside)} if name in OF_ORDERS else {}
    mine = [one for one in case.sums if one.key == level and name in OF_SUMS]
    bare = msgspec.structs.replace(case.instrument, freeze_quantity=0, products=())
    own = Limits(self_trade=case.context.limits.self_trade if level == OWN and mine else None)
    context = msgspec.structs.replace(
        case.context,
        limits=own,
        scopes=tuple(scope for scope in case.context.scopes if mine and key_of(scope) == level),
        instruments={**case.context.instruments, case.signal.token: bare},
    )
    alone = tuple(_alone(one, name) for one in mine)
    return msgspec.structs.replace(case, limits=Limits(**kept), sums=alone, context=context)


def _alone(one: Sum, name: str) -> Sum:
    kept = {name: getattr(one.limits, name)}
    if one.limits.exit_lane is not None:
        kept["exit_lane"] = one.limits.exit_lane
    return msgspec.structs.replace(one, limits=Limits(**kept))
