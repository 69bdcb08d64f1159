"""Kite's instrument lists and quotes, from its own samples."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from marketdata.domain.instruments import COLUMNS, NotAnInstrumentList
from marketdata.domain.kite_quotes import BadQuote, quotes_of
from marketdata.models import CircuitLimit, Instrument, MasterLoad
from marketdata.selectors import spec
from marketdata.services.instruments import ListCutShort
from marketdata.services.kite_instruments import instruments_load
from marketdata.services.kite_quotes import circuits_note, quotes
from tests.builders import e4
from tests.rows import an_instrument

NOW = datetime(2026, 11, 27, 3, tzinfo=UTC)
HEADER = ",".join(COLUMNS)
INFY = "408065,1594,INFY,INFOSYS,0.0,,0.0,0.05,1,EQ,NSE,NSE"
TCS = "2953217,11536,TCS,TATA CONSULTANCY SERV LT,0.0,,0.0,0.1,1,EQ,NSE,NSE"


def sample(data: Path, name: str) -> Any:
    return json.loads((data / "kite/rest" / name).read_text(), parse_float=Decimal)["data"]


def kite(body: Any, asked: list[Any]) -> Any:
    def read(route: str, *, url: Any = None, params: Any = None) -> Any:
        asked.append((route, dict(url or {})))
        return body

    return read


def listed(*lines: str) -> bytes:
    return "\r\n".join([HEADER, *lines, ""]).encode()


@pytest.mark.django_db
def test_kites_sample_of_all_exchanges_is_taken_over(data: Path) -> None:
    asked: list[Any] = []
    body = (data / "kite/rest/instruments_all.csv").read_bytes()

    report = instruments_load(kite(body, asked), now=NOW)

    assert asked == [("market.instruments.all", {})]
    assert report.added == Instrument.objects.count() > 50
    assert MasterLoad.objects.get().source == "Kite all"
    again = instruments_load(kite(body, asked), now=NOW)
    assert (again.added, again.changed, again.delisted) == (0, 0, 0)


@pytest.mark.django_db
def test_the_list_of_one_exchange_touches_no_other(data: Path) -> None:
    asked: list[Any] = []
    instruments_load(kite((data / "kite/rest/instruments_all.csv").read_bytes(), asked), now=NOW)
    others = Instrument.objects.exclude(exchange="NSE").filter(is_listed=True).count()

    report = instruments_load(kite(listed(INFY, TCS), asked), exchange="NSE", now=NOW)

    assert asked[1] == ("market.instruments", {"exchange": "NSE"})
    assert report.delisted > 0
    assert Instrument.objects.exclude(exchange="NSE").filter(is_listed=True).count() == others


@pytest.mark.django_db
def test_a_list_that_is_cut_short_changes_nothing() -> None:
    instruments_load(kite(listed(INFY, TCS), []), exchange="NSE", now=NOW)

    with pytest.raises(ListCutShort, match="1 of 2 instruments of NSE"):
        instruments_load(kite(listed(INFY), []), exchange="NSE", now=NOW, lost_percent_max=20)
    assert Instrument.objects.filter(is_listed=True).count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize("body", [{"status": "success"}, b"<html></html>", b"\xff\xfe\x00", b""])
def test_what_is_no_list_is_refused(body: Any) -> None:
    with pytest.raises(NotAnInstrumentList):
        instruments_load(kite(body, []), now=NOW)


def test_kites_sample_of_a_quote_is_exact(data: Path) -> None:
    quote = quotes_of(sample(data, "quote.json"))["NSE:INFY"]

    assert quote.last_price == Decimal("1412.95")
    assert (quote.lower_circuit_limit, quote.upper_circuit_limit) == (Decimal("1250.7"), Decimal("1528.6"))
    assert quote.ohlc.close == Decimal("1389.65")
    assert quote.depth is not None
    assert [len(side) for side in (quote.depth.buy, quote.depth.sell)] == [5, 5]


def test_what_is_added_later_is_passed_over_and_what_is_missing_is_refused() -> None:
    ohlc = dict.fromkeys(("open", "high", "low", "close"), 1)
    row = {"instrument_token": 1, "last_price": 2, "ohlc": ohlc, "volatility": 3}

    assert quotes_of({"NSE:X": row})["NSE:X"].last_price == Decimal(2)
    for bad in ({**row, "last_price": None}, {"last_price": 2, "ohlc": ohlc}, {**row, "ohlc": {}}, []):
        with pytest.raises(BadQuote, match="no quote"):
            quotes_of({"NSE:X": bad})


def test_many_quotes_are_asked_for_five_hundred_at_a_time() -> None:
    asked: list[list[str]] = []
    ohlc = dict.fromkeys(("open", "high", "low", "close"), 1)

    def read(route: str, *, params: Any) -> Any:
        assert route == "market.quote"
        asked.append(params["i"])
        known = [key for key in params["i"] if key != "NSE:GONE"]
        return {key: {"instrument_token": 1, "last_price": 1, "ohlc": ohlc} for key in known}

    keys = [f"NSE:S{number}" for number in range(1_000)] + ["NSE:GONE"]
    found = quotes(read, keys)

    assert [len(batch) for batch in asked] == [500, 500, 1]
    assert list(found) == keys[:-1]


@pytest.mark.django_db
def test_circuit_limits_of_quotes_count_for_their_day(data: Path) -> None:
    infy, day = an_instrument(), date(2021, 6, 8)
    found = quotes_of(sample(data, "quote.json"))
    index = msgspec.structs.replace(
        found["NSE:INFY"], lower_circuit_limit=Decimal(0), upper_circuit_limit=Decimal(0)
    )
    an_instrument(tradingsymbol="NIFTY 50", instrument_token=256265, segment="INDICES")

    for _ in range(2):
        assert circuits_note({**found, "NSE:NIFTY 50": index, "NSE:UNKNOWN": found["NSE:INFY"]}) == 1

    row = CircuitLimit.objects.get()
    assert (row.instrument, row.date) == (infy, day)
    infy.refresh_from_db()
    assert spec(infy).on(day).lower_circuit_e4 == e4("1250.7")
    assert spec(infy).on(day).upper_circuit_e4 == e4("1528.6")
    assert not spec(infy).on(day + timedelta(days=1)).upper_circuit_e4
    wider = msgspec.structs.replace(found["NSE:INFY"], upper_circuit_limit=Decimal("1600"))
    circuits_note({"NSE:INFY": wider})
    assert CircuitLimit.objects.get().upper == Decimal(1600)
    assert circuits_note({"NSE:INFY": msgspec.structs.replace(wider, timestamp=None)}) == 0
