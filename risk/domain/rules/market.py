"""What may be traded when, and whether the market data can be trusted."""

from __future__ import annotations

from alphapanda.core.clock import ist_date, ist_midnight_ms, ist_ms
from alphapanda.core.money import to_rupees
from alphapanda.core.vocabulary import Phase
from marketdata.domain.instruments import LOT_NOT_TOLD
from risk.domain.context import Case
from risk.domain.figures import underlying


def restricted_instrument(case: Case) -> str | None:
    """Neither an instrument nor its underlying may be on the restricted list; where there is an allow-list, one
    of them must be on it."""
    if case.limits.restricted is None and case.limits.allowed is None:
        return None
    names = {case.signal.instrument, underlying(case.instrument)}
    if banned := names & set(case.limits.restricted or ()):
        return f"{', '.join(sorted(banned))} is on the restricted list"
    if case.limits.allowed is not None and not names & set(case.limits.allowed):
        return f"{case.signal.instrument} is not on the list of what is allowed"
    return None


def product_allowed(case: Case) -> str | None:
    """The product must be one of those allowed, and one that the exchange takes for the instrument."""
    product = case.signal.product.value
    if case.limits.products is not None and product not in case.limits.products:
        return f"product {product} is not one of {', '.join(case.limits.products) or 'none'}"
    if not case.instrument.is_permitted(product=product):
        return f"{case.signal.instrument} cannot be traded as {product}"
    return None


def tradable(case: Case) -> str | None:
    """An index has no lots; other instruments trade in whole lots, whose units must be told."""
    lot = case.instrument.lot_size
    if lot < 1:
        return f"{case.signal.instrument} is an index and cannot be traded"
    if case.signal.quantity % lot:
        return f"{case.signal.quantity} is no multiple of the lot of {lot}"
    if not case.instrument.is_lot_told:
        return f"{case.signal.instrument}: {LOT_NOT_TOLD}"
    return None


def session_phase(case: Case) -> str | None:
    """Entries only in continuous trading of the instrument's market, unless orders may wait for the next session."""
    phase = case.phase
    if phase is Phase.CONTINUOUS or case.context.may_queue:
        return None
    return f"the session phase is {phase.value.lower()}"


def entry_hours(case: Case) -> str | None:
    """Entries only between two times of day: from the first on, before the second."""
    first, last = case.limits.entries_from, case.limits.entries_until
    if first is None and last is None:
        return None
    today, at_ms = ist_date(case.signal.at_ms), case.signal.at_ms
    if first is not None and at_ms < ist_ms(today, first):
        return f"no entries before {first:%H:%M}"
    if last is not None and at_ms >= ist_ms(today, last):
        return f"no entries from {last:%H:%M} on"
    return None


def expiry_day(case: Case) -> str | None:
    """No entry in a contract whose trading has ended, nor on its last day from a time on, where one is set."""
    expiry, at_ms = case.instrument.expiry, case.signal.at_ms
    if expiry is None or at_ms < ist_midnight_ms(expiry):
        return None
    if ist_date(at_ms) > expiry or case.signal.token in case.context.ended:
        return f"{case.signal.instrument} expired on {expiry}"
    until = case.limits.expiry_until
    if until is not None and at_ms >= ist_ms(expiry, until):
        return f"{case.signal.instrument} expires today: no entries from {until:%H:%M} on"
    return None


def stale_price(case: Case) -> str | None:
    """The last price must be young enough in event time."""
    limit = case.limits.price_age_ms
    if case.price_age_ms is None or case.price_e4 <= 0:
        return "there is no price"
    if limit is not None and case.price_age_ms > limit:
        return f"the last price is {case.price_age_ms} ms old, at most {limit} allowed"
    return None


def price_jump(case: Case) -> str | None:
    """The last price must lie near the one before it; the next tick near it lets entries pass again."""
    limit = case.limits.price_jump_percent
    if limit is None:
        return None
    before_e4 = case.signal.marks[case.signal.token].before_e4
    if before_e4 > 0 and abs(case.price_e4 - before_e4) * 100 > limit * before_e4:
        jump = f"{to_rupees(before_e4)} to {to_rupees(case.price_e4)}"
        return f"the price jumped from {jump}, at most {limit} % allowed"
    return None


def circuit_limit(case: Case) -> str | None:
    """The price at which the order would trade must lie within the circuit limits, where they are known."""
    lower_e4, upper_e4 = case.instrument.lower_circuit_e4, case.instrument.upper_circuit_e4
    if not lower_e4 and not upper_e4:
        return None
    price_e4 = wanted_e4(case)
    if price_e4 < lower_e4 or (upper_e4 and price_e4 > upper_e4):
        band = f"{to_rupees(lower_e4)} to {to_rupees(upper_e4)}"
        return f"{to_rupees(price_e4)} lies outside the circuit limits of {band}"
    return None


def price_collar(case: Case) -> str | None:
    """The price at which the order would trade must not be worse than the market's by too much. The market's is
    the last price, or the near touch where that lies further; a price better than the market's may be any."""
    percent, ticks = case.limits.collar_percent, case.limits.collar_ticks
    if percent is None and ticks is None:
        return None
    reference_e4, beyond_e4 = market_e4(case), worse_e4(case)
    if percent is not None and beyond_e4 * 100 > percent * reference_e4:
        return _too_far(case, reference_e4, f"{percent} %")
    if ticks is not None and beyond_e4 > ticks * max(case.instrument.tick_size_e4, 1):
        return _too_far(case, reference_e4, f"{ticks} ticks")
    return None


def _too_far(case: Case, reference_e4: int, allowed: str) -> str:
    wanted, reference = to_rupees(wanted_e4(case)), to_rupees(reference_e4)
    return f"would trade at {wanted}, the market is at {reference}: at most {allowed} worse"


def worse_e4(case: Case) -> int:
    """How much worse than the market's price the order would trade; below 0 it is better."""
    return (wanted_e4(case) - market_e4(case)) * case.signal.side.sign


def wanted_e4(case: Case) -> int:
    """The worst price at which the order may trade at first: its limit, else its trigger, else the far touch, else
    the last price."""
    signal, mark = case.signal, case.signal.marks[case.signal.token]
    stated_e4 = signal.limit_price_e4 or signal.trigger_price_e4
    if stated_e4 is not None:
        return stated_e4
    return (mark.ask_e4 if case.is_buy else mark.bid_e4) or mark.price_e4


def market_e4(case: Case) -> int:
    """What the market's price is, or will be when a stop is triggered."""
    mark = case.signal.marks[case.signal.token]
    if case.signal.trigger_price_e4 is not None:
        return case.signal.trigger_price_e4
    if case.is_buy:
        return max(mark.price_e4, mark.bid_e4)
    return min(mark.price_e4, mark.ask_e4) if mark.ask_e4 else mark.price_e4
