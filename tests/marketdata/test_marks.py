"""The last price that was known at a time: from bars, from the read model, or not at all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from alphapanda.push import readmodel
from marketdata.marks import marks_before
from marketdata.models import Bar
from tests.builders import at
from tests.rows import an_instrument

pytestmark = pytest.mark.django_db
INFY, SBIN = "NSE:INFY", "NSE:SBIN"


@pytest.fixture(autouse=True)
def no_marks() -> Iterator[None]:
    yield
    with readmodel._redis() as server:
        server.delete(readmodel._key("marks"))


def a_bar(clock: str, close_e4: int, *, minutes: int = 1, symbol: str = "INFY", token: int = 408065) -> Bar:
    instrument = an_instrument(tradingsymbol=symbol, instrument_token=token)
    return Bar.objects.create(
        instrument=instrument, minutes=minutes, starts_ms=at(clock), open_e4=1, high_e4=10**9, low_e4=1,
        close_e4=close_e4, volume=1, ticks=1,
    )  # fmt: skip


def test_the_last_bar_that_had_closed_gives_the_price_at_its_end() -> None:
    for clock, price in (("15:27", 100), ("15:29", 300), ("15:28", 200)):
        a_bar(clock, price)
    a_bar("15:15", 999, minutes=15)
    a_bar("10:00", 50, symbol="SBIN", token=779521)

    assert marks_before([INFY, SBIN], at("23:59")) == {
        INFY: (300, at("15:30") - 1),
        SBIN: (50, at("10:01") - 1),
    }
    assert marks_before([INFY], at("15:29"))[INFY] == (200, at("15:29") - 1)
    assert marks_before([INFY], at("15:29:59"))[INFY][0] == 200
    assert marks_before([INFY], at("15:30"))[INFY][0] == 300


def test_a_newer_live_price_wins_and_a_later_one_is_not_known_yet() -> None:
    a_bar("15:28", 200)
    readmodel.marks_write({408065: (250, at("15:29:30"))})

    assert marks_before([INFY], at("15:30"))[INFY] == (250, at("15:29:30"))
    assert marks_before([INFY], at("15:29:10"))[INFY] == (200, at("15:29") - 1)


def test_an_older_live_price_does_not_hide_a_bar() -> None:
    a_bar("15:28", 200)
    readmodel.marks_write({408065: (250, at("15:20"))})
    assert marks_before([INFY], at("15:30"))[INFY][0] == 200


def test_what_nobody_has_seen_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    an_instrument()

    def gone() -> None:
        raise readmodel.ReadModelUnavailable("Redis does not answer")

    assert marks_before([INFY, "NSE:NOSUCH"], at("15:30")) == {}
    monkeypatch.setattr(readmodel, "marks", gone)
    a_bar("15:28", 200)
    assert marks_before([INFY], at("15:30"))[INFY][0] == 200
