"""Triggers that are good till triggered (GTT): what one of ours may be, in Kite's words, and Kite's rows of them.

A trigger of ours closes what the account holds and nothing else: it is an exit, with a stop, a target, or both of which
one cancels the other. It has no tag; it is found again by its id, or by what it says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum

import msgspec

from alphapanda.core.money import is_on_tick, round_to_tick_e4, to_rupees
from alphapanda.core.vocabulary import OrderType, Product, Side
from execution.domain.kite.lookup import Finding
from execution.domain.kite.outcomes import short
from execution.domain.kite.rows import NotKites, count, decoded, each, ist_text_ms, name_of, price_e4_of
from execution.domain.kite.wire import CannotBeSaid, counted, rupees
from marketdata.domain.instruments import InstrumentSpec

ACTIVE_MAX = 500  # of an account
STOP_ROOM = Decimal("0.01")  # how far beyond a stop its order may trade, where nobody says
PRODUCT_LENGTH = 10
SLACK_MS = 600_000  # between the broker's clock and ours, when a trigger is looked for


class GttKind(StrEnum):
    SINGLE = "single"
    TWO_LEG = "two-leg"  # whichever fires first cancels the other


class GttStatus(StrEnum):
    """How far a trigger is. Kite's own, and four of ours."""

    PENDING = "PENDING"  # ours: not known at the broker yet
    NOT_PLACED = "NOT_PLACED"  # ours: nothing came of it
    GONE = "GONE"  # ours: the broker does not list it any more
    ACTIVE = "ACTIVE"
    TRIGGERED = "TRIGGERED"  # which does not say that its order was taken
    DISABLED = "DISABLED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    DELETED = "DELETED"

    @property
    def is_standing(self) -> bool:
        """Whether it may still fire."""
        return self in STANDING


STANDING = (GttStatus.PENDING, GttStatus.ACTIVE)
_STATUSES = {one.lower(): one for one in GttStatus if one not in (GttStatus.PENDING, GttStatus.NOT_PLACED)}


class Leg(msgspec.Struct, frozen=True):
    """A trigger and the limit order that it makes."""

    trigger_e4: int
    limit_e4: int
    quantity: int


class GttTerms(msgspec.Struct, frozen=True):
    """What a trigger says; the leg with the lower trigger first."""

    kind: GttKind
    instrument: str
    side: Side
    product: str
    legs: tuple[Leg, ...]

    @property
    def quantity(self) -> int:
        """The most units that it can trade: one leg fires, never both."""
        return max(leg.quantity for leg in self.legs)


class Fired(msgspec.Struct, frozen=True):
    """What came of a leg that fired: the broker's order, or why there is none."""

    leg: int
    order_id: str = ""
    reason: str = ""


class TriggerRow(msgspec.Struct, frozen=True):
    """A trigger as Kite showed it."""

    trigger_id: int
    terms: GttTerms
    status: GttStatus
    created_ms: int
    expires_ms: int
    fired: tuple[Fired, ...] = ()


class Triggers(msgspec.Struct, frozen=True):
    """What the list held. With faults in it, what is not there may still be at the broker."""

    rows: tuple[TriggerRow, ...] = ()
    faults: tuple[str, ...] = ()


# ---- what one of ours may be -----------------------------------------------------------------------------------


class Price(msgspec.Struct, frozen=True):
    """Where a leg fires, and the limit of its order (None: as the house does it)."""

    trigger_e4: int
    limit_e4: int | None = None


def product_of(instrument: InstrumentSpec) -> Product:
    """The product that is carried from day to day; triggers have no other."""
    return Product.CNC if instrument.instrument_type == "EQ" else Product.NRML


def protecting(
    instrument: InstrumentSpec, held: int, quantity: int, *, stop: Price | None, target: Price | None
) -> GttTerms:
    """The trigger that closes so many units of what is held. A stop may trade a percent beyond its trigger, a target
    only at it or better, unless a limit is said. Raises CannotBeSaid."""
    if not held:
        raise CannotBeSaid(
            f"{instrument.key}: the account holds nothing as {product_of(instrument).value}, and a GTT may only close "
            "what is held"
        )
    side = Side.SELL if held > 0 else Side.BUY
    if stop is None and target is None:
        raise CannotBeSaid("a GTT needs a stop, a target, or both")
    legs = [
        Leg(one.trigger_e4, one.limit_e4 or _room(one.trigger_e4, room, side, instrument), quantity)
        for one, room in ((stop, STOP_ROOM), (target, Decimal(0)))
        if one is not None
    ]
    legs.sort(key=lambda leg: leg.trigger_e4)
    kind = GttKind.TWO_LEG if len(legs) == 2 else GttKind.SINGLE
    return GttTerms(kind, instrument.key, side, product_of(instrument).value, tuple(legs))


def _room(trigger_e4: int, room: Decimal, side: Side, instrument: InstrumentSpec) -> int:
    is_buy = side is Side.BUY
    limit_e4 = int(trigger_e4 * (1 + room if is_buy else 1 - room))
    return round_to_tick_e4(limit_e4, instrument.tick_size_e4, up=is_buy)


def objection(
    terms: GttTerms, instrument: InstrumentSpec, *, stop_e4: int | None, target_e4: int | None, last_e4: int
) -> str:
    """What speaks against a trigger by itself, in words; empty: nothing. `last_e4` is the price now."""
    if not instrument.is_lot_told or instrument.is_index:
        return f"{instrument.key} is nothing that a GTT can trade"
    for leg in terms.legs:
        if problem := _leg_problem(leg, terms.side, instrument):
            return problem
    below, above = (stop_e4, target_e4) if terms.side is Side.SELL else (target_e4, stop_e4)
    names = ("stop", "target") if terms.side is Side.SELL else ("target", "stop")
    if below is not None and below >= last_e4:
        return f"the {names[0]} {rupees(below)} is not below the price now, {rupees(last_e4)}"
    if above is not None and above <= last_e4:
        return f"the {names[1]} {rupees(above)} is not above the price now, {rupees(last_e4)}"
    return ""


def _leg_problem(leg: Leg, side: Side, instrument: InstrumentSpec) -> str:
    lot = max(instrument.lot_size, 1)
    if leg.quantity < 1 or leg.quantity % lot:
        return f"{leg.quantity} units of {instrument.key} are no whole number of lots of {lot}"
    if (most := instrument.units_max(leg.limit_e4)) and leg.quantity > most:
        return f"{leg.quantity} units are more than the {most} that one order may be for: place several"
    for price_e4 in (leg.trigger_e4, leg.limit_e4):
        if price_e4 <= 0 or not is_on_tick(price_e4, instrument.tick_size_e4):
            tick = rupees(instrument.tick_size_e4)
            return f"{rupees(price_e4)} is no price of {instrument.key}, whose tick is {tick}"
    if (leg.limit_e4 - leg.trigger_e4) * side.sign < 0:
        word = "above" if side is Side.SELL else "below"
        return f"the limit {rupees(leg.limit_e4)} lies {word} its trigger {rupees(leg.trigger_e4)}"
    return ""


def excess(terms: GttTerms, held: int, covered: int, closing: int) -> str:
    """Why a trigger would do more than close what is held, of which others cover a part, and orders at work may close
    one; empty: it does not."""
    open_units = max(-terms.side.sign * held, 0)
    if terms.quantity <= open_units - covered - closing:
        return ""
    return (
        f"{terms.instrument} {terms.product}: {open_units} units are held that a {terms.side.value} closes, "
        f"{covered} of them covered by other GTTs, {closing} by orders at work: {terms.quantity} are too many"
    )


# ---- in Kite's words -------------------------------------------------------------------------------------------

_json = msgspec.json.Encoder(decimal_format="number")


def form(terms: GttTerms, instrument: InstrumentSpec, last_e4: int) -> dict[str, str]:
    """The form of a new trigger, and of its change. Raises CannotBeSaid."""
    name = {"exchange": instrument.exchange, "tradingsymbol": instrument.tradingsymbol}
    condition = name | {
        "trigger_values": [to_rupees(leg.trigger_e4) for leg in terms.legs],
        "last_price": to_rupees(last_e4),
    }
    orders = [
        name
        | {
            "transaction_type": terms.side.value,
            "quantity": int(counted(leg.quantity, instrument)),
            "order_type": OrderType.LIMIT.value,
            "product": terms.product,
            "price": to_rupees(leg.limit_e4),
        }
        for leg in terms.legs
    ]
    return {
        "type": terms.kind.value,
        "condition": _json.encode(condition).decode(),
        "orders": _json.encode(orders).decode(),
    }


# ---- Kite's rows -----------------------------------------------------------------------------------------------


class _OrderResult(msgspec.Struct):
    status: str = ""
    order_id: str | None = None
    rejection_reason: str | None = None


class _Result(msgspec.Struct):
    order_result: _OrderResult | None = None


class _Order(msgspec.Struct):
    product: str
    transaction_type: Side
    quantity: int
    price: Decimal
    result: _Result | None = None


class _Condition(msgspec.Struct):
    exchange: str
    tradingsymbol: str
    trigger_values: list[Decimal]


class _Trigger(msgspec.Struct):
    id: int
    type: GttKind
    status: str
    condition: _Condition
    orders: list[_Order]
    created_at: str | None = None
    expires_at: str | None = None


def triggers_of(body: bytes, units: Mapping[str, int]) -> Triggers:
    """The rows of the list. Raises NotKites where the answer is no list."""
    rows, faults = each(body, lambda raw: trigger_of(raw, units))
    return Triggers(rows, faults)


def trigger_of(raw: bytes, units: Mapping[str, int]) -> TriggerRow:
    """One row. A status that nobody documents may still fire. Raises NotKites."""
    row = decoded(raw, _Trigger)
    try:
        return TriggerRow(
            trigger_id=count("id", row.id),
            terms=_terms(row, units),
            status=_STATUSES.get(row.status.lower(), GttStatus.ACTIVE),
            created_ms=ist_text_ms(row.created_at),
            expires_ms=ist_text_ms(row.expires_at),
            fired=tuple(_fired(row.orders)),
        )
    except ValueError as error:
        raise NotKites(f"trigger {row.id}: {error}") from error


def _terms(row: _Trigger, units: Mapping[str, int]) -> GttTerms:
    instrument = name_of("instrument", f"{row.condition.exchange}:{row.condition.tradingsymbol}", most=80)
    lot, triggers = units.get(instrument, 1), row.condition.trigger_values
    legs = tuple(
        Leg(price_e4_of(trigger), price_e4_of(order.price), count("quantity", order.quantity) * lot)
        for trigger, order in zip(triggers, row.orders, strict=True)
    )
    ways = {(order.transaction_type, order.product) for order in row.orders}
    if len(ways) != 1:
        raise ValueError("its orders are not of one side and product")
    side, product = ways.pop()
    return GttTerms(row.type, instrument, side, name_of("product", product, most=PRODUCT_LENGTH), legs)


def _fired(orders: Sequence[_Order]) -> Iterable[Fired]:
    for leg, order in enumerate(orders):
        result = order.result.order_result if order.result else None
        if result is not None and result.order_id:
            yield Fired(leg, name_of("order_id", result.order_id))
        elif result is not None:
            yield Fired(
                leg, reason=short(result.rejection_reason or f"no order, and no reason: {result.status}")
            )


# ---- outcomes that are not known -------------------------------------------------------------------------------


def of_placing(terms: GttTerms, sent_ms: int, unowned: Iterable[TriggerRow]) -> TriggerRow | None:
    """The trigger that a whole list shows of one that may have been placed; `unowned` are those that nobody has."""
    fitting = [row for row in unowned if row.terms == terms and row.created_ms >= sent_ms - SLACK_MS]
    return min(fitting, key=lambda row: row.trigger_id, default=None)


def of_modifying(row: TriggerRow | None, wanted: GttTerms) -> Finding:
    """What a whole list says of a change; one that changes nothing is never asked for."""
    if row is not None and row.terms == wanted:
        return Finding.DONE
    return Finding.ABSENT if row is not None and row.status.is_standing else Finding.TOO_LATE


def of_deleting(row: TriggerRow | None) -> Finding:
    """What a whole list says of a deletion; what stands is always in it."""
    if row is None or row.status is GttStatus.DELETED:
        return Finding.DONE
    return Finding.ABSENT if row.status.is_standing else Finding.TOO_LATE
