"""Why the broker or the exchange takes no order: Kite's words where they are on record, ours in its manner elsewhere.

On record: margin and circuit (Zerodha's published samples), tick size, trigger price, modifications, AMO (messages that
users of its API have published), `RMS:Rule: Check holdings` and `RMS:Auto Square Off Block` (the raw texts of its risk
system). Ours: product, lot, freeze quantity, disclosed quantity, iceberg, time to live."""

from __future__ import annotations

from collections.abc import Callable
from datetime import time
from enum import StrEnum
from typing import NamedTuple

import msgspec

from alphapanda.core.clock import ist_text
from alphapanda.core.money import is_on_tick, to_rupees, value
from alphapanda.core.vocabulary import OrderType, Product, Side, Validity, Variety
from execution.domain.bands import circuit_limits_e4
from execution.domain.orders import PaperOrder
from execution.domain.venue import Standing, Venue, shortage
from marketdata.domain.instruments import EQUITY_QUANTITY_MAX, EQUITY_VALUE_MAX, LOT_NOT_TOLD, InstrumentSpec
from strategies.domain.signals import Mark

NO_MARK = Mark(0, 0)
AMO_REFUSED = "Your order could not be converted to a After Market Order (AMO)."
LEGS_MIN, LEGS_MAX = 2, 50
TTL_MINUTES_MAX = 375  # a session of the cash market
# When orders for the next session are taken: until the first time of day and from the second one on, or from the close
# where that is later (Zerodha's support article, undated); released at the start of trading, equity limit and market
# orders at 09:00.
AMO_HOURS = {
    "NSE": (time(8, 58), time(16)),
    "BSE": (time(8, 58), time(16)),
    "NFO": (time(9, 10), time(15, 45)),
    "BFO": (time(9, 10), time(15, 45)),
    "CDS": (time(8, 59), time(17)),
    "BCD": (time(8, 59), time(17)),
    "MCX": (time(8, 58), time(23, 30)),
}
CASH = ("NSE", "BSE")


class Case(msgspec.Struct, frozen=True):
    """An order before its judges: the last price (0: unknown) and the close before it, and where it comes in."""

    order: PaperOrder
    instrument: InstrumentSpec
    mark: Mark
    at_ms: int


class Ground(StrEnum):
    """On what a refusal stands."""

    TRADABLE = "TRADABLE"
    PERMITTED = "PERMITTED"
    SIZED = "SIZED"
    SHAPED = "SHAPED"
    TIMED = "TIMED"
    PRICED = "PRICED"
    TRIGGERED = "TRIGGERED"
    CIRCUIT = "CIRCUIT"
    HELD = "HELD"
    FUNDED = "FUNDED"


class Objection(NamedTuple):
    """Why an order is refused: the ground, and words for people."""

    ground: Ground
    words: str


Rule = Callable[[Case, Standing, Venue], str]


def refusal(order: PaperOrder, mark: Mark | None, standing: Standing, venue: Venue, *, at_ms: int) -> str:
    """Why an order is rejected, in words; empty where it is taken."""
    found = objection(order, mark, standing, venue, at_ms=at_ms)
    return found.words if found else ""


def objection(
    order: PaperOrder, mark: Mark | None, standing: Standing, venue: Venue, *, at_ms: int
) -> Objection | None:
    """The first rule that objects to an order speaks; None where it is taken."""
    case = Case(order, venue.instruments[order.token], mark or NO_MARK, at_ms)
    for ground, rule in RULES.items():
        if words := rule(case, standing, venue):
            return Objection(ground, words)
    return None


def _tradable(case: Case, _standing: Standing, venue: Venue) -> str:
    """An index has no lots; a contract that has ended, or has by the session that an order waits for, is no more."""
    instrument, expiry = case.instrument, case.instrument.expiry
    if instrument.lot_size < 1:
        return f"{case.order.instrument} cannot be traded"
    arrives_ms = max(case.at_ms, case.order.release_ms)
    if expiry is not None and arrives_ms >= venue.calendars[case.order.token].contract_ends_ms(expiry):
        return f"{case.order.instrument} expired on {expiry}"
    return ""


def _permitted(case: Case, _standing: Standing, _venue: Venue) -> str:
    order, instrument = case.order, case.instrument
    is_equity = instrument.instrument_type == "EQ"
    if order.product is (Product.NRML if is_equity else Product.CNC):
        accepted = "CNC or MIS" if is_equity else "NRML or MIS"
        return f"product {order.product} is not for {order.instrument}: use {accepted}"
    if instrument.is_permitted(product=order.product, order_type=order.order_type, validity=order.validity):
        return ""
    for name in ("product", "order_type", "validity"):
        word = getattr(order, name)
        if not instrument.is_permitted(**{name: word}):
            return f"{name.replace('_', ' ')} {word} is not allowed for {order.instrument}"
    return ""


def _sized(case: Case, standing: Standing, _venue: Venue) -> str:
    order, instrument = case.order, case.instrument
    if not _is_remainder(case, standing):
        if order.quantity % instrument.lot_size:
            return f"quantity {order.quantity} is no multiple of the lot of {instrument.lot_size}"
        if not instrument.is_lot_told:
            return f"{order.instrument}: {LOT_NOT_TOLD}"
    most = instrument.quantity_max
    if most and order.leg_units(instrument.lot_size) > most:
        return (
            f"quantity {order.quantity} is above the freeze quantity of {instrument.freeze_quantity}:"
            f" at most {most} in one order"
        )
    if instrument.instrument_type != "EQ":
        return ""
    if order.quantity > EQUITY_QUANTITY_MAX:
        return f"quantity {order.quantity} is above {EQUITY_QUANTITY_MAX}, the most in one equity order"
    price_e4 = order.limit_price_e4 or case.mark.price_e4
    if value(price_e4, order.quantity) > EQUITY_VALUE_MAX:
        return f"the order is worth more than {EQUITY_VALUE_MAX} rupees, the most in one equity order"
    return ""


def _is_remainder(case: Case, standing: Standing) -> bool:
    """Whether an order only closes a position that the lot of today does not fit, since the lot was another when it
    was opened: it must not be held for ever."""
    position, instrument = standing.position(case.order.token), case.instrument
    does_not_fit = position % instrument.lot_size != 0 or not instrument.is_lot_told
    return does_not_fit and standing.opening_units(case.order) == 0


def _priced(case: Case, _standing: Standing, _venue: Venue) -> str:
    order, tick_e4 = case.order, case.instrument.tick_size_e4
    for price_e4 in (order.limit_price_e4, order.trigger_price_e4):
        if price_e4 is not None and (price_e4 <= 0 or not is_on_tick(price_e4, tick_e4)):
            tick = to_rupees(tick_e4).normalize()
            return (
                f"Tick size for this script is {tick:f}. Kindly enter price in the multiple of tick size"
                " for this script"
            )
    return ""


def _triggered_later(case: Case, _standing: Standing, _venue: Venue) -> str:
    order = case.order
    if not order.is_waiting_for_trigger:
        return ""
    trigger_e4, limit_e4 = order.trigger_price_e4, order.limit_price_e4
    side, sign = order.side.value.lower(), order.side.sign
    if trigger_e4 is None:
        return f"a trigger price is needed for {order.order_type}"
    if order.order_type is OrderType.SL and limit_e4 is None:
        return f"a limit price is needed for {order.order_type}"
    if limit_e4 is not None and (limit_e4 - trigger_e4) * sign < 0:
        beyond = "above" if order.side is Side.BUY else "below"
        return f"Trigger price for stoploss {side} orders cannot be {beyond} the limit price"
    last_e4 = case.mark.price_e4
    if last_e4 and (trigger_e4 - last_e4) * sign <= 0:
        wanted = "higher" if order.side is Side.BUY else "lower"
        last = f"{to_rupees(last_e4):.2f}"
        return (
            f"Trigger price for stoploss {side} orders should be {wanted} than the last traded price ({last})"
        )
    return ""


def _timed(case: Case, standing: Standing, venue: Venue) -> str:
    order, calendar = case.order, venue.calendars[case.order.token]
    if order.expires_at_ms <= case.at_ms:
        why = _amo_hours(order) if order.variety is Variety.AMO else "The market is closed."
        return f"{AMO_REFUSED} {why}"
    cut_off_ms = calendar.square_off_ms(case.at_ms)
    is_late = cut_off_ms is not None and not order.release_ms and case.at_ms >= cut_off_ms
    is_intraday = order.product is Product.MIS and venue.settings.square_off
    if is_intraday and is_late and standing.opening_units(order):
        at = ist_text(cut_off_ms or 0)[11:16]
        return f"RMS:Auto Square Off Block: no new intraday (MIS) position from {at} on"
    return ""


def _amo_hours(order: PaperOrder) -> str:
    until, since = AMO_HOURS.get(order.instrument.partition(":")[0], AMO_HOURS["NSE"])
    return f"Orders for the next session are taken from {since:%H:%M} to {until:%H:%M}."


def _shaped(case: Case, _standing: Standing, _venue: Venue) -> str:
    """What variety, validity and disclosed quantity allow."""
    order = case.order
    if order.variety is Variety.ICEBERG and not LEGS_MIN <= order.iceberg_legs <= LEGS_MAX:
        return f"an iceberg order has {LEGS_MIN} to {LEGS_MAX} legs, not {order.iceberg_legs}"
    if order.iceberg_legs and order.variety is not Variety.ICEBERG:
        return f"an order in legs is an iceberg order, not {order.variety}"
    if order.iceberg_legs and order.validity is Validity.IOC:
        return "an iceberg order is valid for the day or for minutes"
    if order.iceberg_legs * case.instrument.lot_size > order.quantity:
        return f"quantity {order.quantity} does not fill {order.iceberg_legs} legs"
    if order.validity is Validity.TTL and not 0 < order.validity_minutes <= TTL_MINUTES_MAX:
        return f"time to live is from 1 to {TTL_MINUTES_MAX} minutes, not {order.validity_minutes}"
    if order.validity is Validity.TTL and order.variety is Variety.AMO:
        return "an order for the next session has no time to live in minutes"
    return _disclosed(order, case.instrument)


def _disclosed(order: PaperOrder, instrument: InstrumentSpec) -> str:
    disclosed = order.disclosed_quantity
    if not disclosed:
        return ""
    if instrument.instrument_type != "EQ":
        return "disclosed quantity is for equity only"
    if disclosed > order.quantity or disclosed * 10 < order.quantity:
        return f"disclosed quantity {disclosed} is not from 10 percent of {order.quantity} up to all of it"
    if order.iceberg_legs or order.validity is Validity.IOC:
        return "an iceberg or immediate order discloses no part"
    return ""


def _circuit(case: Case, _standing: Standing, venue: Venue) -> str:
    order = case.order
    lower_e4, upper_e4 = circuit_limits_e4(
        case.instrument, case.mark.close_before_e4, venue.settings.circuit_percent
    )
    for price_e4 in (order.limit_price_e4, order.trigger_price_e4):
        if price_e4 is not None and 0 < price_e4 < lower_e4:
            return _outside("lower", lower_e4)
        if price_e4 is not None and upper_e4 and price_e4 > upper_e4:
            return _outside("upper", upper_e4)
    return ""


def _outside(which: str, limit_e4: int) -> str:
    than = "lower" if which == "lower" else "higher"
    return (
        f"Your order price is {than} than the current {which} circuit limit of {to_rupees(limit_e4):.2f}."
        " Place an order within the daily range."
    )


def _held(case: Case, standing: Standing, _venue: Venue) -> str:
    """Shares that are delivered can be sold only by who holds them."""
    order = case.order
    if order.product is not Product.CNC or order.side is Side.BUY:
        return ""
    free = standing.closable(order.token, order.side)
    if order.unfilled <= free:
        return ""
    return f"RMS:Rule: Check holdings: {order.unfilled} to be sold, {free} held and free"


def _funded(case: Case, standing: Standing, venue: Venue) -> str:
    return shortage(case.order, standing, venue)


RULES: dict[Ground, Rule] = {
    Ground.TRADABLE: _tradable,
    Ground.PERMITTED: _permitted,
    Ground.SIZED: _sized,
    Ground.SHAPED: _shaped,
    Ground.TIMED: _timed,
    Ground.PRICED: _priced,
    Ground.TRIGGERED: _triggered_later,
    Ground.CIRCUIT: _circuit,
    Ground.HELD: _held,
    Ground.FUNDED: _funded,
}
