"""What is left of every limit, and the smallest order that it would refuse: asked of the rules themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from uuid import UUID

import msgspec

from alphapanda.core.vocabulary import OrderType, Side, Validity
from marketdata.domain.instruments import InstrumentSpec
from risk.domain.context import Case, Context, Sum
from risk.domain.limits import Limits
from risk.domain.review import case_at, is_exit
from risk.domain.rules import guards, orders, sums
from strategies.domain.signals import Mark, SignalRow

LOTS_MAX = 1 << 40  # where even so many lots are not refused, the limit does not bind
_NOBODY = UUID(int=0)
Rule = Callable[[Case], str | None]
Figure = Callable[[Case, Sum], Decimal | int | None]


class Headroom(msgspec.Struct, frozen=True):
    """One limit as it binds one instrument and side now. Rupees, units or orders, as the limit is; None where the
    figure cannot be had. `smallest_refused`: units of the smallest order that it would refuse; None: of no size."""

    level: str
    limit_name: str
    limit: Decimal | int
    used: Decimal | int | None
    left: Decimal | int | None
    instrument: str = ""
    side: str = ""
    smallest_refused: int | None = None


class _Kind(msgspec.Struct, frozen=True):
    """How a limit is measured. `sized`: whether the size of an order matters."""

    rule: Rule
    used: Figure
    sized: bool = True


_WITH_LANE = (sums.order_rate, sums.daily_orders)


def _loss(_case: Case, one: Sum) -> Decimal | None:
    return None if one.profit is None else max(-one.profit, Decimal(0))


def _no_rule(_case: Case) -> str | None:
    """A rung of the loss ladder acts on what is there; it refuses no order."""
    return None


OF_ORDERS: dict[str, _Kind] = {
    "order_quantity": _Kind(orders.order_quantity, lambda _case, _one: 0),
    "order_value": _Kind(orders.order_value, lambda _case, _one: Decimal(0)),
    "position_quantity": _Kind(orders.position_limit, lambda case, _one: _worst_now(case)),
    "repeated_entries": _Kind(guards.repeated_entries, lambda case, _one: _entries(case), sized=False),
}
OF_SUMS: dict[str, _Kind] = {
    "orders_per_second": _Kind(sums.order_rate, lambda _case, one: one.orders_second, sized=False),
    "orders_per_minute": _Kind(sums.order_rate, lambda _case, one: one.orders_minute, sized=False),
    "daily_orders": _Kind(sums.daily_orders, lambda _case, one: one.orders_day, sized=False),
    "daily_loss": _Kind(sums.daily_loss, _loss, sized=False),
    "loss_cancel": _Kind(_no_rule, _loss, sized=False),
    "loss_flatten": _Kind(_no_rule, _loss, sized=False),
    "drawdown": _Kind(sums.drawdown, lambda _case, one: one.decline, sized=False),
    "gross_exposure": _Kind(sums.gross_exposure, lambda _case, one: one.gross),
    "net_exposure": _Kind(sums.net_exposure, lambda case, one: _towards(case, one.net)),
    "underlying_exposure": _Kind(sums.underlying_exposure, lambda _case, one: one.underlying),
    "margin": _Kind(sums.margin, lambda _case, one: one.margin),
}


def _entries(case: Case) -> int:
    after_ms = case.signal.at_ms - (case.limits.repeated_ms or 0)
    return sum(sent.at_ms > after_ms for sent in case.context.day.sent)


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
    """What is the same for every instrument and side stands once."""
    seen: dict[tuple[str, str, str, str], Headroom] = {}
    for row in rows:
        seen.setdefault((row.level, row.limit_name, row.instrument, row.side), row)
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
                level = "ORDER" if name.startswith("order_") else "DEPLOYMENT"
                yield self._row(level, name, limit, kind, None)
        for one in self.now.sums:
            for name, kind in OF_SUMS.items():
                limit = getattr(one.limits, name)
                if limit is not None:
                    yield self._row(one.key, name, limit, kind, one)

    def _row(self, level: str, name: str, limit: Decimal | int, kind: _Kind, one: Sum | None) -> Headroom:
        used = kind.used(self.now, one or self.now.sums[0])
        lane = (one.limits.exit_lane or 0) if one is not None and kind.rule in _WITH_LANE else 0
        return Headroom(
            level=level,
            limit_name=name,
            limit=limit,
            used=used,
            left=None if used is None else max(type(used)(0), limit - lane - used),
            instrument=self.instrument.key if kind.sized else "",
            side=self.side.value if kind.sized else "",
            smallest_refused=self._smallest(kind, level, name),
        )

    def _smallest(self, kind: _Kind, level: str, name: str) -> int | None:
        """By halving: who refuses an order refuses every larger one, and none that only reduces the position."""
        lot = self.instrument.lot_size
        if not self._is_refused(kind, level, name, LOTS_MAX):
            return None
        if not kind.sized:
            return lot
        passed, refused = 0, LOTS_MAX
        while refused - passed > 1:
            middle = (passed + refused) // 2
            if self._is_refused(kind, level, name, middle):
                refused = middle
            else:
                passed = middle
        return refused * lot

    def _is_refused(self, kind: _Kind, level: str, name: str, lots: int) -> bool:
        case = self._case(lots * self.instrument.lot_size)
        if is_exit(case):
            return False
        return kind.rule(_only(case, level, name)) is not None

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


def _only(case: Case, level: str, name: str) -> Case:
    """The case as if no other limit were set."""
    names = ("repeated_entries", "repeated_ms") if name == "repeated_entries" else (name,)
    kept = {one: getattr(case.limits, one) for one in names} if name in OF_ORDERS else {}
    alone = msgspec.structs.replace(
        case,
        limits=Limits(**kept),
        sums=tuple(_alone(one, name) for one in case.sums if one.key == level and name in OF_SUMS),
    )
    bare = msgspec.structs.replace(case.instrument, freeze_quantity=0)
    context = msgspec.structs.replace(
        case.context, instruments={**case.context.instruments, case.signal.token: bare}
    )
    return msgspec.structs.replace(alone, context=context)


def _alone(one: Sum, name: str) -> Sum:
    kept = {name: getattr(one.limits, name)}
    if one.limits.exit_lane is not None:
        kept["exit_lane"] = one.limits.exit_lane
    return msgspec.structs.replace(one, limits=Limits(**kept))
