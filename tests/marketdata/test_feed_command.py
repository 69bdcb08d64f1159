"""`manage.py feed` end to end, with a log in memory instead of a broker."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from marketdata.domain.ticks import Clock
from marketdata.models import Instrument
from marketdata.reference import YESBANK_FILES
from marketdata.services.calendar import calendars_load_shipped
from marketdata.services.instruments import load_shipped
from tests.marketdata.test_feed import Log
from tests.marketdata.test_instruments import NOW

pytest.importorskip("alphapanda.eventlog.client", reason="the log's client is not in this tree yet")
pytestmark = pytest.mark.django_db


class FlushedLog(Log):
    """The log in memory as both clients of the command."""

    def flush(self, timeout_s: float) -> None:
        self.flushed = True

    def __enter__(self) -> FlushedLog:
        return self

    def __exit__(self, *_error: object) -> None:
        pass


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, settings: Any) -> FlushedLog:
    from alphapanda.management.commands import feed

    log = FlushedLog()
    monkeypatch.setattr(feed, "LogProducer", lambda *_args, **_more: log)
    monkeypatch.setattr(feed, "LogReader", lambda *_args: log)
    monkeypatch.setattr(feed, "stop_flag", threading.Event)  # the signals stay those of the tests
    settings.TICK_PARTITIONS = 1
    settings.FEED_FILES = ()
    calendars_load_shipped()
    load_shipped(now=NOW)
    return log


def test_a_recording_is_played_and_played_once(log: FlushedLog) -> None:
    options = {"files": [str(YESBANK_FILES[0])], "speed": float("inf"), "exit_at_end": True, "lead": 0}
    call_command("feed", **options)
    played = log.items()
    assert log.flushed
    assert isinstance(played[-1][1], Clock)
    call_command("feed", **options)
    assert log.items() == played
    call_command("feed", **options, from_start=True)
    assert len(log.items()) == 2 * len(played)


def test_what_cannot_be_played_is_told(log: FlushedLog, tmp_path: Path) -> None:
    path = tmp_path / "bars_NOBODY.csv"
    path.write_text("timestamp,ltp,volume\n")
    with pytest.raises(CommandError, match="NSE:NOBODY"):
        call_command("feed", files=[str(path)], speed=1.0)
    with pytest.raises(CommandError, match="bars"):
        call_command("feed", files=[str(tmp_path / "bars")], speed=1.0)
    with pytest.raises(CommandError):
        call_command("feed", "--speed", "-1")


def test_an_instrument_on_a_partition_that_is_not_used_is_told(log: FlushedLog) -> None:
    Instrument.objects.filter(tradingsymbol="YESBANK").update(partition=3)
    with pytest.raises(CommandError, match="NSE:YESBANK"):
        call_command("feed", files=[str(YESBANK_FILES[0])], speed=1.0)
