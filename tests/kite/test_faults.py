"""What goes wrong by command, HTTP and script; updates and postbacks; orders from elsewhere; the door."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from kiteconnect import KiteConnect, exceptions

from alphapanda.kite_simulator.faults import Fault, Faults, Kind, faults_from
from alphapanda.kite_simulator.limits import Rates
from alphapanda.kite_simulator.script import BadScript, Script, follow, read_script
from alphapanda.kite_simulator.sessions import Account, checksum
from tests.kite.hearing import until
from tests.kite.samples import differences, sample
from tests.kite.server import SECOND_MS, Served, a_simulator, quoted, serving
from tests.shared_data import needs_shared_data

BUY = {
    "variety": "regular",
    "exchange": "NSE",
    "tradingsymbol": "INFY",
    "product": "CNC",
    "transaction_type": "BUY",
    "quantity": 10,
    "order_type": "LIMIT",
    "price": 1600,
}
FREE = Rates(orders=10**6, other=10**6)


@pytest.fixture
def served() -> Iterator[Served]:
    with serving(a_simulator([quoted(1500, n) for n in range(300)], rates=FREE)) as found:
        yield found


def door(served: Served, path: str, body: Any = None) -> Any:
    """The simulator's own door: a look without a body, an act with one."""
    url = f"{served.url}/__simulator__/{path}"
    answer = requests.get(url, timeout=5) if body is None else requests.post(url, json=body, timeout=5)
    return answer.json()["data"] if answer.ok else answer.json()["message"]


def arm(served: Served, kind: str, **more: Any) -> None:
    door(served, "faults", {"kind": kind, **more})


def test_an_accepted_order_can_be_answered_504(served: Served, kite: KiteConnect) -> None:
    arm(served, "504")
    with pytest.raises(exceptions.DataException, match="504"):
        kite.place_order(**BUY | {"tag": "a1"})

    assert [row["tag"] for row in kite.orders()] == ["a1"]
    assert door(served, "posts") == {"a1": 1}


def test_an_accepted_order_can_be_answered_with_a_timeout_as_400(served: Served, kite: KiteConnect) -> None:
    arm(served, "timed_out")
    with pytest.raises(exceptions.OrderException, match="timed out") as raised:
        kite.place_order(**BUY)

    assert raised.value.code == 400
    assert len(kite.orders()) == 1


def test_an_accepted_order_can_lose_its_answer(served: Served, kite: KiteConnect) -> None:
    arm(served, "dropped")
    with pytest.raises(requests.ConnectionError):
        kite.place_order(**BUY)

    assert len(kite.orders()) == 1


def test_an_order_can_appear_late(served: Served, kite: KiteConnect) -> None:
    arm(served, "late", ms=[8_000, 8_000])
    arm(served, "504")
    with pytest.raises(exceptions.DataException):
        kite.place_order(**BUY)
    served.advance(8 * SECOND_MS - 1)
    before = kite.orders()
    served.advance(2 * SECOND_MS)
    (row,) = kite.orders()

    assert before == []
    assert (row["status"], row["order_timestamp"].second) == ("COMPLETE", 8)


def test_a_refused_request_is_not_in_the_book(served: Served, kite: KiteConnect) -> None:
    for kind, code in (("503", 503), ("429", 429), ("429_as_200", 200)):
        arm(served, kind)
        with pytest.raises(exceptions.NetworkException) as raised:
            kite.place_order(**BUY)
        assert raised.value.code == code

    assert kite.orders() == []
    assert door(served, "posts") == {"": 3}


def test_a_request_can_be_lost_on_the_way(served: Served, kite: KiteConnect) -> None:
    arm(served, "lost")
    with pytest.raises(requests.ConnectionError):
        kite.place_order(**BUY)

    assert kite.orders() == []


def test_an_act_can_be_carried_out_late(served: Served, kite: KiteConnect) -> None:
    order_id = kite.place_order(**BUY | {"price": 1400})
    served.advance(SECOND_MS)
    arm(served, "late", on=["cancel"], ms=[10_000, 10_000])
    kite.cancel_order("regular", order_id)
    served.advance(9 * SECOND_MS)
    before = kite.orders()[0]["status"]
    served.advance(2 * SECOND_MS)

    assert (before, kite.orders()[0]["status"]) == ("OPEN", "CANCELLED")


def test_a_status_can_hang_while_the_trades_are_there(served: Served, kite: KiteConnect) -> None:
    arm(served, "stuck", ms=[30_000, 30_000])
    order_id = kite.place_order(**BUY)
    served.advance(20 * SECOND_MS)
    (row,), trades = kite.orders(), kite.trades()
    served.advance(11 * SECOND_MS)

    assert (row["status"], len(trades)) == ("PUT ORDER REQ RECEIVED", 1)
    assert kite.order_history(order_id)[-1]["status"] == "COMPLETE"


def test_a_body_can_be_garbage(served: Served, kite: KiteConnect) -> None:
    arm(served, "garbage", on=["/trades"])

    assert kite.orders() == []
    with pytest.raises(exceptions.DataException):
        kite.trades()


def updates(served: Served, kite: KiteConnect, seconds: int = 20, **change: Any) -> list[dict[str, Any]]:
    """The updates of one order."""
    queue = served.call(served.simulator.book.subscribe, "AB1234")
    kite.place_order(**BUY | change)
    served.advance(seconds * SECOND_MS)

    def drained() -> list[dict[str, Any]]:
        return [queue.get_nowait() for _ in range(queue.qsize())]

    return served.call(drained)


@needs_shared_data
def test_updates_have_the_shape_and_checksum_of_postbacks(served: Served, kite: KiteConnect) -> None:
    opened, complete = updates(served, kite)
    secret = served.simulator.account.api_secret

    assert (opened["status"], complete["status"]) == ("OPEN", "COMPLETE")
    assert differences(json.loads(json.dumps(complete, default=float)), sample("postback")) == []
    wanted = checksum(complete["order_id"], complete["order_timestamp"], secret)
    assert complete["checksum"] == wanted


def test_updates_can_be_lost_doubled_delayed_and_stale(served: Served, kite: KiteConnect) -> None:
    def told(*kinds: str) -> list[str]:
        served.simulator.faults.clear()
        for kind in kinds:
            arm(served, kind, times=-1, ms=[3_000, 3_000])
        return [update["status"] for update in updates(served, kite)]

    assert told() == ["OPEN", "COMPLETE"]
    assert told("missing") == []
    assert told("duplicate") == ["OPEN", "OPEN", "COMPLETE", "COMPLETE"]
    assert told("partial_after_complete") == ["OPEN", "COMPLETE", "UPDATE"]


def test_updates_tell_of_parts_and_of_modifications_as_such() -> None:
    with serving(a_simulator([quoted(1500, n, size=4) for n in (0, 5)], rates=FREE)) as served:
        kite = served.kite()
        queue = served.call(served.simulator.book.subscribe, "AB1234")
        order_id = kite.place_order(**BUY)
        served.advance(6 * SECOND_MS)
        kite.modify_order("regular", order_id, price=1610)
        served.advance(SECOND_MS)
        told = [queue.get_nowait() for _ in range(queue.qsize())]

    parts = [(update["status"], update["filled_quantity"], update["price"]) for update in told]
    assert parts == [("OPEN", 0, 1600), ("UPDATE", 4, 1600), ("UPDATE", 4, 1610)]


def test_an_update_can_come_after_a_later_one(served: Served, kite: KiteConnect) -> None:
    arm(served, "reordered", ms=[5_000, 5_000])

    assert [update["status"] for update in updates(served, kite)] == ["COMPLETE", "OPEN"]


def test_faults_meet_only_the_orders_that_they_name(served: Served, kite: KiteConnect) -> None:
    arm(served, "504", times=-1, tag="bad1", on=["place"])
    order_id = kite.place_order(**BUY | {"tag": "good1", "price": 1400})
    with pytest.raises(exceptions.DataException):
        kite.place_order(**BUY | {"tag": "bad1"})
    served.advance(SECOND_MS)

    assert kite.cancel_order("regular", order_id) == order_id
    fired = door(served, "faults")["fired"]
    assert [(one["kind"], one["on"], one["tag"]) for one in fired] == [("504", "place", "bad1")]


def test_a_seed_goes_wrong_the_same_way() -> None:
    def run(seed: int) -> list[tuple[bool, int]]:
        faults = Faults(seed)
        faults.arm([Fault(kind=Kind.LATE, times=-1, share=0.5)])
        took = [faults.takes(Kind.LATE, on=["place"]) for _ in range(20)]
        return [(one is not None, one.ms if one else 0) for one in took]

    assert run(7) == run(7)
    assert run(7) != run(8)
    assert all(8_000 <= ms <= 90_000 for hit, ms in run(7) if hit)


@pytest.mark.parametrize(
    "bad",
    [
        {"kind": "rain"},
        {"kind": "504", "times": 0.5},
        {"kind": "504", "share": 2},
        {"kind": "late", "ms": [9, 1]},
    ],
)
def test_a_fault_that_cannot_be_is_refused_with_what_can(served: Served, bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="kinds are 504, timed_out"):
        faults_from(bad)
    assert "kinds are" in door(served, "faults", bad)


def test_another_app_orders_and_cancels(served: Served, kite: KiteConnect) -> None:
    placed = door(served, "orders", BUY | {"price": 1400})
    served.advance(SECOND_MS)
    (row,) = kite.orders()
    requests.delete(f"{served.url}/__simulator__/orders/{placed['order_id']}", timeout=5)
    served.advance(SECOND_MS)

    assert (row["order_id"], row["tag"], row["status"]) == (placed["order_id"], None, "OPEN")
    assert kite.orders()[0]["status"] == "CANCELLED"
    assert door(served, "posts") == {}


def test_the_whole_book_tells_the_truth_beside_what_is_shown(served: Served, kite: KiteConnect) -> None:
    arm(served, "stuck", ms=[30_000, 30_000])
    kite.place_order(**BUY | {"tag": "t1"})
    served.advance(SECOND_MS)
    book = door(served, "book")
    (order,) = book["orders"]

    assert (order["true_status"], order["shown"]["status"]) == ("COMPLETE", "PUT ORDER REQ RECEIVED")
    assert (order["true_filled"], order["is_ours"], book["posts"]) == (10, True, {"t1": 1})
    assert book["net"] == pytest.approx(1_000_000 - 15_001)
    assert book["charges"] == pytest.approx(17.75, abs=0.5)


def test_the_session_is_ended_by_the_broker(served: Served, kite: KiteConnect) -> None:
    door(served, "step", {"end_session": True})

    with pytest.raises(exceptions.TokenException):
        kite.orders()
    token = door(served, "login", {})["request_token"]
    kite.generate_session(token, served.simulator.account.api_secret)
    assert kite.orders() == []


def test_writes_from_a_foreign_address_are_refused_and_reads_are_not(
    served: Served, kite: KiteConnect
) -> None:
    door(served, "step", {"static_ip_refused": True})

    with pytest.raises(exceptions.PermissionException, match="IP address"):
        kite.place_order(**BUY)
    with pytest.raises(exceptions.PermissionException, match="IP address"):
        kite.cancel_order("regular", "1")
    assert kite.orders() == []


def test_the_stated_clock_can_be_wrong(served: Served, kite: KiteConnect) -> None:
    door(served, "clock", {"skew_ms": 90_000})
    order_id = kite.place_order(**BUY)

    assert str(kite.order_history(order_id)[0]["order_timestamp"]) == "2019-07-09 10:01:30"


def test_time_is_moved_from_outside_and_never_back(served: Served) -> None:
    assert door(served, "clock", {"advance_ms": 5_000})["now"].startswith("2019-07-09T10:00:05")
    assert "forward" in door(served, "clock", {"advance_ms": -1})
    assert "whole numbers" in door(served, "clock", {"advance": 1})


def test_the_door_takes_no_forms(served: Served) -> None:
    answer = requests.post(f"{served.url}/__simulator__/step", data="{}", timeout=5)

    assert (answer.status_code, "application/json" in answer.json()["message"]) == (400, True)


def test_a_script_does_its_steps_when_they_are_due(served: Served, kite: KiteConnect, tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    order = {name: str(value) for name, value in BUY.items()}
    steps = [
        {"after_ms": 2_000, "arm": [{"kind": "504"}]},
        {"after_ms": 4_000, "place": order},
        {"after_ms": 4_000, "place": order | {"quantity": "0"}},
        {"after_ms": 6_000, "end_session": True},
    ]
    path.write_text(json.dumps({"seed": 3, "steps": steps}))
    served.call(follow, served.simulator, read_script(path))
    kite.place_order(**BUY)
    served.advance(3 * SECOND_MS)
    with pytest.raises(exceptions.DataException):
        kite.place_order(**BUY)
    served.advance(2 * SECOND_MS)

    assert len(kite.orders()) == 3
    served.advance(2 * SECOND_MS)
    with pytest.raises(exceptions.TokenException):
        kite.orders()


def test_a_script_draws_from_its_own_seed() -> None:
    simulator, alike = a_simulator(seed=1), Faults(7)
    follow(simulator, Script(steps=[], seed=7))
    for faults in (simulator.faults, alike):
        faults.arm([Fault(kind=Kind.LATE, times=-1)])
    drawn = [
        [one.ms for _ in range(9) if (one := faults.takes(Kind.LATE))] for faults in (simulator.faults, alike)
    ]

    assert drawn[0] == drawn[1]


def test_a_script_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_text('{"steps": [{"arm": [{"kind": "rain"}]}]}')

    with pytest.raises(BadScript, match="rain"):
        read_script(path)


@contextmanager
def listening() -> Iterator[tuple[str, list[Any]]]:
    """An address that keeps what is posted to it."""
    got: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/postback", got
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def test_postbacks_tell_of_the_apps_own_orders_alone() -> None:
    with listening() as (url, got):
        account = Account(postback_url=url)
        with serving(a_simulator([quoted(1500, n) for n in range(60)], account=account)) as served:
            served.kite().place_order(**BUY | {"tag": "mine"})
            door(served, "orders", BUY)
            served.advance(10 * SECOND_MS)
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0.5), served.loop).result(5)

    assert [(body["tag"], body["status"]) for body in got] == [("mine", "COMPLETE")]


def test_the_clock_takes_another_speed_where_it_stands(served: Served) -> None:
    before = door(served, "clock")
    assert before["speed"] == 0
    assert door(served, "clock", {"speed": 1_000})["now_ms"] >= before["now_ms"]
    until(lambda: door(served, "clock")["now_ms"] >= before["now_ms"] + 5_000, "five seconds of the market")
    stopped = door(served, "clock", {"speed": 0})["now_ms"]
    assert door(served, "clock")["now_ms"] == stopped
    assert stopped < before["now_ms"] + 3_600_000
    assert "0 or above" in door(served, "clock", {"speed": -1})
