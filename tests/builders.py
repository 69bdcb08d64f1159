"""Values of the trading core for tests: each builder makes a good one, options say what is different."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, time
from decimal import Decimal
from typing import Any

import msgspec

from alphapanda.core import ids
from alphapanda.core.clock import ist_ms
from alphapanda.core.money import to_e4
from alphapanda.core.vocabulary import OrderType, Phase, Product, Side, Validity
from execution.domain.paper import (
    History,
    Memory,
    PaperOrder,
    PaperSettings,
    Standing,
    Venue,
    place,
)
from marketdata.domain.calendar import Calendar, PhaseRule, calendar
from marketdata.domain.instruments import InstrumentSpec
from marketdata.domain.ticks import HAS_DEPTH, Clock, Tick
from portfolio.domain.books import Holding
from risk.reference import margin_tables
from strategies.domain.base import DeploymentSpec
from strategies.domain.signals import Mark, SignalRow

NOTHING = Memory()
DAY = date(2019, 7, 9)  # a Tuesday
TICK_E4 = 500
DEPLOYMENT = ids.deployment_id("of tests")
NSE = calendar(
    holidays=[],
    specials=[],
    rules=[
        PhaseRule(date(2010, 1, 1), Phase.PRE_OPEN, time(9), time(9, 15)),
        PhaseRule(date(2010, 1, 1), Phase.CONTINUOUS, time(9, 15), time(15, 30)),
        PhaseRule(date(2010, 1, 1), Phase.CLOSING, time(15, 30), time(15, 40)),
    ],
)


def at(clock: str = "10:00", day: date = DAY) -> int:
    """Epoch ms of a time in India."""
    return ist_ms(day, time.fromisoformat(clock))


def e4(rupees: object) -> int:
    return to_e4(str(rupees))


def an_instrument(
    token: int = 7, *, lot: int = 1, tick_e4: int = TICK_E4, symbol: str = ""
) -> InstrumentSpec:
    symbol = symbol or f"STOCK{token}"
    return InstrumentSpec(
        key=f"NSE:{symbol}",
        exchange="NSE",
        tradingsymbol=symbol,
        token=token,
        tick_size_e4=tick_e4,
        lot_size=lot,
        segment="NSE",
        partition=0,
    )


def an_index(token: int = 9) -> InstrumentSpec:
    return an_instrument(token, lot=0, tick_e4=0, symbol="NIFTY 50")


def a_tick(
    price: object = 100,
    *,
    at_ms: int = 0,
    token: int = 7,
    size: int = 0,
    bids: Iterable[tuple[object, int]] | None = None,
    asks: Iterable[tuple[object, int]] | None = None,
    **more: Any,
) -> Tick:
    """A tick at 10:00, in rupees; with bids or asks (also empty ones) it has depth on record."""
    has_depth = bids is not None or asks is not None
    return Tick(
        token=token,
        at_ms=at_ms or at(),
        traded_at_ms=0,
        received_ms=(at_ms or at()) + 3,
        price_e4=e4(price),
        quantity=size,
        volume=-1,
        oi=0,
        average_e4=0,
        buy_quantity=0,
        sell_quantity=0,
        flags=HAS_DEPTH if has_depth else 0,
        bids=tuple((e4(level), quantity) for level, quantity in bids or ()),
        asks=tuple((e4(level), quantity) for level, quantity in asks or ()),
    )._replace(**more)


def a_clock(clock: str = "10:00", day: date = DAY) -> Clock:
    return Clock(at(clock, day), at(clock, day) + 3)


def a_mark(
    price: object = 100,
    *,
    at_ms: int = 0,
    close_before: object = 0,
    before: object = 0,
    bid: object = 0,
    ask: object = 0,
) -> Mark:
    return Mark(e4(price), at_ms or at(), e4(close_before), e4(before), e4(bid), e4(ask))


def a_signal(
    side: Side = Side.BUY,
    quantity: int = 10,
    *,
    limit: object = None,
    trigger: object = None,
    at_ms: int = 0,
    step: int = 1,
    ordinal: int = 0,
    token: int = 7,
    validity: Validity = Validity.DAY,
    marks: dict[int, Mark] | None = None,
    **more: Any,
) -> SignalRow:
    """A signal of 10:00 in an instrument whose last price is 100 rupees."""
    signal_id = ids.signal_id(DEPLOYMENT, step, ordinal)
    row = SignalRow(
        id=signal_id,
        deployment_id=DEPLOYMENT,
        step=step,
        ordinal=ordinal,
        token=token,
        instrument=f"NSE:STOCK{token}",
        side=side,
        quantity=quantity,
        order_type=_type_of(limit, trigger),
        limit_price_e4=None if limit is None else e4(limit),
        validity=validity,
        product=Product.MIS,
        reason="a test",
        at_ms=at_ms or at(),
        received_at_ms=(at_ms or at()) + 3,
        correlation_id=ids.derived("item", 1, step),
        marks={token: a_mark(at_ms=at_ms)} if marks is None else marks,
        trigger_price_e4=None if trigger is None else e4(trigger),
    )
    return msgspec.structs.replace(row, **more)


def _type_of(limit: object, trigger: object) -> OrderType:
    if trigger is None:
        return OrderType.MARKET if limit is None else OrderType.LIMIT
    return OrderType.SL_M if limit is None else OrderType.SL


def a_venue(
    settings: PaperSettings | None = None,
    *,
    instruments: Iterable[InstrumentSpec] = (),
    hours: Calendar = NSE,
) -> Venue:
    """The paper exchange without latency, over two stocks."""
    listed = list(instruments) or [an_instrument(7), an_instrument(8)]
    return Venue(
        settings or PaperSettings(latency_ms=0),
        {instrument.token: instrument for instrument in listed},
        {instrument.token: hours for instrument in listed},
        margin_tables(),
    )


def a_standing(
    orders: Iterable[PaperOrder] = (), *, holdings: dict[int, Holding] | None = None, memory: Memory = NOTHING
) -> Standing:
    """Flat, with nothing at work."""
    return Standing({order.id: order for order in orders}, holdings or {}, memory)


def an_order(
    side: Side = Side.BUY,
    quantity: int = 10,
    *,
    settings: PaperSettings | None = None,
    instrument: InstrumentSpec | None = None,
    hours: Calendar = NSE,
    standing: Standing | None = None,
    **signal: Any,
) -> PaperOrder:
    """An order placed at 10:00 and eligible at once."""
    instrument = instrument or an_instrument(signal.get("token", 7))
    row = a_signal(side, quantity, **({"token": instrument.token} | signal))
    venue = a_venue(settings, instruments=[instrument], hours=hours)
    return place(row, standing or a_standing(), venue, History())


def a_holding(quantity: int, price: object = 100, *, realised: object = 0) -> Holding:
    """So many units at a price, and what was earned before."""
    return Holding(quantity, Decimal(str(price)) * quantity, Decimal(str(realised)))


def a_deployment(
    strategy: str = "ema_cross",
    *,
    instruments: Iterable[InstrumentSpec] | None = None,
    execution: dict[str, Any] | None = None,
    limits: dict[str, Any] | None = None,
    **params: Any,
) -> DeploymentSpec:
    return DeploymentSpec(
        id=DEPLOYMENT,
        name="of tests",
        strategy=strategy,
        params=params,
        instruments=tuple(instruments or (an_instrument(),)),
        execution=execution or {},
        limits=limits or {},
    )
