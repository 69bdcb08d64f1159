"""Instruments, candles and quotes by command, from the simulator, in the name of an account that is logged in."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import date, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts import vault
from accounts.models import BrokerAccount, BrokerSession
from alphapanda.core.money import to_e4
from alphapanda.kite_simulator import candles
from alphapanda.kite_simulator.clock import SimClock
from alphapanda.kite_simulator.errors import KiteError
from alphapanda.kite_simulator.listing import load_listing
from alphapanda.kite_simulator.simulator import Simulator, SimulatorSettings
from alphapanda.kite_simulator.walk import Walk
from marketdata.domain.kite_candles import Interval, Span, spans
from marketdata.models import CircuitLimit, Instrument, MasterLoad
from tests.builders import at
from tests.kite.server import INFY, Served, serving
from tests.rows import a_broker_account, a_deployment, an_instrument

pytestmark = pytest.mark.django_db
HOUR_MS = 3_600_000


@pytest.fixture
def served(settings: Any, tmp_path: Path) -> Iterator[Served]:
    """A market by dice with a past, at half past ten of 9 July 2019."""
    listing = load_listing()
    walk = Walk(listing, [INFY], seed=7)
    starts_ms = at() - at() % HOUR_MS
    simulator = Simulator(
        listing=listing,
        tokens=[INFY],
        batches=walk.batches(starts_ms),
        clock=SimClock(starts_ms=starts_ms, speed=0),
        past=walk,
        settings=SimulatorSettings(),
    )
    with serving(simulator) as found:
        settings.KITE_API_URL = found.url
        settings.RUN_DIR = tmp_path
        found.advance(HOUR_MS // 2)
        yield found


@pytest.fixture
def account(served: Served) -> BrokerAccount:
    account = a_broker_account()
    enter(served, account)
    return account


def enter(served: Served, account: BrokerAccount) -> None:
    """A session with the token of a login at the simulator."""
    now = timezone.now()
    account.sessions.filter(ended_at=None).update(ended_at=now, ended_by="SUPERSEDED")
    session = BrokerSession(
        account=account,
        number=account.sessions.count() + 1,
        logged_in_at=now,
        logged_in_by="alice",
        dies_at=now + timedelta(hours=1),
    )
    session.access_token = vault.seal(served.kite().access_token, place=session.token_place)
    session.save(force_insert=True)


def told(*command: str) -> Any:
    """What a command says in JSON."""
    out = StringIO()
    call_command(*command, "--json", stdout=out, stderr=StringIO())
    return json.loads(out.getvalue())


def test_the_list_of_the_day_is_taken_over(served: Served, account: BrokerAccount) -> None:
    whole = told("kite_instruments")

    assert whole["Kite all"]["added"] == len(served.simulator.listing.rows) == Instrument.objects.count()
    assert Instrument.objects.get(instrument_token=INFY).tradingsymbol == "INFY"
    part = told("kite_instruments", "NSE")
    assert part["Kite NSE"]["unchanged"] == Instrument.objects.filter(exchange="NSE").count()
    assert {load.source for load in MasterLoad.objects.all()} == {"Kite all", "Kite NSE"}
    with pytest.raises(CommandError, match="Invalid `exchange` 'NASDAQ'; accepted are NSE"):
        told("kite_instruments", "NASDAQ")


def test_candles_of_half_a_year_are_those_of_the_official_client(
    served: Served, account: BrokerAccount
) -> None:
    """In three requests, none too long for Kite, and the backtest reads what came."""
    an_instrument()
    ours = told(
        "kite_candles", "NSE:INFY", "--interval", "60minute", "--from", "2018-01-01", "--to", "2019-07-09"
    )

    files = list(map(Path, ours))
    assert len(files) == 2
    kite = served.kite()
    theirs = kite.historical_data(INFY, "2018-01-01 00:00:00", "2019-02-04 23:59:59", "60minute")
    lines = _lines(files[0])
    assert len(lines) == len(theirs) > 1_000
    first = theirs[0]
    assert lines[0] == (
        f"{first['date'].isoformat(timespec='milliseconds')},"
        f"{first['open']:g},{first['high']:g},{first['low']:g},{first['close']:g},{first['volume']}"
    )
    run = told("backtest", "ema_cross", "--data", *(str(path) for path in files), "--from", "2019-06-01")
    assert run["meta"]["items"] > 1_000


@pytest.mark.parametrize("interval", list(Interval))
def test_the_longest_request_of_each_interval_passes_and_one_day_more_does_not(interval: Interval) -> None:
    days = Span(date(2010, 1, 1), date(2019, 7, 1))
    first, last = next(spans(days, interval))

    def asked(until: date) -> Any:
        return candles.span({"from": f"{first} 00:00:00", "to": f"{until} 23:59:59"}, interval)

    assert asked(last)
    with pytest.raises(KiteError, match="interval exceeds max limit"):
        asked(last + timedelta(days=1))


def _lines(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().splitlines()[1:]


def test_quotes_are_shown_and_what_kite_does_not_know_is_named(
    served: Served, account: BrokerAccount
) -> None:
    out, err = StringIO(), StringIO()

    call_command("kite_quotes", "NSE:INFY", "NSE:NOSUCH", "--json", stdout=out, stderr=err)

    (row,) = json.loads(out.getvalue())
    assert row["instrument"] == "NSE:INFY"
    tick = served.call(served.simulator.market.last, INFY)
    assert to_e4(row["last"]) == tick.price_e4
    assert "Kite knows nothing of NSE:NOSUCH." in err.getvalue()


def test_circuit_limits_of_what_is_in_use_are_taken_over(served: Served, account: BrokerAccount) -> None:
    infy = a_deployment().instruments.get()

    assert [row["instrument"] for row in told("kite_quotes", "--circuits")] == ["NSE:INFY"]

    limit = CircuitLimit.objects.get()
    assert (limit.instrument, limit.date) == (infy, date(2019, 7, 9))
    assert 0 < limit.lower < limit.upper


def test_candles_say_why_they_do_not_stay(
    served: Served, account: BrokerAccount, settings: Any, tmp_path: Path
) -> None:
    an_instrument()
    ask = ("kite_candles", "NSE:INFY", "--interval", "day", "--from", "2019-07-01", "--to", "2019-07-08")
    err = StringIO()

    call_command(*ask, stdout=StringIO(), stderr=err)

    assert "Gone at 06:00 IST: Kite's terms restrict permanent copies" in err.getvalue()
    with pytest.raises(CommandError, match="not put into a folder of yours"):
        call_command(*ask, "--folder", str(tmp_path / "mine"))
    settings.KITE_ARCHIVE = True
    (file,) = told(*ask, "--folder", str(tmp_path / "mine"))
    assert Path(file).parent == tmp_path / "mine"
    out = StringIO()
    call_command(*ask, "--folder", str(tmp_path / "mine"), stdout=out)
    assert out.getvalue() == f"{file}\n"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            ("kite_candles", "NSE:NOSUCH", "--from", "2019-07-01", "--to", "2019-07-02"),
            "no instrument NSE:NOSUCH",
        ),
        (
            ("kite_candles", "NSE:INFY", "--from", "1 July", "--to", "2019-07-02"),
            "--from wants a day such as",
        ),
        (
            ("kite_candles", "NSE:INFY", "--from", "2019-07-03", "--to", "2019-07-02"),
            "first day not after the last",
        ),
        (
            ("kite_quotes", "NSE:INFY", "--account", "other"),
            "no active broker account 'other'; active are main",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(
    account: BrokerAccount, command: tuple[str, ...], words: str
) -> None:
    an_instrument()
    with pytest.raises(CommandError, match=words):
        call_command(*command)


def test_without_a_token_a_command_says_where_to_log_in(served: Served) -> None:
    a_broker_account()

    with pytest.raises(CommandError, match="log in to Kite on the page Broker"):
        call_command("kite_quotes", "NSE:INFY")


def test_a_token_that_died_ends_the_command_and_a_new_login_goes_on(
    served: Served, account: BrokerAccount
) -> None:
    served.kite()  # a login elsewhere

    with pytest.raises(CommandError, match="Incorrect `api_key` or `access_token`"):
        call_command("kite_quotes", "NSE:INFY")
    assert BrokerSession.objects.get().ended_by == "REFUSED"
    with pytest.raises(CommandError, match="log in to Kite"):
        call_command("kite_quotes", "NSE:INFY")
    enter(served, account)
    assert told("kite_quotes", "NSE:INFY")


def test_kites_rate_limits_are_kept(
    served: Served, account: BrokerAccount, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Seven requests for candles: the simulator, which counts as Kite does, refuses none."""
    refused: list[str] = []
    limits, refusal = served.simulator.limits, served.simulator.limits.refusal
    monkeypatch.setattr(limits, "refusal", lambda words: refused.append(words) or refusal(words))
    monkeypatch.setattr(candles, "folded", lambda *_given: [])  # a year of minutes takes long to make up
    an_instrument()

    assert told("kite_candles", "NSE:INFY", "--from", "2018-06-01", "--to", "2019-07-08") == []

    assert len(list((tmp_path / "kite/candles").iterdir())) == 7
    assert refused == []
