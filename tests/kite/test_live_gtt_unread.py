"""A list of triggers of which some rows cannot be read: the others count, and what is in none may be in those."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from alphapanda.core.clock import to_datetime, to_ms
from alphapanda.kite_simulator.faults import Kind
from execution.domain.kite import gtt as kite_gtt
from execution.domain.kite.account import began_ms
from execution.domain.kite.lookup import Finding
from execution.domain.kite.rows import NotKites
from execution.gtt_models import GttCall
from execution.models import BrokerDesk
from execution.services.live import gtt_looking
from execution.services.live.gtt import gtt_place
from execution.services.live.looking import Book
from risk.models import Alert
from tests.kite.live import Live
from tests.kite.looks import DAY_MS, until_morning
from tests.kite.test_live_gtt import armed, asked, at_broker, authorised, go, live, placed, wanted  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The triggers whose rows cannot be read."""
    hidden: set[int] = set()
    read = kite_gtt.trigger_of

    def reading(raw: bytes, units: Mapping[str, int]) -> Any:
        number = msgspec.json.decode(raw)["id"]
        if number in hidden:
            raise NotKites(f"trigger {number}: no trigger")
        return read(raw, units)

    monkeypatch.setattr(kite_gtt, "trigger_of", reading)
    return hidden


def test_a_row_that_cannot_be_read_is_told(live: Live, unread: set[int]) -> None:  # noqa: F811
    row = placed(live)
    unread.add(row.trigger_id)
    go(live, 40)

    alert = Alert.objects.get(code="broker_row_unreadable")
    words = f"such as: trigger {row.trigger_id}: no trigger"
    assert (alert.severity, alert.text.endswith(words)) == ("CRITICAL", True)


def test_what_is_in_no_row_that_can_be_read_may_be_in_another(live: Live, unread: set[int]) -> None:  # noqa: F811
    row = placed(live)
    unread.add(row.trigger_id)
    read_at = BrokerDesk.objects.get().gtts_read_at
    go(live, 40)
    row.refresh_from_db()
    assert (row.status, BrokerDesk.objects.get().gtts_read_at) == ("ACTIVE", read_at)

    live.served.call(live.served.simulator.gtts.all.clear)
    unread.clear()
    go(live, 40)
    row.refresh_from_db()
    assert row.status == "GONE"


def test_what_can_be_read_is_taken(live: Live, unread: set[int]) -> None:  # noqa: F811
    first = placed(live, quantity=4)
    second = placed(live, "k2", quantity=4)
    unread.add(first.trigger_id)
    live.served.call(live.served.simulator.gtts.delete, second.trigger_id, to_ms(live.now()))
    go(live, 40)

    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, second.status) == ("ACTIVE", "DELETED")


def test_what_is_looked_for_is_found_and_not_given_up(live: Live, unread: set[int]) -> None:  # noqa: F811
    unread.add(placed(live, quantity=4).trigger_id)
    armed(live, Kind.GATEWAY_504)
    found = gtt_place(instrument="NSE:INFY", wanted=wanted(quantity=3), asked=asked(live, "k2"))
    go(live, 6)
    found.refresh_from_db()
    assert found.status == "ACTIVE"

    armed(live, Kind.LOST)
    gtt_place(instrument="NSE:INFY", wanted=wanted(quantity=2), asked=asked(live, "k3"))
    go(live, 170)
    assert GttCall.objects.get(key="k3").state == "UNKNOWN"

    unread.clear()
    go(live, 200)
    assert (GttCall.objects.get(key="k3").state, len(at_broker(live))) == ("REFUSED", 2)


def test_an_empty_list_says_nothing_before_the_brokers_day_begins(live: Live) -> None:  # noqa: F811
    """Kite makes its lists anew then, with a token that still lives."""
    row, now_ms = placed(live, stop=Decimal(1300)), to_ms(live.now())
    kept = dict(live.served.simulator.gtts.all)
    live.served.advance(began_ms(now_ms) + DAY_MS - now_ms - 600_000)
    live.served.call(live.served.simulator.gtts.all.clear)
    go(live, 40)
    row.refresh_from_db()
    assert (row.status, Alert.objects.filter(code="gtt_ended").exists()) == ("ACTIVE", False)

    live.served.call(live.served.simulator.gtts.all.update, kept)
    until_morning(live)
    go(live, 40)
    live.served.call(live.served.simulator.gtts.all.clear)
    go(live, 40)
    row.refresh_from_db()
    assert row.status == "GONE", "by day it is no more there"


@pytest.mark.parametrize(("hours", "state"), [(-1, "UNKNOWN"), (1, "REFUSED")])
def test_what_is_looked_for_is_not_given_up_by_an_empty_list_of_the_night(
    live: Live,  # noqa: F811
    hours: int,
    state: str,
) -> None:
    """One that is asked for late may have been taken, and be in the list of the morning."""
    armed(live, Kind.LOST)
    gtt_place(instrument="NSE:INFY", wanted=wanted(quantity=2), asked=asked(live))
    go(live, 2)
    assert GttCall.objects.get().state == "UNKNOWN"
    began = began_ms(to_ms(live.now())) + DAY_MS + hours * 3_600_000

    for number in range(10):
        book = Book(began + number * 60_000, has_gtts=True, gtts=())
        gtt_looking.take(book, to_datetime(book.began_ms))

    assert GttCall.objects.get().state == state


def test_a_trigger_is_not_taken_for_deleted_where_it_may_be_in_no_row(live: Live) -> None:  # noqa: F811
    call = GttCall(kind="DELETE", gtt=placed(live, quantity=4))

    assert gtt_looking._found(call, [], is_all=False) == (None, None)
    assert gtt_looking._found(call, [], is_all=True) == (None, Finding.DONE)
