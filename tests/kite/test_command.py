"""`manage.py kite_simulator`: its options become the simulator that they describe; it serves until it is stopped."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from django.core.management import CommandError, call_command
from structlog.testing import capture_logs

from alphapanda.core.clock import ist_text
from alphapanda.core.vocabulary import Broker, OrderStatus
from alphapanda.eventlog import bootstrap, topics
from alphapanda.eventlog.client import LogProducer, LogReader
from alphapanda.kite_simulator import parsing
from alphapanda.kite_simulator.clock import SimClock, wall_ms
from alphapanda.kite_simulator.following import Follower
from alphapanda.kite_simulator.script import Script, follow
from alphapanda.kite_simulator.sessions import Session
from alphapanda.kite_simulator.simulator import Simulator
from alphapanda.management.commands.kite_simulator import Command, _words, built
from marketdata.domain.ticks import Clock, Item, Tick, pack
from marketdata.reference import YESBANK_FILES
from tests.builders import at
from tests.kite.server import INFY, SECOND_MS, quoted, serving

ROOT = Path(__file__).resolve().parents[2]
YESBANK = 3050241
STANDING = ("--speed", "0")


@pytest.fixture
def a_log(settings: Any) -> None:
    """A log of its own for the test."""
    settings.TOPIC_PREFIX = f"test{uuid4().hex[:8]}"
    bootstrap.ensure_topics()


def made(*arguments: str) -> Simulator:
    parser = Command().create_parser("manage.py", "kite_simulator")
    return built(vars(parser.parse_args([*arguments, *STANDING])))


def following(told: list[Item]) -> Simulator:
    parser = Command().create_parser("manage.py", "kite_simulator")
    return built(vars(parser.parse_args(["--log"])), told)


def said(clock: SimClock) -> str:
    simulator = made("--recorded", str(YESBANK_FILES[0]))
    simulator.clock = clock
    return _words(simulator, 1, feed_clock=True)


def test_it_says_whose_time_the_feed_has_to_take() -> None:
    ticks = "ALPHAPANDA_FEED_CLOCK=ticks"

    assert ticks not in said(SimClock())
    assert ticks in said(SimClock(starts_ms=wall_ms() + 7_200_000))
    assert ticks in said(SimClock(speed=10))
    assert ticks not in _words(made("--recorded", str(YESBANK_FILES[0])), 1, feed_clock=False)


def test_a_recording_is_told_in_its_own_time() -> None:
    simulator = made("--recorded", str(YESBANK_FILES[0]))
    simulator.advance(60 * SECOND_MS)
    tick = simulator.market.last(YESBANK)

    assert tick is not None
    assert ist_text(simulator.clock.now_ms())[:16] == "2019-07-09T09:16"
    assert ist_text(tick.at_ms)[:16] == "2019-07-09T09:16"
    assert list(simulator.market.tokens()) == [YESBANK]


def test_a_recording_is_told_as_of_another_day() -> None:
    simulator = made("--recorded", str(YESBANK_FILES[0]), "--day", "2026-11-30")
    simulator.advance(60 * SECOND_MS)
    tick = simulator.market.last(YESBANK)

    assert tick is not None
    assert ist_text(tick.at_ms)[:16] == "2026-11-30T09:16"


def test_all_times_of_a_tick_go_to_the_other_day(tmp_path: Path) -> None:
    levels = [f"{side}{number}_{what}" for side in ("bid", "ask") for number in range(1, 6) for what in "pq"]
    names = ["recv_time", "last_trade_time", "last_price", *(f"c{number}" for number in range(10)), *levels]
    cells = [
        "2026-11-26T10:00:00+05:30",
        "2026-11-26T09:59:58+05:30",
        "1500",
        *["0"] * 10,
        *["1500", "1"] * 10,
    ]
    path = tmp_path / "depth_INFY.csv"
    path.write_text(f"{','.join(names)}\n{','.join(cells)}\n")
    simulator = made("--recorded", str(path), "--day", "2026-11-27")
    simulator.catch_up()
    tick = simulator.market.last(INFY)

    assert tick is not None
    assert ist_text(tick.at_ms)[:19] == "2026-11-27T10:00:00"
    assert ist_text(tick.traded_at_ms)[:19] == "2026-11-27T09:59:58"


def test_a_late_start_has_the_day_so_far() -> None:
    simulator = made("--recorded", str(YESBANK_FILES[0]), "--at", "2019-07-09 12:00")
    with serving(simulator) as served:
        candles = served.kite().historical_data(YESBANK, "2019-07-09", "2019-07-09", "minute")

    assert len(candles) == 166  # the one of 12:00 has begun
    assert candles[0]["date"].isoformat() == "2019-07-09T09:15:00+05:30"


def test_a_walk_begins_at_the_next_opening_or_when_one_says() -> None:
    simulator = made("--walk", "3", "--symbols", "NSE:INFY", "--at", "2026-11-28 12:00")
    simulator.advance(2 * 24 * 3_600 * SECOND_MS)  # a Saturday
    tick = simulator.market.last(INFY)

    assert tick is not None
    assert ist_text(tick.at_ms)[:19] == "2026-11-30T12:00:00"
    assert ist_text(made("--walk", "3").clock.now_ms())[11:16] >= "09:15"


def test_options_reach_the_account_and_its_orders() -> None:
    simulator = made(
        *("--walk", "1", "--cash", "5000", "--user", "ZZ9999", "--holdings", "NSE:INFY=10@1500.5"),
        *("--unauthorised", "--matching", '{"slippage_ticks": 3}', "--habits", '{"ladder_ms": 100}'),
        *("--fault", "late,times=-1,share=0.5,ms=8000-9000,on=place+cancel", "504", "--seed", "4"),
    )
    late, gateway = simulator.faults.armed

    assert (simulator.account.user_id, simulator.funds("equity").net) == ("ZZ9999", 5_000)
    assert (simulator.ledger.demat[INFY].quantity, simulator.ledger.demat[INFY].authorised) == (10, 0)
    assert (simulator.paper.slippage_ticks, simulator.paper.latency_ms) == (3, 300)
    assert (late.times, late.share, late.ms, late.on) == (-1, 0.5, (8_000, 9_000), ["place", "cancel"])
    assert (gateway.kind.value, gateway.times) == ("504", 1)


def test_what_a_script_can_do_can_be_said_in_the_command_too() -> None:
    order = dict.fromkeys(("quantity", "price"), "1") | {"exchange": "NSE", "tradingsymbol": "INFY"}
    order |= {"transaction_type": "BUY", "product": "CNC", "order_type": "LIMIT"}
    steps = [{"skew_ms": 90_000, "static_ip_refused": True}, {"after_ms": 60_000, "end_session": True}]
    texts = [json.dumps(step) for step in (*steps, {"after_ms": 30_000, "place": order | {"price": "2400"}})]
    simulator = made("--walk", "7", "--symbols", "NSE:INFY", "--at", "2026-11-30 10:00", "--step", *texts)
    simulator.sessions.current = Session("a", "p", "e", 0, 1 << 50)
    simulator.advance(31_000)

    assert (simulator.clock.skew_ms, simulator.switches.static_ip_refused) == (90_000, True)
    assert [order.app for order in simulator.book.orders.values()] == [""]
    assert simulator.sessions.current is not None
    simulator.advance(30_000)
    assert simulator.sessions.current is None


def test_what_is_refused_of_a_script_is_told_in_the_log() -> None:
    simulator = made("--walk", "7", "--symbols", "NSE:INFY", "--step", '{"cancel": "1"}')

    with capture_logs() as lines:
        simulator.advance(SECOND_MS)

    assert [(line["event"], line["reason"]) for line in lines] == [
        ("application.kite_simulator.refused", "Couldn't find that `order_id`.")
    ]


def test_the_script_of_the_documentation_does_what_it_says() -> None:
    page = (ROOT / "docs/kite-simulator.md").read_text()
    script = msgspec.json.decode(page.partition("```json")[2].partition("```")[0], type=Script)
    simulator = made("--walk", "7", "--at", "2026-11-30 10:00")
    follow(simulator, script)

    simulator.advance(91_000)

    assert [order.app for order in simulator.book.orders.values()] == [""]


@pytest.mark.usefixtures("a_log")
def test_the_market_can_be_the_platforms_own_log() -> None:
    def tell(*items: Tick | Clock) -> None:
        with LogProducer(Broker.SHARED) as producer:
            raw = pack(items, source=5, first_seq=1)
            producer.produce(topics.MARKET_TICKS, raw, key=b"k", partition=1)
            producer.produce(topics.MARKET_TICKS, b"no ticks", key=b"k", partition=1)

    tell(quoted(1400, 0))
    tell(quoted(1500, 1))
    with LogReader("kite_simulator") as reader:
        follower = Follower(reader, partitions=4)
        tell(quoted(1501, 5), Clock(at() + 60 * SECOND_MS, 0))
        simulator = following(follower.first())
    tick, day = simulator.market.last(INFY), simulator.market.days[INFY]

    assert tick is not None
    assert (tick.price_e4, day.low_e4) == (15_010_000, 15_010_000)  # nothing of what was told before
    assert simulator.clock.now_ms() == at() + 60 * SECOND_MS


def test_orders_at_the_platforms_log_are_matched_in_its_time() -> None:
    simulator = following([quoted(1500, 0)])
    order = {"exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "quantity": "1"}
    order |= {"product": "CNC", "order_type": "LIMIT", "price": "1600"}
    placed = simulator.place(parsing.wanted("regular", order, simulator.listing.by_key))
    simulator.hear([quoted(1501, 0)])
    before = simulator.book.find(placed["order_id"]).core.status
    simulator.hear([quoted(1502, 1)])

    assert simulator.clock.now_ms() == at() + SECOND_MS
    assert before is OrderStatus.OPEN
    assert simulator.book.find(placed["order_id"]).core.turnover == Decimal("1502.1")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fault", "rain"], "kinds are"),
        (["--fault", "504,times=x"], "--fault 504,times=x"),
        (["--symbols", "NSE:NOBODY"], "NSE:NOBODY is in no list"),
        (["--recorded", "nowhere_NSE_INFY.csv"], "nowhere"),
        (["--script", "nowhere.json"], "nowhere"),
        (["--step", '{"skew": 1}'], "a step is JSON, such as"),
        (["--fault", "504,times=0"], "from 1, or -1"),
        (["--fault", "504,on=plcae"], "`on` of 504 is place, modify, cancel, gtt, /"),
        (["--fault", "late,on=gtt"], "`on` of late is place, modify, cancel, not 'gtt'"),
        (["--holdings", "NSE:INFY"], "QUANTITY@PRICE"),
        (["--matching", '{"queue": "LONG"}'], "queue"),
        (["--habits", '{"ladder_ms": -1}'], "ladder_ms"),
        (["--habits", '{"speed": 1}'], "unknown field `speed`"),
        (["--rates", '{"orders": -1}'], "from 0"),
        (["--port", "70000"], "65535"),
        (["--at", "noon"], "YYYY-MM-DD HH:MM"),
        (["--cash", "much"], "no amount"),
        (["--recorded", str(YESBANK_FILES[0]), "--walk", "1"], "not allowed with"),
    ],
)
def test_the_command_refuses_what_it_cannot_do(arguments: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        call_command("kite_simulator", *arguments)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_stop(number: signal.Signals) -> None:
    """Also in the background of a shell, which lets its jobs ignore Ctrl-C."""
    served = f"trap '' INT; exec {sys.executable} manage.py kite_simulator --port 0"
    process = subprocess.Popen(
        ["sh", "-c", served], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
    finally:
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)

    assert re.search(r"on http://127\.0\.0\.1:[0-9]+, its clock at 20", first), errors
    assert "Traceback" not in errors
