"""Rules by date: ticks, lots, freeze quantities, circuit limits, and what markets take."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from marketdata import selectors
from marketdata.domain.dated import Sizes, as_rows, dated, of_rows
from marketdata.domain.instruments import InstrumentRow, parse, spec_of_row, underlying_of
from marketdata.domain.markets import Market
from marketdata.domain.rules import Permissions, permissions_of
from marketdata.models import CircuitLimit, FreezeQuantity, Instrument, InstrumentRule
from marketdata.reference import load_calendars
from marketdata.services import rules
from marketdata.services.calendar import calendars_load_shipped
from marketdata.services.instruments import load, load_shipped
from marketdata.services.rules import ALWAYS, NotAFreezeFile, freeze_load, freezes_changed
from tests.builders import an_instrument as a_spec
from tests.rows import an_instrument

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
DAY = date(2026, 11, 20)
FREEZE = "S.No.,SYMBOL,VOL_FRZ_QTY\n1,NIFTY,1800\n2,BANKNIFTY,600\n"


def an_option(symbol: str = "NIFTY26NOV24000CE", **facts: object) -> Instrument:
    values = {
        "exchange": "NFO",
        "tradingsymbol": symbol,
        "instrument_token": abs(hash(symbol)) % 10**6 + 1,
        "name": "NIFTY",
        "expiry": date(2026, 11, 24),
        "strike": Decimal(24_000),
        "lot_size": 65,
        "instrument_type": "CE",
        "segment": "NFO-OPT",
    } | facts
    return an_instrument(**values)


@pytest.mark.parametrize(
    ("symbol", "name", "expiry", "underlying"),
    [
        ("NIFTY26NOV24000CE", "NIFTY", date(2026, 11, 24), "NIFTY"),
        ("BANKNIFTY18JAN23500CE", "", date(2018, 1, 25), "BANKNIFTY"),
        ("NIFTY2580724400CE", "", date(2025, 8, 7), "NIFTY"),
        ("NIFTY25O0724400PE", "", date(2025, 10, 7), "NIFTY"),
        ("NIFTYNXT5025JULFUT", "", date(2025, 7, 31), "NIFTYNXT50"),
        ("M&M25JULFUT", "", date(2025, 7, 31), "M&M"),
        ("INFY", "INFOSYS", None, ""),
        ("STRANGE", "", date(2025, 7, 31), ""),
    ],
)
def test_the_underlying_of_a_derivative(symbol: str, name: str, expiry: date | None, underlying: str) -> None:
    assert underlying_of(symbol, name, expiry) == underlying


def test_the_symbol_tells_the_underlying_that_the_list_names(data: Path) -> None:
    with gzip.open(data / "instruments" / "kite_instruments_NFO_2025-07.csv.gz", "rt") as lines:
        rows = [row for row in parse(lines) if isinstance(row, InstrumentRow)]
    assert [r.key for r in rows if underlying_of(r.tradingsymbol, "", r.expiry) != r.name] == []


@pytest.mark.parametrize(
    ("freeze", "lot", "most"), [(1800, 65, 1755), (1800, 75, 1800), (600, 35, 595), (0, 65, 0), (900, 0, 900)]
)
def test_the_largest_order_is_whole_lots_within_the_freeze(freeze: int, lot: int, most: int) -> None:
    assert replace(a_spec(lot=lot), freeze_quantity=freeze).quantity_max == most


@given(st.integers(1, 10**6), st.integers(1, 10**4))
def test_one_lot_more_is_beyond_the_freeze(freeze: int, lot: int) -> None:
    most = replace(a_spec(lot=lot), freeze_quantity=freeze).quantity_max
    assert most % lot == 0
    assert most <= freeze < most + lot


@pytest.mark.parametrize(
    ("exchange", "instrument_type", "day", "asked", "is_permitted"),
    [
        ("NSE", "EQ", DAY, {"product": "CNC", "order_type": "SL-M", "validity": "IOC"}, True),
        ("NSE", "EQ", DAY, {"product": "NRML"}, False),
        ("NFO", "FUT", DAY, {"product": "NRML", "order_type": "SL-M"}, True),
        ("NFO", "CE", DAY, {"order_type": "SL-M"}, False),
        ("NFO", "CE", date(2021, 9, 24), {"order_type": "SL-M"}, True),
        ("NFO", "CE", DAY, {"product": "CNC"}, False),
        ("MCX", "FUT", date(2026, 3, 31), {"validity": "IOC"}, True),
        ("MCX", "FUT", DAY, {"validity": "IOC"}, False),
    ],
)
def test_permissions(
    exchange: str, instrument_type: str, day: date, asked: dict[str, str], is_permitted: bool
) -> None:
    one = replace(a_spec(), exchange=exchange, instrument_type=instrument_type)
    one = load_calendars().of(one).ruled(one, day)
    assert one.is_permitted(**asked) == is_permitted


def test_a_rule_of_its_own_type_counts_before_a_newer_one_of_all_others() -> None:
    own = Permissions(Market.NFO, "CE", date(2021, 9, 27), ("NRML",), ("LIMIT",), ("DAY",))
    rest = Permissions(Market.NFO, "", date(2026, 1, 1), ("NRML",), ("LIMIT", "SL-M"), ("DAY",))
    option = replace(a_spec(), exchange="NFO", instrument_type="CE")
    assert permissions_of([own, rest], option, DAY) == own
    assert permissions_of([own, rest], replace(option, instrument_type="FUT"), DAY) == rest
    assert permissions_of([own, rest], option, date(2020, 1, 1)) is None


def test_what_is_not_known_of_is_not_held_against_an_order() -> None:
    assert a_spec().is_permitted(product="CNC", order_type="LIMIT", validity="DAY")


@pytest.mark.django_db
def test_specs_are_those_of_the_day() -> None:
    load_shipped(now=NOW)
    option = an_option()
    InstrumentRule.objects.create(instrument=option, valid_from=ALWAYS, tick_size="0.05", lot_size=75)
    InstrumentRule.objects.create(instrument=option, valid_from=DAY, tick_size="0.10", lot_size=65)
    for day, quantity in ((date(2026, 1, 1), 1_700), (DAY, 1_800)):
        FreezeQuantity.objects.create(exchange="NFO", underlying="NIFTY", valid_from=day, quantity=quantity)
    CircuitLimit.objects.create(instrument=option, date=DAY, lower=Decimal("10.5"), upper=400)
    freezes_changed()
    option.refresh_from_db()

    calendars_load_shipped()
    selectors.calendars_forget()
    before, now, after = (
        selectors.calendars().of(one).ruled(one, day)
        for one in [selectors.spec(option)]
        for day in (date(2026, 11, 19), DAY, date(2026, 11, 23))
    )

    assert (before.lot_size, before.tick_size_e4, before.quantity_max) == (75, 500, 1_650)
    assert (now.lot_size, now.tick_size_e4, now.quantity_max) == (65, 1_000, 1_755)
    assert (now.lower_circuit_e4, now.upper_circuit_e4) == (105_000, 4_000_000)
    assert (before.upper_circuit_e4, after.upper_circuit_e4) == (0, 0), (
        "limits of one day say nothing of another"
    )
    assert (now.products, now.order_types) == (("NRML", "MIS"), ("MARKET", "LIMIT", "SL"))
    assert (now.underlying, now.expiry, now.strike_e4) == ("NIFTY", date(2026, 11, 24), 240_000_000)


def test_what_is_written_of_an_index_is_read_again() -> None:
    kept = dated([Sizes(DAY, 0, 0)], [], [])
    assert of_rows(as_rows("NSE:NIFTY 50", kept)) == {"NSE:NIFTY 50": kept}


@pytest.mark.django_db
def test_rules_that_no_backtest_would_read_are_refused_in_the_admin() -> None:
    stock = an_option()
    index = an_instrument(tradingsymbol="NIFTY 50", instrument_token=6, segment="INDICES", lot_size=0)
    InstrumentRule(instrument=index, valid_from=DAY, tick_size=0, lot_size=0).full_clean()
    for one, tick, lot in ((stock, 0, 1), (stock, "0.05", 0), (stock, 0, 0), (index, "0.05", 0)):
        with pytest.raises(ValidationError, match="both are 0 for an index alone"):
            InstrumentRule(instrument=one, valid_from=DAY, tick_size=tick, lot_size=lot).full_clean()
    with pytest.raises(ValidationError, match="The quantity is above 0"):
        FreezeQuantity(exchange="NFO", underlying="NIFTY", valid_from=DAY, quantity=0).full_clean()


@pytest.mark.django_db
def test_a_spec_from_a_row_is_that_of_the_list() -> None:
    line = "16410370,64103,NIFTY26NOV24000CE,NIFTY,0.0,2026-11-24,24000.0,0.05,65,CE,NFO-OPT,NFO"
    header = "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,"
    lines = [header + "instrument_type,segment,exchange", line]
    load(io.StringIO("\n".join(lines)), now=NOW)
    [row] = parse(lines)
    assert isinstance(row, InstrumentRow)
    assert selectors.spec(Instrument.objects.get()) == spec_of_row(row)


@pytest.mark.django_db
def test_freeze_quantities_are_loaded_by_date_and_put_on_derivatives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "_UPDATED_ROWS", 2)
    options = [
        an_option(f"NIFTY26NOV{strike}CE", instrument_token=strike) for strike in (23_900, 24_000, 24_100)
    ]
    blank = an_option("BANKNIFTY26NOVFUT", name="", instrument_type="FUT", lot_size=35)
    path = tmp_path / "freeze.csv"
    path.write_text(FREEZE + "3,GONE,50\n")
    report = freeze_load(path, exchange="NFO", valid_from=DAY)
    assert (report.underlyings, report.changed, report.instruments, report.unknown) == (3, [], 4, ["GONE"])
    for row, quantity in (*((option, 1_800) for option in options), (blank, 600)):
        row.refresh_from_db()
        assert (row.freeze_quantity, selectors.spec(row).freeze_quantity) == (quantity, quantity)
    assert rules.dated_apply(rules.with_rules()) == 0, "what is stored is not written again"
    path.write_text(FREEZE.replace("600", "900"))
    report = freeze_load(path, exchange="NFO", valid_from=date(2026, 12, 1))
    assert [(c.instrument, c.before, c.after) for c in report.changed] == [("NFO:BANKNIFTY", "600", "900")]
    assert FreezeQuantity.objects.count() == 5


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SYMBOL,QTY\nNIFTY,1\n", "no column VOL_FRZ_QTY"),
        (FREEZE.replace("1800", "many"), "line 2: VOL_FRZ_QTY 'many'"),
        (FREEZE.replace("1800", "0"), "line 2: VOL_FRZ_QTY '0'"),
        (FREEZE.replace("BANKNIFTY", "NIFTY"), "line 3: NIFTY is there twice"),
        (FREEZE.replace("NIFTY,1800", ",1800"), "line 2: SYMBOL is empty"),
        ("S.No.,SYMBOL,VOL_FRZ_QTY\n", "no line"),
    ],
)
@pytest.mark.django_db
def test_a_faulty_file_is_refused_whole_with_its_line(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "freeze.csv"
    path.write_text(text)
    with pytest.raises(NotAFreezeFile, match=reason):
        freeze_load(path, exchange="NFO", valid_from=DAY)
    with pytest.raises(CommandError, match="no freeze quantities loaded"):
        call_command("load_freeze_quantities", str(path))
    assert not FreezeQuantity.objects.exists()


def one_of_each_contract(path: Path) -> io.StringIO:
    """A list with one line of each underlying, expiry and type: every strike would name no underlying more."""
    with gzip.open(path, "rt", newline="") as lines:
        reader = csv.DictReader(lines)
        first: dict[tuple[str, ...], dict[str, str]] = {}
        for row in reader:
            first.setdefault((row["name"], row["expiry"], row["instrument_type"]), row)
    thin = io.StringIO()
    writer = csv.DictWriter(thin, reader.fieldnames or ())
    writer.writeheader()
    writer.writerows(first.values())
    thin.seek(0)
    return thin


@pytest.mark.django_db
def test_the_file_and_the_list_of_the_exchange_fit_together(data: Path) -> None:
    load(one_of_each_contract(data / "instruments" / "kite_instruments_NFO_2025-07.csv.gz"), now=NOW)
    out = io.StringIO()
    path = data / "instruments" / "nse_fo_freeze_quantity.csv"
    call_command("load_freeze_quantities", str(path), "--valid-from", "2025-09-01", "--json", stdout=out)
    told = json.loads(out.getvalue())
    bank = Instrument.objects.filter(name="BANKNIFTY").first()
    assert bank is not None
    assert (bank.freeze_quantity, selectors.spec(bank).quantity_max) == (
        600,
        600 // bank.lot_size * bank.lot_size,
    )
    assert told["instruments"] == Instrument.objects.exclude(freeze_quantity=0).count() > 1_000
    out = io.StringIO()
    call_command("load_freeze_quantities", str(path), stdout=out)
    assert "0 changed, 0 listed derivatives updated" in out.getvalue()
