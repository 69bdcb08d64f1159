"""Signals: what strategies and the platform's guards want, with all that risk must know of the moment."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from uuid import UUID

import msgspec

from alphapanda.core import ids
from alphapanda.core.money import round_to_tick_e4, to_e4
from alphapanda.core.vocabulary import (
    CommandKind,
    OrderType,
    Product,
    Side,
    SignalKind,
    SignalOrigin,
    Validity,
    Variety,
)
from marketdata.domain.instruments import InstrumentSpec
from marketdata.domain.ticks import Tick, best
from strategies.domain.intents import Bracket, Cancel, Intent, Modify, Wish
from strategies.domain.slicing import legs

# Beyond these no exchange takes an order, and columns of the database would not hold the amounts.
QUANTITY_MAX = 10**9
LIMIT_PRICE_MAX = Decimal(10) ** 8
REASON_LENGTH_MAX = 200
TAG_LENGTH_MAX = 20


class Mark(msgspec.Struct, frozen=True, gc=False):
    """The last price of an instrument, its event time, the last price of the session before, the price just before
    it, and the best bid and offer with it (0: unknown)."""

    price_e4: int
    at_ms: int
    close_before_e4: int = 0
    before_e4: int = 0
    bid_e4: int = 0
    ask_e4: int = 0


def marked(tick: Tick, before: Mark | None) -> Mark:
    """The mark that a tick leaves, after the one that was there."""
    close_before_e4, before_e4 = (before.close_before_e4, before.price_e4) if before else (0, 0)
    return Mark(tick.price_e4, tick.at_ms, close_before_e4, before_e4, best(tick.bids), best(tick.asks))


class SignalRow(msgspec.Struct, frozen=True, gc=False):
    """A signal with all that risk must know of its moment.

    A cancellation or modification names its order as `target`: `replaces` are the units of it that have not traded,
    `quantity` those that could still trade afterwards, or that are cancelled."""

    id: UUID
    deployment_id: UUID
    step: int
    ordinal: int
    token: int
    instrument: str
    side: Side
    quantity: int
    order_type: OrderType
    limit_price_e4: int | None
    validity: Validity
    product: Product
    reason: str
    at_ms: int
    received_at_ms: int
    correlation_id: UUID
    marks: dict[int, Mark]
    origin: SignalOrigin = SignalOrigin.STRATEGY
    bracket: Bracket | None = None
    kind: SignalKind = SignalKind.ORDER
    target: UUID | None = None
    replaces: int = 0
    trigger_price_e4: int | None = None
    validity_minutes: int = 0
    variety: Variety = Variety.REGULAR
    disclosed_quantity: int = 0
    iceberg_legs: int = 0
    tag: str = ""
    approves: UUID | None = None  # the signal that waited for a person, and is raised again as this one


class Raised(msgspec.Struct, frozen=True):
    """Stop: the deployment waits until these signals are decided and carried out."""

    signals: tuple[SignalRow, ...]


class DueItem(msgspec.Struct, frozen=True):
    """Stop: this item touches working orders, or is the one at which losses are looked at; it is delivered again once
    that is done. `clock_ms` is the last clock item before it (0: none yet), by which the age of a tick is told;
    `marks` are the last prices before it, where losses are looked at or circuit limits follow from the last close."""

    step: int
    clock_ms: int = 0
    marks: dict[int, Mark] = {}


class Taken(msgspec.Struct, frozen=True):
    """Units of an instrument that an order of others has traded at a broker, negative where it sold them, at its
    average price. `difference` tells one from another."""

    instrument: str
    units: int
    price_e4: int
    difference: str


class CommandRow(msgspec.Struct, frozen=True):
    """What an operator or the platform makes a deployment do, at a step of its own. Of an approval: the entry that
    waited, and the event time up to which it may be raised again; `taken` is what leaves the books; of an exit the
    name of its instrument; of a cancellation its order (None: all that work)."""

    id: UUID
    kind: CommandKind
    reason: str
    entry: SignalRow | None = None
    expires_at_ms: int = 0
    taken: Taken | None = None
    instrument: str = ""
    order: UUID | None = None


class ReportRow(msgspec.Struct, frozen=True):
    """What a broker reported of a deployment's orders, at a step of its own: first it is booked, then the machine
    hears of it. `step` is that at which it is booked; None: it waits for that."""

    id: UUID
    step: int | None = None


class Moment(msgspec.Struct, frozen=True):
    """Where in the log signals are raised. Without a correlation id each signal sets off its own."""

    deployment_id: UUID
    step: int
    at_ms: int
    received_at_ms: int
    product: Product
    correlation_id: UUID | None
    marks: dict[int, Mark]


def priced(moment: Moment, token: int, price_e4: int) -> Moment:
    """The moment with another last price of an instrument."""
    mark = moment.marks.get(token, Mark(price_e4, moment.at_ms))
    marks = {**moment.marks, token: msgspec.structs.replace(mark, price_e4=price_e4)}
    return msgspec.structs.replace(moment, marks=marks)


def signal(
    wish: Wish, origin: SignalOrigin, ordinal: int, instrument: InstrumentSpec, moment: Moment
) -> SignalRow:
    """A wish as a signal. Raises ValueError, TypeError or AttributeError for what can be no order."""
    if isinstance(wish, Intent):
        return _order(wish, origin, ordinal, instrument, moment)
    return _act(wish, origin, ordinal, instrument, moment)


def approved(
    command: CommandRow, instruments: Mapping[str, InstrumentSpec], moment: Moment
) -> SignalRow | None:
    """The entry that a person lets pass, as a signal of the moment at which that is carried out; None: it comes too
    late, or for what is not traded any more."""
    entry = command.entry
    assert entry is not None, "an approval names its entry"
    instrument = instruments.get(entry.instrument)
    if instrument is None or moment.at_ms >= command.expires_at_ms:
        return None
    assert moment.correlation_id is not None, "a command sets it off"
    return msgspec.structs.replace(
        entry,
        id=ids.signal_id(moment.deployment_id, moment.step, 0),
        step=moment.step,
        ordinal=0,
        token=instrument.token,
        at_ms=moment.at_ms,
        received_at_ms=moment.received_at_ms,
        correlation_id=moment.correlation_id,
        marks=moment.marks,
        approves=entry.id,
    )


def _order(
    intent: Intent, origin: SignalOrigin, ordinal: int, instrument: InstrumentSpec, moment: Moment
) -> SignalRow:
    signal_id = ids.signal_id(moment.deployment_id, moment.step, ordinal)
    quantity = _units("quantity", intent.quantity, least=1)
    return SignalRow(
        id=signal_id,
        deployment_id=moment.deployment_id,
        step=moment.step,
        ordinal=ordinal,
        token=instrument.token,
        instrument=instrument.key,
        side=Side(intent.side),
        quantity=quantity,
        order_type=intent.order_type,
        limit_price_e4=_limit_e4(intent.limit_price, intent.side, instrument),
        validity=Validity(intent.validity),
        product=moment.product,
        reason=_text(intent.reason),
        at_ms=moment.at_ms,
        received_at_ms=moment.received_at_ms,
        correlation_id=moment.correlation_id or ids.derived("item", signal_id),
        marks=moment.marks,
        origin=origin,
        bracket=intent.bracket,
        trigger_price_e4=_trigger_e4(intent.trigger_price, intent.side, instrument),
        validity_minutes=_units("validity_minutes", intent.validity_minutes),
        variety=Variety.ICEBERG if intent.iceberg_legs else Variety(intent.variety),
        disclosed_quantity=_units("disclosed_quantity", intent.disclosed_quantity),
        iceberg_legs=legs(quantity, _units("iceberg_legs", intent.iceberg_legs), instrument),
        tag=_tag(intent.tag),
    )


def _act(
    wish: Cancel | Modify, origin: SignalOrigin, ordinal: int, instrument: InstrumentSpec, moment: Moment
) -> SignalRow:
    """The order as it is to be afterwards; of a cancellation, as it is."""
    order, kind = wish.order, SignalKind.CANCEL if isinstance(wish, Cancel) else SignalKind.MODIFY
    after = wish if isinstance(wish, Modify) else Modify(order)
    signal_id = ids.signal_id(moment.deployment_id, moment.step, ordinal)
    order_type = _type_after(after)
    limit_e4 = _limit_e4(after.limit_price, order.side, instrument)
    trigger_e4 = _trigger_e4(after.trigger_price, order.side, instrument)
    has_limit = order_type in (OrderType.LIMIT, OrderType.SL)
    has_trigger = order_type in (OrderType.SL, OrderType.SL_M)
    return SignalRow(
        id=signal_id,
        deployment_id=moment.deployment_id,
        step=moment.step,
        ordinal=ordinal,
        token=instrument.token,
        instrument=instrument.key,
        side=order.side,
        quantity=_units("quantity left to trade", after.open_units, least=1),
        order_type=order_type,
        limit_price_e4=_kept(limit_e4, order.limit_price_e4) if has_limit else None,
        validity=Validity(after.validity or order.validity),
        product=order.product,
        reason=_text(wish.reason),
        at_ms=moment.at_ms,
        received_at_ms=moment.received_at_ms,
        correlation_id=moment.correlation_id or ids.derived("item", signal_id),
        marks=moment.marks,
        origin=origin,
        kind=kind,
        target=order.id,
        replaces=order.unfilled,
        trigger_price_e4=_kept(trigger_e4, order.trigger_price_e4) if has_trigger else None,
        validity_minutes=_units(
            "validity_minutes", _kept(after.validity_minutes, order.validity_minutes) or 0
        ),
        disclosed_quantity=_units(
            "disclosed_quantity", _kept(after.disclosed_quantity, order.disclosed_quantity) or 0
        ),
        tag=order.tag,
    )


def _type_after(after: Modify) -> OrderType:
    """The order type of a modification; a market order that is given a limit becomes a limit order, a stop too."""
    if after.order_type is None and after.limit_price is not None:
        limited = {OrderType.MARKET: OrderType.LIMIT, OrderType.SL_M: OrderType.SL}
        return limited.get(after.order.order_type, after.order.order_type)
    order_type = OrderType(after.order_type or after.order.order_type)
    if after.limit_price is not None and order_type in (OrderType.MARKET, OrderType.SL_M):
        raise ValueError(f"an order of type {order_type} has no limit price")
    if after.trigger_price is not None and order_type in (OrderType.MARKET, OrderType.LIMIT):
        raise ValueError(f"an order of type {order_type} has no trigger price: give `order_type`")
    return order_type


def _kept(given: int | None, before: int | None) -> int | None:
    return before if given is None else given


def _units(name: str, number: int, *, least: int = 0) -> int:
    if type(number) is not int or not least <= number <= QUANTITY_MAX:
        raise ValueError(f"a {name} is a whole number from {least} to {QUANTITY_MAX}, not {number!r}")
    return number


def _text(reason: str) -> str:
    return reason.replace("\0", "")[:REASON_LENGTH_MAX]


def _tag(tag: str) -> str:
    if tag and not (tag.isascii() and tag.isalnum() and len(tag) <= TAG_LENGTH_MAX):
        raise ValueError(f"a tag is at most {TAG_LENGTH_MAX} letters and digits, not {tag!r}")
    return tag


def _limit_e4(price: Decimal | None, side: Side, instrument: InstrumentSpec) -> int | None:
    """The limit on the tick grid, never worse for the operator than the strategy asked."""
    return _price_e4("limit price", price, instrument, up=Side(side) is Side.SELL)


def _trigger_e4(price: Decimal | None, side: Side, instrument: InstrumentSpec) -> int | None:
    """The trigger on the tick grid, never reached before the price that the strategy asked for."""
    return _price_e4("trigger price", price, instrument, up=Side(side) is Side.BUY)


def _price_e4(name: str, price: Decimal | None, instrument: InstrumentSpec, *, up: bool) -> int | None:
    if price is None:
        return None
    if not price.is_finite() or abs(price) > LIMIT_PRICE_MAX:
        raise ValueError(f"a {name} of {price} rupees is beyond {LIMIT_PRICE_MAX}")
    finest = price.quantize(Decimal("0.0001"), ROUND_CEILING if up else ROUND_FLOOR)
    return round_to_tick_e4(to_e4(finest), instrument.tick_size_e4, up=up)
