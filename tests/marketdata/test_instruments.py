"""Kite's instrument lists: parsed strictly, loaded in bulk, twice the same."""

from __future__ import annotations

import gzip
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from marketdata.domain.instruments import (
    COLUMNS,
    InstrumentRow,
    NoSegment,
    NotAnInstrumentList,
    RowFault,
    parse,
    segment_of,
)
from marketdata.models import Instrument
from marketdata.reference import DATA_DIR, instrument_rows
from marketdata.services.instruments import LoadReport, load, load_shipped

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
HEADER = ",".join(COLUMNS)
SBIN = "779521,3045,SBIN,STATE BANK OF INDIA,0.0,,0.0,0.05,1,EQ,NSE,NSE"
TCS = "2953217,11536,TCS,TATA CONSULTANCY SERV LT,0.0,,0.0,0.1,1,EQ,NSE,NSE"
CALL = "16410370,64103,NIFTY25AUG24000CE,,0.0,2025-08-28,24000.0,0.05,75,CE,NFO-OPT,NFO"


def loaded(*lines: str) -> LoadReport:
    return load(io.StringIO("\n".join([HEADER, *lines])), now=NOW)


def counts(report: LoadReport) -> tuple[int, int, int, int, int]:
    return report.added, report.changed, report.unchanged, report.delisted, len(report.faulty)


@pytest.mark.parametrize(
    ("exchange", "kind", "segment"),
    [
        ("NSE", "EQ", "EQUITY"),
        ("BSE", "EQ", "EQUITY"),
        ("NFO", "FUT", "FUTURES"),
        ("BFO", "CE", "OPTIONS"),
        ("NFO", "PE", "OPTIONS"),
        ("CDS", "FUT", "CURRENCY_FUTURES"),
        ("BCD", "PE", "CURRENCY_OPTIONS"),
        ("MCX", "FUT", "COMMODITY_FUTURES"),
        ("MCX", "CE", "COMMODITY_OPTIONS"),
    ],
)
def test_exchange_and_type_make_the_segment(exchange: str, kind: str, segment: str) -> None:
    assert segment_of(exchange, kind) == segment


@pytest.mark.parametrize(("exchange", "kind"), [("NSE", "FUT"), ("NFO", "EQ"), ("NCDEX", "FUT"), ("MCX", "")])
def test_what_is_not_traded_together_is_of_no_segment(exchange: str, kind: str) -> None:
    with pytest.raises(NoSegment, match=f"on {exchange}"):
        segment_of(exchange, kind)


@pytest.mark.django_db
def test_every_tradable_instrument_of_the_shipped_list_has_a_segment() -> None:
    load_shipped(now=NOW)
    for instrument in Instrument.objects.filter(lot_size__gt=0):
        assert segment_of(instrument.exchange, instrument.instrument_type)


def test_a_row_is_exact() -> None:
    [row] = parse([HEADER, CALL])
    assert isinstance(row, InstrumentRow)
    assert (row.key, row.expiry, row.lot_size) == ("NFO:NIFTY25AUG24000CE", date(2025, 8, 28), 75)
    assert (row.strike, row.tick_size) == (Decimal("24000.0"), Decimal("0.05"))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1,2,3", "3 cells"),
        (SBIN.replace("779521", "x"), "instrument_token"),
        (SBIN.replace("779521", "-1"), "instrument_token"),
        (SBIN.replace("SBIN", " "), "tradingsymbol is empty"),
        (SBIN.replace("SBIN", "S" * 61), "longer than 60"),
        (SBIN.replace("0.05", "NaN"), "tick_size"),
        (SBIN.replace("0.05", "-0.05"), "tick_size"),
        (SBIN.replace("0.05", "0.00001"), "tick_size"),
        (SBIN.replace("0.05", "1e999999"), "tick_size '1e999999' is not an amount"),
        (SBIN.replace("0.05", "1e600000"), "tick_size '1e600000' is not an amount"),
        (SBIN.replace(",1,EQ", ",1.5,EQ"), "lot_size"),
        (CALL.replace("2025-08-28", "28-08-2025"), "expiry"),
    ],
)
def test_a_faulty_row_tells_its_line_and_why(line: str, reason: str) -> None:
    good, fault = parse([HEADER, TCS, line])
    assert isinstance(good, InstrumentRow)
    assert isinstance(fault, RowFault)
    assert fault.line == 3
    assert reason in fault.reason


def test_a_second_row_of_the_same_instrument_is_a_fault() -> None:
    _, fault = parse([HEADER, SBIN, SBIN])
    assert fault == RowFault(3, "NSE:SBIN is also in line 2", "NSE:SBIN")


def test_a_file_of_something_else_is_refused() -> None:
    with pytest.raises(NotAnInstrumentList):
        list(parse(["timestamp,open", "1,2"]))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("list.csv", b"", "line 1: no column instrument_token"),
        ("list.csv", b"\x80\xff", "codec can't decode"),
        ("list.csv.gz", b"text", "[Nn]ot a gzipped file"),
        ("list.csv.gz", gzip.compress(",".join(COLUMNS).encode())[:-9], "end-of-stream"),
        ("list.csv", ",".join(COLUMNS).encode() + b"\n" + b"9" * 200_000 + b"\n", "line 2: field larger"),
    ],
    ids=["empty", "no text", "not gzip", "cut off", "long field"],
)
def test_a_list_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(NotAnInstrumentList, match=rf"{name}: .*{said}.*accepted is Kite's instrument list"):
        list(instrument_rows(path))


@given(st.lists(st.text(max_size=12), min_size=12, max_size=12))
def test_any_cells_are_a_row_or_a_fault(cells: list[str]) -> None:
    line = ",".join('"' + cell.replace('"', '""').replace("\0", "") + '"' for cell in cells)
    assert all(isinstance(row, InstrumentRow | RowFault) for row in parse([HEADER, line]))


@pytest.mark.django_db
def test_loading_twice_changes_nothing() -> None:
    assert counts(loaded(SBIN, TCS)) == (2, 0, 0, 0, 0)
    assert counts(loaded(SBIN, TCS)) == (0, 0, 2, 0, 0)


@pytest.mark.django_db
def test_changes_and_delistings_are_told_and_the_partition_stays() -> None:
    loaded(SBIN, TCS)
    Instrument.objects.update(partition=3)
    assert counts(loaded(SBIN.replace("0.05", "0.1"))) == (0, 1, 0, 1, 0)
    sbin = Instrument.objects.get(tradingsymbol="SBIN")
    assert (sbin.tick_size, sbin.partition, sbin.is_listed) == (Decimal("0.1"), 3, True)
    assert not Instrument.objects.get(tradingsymbol="TCS").is_listed
    assert counts(loaded(SBIN, TCS)) == (0, 2, 0, 0, 0)


@pytest.mark.django_db
def test_a_faulty_row_neither_changes_nor_delists_its_instrument() -> None:
    loaded(SBIN, TCS)
    assert counts(loaded(SBIN.replace("0.05", "?"), TCS)) == (0, 0, 1, 0, 1)
    assert Instrument.objects.get(tradingsymbol="SBIN").is_listed


@pytest.mark.django_db
def test_a_token_may_pass_to_another_instrument_and_other_exchanges_are_left_alone() -> None:
    loaded(SBIN, CALL)
    successor = CALL.replace("NIFTY25AUG24000CE", "NIFTY25SEP24000CE")
    assert counts(loaded(successor)) == (1, 0, 0, 1, 0)
    assert Instrument.objects.filter(instrument_token=16410370).count() == 1
    assert Instrument.objects.get(tradingsymbol="SBIN").is_listed


@pytest.mark.django_db
def test_what_ships_loads_and_overwrites_nothing() -> None:
    loaded(SBIN.replace("0.05", "0.2"))
    report = load_shipped(now=NOW)
    assert (report.changed, report.delisted, report.faulty, report.unchanged) == (0, 0, [], 1)
    assert Instrument.objects.get(tradingsymbol="SBIN").tick_size == Decimal("0.2")
    assert Instrument.objects.get(tradingsymbol="NIFTY 50").segment == "INDICES"


@pytest.mark.django_db
def test_the_lists_of_a_day_load_whole(data: Path) -> None:
    nfo = data / "instruments" / "kite_instruments_NFO_2025-07.csv.gz"
    assert counts(load(nfo, now=NOW)) == (36_340, 0, 0, 0, 0)
    assert counts(load(nfo, now=NOW)) == (0, 0, 36_340, 0, 0)
    nse = data / "instruments" / "kite_instruments_NSE_2025-07.csv.gz"
    assert counts(load(nse, now=NOW)) == (8_019, 0, 0, 0, 0)


def test_what_ships_says_what_the_list_of_the_exchange_says(data: Path) -> None:
    with gzip.open(data / "instruments" / "kite_instruments_NSE_2025-07.csv.gz", "rt") as lines:
        listed = {row.key: row for row in parse(lines) if isinstance(row, InstrumentRow)}
    with (DATA_DIR / "instruments.csv").open() as lines:
        shipped = [row for row in parse(lines) if isinstance(row, InstrumentRow)]
    assert len(shipped) == 129
    assert all(listed[row.key] == row for row in shipped)


@pytest.mark.django_db
def test_the_command_reports_as_json_and_as_a_table(tmp_path: Path) -> None:
    path = tmp_path / "nse.csv"
    path.write_text(f"{HEADER}\n{SBIN}\nbroken\n")
    out = io.StringIO()
    call_command("load_instruments", str(path), "--json", stdout=out)
    [report] = json.loads(out.getvalue()).values()
    assert (report["added"], report["faulty"][0]["line"]) == (1, 3)
    out = io.StringIO()
    call_command("load_instruments", stdout=out)
    assert "shipped" in out.getvalue()


@pytest.mark.django_db
def test_the_command_refuses_other_files(tmp_path: Path) -> None:
    with pytest.raises(CommandError):
        call_command("load_instruments", str(tmp_path / "missing.csv"))


@pytest.mark.django_db
def test_a_list_cut_short_is_refused_with_all_files_unless_it_is_meant(tmp_path: Path) -> None:
    names = [f"S{number}" for number in range(5)]
    lines = [f"{n},1,{name},,0.0,,0.0,0.05,1,EQ,NSE,NSE" for n, name in enumerate(names, 1)]
    expired = [f"{9 + n},1,F{n},,0.0,2026-11-19,0.0,0.05,1,FUT,NSE,NSE" for n in range(4)]
    loaded(*lines, *expired)
    first, short = tmp_path / "first.csv", tmp_path / "short.csv"
    first.write_text("\n".join([HEADER, CALL]))
    out = io.StringIO()

    short.write_text("\n".join([HEADER, *lines[:3]]))
    with pytest.raises(
        CommandError, match=r"2 of 5 instruments of NSE are not in it, more than 20 %.*--delist-many"
    ):
        call_command("load_instruments", str(first), str(short))
    assert Instrument.objects.filter(is_listed=True).count() == 9

    short.write_text("\n".join([HEADER, *lines[:4]]))
    call_command("load_instruments", str(first), str(short), stdout=out)
    assert Instrument.objects.filter(exchange="NSE", is_listed=True).count() == 4

    short.write_text("\n".join([HEADER, lines[0]]))
    call_command("load_instruments", str(short), "--delist-many", stdout=out)
    assert Instrument.objects.filter(exchange="NSE", is_listed=True).count() == 1
