"""Whose hours hold for an instrument, and what these hours are by date."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.vocabulary import Phase
from marketdata.domain.calendar import (
    Calendars,
    Cutoff,
    CutoffKind,
    PhaseRule,
    Session,
    SpecialHours,
    calendar,
    is_us_summer,
)
from marketdata.domain.instruments import InstrumentSpec
from marketdata.domain.markets import INDICES, Market, UnknownMarket
from marketdata.reference import load_calendar, load_calendars
from tests.builders import NSE, an_instrument
from tests.marketdata.helpers import at

BEFORE, SINCE = "2026-07-31", "2026-08-03"
OLD = date(2010, 1, 1)


def an_instrument_of(exchange: str, **more: object) -> InstrumentSpec:
    values = {"key": f"{exchange}:X", "segment": exchange} | more
    return InstrumentSpec(exchange=exchange, tradingsymbol="X", token=1, tick_size_e4=5, lot_size=1, **values)


@pytest.mark.parametrize(
    ("instrument", "market"),
    [
        (an_instrument_of("NSE"), Market.NSE),
        (an_instrument_of("NSE", has_derivatives=True), Market.NSE_FNO),
        (an_instrument_of("NSE", segment=INDICES), Market.NSE_FNO),
        (an_instrument_of("BSE", has_derivatives=True), Market.BSE_FNO),
        (an_instrument_of("NFO", segment="NFO-OPT"), Market.NFO),
        (an_instrument_of("MCX", segment="MCX-FUT"), Market.MCX),
    ],
)
def test_an_instrument_knows_its_market(instrument: InstrumentSpec, market: Market) -> None:
    assert instrument.market is market
    assert load_calendars().of(instrument) is load_calendar(market)


def test_an_unknown_exchange_is_refused_by_name() -> None:
    with pytest.raises(UnknownMarket, match=r"'NCO'.*MCX"):
        load_calendars().of(an_instrument_of("NCO"))
    with pytest.raises(UnknownMarket, match=r"NSE:X.*NSE"):
        Calendars({}).of(an_instrument_of("NSE"))


def test_one_calendar_stands_for_all_markets() -> None:
    assert NSE.of(an_instrument()) is NSE


@pytest.mark.parametrize(
    ("market", "day", "clock", "phase"),
    [
        ("NSE_FNO", BEFORE, "15:29:59.999", Phase.CONTINUOUS),
        ("NSE_FNO", BEFORE, "15:35", Phase.CLOSING),
        ("NSE_FNO", SINCE, "09:07", Phase.PRE_OPEN),
        ("NSE_FNO", SINCE, "09:08", Phase.PRE_OPEN_MATCH),
        ("NSE_FNO", SINCE, "15:14:59.999", Phase.CONTINUOUS),
        ("NSE_FNO", SINCE, "15:15", Phase.AUCTION_REFERENCE),
        ("NSE_FNO", SINCE, "15:20", Phase.AUCTION_ENTRY),
        ("NSE_FNO", SINCE, "15:25", Phase.AUCTION_LIMIT),
        ("NSE_FNO", SINCE, "15:30", Phase.AUCTION_MATCH),
        ("NSE_FNO", SINCE, "15:35", Phase.CLOSED),
        ("NSE_FNO", SINCE, "15:50", Phase.POST_CLOSE),
        ("NSE", BEFORE, "09:10", Phase.PRE_OPEN),
        ("NSE", SINCE, "15:29", Phase.CONTINUOUS),
        ("NSE", SINCE, "15:35", Phase.CLOSING),
        ("BSE_FNO", SINCE, "15:15", Phase.AUCTION_REFERENCE),
        ("NFO", "2025-12-05", "09:05", Phase.CLOSED),
        ("NFO", "2025-12-08", "09:05", Phase.PRE_OPEN),
        ("NFO", SINCE, "15:39", Phase.CONTINUOUS),
        ("BFO", BEFORE, "15:30", Phase.CLOSED),
        ("CDS", SINCE, "16:59", Phase.CONTINUOUS),
        ("CDS", SINCE, "17:00", Phase.CLOSED),
        ("MCX", "2026-03-06", "23:54", Phase.CONTINUOUS),  # the Friday before New York's clocks go forward
        ("MCX", "2026-03-09", "23:30", Phase.CLOSED),
        ("MCX", "2026-10-30", "23:30", Phase.CLOSED),
        ("MCX", "2026-11-02", "23:54", Phase.CONTINUOUS),
        ("MCX", "2026-03-03", "16:59", Phase.CLOSED),  # a holiday with its evening
        ("MCX", "2026-03-03", "17:00", Phase.CONTINUOUS),
        ("MCX", "2026-01-01", "17:00", Phase.CLOSED),
        ("MCX", "2026-10-02", "18:00", Phase.CLOSED),
        ("NSE", "2024-11-01", "17:50", Phase.PRE_OPEN),  # Muhurat
        ("BSE", "2025-10-21", "14:00", Phase.CONTINUOUS),
        ("MCX", "2025-10-21", "14:45", Phase.CLOSED),
        ("NSE", "2026-02-01", "09:05", Phase.PRE_OPEN),  # budget day on a Sunday
    ],
)
def test_phases_by_market_and_date(market: str, day: str, clock: str, phase: Phase) -> None:
    assert load_calendar(market).phase_at(at(day, clock)) is phase


@pytest.mark.parametrize(
    ("market", "day", "clock"),
    [
        ("NSE", BEFORE, "15:20"),
        ("NSE_FNO", BEFORE, "15:20"),
        ("NSE_FNO", SINCE, "15:10"),
        ("NFO", BEFORE, "15:25"),
        ("NFO", SINCE, "15:25"),
        ("CDS", SINCE, "16:45"),
        ("MCX", "2026-03-06", "23:30"),
        ("MCX", "2026-03-09", "23:05"),
        ("NSE", "2024-11-01", "18:50"),  # ten minutes before the end, also of an evening
    ],
)
def test_square_off_by_market_and_date(market: str, day: str, clock: str) -> None:
    assert load_calendar(market).square_off_ms(at(day, "10:00")) == at(day, clock)


def test_currency_stops_at_half_past_twelve_on_its_expiry_and_others_at_their_close() -> None:
    assert load_calendar("CDS").expiry_closes_ms(at(SINCE, "10:00")) == at(SINCE, "12:30")
    assert load_calendar("NFO").expiry_closes_ms(at(SINCE, "10:00")) == at(SINCE, "15:40")


def test_a_cutoff_never_lies_before_the_opening() -> None:
    evening = SpecialHours(date(2026, 11, 8), time(18), time(18, 5))
    one = calendar(
        holidays=(), specials=[evening], rules=(), cutoffs=[Cutoff(OLD, CutoffKind.SQUARE_OFF, 10)]
    )
    assert one.square_off_ms(at("2026-11-08", "10:00")) == at("2026-11-08", "18:00")
    assert one.square_off_ms(at("2026-11-09", "10:00")) is None


def test_where_no_cutoff_is_known_the_square_off_is_ten_minutes_before_the_end() -> None:
    assert NSE.square_off_ms(at("2019-07-09", "10:00")) == at("2019-07-09", "15:20")


def test_every_known_day_has_a_session_that_holds_its_square_off() -> None:
    for market in Market:
        one, day = load_calendar(market), date(2025, 1, 1)
        while day < date(2027, 1, 1):
            session = one.session(day)
            if session is not None:
                assert session.opens_ms < one.square_off_ms(session.opens_ms) <= session.closes_ms
            day += timedelta(days=1)


@given(st.dates(date(2007, 3, 1), date(2060, 12, 31)))
def test_new_york_agrees_on_its_summer(day: date) -> None:
    noon = datetime.combine(day, time(12), ZoneInfo("America/New_York"))
    assert is_us_summer(day) == bool(noon.dst())


def test_a_phase_that_overlaps_is_cut_off_by_the_later_one() -> None:
    one = calendar(
        holidays=(),
        specials=(),
        rules=[
            PhaseRule(OLD, Phase.CONTINUOUS, time(9, 15), time(15, 30)),
            PhaseRule(OLD, Phase.AUCTION_ENTRY, time(15, 15), time(15, 20)),
        ],
    )
    found = [one.phase_at(at(SINCE, clock)) for clock in ("15:14", "15:15", "15:20")]
    assert found == [Phase.CONTINUOUS, Phase.AUCTION_ENTRY, Phase.CLOSED]


def test_a_rule_that_ends_when_it_starts_ends_the_phase_and_touches_no_other() -> None:
    rules = [
        PhaseRule(OLD, Phase.CONTINUOUS, time(9, 15), time(15, 30)),
        PhaseRule(OLD, Phase.CLOSING, time(15, 30), time(15, 40)),
        PhaseRule(date(2026, 1, 1), Phase.CLOSING, time(12), time(12)),
        PhaseRule(date(2027, 1, 1), Phase.CONTINUOUS, time(9, 15), time(9, 15)),
    ]
    one = calendar(holidays=(), specials=(), rules=rules)
    assert one.phase_at(at(SINCE, "12:30")) is Phase.CONTINUOUS
    assert one.phase_at(at(SINCE, "15:35")) is Phase.CLOSED
    assert not one.is_trading_day(date(2027, 1, 4))


@given(
    st.lists(
        st.tuples(st.sampled_from(list(Phase)), st.integers(0, 1_438), st.integers(1, 600)),
        min_size=1,
        max_size=6,
        unique_by=lambda span: span[0],
    ),
    st.integers(0, 1_439),
)
def test_the_phase_is_that_of_the_span_that_started_last(
    spans: list[tuple[Phase, int, int]], minute: int
) -> None:
    rules = [
        PhaseRule(OLD, phase, _clock(starts), _clock(min(starts + length, 1_439)))
        for phase, starts, length in spans
    ]
    one = calendar(holidays=(), specials=(), rules=rules)
    holding = [r for r in rules if r.starts <= _clock(minute) and r.starts < r.ends]
    last = max(holding, key=lambda r: (r.starts, r.ends, r.phase), default=None)
    is_trading = any(r.phase is Phase.CONTINUOUS and r.starts < r.ends for r in rules)
    expected = last.phase if last and is_trading and _clock(minute) < last.ends else Phase.CLOSED
    assert one.phase_at(at(SINCE, _clock(minute).isoformat())) is expected


def _clock(minute: int) -> time:
    return time(minute // 60, minute % 60)


def test_nothing_has_changed_for_stocks_before_august_2026() -> None:
    """Of both kinds of stocks: recorded sessions of these years must replay row by row."""
    one, other = load_calendar("NSE"), load_calendar("NSE_FNO")
    day = date(2015, 1, 1)
    while day < date(2026, 8, 3):
        assert one.session(day) == other.session(day)
        noon = at(day.isoformat(), "12:00")
        assert one._day_of(noon) == other._day_of(noon)
        day += timedelta(days=1)
    full = Session(at("2025-12-15", "09:15"), at("2025-12-15", "15:30"))
    assert one.session(date(2025, 12, 15)) == full == load_calendar("NFO").session(date(2025, 12, 15))
