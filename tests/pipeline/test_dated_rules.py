"""Rules of instruments by date: pipeline and backtest judge each day's orders by the rules of that day."""

from __future__ import annotations

import re
from datetime import date, time
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import override_settings
from django.utils import timezone
from msgspec.structs import replace

from alphapanda.core.clock import ist_date, ist_ms
from alphapanda.core.vocabulary import Product
from alphapanda.deploying import Definition
from alphapanda.engine.recorded import Recording
from alphapanda.proof import parity
from marketdata.domain.dated import COLUMNS, BadRules
from marketdata.domain.instruments import NotAnInstrumentList
from marketdata.domain.stretch import stretch_of
from marketdata.domain.ticks import FIRST_SEQ
from marketdata.models import CircuitLimit, Instrument, InstrumentRule
from marketdata.reference import YESBANK_FILES, dated_rules, instrument_specs
from marketdata.services.instruments import load
from marketdata.services.rules import ALWAYS, freeze_load, rules_changed
from strategies.models import Deployment
from tests.pipeline.hand import Hand, packed, recording, seeded

FILES = [str(YESBANK_FILES[0])]
KEY = "NSE:YESBANK"
GIVEN = [
    Definition(
        name="every kind", strategy="every_kind", instruments=(KEY,), execution={"market_protection": -1}
    )
]


@pytest.fixture(autouse=True)
def _own_strategies(settings) -> None:
    settings.STRATEGIES = Path(__file__).parent / "own"


def with_rules(first: date, second: date) -> None:
    """A tick of ten paise and a narrow band on the first day, a lot of 20 from the second on."""
    yesbank = Instrument.objects.get(tradingsymbol="YESBANK")
    for day, tick, lot in ((ALWAYS, "0.10", 1), (second, "0.05", 20)):
        InstrumentRule.objects.create(
            instrument=yesbank, valid_from=day, tick_size=Decimal(tick), lot_size=lot
        )
    CircuitLimit.objects.create(
        instrument=yesbank, date=first, lower=Decimal("92.90"), upper=Decimal("93.60")
    )
    rules_changed([yesbank.pk])


HEADER = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,"
    "instrument_type,segment,exchange\n"
)
FUTURE = "900001,3516,YESBANK19JULFUT,YESBANK,0,2019-07-25,0,0.05,1,FUT,NFO-FUT,NFO\n"


@pytest.mark.django_db(transaction=True)
def test_a_freeze_quantity_binds_pipeline_and_backtest_from_its_day_on(monkeypatch, tmp_path):
    (listed := tmp_path / "list.csv").write_text(HEADER + FUTURE)
    files = [f"{FILES[0]}=NFO:YESBANK19JULFUT"]
    future = replace(GIVEN[0], instruments=("NFO:YESBANK19JULFUT",), product=Product.NRML)
    given = [future, replace(future, name="stack", strategy="stack", product=Product.MIS)]
    recorded = Recording(files, given, [listed])
    source = recorded.source()
    items = list(source.iter_from())
    first, second = sorted({ist_date(item.at_ms) for item in items})[:2]
    evening = ist_ms(second, time(15, 19))
    stream = [*items[:2_400], *(one for one in items[2_400:] if evening <= one.at_ms < evening + 600_000)]
    load(listed, now=timezone.now())
    with override_settings(SHARDS=1):
        seeded(given)
    (freeze := tmp_path / "freeze.csv").write_text("SYMBOL,VOL_FRZ_QTY\nYESBANK,25\n")
    freeze_load(freeze, exchange="NFO", valid_from=second)
    hand = Hand(packed(stream, source=source.source, batch=211))
    hand.attach(monkeypatch)

    hand.run()

    found = parity.of_database()
    assert judged(found, "exchange takes at most 25") == {second}
    assert max(row["quantity"] for row in found["every kind"]["orders"]) > 25
    asked = [row for row in found["stack"]["signals"] if row["origin"] == "SQUARE_OFF"]
    parts = [(ist_date(row["at_ms"]), row["quantity"]) for row in asked]
    assert parts == [(first, 60), *((second, part) for part in (25, 25, 10))]
    written = StringIO()
    call_command("instrument_rules", stdout=written)
    (rules := tmp_path / "rules.csv").write_text(written.getvalue())
    same = Recording(files, given, [listed], rules=[rules])
    runs = same.fold([stretch_of(stream, first_seq=FIRST_SEQ)], source=source.source)
    assert parity.compare(parity.of_accounts([run.account for run in runs]), found) == (0, [])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("NSE:YESBANK,2019-07-33,,,,,", "valid_from '2019-07-33' is not a day"),
        ("NSE:YESBANK,2019-07-09,0.05,,,,", "tick_size and lot_size go together"),
        ("NSE:YESBANK,2019-07-09,,,1.5,,", "freeze_quantity '1.5' is not a whole number"),
        ("NSE:YESBANK,2019-07-09,,,,95,90", "lower_circuit 95 is not below 90"),
        ("NSE:YESBANK,2019-07-09,,,,NaN,90", "lower_circuit 'NaN' is not an amount"),
        ("NSE:YESBANK,2019-07-09,1e999999,1,,,", "tick_size '1e999999' is not an amount"),
        (
            "NSE:YESBANK,2019-07-09,,,,5,1e20",
            "upper_circuit '1e20' is not an amount above 0 and below 100000000",
        ),
        (f"NSE:YESBANK,2019-07-09,,,{'9' * 5_000},,", f"freeze_quantity '{'9' * 20}' is not a whole number"),
        ("YESBANK,2019-07-09,,,5,,", "instrument 'YESBANK' is not EXCHANGE:TRADINGSYMBOL"),
        ("NSE:YESBANK,2019-07-09", "says nothing of NSE:YESBANK: fill at least one of tick_size"),
        ("NSE:YESBANK,2019-07-09,,,,,", "says nothing of NSE:YESBANK"),
        ("NSE:YESBANK,2019-07-09,,,5,,,7", "has more cells than the 7 of the header"),
        ("NSE:YESBANK,2019-07-08,,,30,,", "NSE:YESBANK on 2019-07-08 is said twice, and not the same"),
    ],
)
def test_a_bad_file_of_rules_is_refused_with_its_line(tmp_path, line, words):
    (path := tmp_path / "rules.csv").write_text(
        f"{','.join(COLUMNS)}\nNSE:YESBANK,2019-07-08,,,5,,\n{line}\n"
    )
    with pytest.raises(BadRules, match=re.escape(f"rules.csv: line 3: {words}")):
        dated_rules(path)


def test_rules_of_several_files_count_together(tmp_path):
    written = {
        "one.csv": "NSE:YESBANK,2019-07-08,0.10,1,5,,\nNSE:YESBANK,2019-07-08,,,5,80,90\n",
        "two.csv": "NSE:YESBANK,2019-07-08,,,6,,\nNSE:YESBANK,2019-07-09,,,7,,\n",
    }
    for name, lines in written.items():
        (tmp_path / name).write_text(f"{','.join(COLUMNS)}\n{lines}")

    found = instrument_specs((), [tmp_path / name for name in written])[KEY]

    first, second = found.on(date(2019, 7, 8)), found.on(date(2019, 7, 9))
    assert (first.tick_size_e4, first.freeze_quantity, first.upper_circuit_e4) == (1_000, 6, 900_000)
    assert (second.tick_size_e4, second.freeze_quantity, second.upper_circuit_e4) == (1_000, 7, 0)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (FUTURE.replace("0.05", "abc"), "tick_size 'abc' is not an amount in rupees"),
        (FUTURE.replace("0.05", "0"), "tick_size and lot_size are 0 for an index alone"),
        (FUTURE.replace(",1,FUT", ",-1,FUT"), "lot_size '-1' is not a whole number"),
        ("900001,3516,YESBANK19JULFUT\n", "3 cells, the header has 12"),
    ],
)
def test_a_line_of_a_list_that_is_no_instrument_is_refused(tmp_path, line, words):
    """Passed over, it would leave the place to the list before it: another tick, other money."""
    (listed := tmp_path / "list.csv").write_text(HEADER + line)
    with pytest.raises(NotAnInstrumentList, match=rf"list\.csv: line 2.*: {re.escape(words)}"):
        instrument_specs((listed,))


def test_rules_of_an_unlisted_instrument_are_refused(tmp_path):
    (path := tmp_path / "rules.csv").write_text(f"{','.join(COLUMNS)}\nNSE:NOBODY,2019-07-08,,,5,,\n")
    with pytest.raises(BadRules, match="rules of NSE:NOBODY, which no list has"):
        instrument_specs((), (path,))


def test_a_share_without_tick_and_lot_is_refused(tmp_path):
    """It would be refused at every order, as an index is."""
    (path := tmp_path / "rules.csv").write_text(f"{','.join(COLUMNS)}\nNSE:YESBANK,2019-07-08,0,0,,,\n")
    with pytest.raises(
        BadRules, match="NSE:YESBANK on 2019-07-08: tick_size and lot_size are 0 for an index"
    ):
        instrument_specs((), (path,))
    path.write_text(f"{','.join(COLUMNS)}\nNSE:NIFTY 50,2019-07-08,0,0,,,\n")
    assert instrument_specs((), (path,))["NSE:NIFTY 50"].dated.sizes


def judged(rows: dict[str, Any], words: str) -> set[date]:
    """The days on which a decision or an order has a reason with some words."""
    found = rows["every kind"]
    pairs = zip(found["signals"], found["decisions"], strict=True)
    days = {ist_date(signal["at_ms"]) for signal, row in pairs if words in row["reason"]}
    return days | {ist_date(row["placed_at_ms"]) for row in found["orders"] if words in row["reason"]}


@pytest.mark.django_db(transaction=True)
def test_each_day_is_judged_by_its_rules_in_pipeline_and_backtest(monkeypatch, tmp_path):
    recorded = recording(FILES, GIVEN)
    source = recorded.source()
    stream = list(source.iter_from())[:2_400]
    first, second = sorted({ist_date(item.at_ms) for item in stream})[:2]
    with override_settings(SHARDS=1):
        seeded(GIVEN)
    with_rules(first, second)
    hand = Hand(packed(stream, source=source.source, batch=211))
    hand.attach(monkeypatch)

    hand.run()

    found = parity.of_database()
    assert judged(found, "lot of 20") == {second}
    assert judged(found, "circuit limit") == {first}
    asked = [row for row in found["every kind"]["signals"] if row["limit_price_e4"]]
    off = {ist_date(row["at_ms"]) for row in asked if row["limit_price_e4"] % 1_000}
    assert off == {second} < {ist_date(row["at_ms"]) for row in asked}, (
        "ten paise was the tick of the first day"
    )
    written = StringIO()
    call_command("instrument_rules", stdout=written)
    (rules := tmp_path / "rules.csv").write_text(written.getvalue())
    same = Recording(FILES, GIVEN, [], rules=[rules])
    runs = same.fold([stretch_of(stream, first_seq=FIRST_SEQ)], source=source.source)
    assert parity.compare(parity.of_accounts([run.account for run in runs]), found) == (0, [])
    plain = recorded.fold([stretch_of(stream, first_seq=FIRST_SEQ)], source=source.source)
    assert parity.compare(parity.of_accounts([run.account for run in plain]), found)[0] > 0


@pytest.mark.django_db(transaction=True)
def test_a_list_that_changes_an_instrument_has_its_deployments_loaded_anew(tmp_path):
    (listed := tmp_path / "list.csv").write_text(HEADER + FUTURE)
    load(listed, now=timezone.now())
    given = [replace(GIVEN[0], instruments=("NFO:YESBANK19JULFUT",), product=Product.NRML)]
    with override_settings(SHARDS=1):
        seeded(given)
    hand = Hand([])
    hand.run()
    [shard], row = hand.shards, Deployment.objects.get()
    assert shard.runners[row.id].machine.spec.instruments[0].expiry == date(2019, 7, 25)
    load(listed, now=timezone.now())  # the same again: nothing to hear
    assert Deployment.objects.get().revision == row.revision

    listed.write_text(HEADER + FUTURE.replace("2019-07-25", "2019-07-23"))
    load(listed, now=timezone.now())
    hand.run()

    assert shard.runners[row.id].machine.spec.instruments[0].expiry == date(2019, 7, 23)
