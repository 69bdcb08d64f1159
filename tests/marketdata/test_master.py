"""What a new list changes: the pure difference, stored, told, and named by deployments and positions."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.envelope import InstrumentsChanged, decode
from alphapanda.core.vocabulary import DeploymentStatus
from alphapanda.eventlog.models import OutboxEvent
from marketdata import selectors
from marketdata.domain.instruments import COLUMNS, InstrumentRow, RowFault, parse
from marketdata.domain.master import Change, ChangeKind, Listing, difference
from marketdata.models import Instrument, InstrumentRule, MasterChange, MasterLoad
from marketdata.services.instruments import LoadReport, load
from portfolio.models import Position
from tests.rows import a_deployment, an_instrument, one_of_each

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
HEADER = ",".join(COLUMNS)
INFY = "408065,1594,INFY,INFOSYS,0.0,,0.0,0.05,1,EQ,NSE,NSE"
TCS = "2953217,11536,TCS,TATA CONSULTANCY SERV LT,0.0,,0.0,0.1,1,EQ,NSE,NSE"
CALL = "16410370,64103,NIFTY26NOV24000CE,NIFTY,0.0,2026-11-24,24000.0,0.05,75,CE,NFO-OPT,NFO"


def a_listing(**more: object) -> Listing:
    return Listing(1, Decimal("0.05"), 75, date(2026, 11, 24), Decimal(0), "FUT", "NFO-FUT")._replace(**more)


def loaded(*lines: str, now: datetime = NOW) -> LoadReport:
    return load(io.StringIO("\n".join([HEADER, *lines])), now=now)


def test_the_difference_names_what_is_new_gone_and_changed() -> None:
    before = {"A": a_listing(), "B": a_listing(instrument_token=2), "C": a_listing(instrument_token=3)}
    after = {
        "A": a_listing(lot_size=65, tick_size=Decimal("0.10"), expiry=date(2026, 11, 23)),
        "C": a_listing(instrument_token=2),
        "D": a_listing(instrument_token=4),
    }
    assert difference(before, after) == [
        Change(ChangeKind.CHANGED, "A", "expiry", "2026-11-24", "2026-11-23"),
        Change(ChangeKind.CHANGED, "A", "lot_size", "75", "65"),
        Change(ChangeKind.CHANGED, "A", "tick_size", "0.05", "0.1"),
        Change(ChangeKind.GONE, "B"),
        Change(ChangeKind.CHANGED, "C", "instrument_token", "3", "2"),
        Change(ChangeKind.MOVED, "C", "instrument_token", "B", "C"),
        Change(ChangeKind.ADDED, "D"),
    ]
    assert difference(before, before) == []


def test_what_could_not_be_read_is_not_gone() -> None:
    assert difference({"A": a_listing()}, {}, unreadable=frozenset({"A"})) == []


LISTS = st.dictionaries(
    st.sampled_from("ABCDEF"),
    st.builds(a_listing, instrument_token=st.integers(1, 6), lot_size=st.sampled_from([1, 75])),
)


@given(LISTS, LISTS)
def test_the_difference_leads_from_one_list_to_the_other(
    before: dict[str, Listing], after: dict[str, Listing]
) -> None:
    changes = difference(before, after)
    of = {kind: {c.instrument for c in changes if c.kind is kind} for kind in ChangeKind}
    assert before.keys() - of[ChangeKind.GONE] | of[ChangeKind.ADDED] == after.keys()
    same = {key for key in before.keys() & after.keys() if before[key] == after[key]}
    assert same.isdisjoint(of[ChangeKind.CHANGED])
    assert of[ChangeKind.CHANGED] | same == before.keys() & after.keys()
    assert (changes == []) == (before == after and not of[ChangeKind.MOVED])


def test_a_second_row_of_the_same_token_is_a_fault() -> None:
    good, fault = parse([HEADER, INFY, TCS.replace("2953217", "408065")])
    assert isinstance(good, InstrumentRow)
    assert fault == RowFault(3, "token 408065 is also in line 2", "NSE:TCS")


@pytest.mark.django_db
def test_a_difference_is_stored_and_told_with_whom_it_touches() -> None:
    loaded(INFY, TCS)
    one_of_each()  # a deployment in INFY, and a position
    a_deployment("stopped", status=DeploymentStatus.STOPPED)
    report = loaded(INFY.replace("0.05", "0.1"))

    load_row = MasterLoad.objects.order_by("-loaded_at").get(source="", changed=1)
    assert (load_row.exchanges, load_row.added, load_row.gone, load_row.changed) == ("NSE", 0, 1, 1)
    change = MasterChange.objects.get(load=load_row, is_touching=True)
    assert (str(change), change.uses[0]["kind"]) == ("CHANGED NSE:INFY tick_size 0.05 0.1", "deployment")
    assert MasterChange.objects.get(load=load_row, is_touching=False).instrument == "NSE:TCS"
    (touched,) = report.touched
    assert (touched.instrument, [use.kind for use in touched.uses]) == (
        "NSE:INFY",
        ["deployment", "position"],
    )
    _, event = decode(bytes(OutboxEvent.objects.get(type="instruments.changed").body))
    assert isinstance(event, InstrumentsChanged)
    assert (event.gone, event.changed, len(event.touched)) == (1, 1, 1)
    assert event.touched[0].deployments == ["ma-infy"]
    assert event.touched[0].changes == ["tick_size 0.05 is 0.1"]
    assert event.touched[0].positions[0].endswith(str(Position.objects.get().quantity))


@pytest.mark.django_db
def test_the_same_list_again_is_no_event_and_a_first_list_is_only_counted() -> None:
    loaded(INFY)
    assert (MasterLoad.objects.get().added, MasterChange.objects.count()) == (1, 0)
    loaded(INFY)
    loaded(CALL)
    assert MasterLoad.objects.count() == 3
    assert not OutboxEvent.objects.filter(type="instruments.changed").exists()


@pytest.mark.django_db
def test_the_one_who_loses_a_token_is_told_too() -> None:
    loaded(INFY, TCS)
    a_deployment()
    report = loaded(TCS.replace("2953217", "408065"))
    (touched,) = report.touched
    assert touched.instrument == "NSE:INFY"
    assert {change.kind for change in touched.changes} == {ChangeKind.GONE, ChangeKind.MOVED}
    assert report.delisted == 1


@pytest.mark.django_db
def test_two_instruments_never_share_a_token() -> None:
    loaded(INFY, TCS)
    swapped = (INFY.replace("408065", "2953217"), TCS.replace("2953217", "408065"))
    report = loaded(*swapped)
    assert (report.changed, report.delisted) == (2, 0)
    assert dict(
        Instrument.objects.filter(is_listed=True).values_list("tradingsymbol", "instrument_token")
    ) == {
        "INFY": 2953217,
        "TCS": 408065,
    }
    loaded(CALL.replace("16410370", "408065"))  # of another exchange: the newest list is right
    assert not Instrument.objects.get(tradingsymbol="TCS").is_listed
    tcs = Instrument.objects.get(tradingsymbol="TCS")
    assert tcs.instrument_token == -tcs.pk  # none: no price of the future can count as one of the share
    with pytest.raises(IntegrityError), transaction.atomic():
        Instrument.objects.filter(pk=tcs.pk).update(instrument_token=408065)


@pytest.mark.django_db
def test_one_that_is_listed_no_more_loses_its_token_as_well_and_its_users_are_told() -> None:
    loaded(INFY, TCS)
    a_deployment()
    loaded(TCS)
    assert Instrument.objects.get(tradingsymbol="INFY").instrument_token == 408065

    report = loaded(TCS, TCS.replace("TCS", "NEWCO").replace("2953217", "408065"))

    (touched,) = report.touched
    assert (touched.instrument, [change.kind for change in touched.changes]) == (
        "NSE:INFY",
        [ChangeKind.MOVED],
    )
    assert Instrument.objects.get(tradingsymbol="INFY").instrument_token < 0
    loaded(INFY, TCS)  # and gets one back
    assert Instrument.objects.get(tradingsymbol="INFY").instrument_token == 408065


@pytest.mark.django_db
def test_what_a_list_changes_is_kept_by_date() -> None:
    loaded(CALL, now=NOW - timedelta(days=1))
    loaded(CALL.replace(",75,", ",65,"))
    loaded(CALL.replace(",75,", ",65,"))
    kept = InstrumentRule.objects.order_by("valid_from").values_list("valid_from", "lot_size")
    assert list(kept) == [(date(2000, 1, 1), 75), (date(2026, 11, 20), 65)]
    spec = selectors.spec(Instrument.objects.get())
    assert [spec.on(date(2026, 11, day)).lot_size for day in (19, 20, 21)] == [75, 65, 65]


@pytest.mark.django_db
def test_a_list_of_the_same_day_says_nothing_of_the_past() -> None:
    """So what ships, and lists that are loaded one after the other at the start, make no rule of old sessions."""
    loaded(CALL)
    loaded(CALL.replace(",75,", ",65,"))
    assert not InstrumentRule.objects.exists()
    assert selectors.spec(Instrument.objects.get()).on(date(2019, 7, 9)).lot_size == 65


@pytest.mark.django_db
def test_stocks_know_of_their_derivatives() -> None:
    future = CALL.replace("NIFTY26NOV24000CE,NIFTY", "INFY26NOVFUT,INFY").replace(",CE,", ",FUT,")
    loaded(INFY, TCS)
    loaded(future)
    told = dict(Instrument.objects.filter(exchange="NSE").values_list("tradingsymbol", "has_derivatives"))
    assert told == {"INFY": True, "TCS": False}
    loaded(CALL)
    assert not an_instrument().has_derivatives


@pytest.mark.django_db
def test_the_command_names_what_is_touched(tmp_path) -> None:
    loaded(INFY)
    a_deployment()
    path = tmp_path / "nse.csv"
    path.write_text(f"{HEADER}\n{INFY.replace('0.05', '0.1')}\n")
    out = io.StringIO()
    call_command("load_instruments", str(path), "--json", stdout=out)
    [report] = json.loads(out.getvalue()).values()
    assert report["touched"][0]["changes"] == ["tick_size 0.05 is 0.1"]
    assert report["touched"][0]["used_by"][0]["name"] == "ma-infy"
    path.write_text(f"{HEADER}\n{INFY}\n")
    out = io.StringIO()
    call_command("load_instruments", str(path), stdout=out)
    assert "NSE:INFY tick_size 0.1 is 0.05: used by deployment ma-infy" in " ".join(out.getvalue().split())
