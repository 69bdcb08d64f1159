"""Exits that waited through an outage: a person may have closed by hand meanwhile what they close."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from django.db import OperationalError

from accounts.models import BrokerSession
from alphapanda.core.clock import to_ms
from execution.domain.kite.outcomes import Stage
from execution.models import BrokerCall, Order
from execution.services.live import reconciling
from execution.services.live.desk import Desk
from execution.services.live.http import Answer, Failed, KiteHttp
from execution.services.live.looking import Book
from execution.services.live.outages import LOOK_MS, Outage
from tests.kite.live import Live
from tests.kite.looks import Started, looks, open_differences, order_of_others

pytestmark = pytest.mark.django_db(transaction=True)


def rounds(live: Live, count: int, *, advance_ms: int = 200) -> None:
    for _ in range(count):
        live.served.advance(advance_ms)
        live.desk.round()
        live.hand.run()
        reading = [live.desk._looking[0]] if live.desk._looking else []
        for future in [*live.desk._flying, *reading]:
            future.exception(10)  # the broker answers by threads


def away(*_given: Any, **_named: Any) -> Answer:
    raise Failed(Stage.NOT_SENT, "connection refused")


@contextmanager
def network_away() -> Iterator[None]:
    """Nothing reaches the broker."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(KiteHttp, "_ask", away)
        yield


def gone(*_given: Any) -> bool:
    raise OperationalError("the connection is closed")


def holding(started: Started) -> Live:
    """Ten intraday units, and the book has been read since."""
    live = started()
    live.want(quantity=10)
    live.work()
    looks(live)
    return live


def exit_that_waits(live: Live) -> Order:
    """Of all that is held, decided while no process is at work; then a person sells it in the app."""
    order = live.want(side="SELL", quantity=10)
    live.served.advance(300_000)
    order_of_others(live, quantity=10)
    return order


def assert_held_up(order: Order) -> None:
    """The book has shown that others sold it all, and the exit has not left."""
    assert open_differences() == [("TAKEN", "NSE:INFY MIS", "10", "0")]
    assert BrokerCall.objects.get(order=order.id).state == "READY", "it would open a position"


def test_an_exit_does_not_leave_before_the_first_look_after_a_process_was_away(started: Started) -> None:
    live = holding(started)
    order = exit_that_waits(live)

    live.desk = live.begun()
    rounds(live, 40)

    assert_held_up(order)


def test_an_exit_leaves_as_soon_as_the_first_look_is_compared(started: Started) -> None:
    live = holding(started)
    order = live.want(side="SELL", quantity=10)
    live.served.advance(300_000)

    live.desk = live.begun()
    rounds(live, 6)

    assert BrokerCall.objects.get(order=order.id).state in ("SENDING", "DONE"), "no five seconds later"


def test_an_exit_leaves_at_once_after_a_process_was_away_for_a_moment(started: Started) -> None:
    live = started()
    live.want(quantity=10)
    live.work()
    order = live.want(side="SELL", quantity=10)

    live.desk = live.begun()
    rounds(live, 1)

    assert BrokerCall.objects.get(order=order.id).state in ("SENDING", "DONE")


def test_an_exit_does_not_leave_before_the_first_look_after_the_network_was_away(started: Started) -> None:
    live = holding(started)

    with network_away():
        order = live.want(side="SELL", quantity=10)
        rounds(live, 100, advance_ms=700)
        rounds(live, 2, advance_ms=0)
        assert BrokerCall.objects.get(order=order.id).state == "READY"
        order_of_others(live, quantity=10)
    rounds(live, 100)

    assert_held_up(order)


def test_an_exit_leaves_soon_after_the_network_was_away(started: Started) -> None:
    live = holding(started)

    with network_away():
        order = live.want(side="SELL", quantity=10)
        rounds(live, 100, advance_ms=700)
    rounds(live, 35)

    assert BrokerCall.objects.get(order=order.id).state == "DONE", "seven seconds later"


def test_an_exit_that_could_not_leave_has_the_book_read_and_leaves_then(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = holding(started)
    reconciling.let_entries_wait()
    order = live.want(side="SELL", quantity=10)
    with monkeypatch.context() as patched:
        patched.setattr(KiteHttp, "write", away)
        rounds(live, 2)
    assert BrokerCall.objects.get(order=order.id).not_before_ms > to_ms(live.now()) + LOOK_MS

    rounds(live, 12)

    assert BrokerCall.objects.get(order=order.id).state in ("SENDING", "DONE"), "no half minute later"


def test_an_exit_waits_for_no_look_where_the_book_cannot_be_read(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = holding(started)
    order = live.want(side="SELL", quantity=10)
    live.served.advance(300_000)
    monkeypatch.setattr(KiteHttp, "read", lambda *_given: Answer(500, b""))

    live.desk = live.begun()
    rounds(live, 35)

    assert BrokerCall.objects.get(order=order.id).state == "DONE"


def test_an_exit_does_not_leave_before_the_first_look_after_a_process_stood_still(started: Started) -> None:
    live = holding(started)
    order = exit_that_waits(live)

    rounds(live, 40)

    assert_held_up(order)


def test_an_exit_does_not_leave_before_the_first_look_after_a_process_stood_still_within_a_round(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = holding(started)
    decided: list[Order] = []

    def asleep(_desk: Desk) -> bool:
        if not decided:
            decided.append(exit_that_waits(live))
        return False

    monkeypatch.setattr(Desk, "_take_pushes", asleep)
    rounds(live, 40)

    assert_held_up(decided[0])


def test_no_entry_leaves_before_the_first_look_after_a_process_stood_still(started: Started) -> None:
    live = holding(started)
    live.served.advance(70_000)
    order = live.want(quantity=5)

    rounds(live, 1)
    assert BrokerCall.objects.get(order=order.id).state == "READY"
    rounds(live, 40)
    assert BrokerCall.objects.get(order=order.id).state == "DONE"


def test_an_exit_does_not_leave_before_the_first_look_after_the_database_was_away(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = holding(started)
    order = live.want(side="SELL", quantity=10)
    with monkeypatch.context() as patched:
        patched.setattr(Desk, "_gather", gone)
        for _ in range(30):  # it goes on trying
            live.served.advance(10_000)
            with suppress(OperationalError):
                live.desk.round()
    order_of_others(live, quantity=10)

    rounds(live, 40)

    assert_held_up(order)


def test_an_exit_that_could_not_leave_is_tried_again_soon_where_the_book_was_read_lately(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = holding(started)
    monkeypatch.setattr(KiteHttp, "read", lambda *_given: Answer(500, b""))
    order = live.want(side="SELL", quantity=10)
    with network_away():
        rounds(live, 3)
    rounds(live, 8)

    assert BrokerCall.objects.get(order=order.id).state == "DONE"


def test_only_a_look_that_began_since_and_was_compared_lets_exits_go(started: Started) -> None:
    live = holding(started)
    call = BrokerCall.objects.filter(order=live.want(side="SELL", quantity=10).id)
    outage, now = Outage(), live.now()
    outage.begin(now - timedelta(minutes=5), now)
    shown = Book(to_ms(now), (), (), positions={})
    of_before = msgspec.structs.replace(shown, began_ms=to_ms(now) - 1)
    unread = msgspec.structs.replace(shown, positions=None)

    for book, is_compared in ((of_before, True), (unread, True), (shown, False)):
        outage.looked(book, now, is_compared=is_compared)
        assert call.get().not_before_ms == to_ms(now) + LOOK_MS
    outage.looked(shown, now, is_compared=True)

    assert call.get().not_before_ms == to_ms(now)


def test_an_exit_that_is_decided_before_the_first_look_waits_for_it_too(started: Started) -> None:
    """A strategy reads on as soon as the machine is back."""
    live = holding(started)
    live.served.advance(300_000)
    order_of_others(live, quantity=10)

    live.desk = live.begun()
    order = live.want(side="SELL", quantity=10)
    rounds(live, 40)

    assert_held_up(order)


def test_an_exit_that_is_decided_right_after_a_login_waits_for_the_first_look_too(started: Started) -> None:
    """Also where nothing was to leave while nobody was logged in."""
    live = holding(started)
    live.access = None
    BrokerSession.objects.update(ended_at=live.now(), ended_by="alice")
    rounds(live, 10, advance_ms=1_000)
    order_of_others(live, quantity=10)

    live.access = live.logged_in()
    rounds(live, 1, advance_ms=1_000)
    order = live.want(side="SELL", quantity=10)
    rounds(live, 40)

    assert_held_up(order)


def test_an_exit_that_is_decided_right_after_the_network_was_away_waits_for_the_first_look_too(
    started: Started,
) -> None:
    """Also where nothing was to leave meanwhile."""
    live = holding(started)
    with network_away():
        rounds(live, 100, advance_ms=700)
    order_of_others(live, quantity=10)

    order = live.want(side="SELL", quantity=10)
    rounds(live, 40)

    assert_held_up(order)


def test_an_exit_waits_for_no_look_where_the_broker_answers_slowly(started: Started) -> None:
    live = holding(started)
    call = BrokerCall.objects.filter(order=live.want(side="SELL", quantity=10).id)
    outage, now = Outage(), live.now()
    began = now - timedelta(seconds=50)
    outage.begin(None, began)
    outage.worked(now)

    outage.looked(Book(to_ms(began), (), (), moved=frozenset({"1"})), now, is_compared=True)

    assert not outage.at_work(now + timedelta(seconds=1))
    assert call.get().not_before_ms == 0


def test_an_exit_waits_once_while_the_book_cannot_be_read(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = holding(started)
    monkeypatch.setattr(KiteHttp, "read", lambda *_given: Answer(500, b""))
    rounds(live, 100, advance_ms=700)

    orders = [live.want(side="SELL", quantity=5)]
    rounds(live, 15)
    orders.append(live.want(side="SELL", quantity=5))
    rounds(live, 15)

    states = [BrokerCall.objects.get(order=order.id).state for order in orders]
    assert states == ["DONE", "READY"], "five seconds are over for one"
    rounds(live, 15)
    assert not BrokerCall.objects.exclude(state="DONE").exists()
