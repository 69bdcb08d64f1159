"""Settlement of contracts at their expiry: futures at the close of the underlying, options at their intrinsic value.

The close is the last price on record of the underlying where the deployment has it among its instruments; else a
future is settled at its own last price, and an option too, which is no more than close to its intrinsic value."""

from __future__ import annotations

import msgspec

from alphapanda.core.money import to_rupees
from alphapanda.core.vocabulary import FillSource, OrderStatus
from execution.domain.orders import Execution, PaperOrder
from execution.domain.venue import Outcome, Venue
from marketdata.domain.instruments import InstrumentSpec
from strategies.domain.signals import SignalRow

# Kite's names of the indices on which contracts are settled, by the name in the list of contracts.
INDEX_OF = {
    "NIFTY": "NSE:NIFTY 50",
    "BANKNIFTY": "NSE:NIFTY BANK",
    "FINNIFTY": "NSE:NIFTY FIN SERVICE",
    "MIDCPNIFTY": "NSE:NIFTY MID SELECT",
    "NIFTYNXT50": "NSE:NIFTY NEXT 50",
    "SENSEX": "BSE:SENSEX",
    "BANKEX": "BSE:BANKEX",
}


def underlying_key(instrument: InstrumentSpec) -> str:
    """EXCHANGE:TRADINGSYMBOL of what a contract is on."""
    exchange = "BSE" if instrument.exchange == "BFO" else "NSE"
    return INDEX_OF.get(instrument.underlying, f"{exchange}:{instrument.underlying}")


def settlement_price(instrument: InstrumentSpec, signal: SignalRow, venue: Venue) -> tuple[int, str]:
    """The price in 1/10,000 rupee at which a contract is settled (0: nothing is paid), and on what it stands."""
    wanted = underlying_key(instrument)
    known = {other.key: token for token, other in venue.instruments.items()}
    mark = signal.marks.get(known.get(wanted, -1))
    if mark is None:
        own = signal.marks.get(instrument.token)
        return own.price_e4 if own else 0, "its own last price"
    basis = f"{wanted} at {to_rupees(mark.price_e4):.2f}"
    if instrument.instrument_type == "CE":
        return max(mark.price_e4 - instrument.strike_e4, 0), basis
    if instrument.instrument_type == "PE":
        return max(instrument.strike_e4 - mark.price_e4, 0), basis
    return mark.price_e4, basis


def settled(order: PaperOrder, signal: SignalRow, venue: Venue, outcome: Outcome) -> PaperOrder:
    """The order of a settlement, complete at once; what expires without value is traded at nothing."""
    price_e4, basis = settlement_price(venue.instruments[order.token], signal, venue)
    execution = whole(order, signal, price_e4, FillSource.SETTLEMENT)
    outcome.executions.append(execution)
    reason = f"settled at expiry, {basis}"
    after = msgspec.structs.replace(
        order,
        filled_quantity=order.quantity,
        fills_count=1,
        turnover=execution.turnover,
        leg_turnover=execution.turnover,
        reason=reason,
    )
    return outcome.history.move(after, OrderStatus.COMPLETE, signal.at_ms, reason=reason)


def whole(order: PaperOrder, signal: SignalRow, price_e4: int, source: FillSource) -> Execution:
    """All of an order at one price and at its signal's time: nobody is asked for it."""
    return Execution(
        order=order,
        number=1,
        quantity=order.quantity,
        price_e4=price_e4,
        at_ms=signal.at_ms,
        received_at_ms=signal.received_at_ms,
        source=source,
    )
