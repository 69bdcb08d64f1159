"""Currency contracts stop at 12:30 on their last day, hours before their market: orders, guards, risk, whole runs."""

from __future__ import annotations

from datetime import date, time, timedelta
from typing import Any

import msgspec
import pytest

from alphapanda.core.vocabulary import (
    FillSource,
    OrderStatus,
    Phase,
    Product,
    Side,
    SignalOrigin,
    Validity,
    Variety,
)
from alphapanda.engine.account import Account
from alphapanda.engine.backtest import Run
from execution.domain.paper import History, Memory, PaperOrder, PaperSettings, match, place
from execution.reference import charge_cards
from marketdata.domain.calendar import Session
from marketdata.domain.instruments import InstrumentSpec
from marketdata.domain.markets import Market
from marketdata.domain.stretch import stretch_of
from marketdata.domain.ticks import Item
from marketdata.reference import load_calendar, load_calendars
from risk.domain.context import ended_of
from strategies.domain.base import Strategy
from strategies.domain.machine import Machine
from tests.builders import a_clock, a_deployment, a_signal, a_standing, a_tick, a_venue, an_instrument, at
from tests.risk.test_rules import a_context, rule_on
from tests.strategies.test_guards import Told, fed, flatten

LAST = date(2026, 8, 27)  # a Thursday
BEFORE, AFTER = LAST - timedelta(days=1), LAST + timedelta(days=1)
QUEUES = PaperSettings(latency_ms=0, may_queue=True)


def a_pair(token: int = 7, expiry: date = LAST, exchange: str = "CDS") -> InstrumentSpec:
    symbol = f"USDINR{expiry:%y%b}FUT".upper()
    return msgspec.structs.replace(
        an_instrument(token, lot=1_000, tick_e4=25, symbol=symbol),
        key=f"{exchange}:{symbol}",
        exchange=exchange,
        segment=f"{exchange}-FUT",
        instrument_type="FUT",
        underlying="USDINR",
        expiry=expiry,
    )


PAIR = a_pair()
HOURS = load_calendars().of(PAIR)


def ordered(
    clock: str, day: date = LAST, *, settings: PaperSettings | None = None, **signal: Any
) -> PaperOrder:
    wish: dict[str, Any] = {"limit": "86", "product": Product.NRML, "instrument": PAIR.key} | signal
    venue = a_venue(settings, instruments=[PAIR], hours=HOURS)
    return place(a_signal(Side.BUY, 1_000, at_ms=at(clock, day), **wish), a_standing(), venue, History())


@pytest.mark.parametrize("exchange", ["CDS", "BCD"])
def test_a_contract_has_its_own_hours_on_its_last_day_and_its_markets_before(exchange: str) -> None:
    hours, market = load_calendars().of(a_pair(exchange=exchange)), load_calendar(exchange)

    assert hours.session(LAST) == Session(at("09:00", LAST), at("12:30", LAST))
    assert hours.phase_at(at("12:30", LAST) - 1) is Phase.CONTINUOUS
    assert hours.phase_at(at("12:30", LAST)) is Phase.CLOSED
    assert hours.square_off_ms(at("10:00", LAST)) == at("12:15", LAST)
    assert hours.expiry_closes_ms(at("10:00", LAST)) == at("12:30", LAST)
    assert (
        hours.session(BEFORE) == market.session(BEFORE) == Session(at("09:00", BEFORE), at("17:00", BEFORE))
    )
    assert market.session(LAST) == Session(at("09:00", LAST), at("17:00", LAST))
    assert load_calendars().of(a_pair(exchange=exchange)) is hours


def test_contracts_that_trade_to_the_end_keep_the_hours_of_their_market() -> None:
    option = msgspec.structs.replace(PAIR, key="NFO:X", exchange="NFO", segment="NFO-FUT")
    assert load_calendars().of(option) is load_calendar(Market.NFO)
    assert load_calendars().of(a_pair(expiry=date(2026, 8, 29))) is load_calendar(Market.CDS)  # a Saturday


def test_an_order_works_until_the_contract_ends_and_never_trades_after() -> None:
    order = ordered("12:00")
    assert (order.status, order.expires_at_ms) == (OrderStatus.OPEN, at("12:30", LAST))

    venue = a_venue(instruments=[PAIR], hours=HOURS)
    for clock, status, fills in (("12:29:59.999", "COMPLETE", 1), ("12:30", "EXPIRED", 0)):
        outcome = match([order], a_tick(85, at_ms=at(clock, LAST), size=9_000), venue=venue, memory=Memory())
        assert outcome.orders[order.id].status.value == status
        assert len(outcome.executions) == fills


def test_one_of_the_night_before_ends_with_it_too() -> None:
    order = ordered("18:00", BEFORE, variety=Variety.AMO)

    assert (order.release_ms, order.expires_at_ms) == (at("09:00", LAST), at("12:30", LAST))


def test_a_life_in_minutes_ends_with_it() -> None:
    order = ordered("12:00", validity=Validity.TTL, validity_minutes=60)

    assert order.expires_at_ms == at("12:30", LAST)


@pytest.mark.parametrize("settings", [None, QUEUES], ids=["now", "for the next session"])
@pytest.mark.parametrize("variety", [Variety.REGULAR, Variety.AMO])
@pytest.mark.parametrize(
    ("clock", "day"), [("12:30", LAST), ("16:00", LAST), ("18:00", LAST), ("10:00", AFTER)]
)
def test_no_order_is_taken_in_a_contract_that_has_ended(
    settings: PaperSettings | None, variety: Variety, clock: str, day: date
) -> None:
    order = ordered(clock, day, settings=settings, variety=variety)

    assert order.status is OrderStatus.REJECTED
    assert order.reason == f"{PAIR.key} expired on 2026-08-27"


def test_intraday_entries_end_before_it() -> None:
    assert ordered("12:14:59.999", product=Product.MIS).status is OrderStatus.OPEN
    assert ordered("12:15", product=Product.MIS).reason.startswith("RMS:Auto Square Off Block")
    assert ordered("12:15").status is OrderStatus.OPEN


@pytest.mark.parametrize(("clock", "rule"), [("12:29:59.999", "within_limits"), ("12:30", "expiry_day")])
def test_risk_refuses_an_entry_even_where_it_could_wait(clock: str, rule: str) -> None:
    row = a_signal(quantity=1_000, at_ms=at(clock, LAST), instrument=PAIR.key)
    ended = ended_of([row], {7: PAIR}, {7: HOURS})
    context = a_context(instruments={7: PAIR}, phase=Phase.CLOSED, may_queue=True, ended=ended)

    assert rule_on(row, context) == rule


# ---- whole runs --------------------------------------------------------------------------------------------


class Holds(Strategy):
    """Buys a lot of whatever it has none of, all day."""

    class State(msgspec.Struct):
        pass

    def __init__(self) -> None:
        super().__init__(self.Params())

    def on_tick(self, state: Any, tick: Any, view: Any) -> Any:
        if not view.position() and not view.working():
            yield view.buy(1_000)


def a_day() -> list[Item]:
    """A clock item and a tick of two contracts every minute from 11:58 to 13:12."""
    items: list[Item] = []
    for minute in range(75):
        now = at("11:58", LAST) + minute * 60_000
        items.append(a_clock()._replace(at_ms=now))
        items += [
            a_tick(85, at_ms=now + 1_000 + token, token=token, size=9_000, volume=minute) for token in (7, 8)
        ]
    return items


def run(product: Product, size: int) -> Run:
    later = a_pair(8, date(2026, 9, 28))
    spec = a_deployment(instruments=(PAIR, later), execution={"latency_ms": 0})
    spec = msgspec.structs.replace(spec, product=product)
    account = Account(spec, calendar=load_calendars(), cards=charge_cards())
    account.machine = Machine(spec, Holds(), load_calendars())
    one, items = Run(account, 0), a_day()
    for start in range(0, len(items), size):
        one.read(stretch_of(items[start : start + size], first_seq=1 + start), 1)
    one.end()
    assert one.error == ""
    return one


@pytest.mark.parametrize("size", [1, 7, 1_000])
@pytest.mark.parametrize(
    ("product", "origin", "source", "clock"),
    [
        (Product.NRML, SignalOrigin.EXPIRY, FillSource.SETTLEMENT, time(12, 30)),
        (Product.MIS, SignalOrigin.SQUARE_OFF, FillSource.LAST_PRICE, time(12, 15)),
    ],
)
def test_positions_are_out_when_it_ends_and_nothing_trades_after(
    size: int, product: Product, origin: SignalOrigin, source: FillSource, clock: time
) -> None:
    journal = run(product, size).account.journal
    ended = [row for row in journal.fills if row.fill.token == 7]
    exits = [row for row in ended if row.fill.side is Side.SELL]

    assert [row.source for row in exits] == [source]
    assert exits[0].fill.at_ms - at(f"{clock:%H:%M}", LAST) < 60_000
    assert [order.origin for order in journal.orders.values() if order.id == exits[0].fill.order_id] == [
        origin
    ]
    assert max(row.fill.at_ms for row in ended) == exits[0].fill.at_ms
    assert not [
        one for one in journal.orders.values() if one.token == 7 and one.placed_at_ms > at("12:31", LAST)
    ]


def test_what_an_operator_wants_out_of_is_settled_and_not_asked_of_the_next_session() -> None:
    """Nobody takes the exit of 12:29; where orders may wait for the next session none is asked for any more."""
    spec = a_deployment(instruments=(PAIR,), execution={"latency_ms": 0, "may_queue": True})
    spec = msgspec.structs.replace(spec, product=Product.NRML)
    account = Account(spec, calendar=load_calendars(), cards=charge_cards(), commands=flatten(4))
    account.machine = Machine(spec, Told(on_start=lambda view: [view.buy(1_000)]), load_calendars())
    ticks = [a_tick(85, at_ms=at("12:00", LAST) + number, size=9_000) for number in range(2)]

    fed(account, *ticks, *(a_clock(clock, LAST) for clock in ("12:29", "12:30", "12:31", "12:40")))

    orders = [(order.origin, order.status) for order in account.journal.orders.values()]
    assert orders == [
        (SignalOrigin.STRATEGY, OrderStatus.COMPLETE),
        (SignalOrigin.OPERATOR, OrderStatus.EXPIRED),
        (SignalOrigin.EXPIRY, OrderStatus.COMPLETE),
    ]
    assert account.journal.fills[-1].fill.at_ms == at("12:30", LAST)
