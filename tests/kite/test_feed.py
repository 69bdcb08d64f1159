"""Our feed against the simulator's websocket: nothing stops it, nothing old passes, every gap is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from alphapanda.kite_simulator import ticker
from alphapanda.kite_simulator.faults import Fault, Kind
from marketdata.domain.kite_frames import Mode
from marketdata.domain.ticks import HAS_DEPTH, Tick
from tests.builders import at
from tests.kite.hearing import FAST, Hearing, connections, hearing, modes, opening, until, wait_subscribed
from tests.kite.server import INFY, Served, a_simulator, serving

MINUTE_MS = 60_000
LEVELS = tuple((price, 10) for price in (15_000_000, 14_999_500, 14_999_000, 14_998_500, 14_998_000))


def a_tick(second: int, *, token: int = INFY) -> Tick:
    """A tick so many seconds after 10:00."""
    at_ms = at() + second * 1_000
    return Tick(
        token,
        at_ms,
        at_ms,
        0,
        15_000_000 + 500 * second,
        5,
        1_000 + second,
        0,
        14_999_900,
        50,
        60,
        HAS_DEPTH,
        LEVELS,
        LEVELS,
    )


@pytest.fixture(autouse=True)
def beats_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticker, "HEARTBEAT_S", 0.2)
    monkeypatch.setattr(ticker, "LOOK_S", 0.05)


@pytest.fixture
def served() -> Iterator[Served]:
    with serving(a_simulator([a_tick(second) for second in range(1, 600)])) as found:
        yield found


def go_wrong(served: Served, *faults: Fault) -> None:
    served.call(served.simulator.faults.arm, faults)


def seconds(heard: Hearing) -> list[int]:
    """Of the ticks in the log, after 10:00."""
    return [(tick.at_ms - at()) // 1_000 for tick in heard.ticks()]


def test_ticks_come_as_they_were_sent_with_clock_items_between(served: Served) -> None:
    with hearing(served) as heard:
        served.advance(125_000)
        until(lambda: len(heard.ticks()) == 125, "125 ticks")
        items = [item for _, item in heard.log.items()]
    sent = [a_tick(second)._replace(received_ms=0) for second in range(1, 126)]
    assert [tick._replace(received_ms=0) for tick in heard.ticks()] == sent
    assert heard.clocks() == [at() + n * MINUTE_MS for n in range(3)]
    for clock_ms in heard.clocks()[1:]:
        place = next(n for n, item in enumerate(items) if item.at_ms == clock_ms)
        assert items[place - 1].at_ms < clock_ms <= items[place + 1].at_ms
    assert heard.feed.figures.cached == 0


def test_the_last_tick_that_comes_with_a_subscription_is_no_news(served: Served) -> None:
    served.advance(10_000)
    with hearing(served, by_ticks=False) as heard:
        until(lambda: heard.feed.figures.cached > 0, "the cached tick")
        served.advance(2_000)
        until(lambda: heard.feed.figures.ticks > 0, "live ticks")
        served.advance(1_000)
        until(lambda: seconds(heard)[-1:] == [13], "the last tick")
    # by the clock of the wall these ticks are years old: of each mode's first the kept one is left out, no other
    assert 10 not in seconds(heard)


def test_a_connection_that_is_cut_comes_back_and_tells_the_gap(served: Served) -> None:
    with hearing(served) as heard:
        served.advance(5_000)
        until(lambda: len(heard.ticks()) == 5, "5 ticks")
        go_wrong(served, Fault(kind=Kind.CUT))
        until(lambda: len(heard.gaps) == 2, "the end of the gap")
        wait_subscribed(served, 1)
        served.advance(3_000)
        until(lambda: seconds(heard)[-1] == 8, "ticks after the cut")
    begun, over = heard.gaps
    assert (begun.until_ms, begun.instruments, begun.connection) == (0, 1, 0)
    assert (over.from_ms, over.until_ms > over.from_ms) == (begun.from_ms, True)
    assert begun.reason.startswith(("closed with", "broken off"))


def test_a_socket_that_falls_silent_is_given_up(served: Served) -> None:
    with hearing(served) as heard:
        served.advance(2_000)
        until(lambda: len(heard.ticks()) == 2, "2 ticks")
        (mute,) = connections(served)
        go_wrong(served, Fault(kind=Kind.MUTE, ms=(3_600_000, 3_600_000)))
        until(lambda: mute not in connections(served), "the end of the connection")
        wait_subscribed(served, 1)
        served.advance(1_000)
        until(lambda: len(heard.ticks()) >= 3, "ticks on it")
    assert heard.gaps[0].reason == f"silent for {FAST.silent:g} s"


def test_a_new_token_is_picked_up_and_the_dead_one_is_not_tried_again(served: Served) -> None:
    with hearing(served) as heard:
        served.advance(1_000)
        until(lambda: len(heard.ticks()) == 1, "a tick")
        before, new = heard.access, opening(served)  # the second login kills the first token
        until(lambda: heard.died == [before.access_token], "the refusal")
        asked = heard.asked
        until(lambda: heard.asked >= asked + 5, "looking for another token")
        assert heard.died == [before.access_token], "it is told once"
        heard.access = new
        wait_subscribed(served, 1)
        served.advance(1_000)
        until(lambda: seconds(heard)[-1] == 2, "ticks with the new token")
    assert [gap.until_ms > 0 for gap in heard.gaps] == [False, True]


def test_a_new_login_opens_it_anew_though_the_old_socket_lives_on(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        type(served.simulator.sessions), "is_alive", lambda *_: True
    )  # nobody ends the old one
    with hearing(served) as heard:
        served.advance(1_000)
        until(lambda: len(heard.ticks()) == 1, "a tick")
        (old,) = connections(served)
        heard.access = opening(served)
        until(lambda: old not in connections(served), "the end of the old socket")
        wait_subscribed(served, 1)
        served.advance(1_000)
        until(lambda: seconds(heard)[-1] == 2, "ticks with the new token")
    assert heard.died == []


def test_it_waits_for_the_first_token(served: Served) -> None:
    with hearing(served, is_late=True) as heard:
        until(lambda: heard.asked > 3, "asking")
        heard.access = opening(served)
        wait_subscribed(served, 1)
    assert heard.died == []


def test_a_handshake_that_is_refused_once_is_tried_again(served: Served) -> None:
    with hearing(served) as heard:
        go_wrong(served, Fault(kind=Kind.CUT), Fault(kind=Kind.HANDSHAKE_403))
        until(lambda: len(heard.gaps) == 2, "the end of the gap")
        wait_subscribed(served, 1)
    assert heard.died == []


def test_a_handshake_that_is_refused_twice_ends_the_token(served: Served) -> None:
    with hearing(served) as heard:
        go_wrong(served, Fault(kind=Kind.CUT), Fault(kind=Kind.HANDSHAKE_403, times=2))
        until(lambda: heard.died == [heard.access.access_token], "the refusal")
        asked = heard.asked
        until(lambda: heard.asked >= asked + 5, "looking for another token")
    assert connections(served) == []


def test_instruments_come_and_go_while_it_runs(served: Served) -> None:
    other = next(token for token in served.simulator.listing.by_token if token != INFY)
    with hearing(served) as heard:
        heard.wanted = {INFY: 0, other: 0}
        wait_subscribed(served, 2)
        heard.wanted = {other: 0}
        until(lambda: set(modes(served)) == {other}, "the end of a subscription")
        served.advance(3_000)
        heard.wanted = {INFY: 0}
        wait_subscribed(served, 1)
        until(lambda: set(modes(served)) == {INFY}, "another subscription")
        served.advance(1_000)
        until(lambda: 4 in seconds(heard), "a tick of it")
    assert not {1, 2} & set(seconds(heard))


def test_instruments_are_spread_over_three_connections_and_no_more(served: Served) -> None:
    wanted = {256 * number + 1: 0 for number in range(1, 9_002)} | {INFY: 0}
    with hearing(served, wanted=wanted, is_late=True) as heard:
        heard.access = opening(served)
        wait_subscribed(served, 9_000)
        assert sorted(len(one.modes) for one in connections(served)) == [3_000] * 3
    assert heard.feed.figures.malformed == 0


def test_orders_of_the_account_are_handed_on(served: Served) -> None:
    order = {"exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "quantity": 3}
    with hearing(served) as heard:
        served.advance(1_000)
        kite = served.kite(logged_in=False)
        kite.set_access_token(heard.access.access_token)
        order_id = kite.place_order("regular", **order, product="MIS", order_type="LIMIT", price=1_400)
        served.advance(5_000)
        until(lambda: len(heard.updates) > 0, "an update")
    assert {update["order_id"] for update in heard.updates} == {order_id}
    assert heard.updates[-1]["status"] == "OPEN"


def test_ticks_go_to_the_partition_of_their_instrument(served: Served) -> None:
    with hearing(served, wanted={INFY: 1}, partitions=2) as heard:
        served.advance(61_000)
        until(lambda: len(heard.ticks(1)) == 61, "61 ticks")
    assert heard.ticks(0) == []
    assert heard.clocks(0) == heard.clocks(1) != []


@pytest.mark.parametrize(("mode", "volume"), [("quote", 1_002), ("ltp", -1)])
def test_lesser_modes_have_the_time_of_their_receipt(served: Served, mode: str, volume: int) -> None:
    with hearing(served, mode=Mode(mode), is_late=True, by_ticks=False) as heard:
        heard.access = opening(served)
        wait_subscribed(served, 1, mode)
        served.advance(1_000)
        until(lambda: heard.feed.figures.cached == 1, "the first tick, which may be an old one")
        served.advance(1_000)
        until(lambda: len(heard.ticks()) == 1, "the second")
    (tick,) = heard.ticks()
    assert (tick.price_e4, tick.volume, tick.at_ms) == (15_001_000, volume, tick.received_ms)
