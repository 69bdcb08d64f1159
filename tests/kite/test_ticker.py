"""The simulator's websocket met by the official KiteTicker, unpatched but for its address, and by raw messages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from alphapanda.kite_simulator import ticker
from alphapanda.kite_simulator.faults import Fault, Kind
from alphapanda.kite_simulator.script import Step, do
from marketdata.domain.kite_frames import HEARTBEAT, split
from marketdata.domain.ticks import INDEX, Tick
from tests.builders import at
from tests.kite.hearing import Opening, modes, opening, until
from tests.kite.official_ticker import Official, official
from tests.kite.server import INFY, Served, a_simulator, serving
from tests.kite.test_feed import LEVELS, a_tick, go_wrong

NIFTY = 256265
OFFICIAL_S = 30.0  # a process of its own, and what it waits before it connects again


@pytest.fixture
def served() -> Iterator[Served]:
    stocks = [a_tick(second) for second in range(1, 600)]
    indices = [index_tick(second) for second in range(1, 600)]
    both = [one for pair in zip(stocks, indices, strict=True) for one in pair]
    with serving(a_simulator(both)) as found:
        yield found


def index_tick(second: int) -> Tick:
    at_ms = at() + second * 1_000
    return Tick(NIFTY, at_ms, 0, 0, 115_000_000 + 500 * second, 0, -1, 0, 0, 0, 0, INDEX)


@pytest.fixture
def client(served: Served) -> Iterator[Official]:
    access = opening(served)
    url = served.url.replace("http://", "ws://")
    with official(url, access.api_key, access.access_token) as found:
        until(lambda: len(found.told("connect")) == 1, "the connection", OFFICIAL_S)
        yield found


def subscribed(client: Official, served: Served, mode: str) -> None:
    client.do("subscribe", [INFY, NIFTY])
    client.do("set_mode", mode, [INFY, NIFTY])
    until(lambda: modes(served) == {INFY: mode, NIFTY: mode}, f"mode {mode}", OFFICIAL_S)


def test_the_official_client_hears_every_mode(served: Served, client: Official) -> None:
    served.advance(1_000)
    subscribed(client, served, "full")
    until(lambda: len(client.ticks("quote")) == 2, "the kept ticks", OFFICIAL_S)
    served.advance(1_000)
    until(lambda: len(client.ticks("full")) == 2, "full ticks", OFFICIAL_S)
    client.do("set_mode", "ltp", [INFY, NIFTY])
    until(lambda: modes(served) == {INFY: "ltp", NIFTY: "ltp"}, "mode ltp", OFFICIAL_S)
    served.advance(1_000)
    until(lambda: len(client.ticks("ltp")) == 2, "last prices", OFFICIAL_S)
    client.do("unsubscribe", [INFY])
    until(lambda: modes(served) == {NIFTY: "ltp"}, "the end of a subscription", OFFICIAL_S)
    served.advance(1_000)
    until(lambda: len(client.ticks("ltp")) == 3, "the index alone", OFFICIAL_S)

    stock, index = (tick for tick in client.ticks("full"))
    assert {
        name: stock[name] for name in ("instrument_token", "last_price", "volume_traded", "tradable")
    } == {
        "instrument_token": INFY,
        "last_price": 1_500.1,
        "volume_traded": 1_002,
        "tradable": True,
    }
    assert stock["ohlc"] == {"open": 1_500.05, "high": 1_500.1, "low": 1_500.05, "close": 0.0}
    assert [level["price"] for level in stock["depth"]["buy"]] == [price / 10_000 for price, _ in LEVELS]
    assert (index["instrument_token"], index["tradable"], "depth" in index) == (NIFTY, False, False)
    assert index["last_price"] == 11_500.1
    assert stock["exchange_timestamp"] == index["exchange_timestamp"]
    assert client.ticks("ltp")[-1]["last_price"] == 11_500.2


def test_the_official_client_comes_back_after_a_cut_with_its_subscriptions(
    served: Served, client: Official
) -> None:
    subscribed(client, served, "full")
    served.advance(1_000)
    until(lambda: len(client.ticks("full")) == 2, "full ticks", OFFICIAL_S)
    go_wrong(served, Fault(kind=Kind.CUT))
    until(lambda: len(client.told("connect")) == 2, "another connection", OFFICIAL_S)
    until(lambda: modes(served) == {INFY: "full", NIFTY: "full"}, "its subscriptions", OFFICIAL_S)
    served.advance(1_000)
    until(lambda: len(client.ticks("full")) == 4, "ticks on it", OFFICIAL_S)


def test_the_official_client_hears_of_orders_and_errors(served: Served, client: Official) -> None:
    client.do("subscribe", ["INFY"])
    until(lambda: client.told("error") == [[0, ticker.BAD_TOKENS]], "the error", OFFICIAL_S)
    update = {"order_id": "1", "status": "COMPLETE", "average_price": 1_500.5}
    served.call(lambda: [queue.put_nowait(update) for queue in served.simulator.updates._queues])
    until(lambda: client.told("order") == [[update]], "the update", OFFICIAL_S)


# ---- raw messages ----


class Raw:
    """A websocket of a test's own, and what it has received."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, action: str, value: Any) -> None:
        await self.socket.send_str(json.dumps({"a": action, "v": value}))

    async def receive(self) -> bytes | dict[str, Any]:
        """The next message that is no heartbeat."""
        while True:
            message = await self.socket.receive(10)
            if message.type is aiohttp.WSMsgType.TEXT:
                return json.loads(message.data)
            assert message.type is aiohttp.WSMsgType.BINARY, message
            if message.data != HEARTBEAT:
                return message.data


def talk(served: Served, act: Any, access: Opening | None = None) -> Any:
    """What comes of a conversation `act(raw)`."""
    given = access or opening(served)

    async def run() -> Any:
        query = {"api_key": given.api_key, "access_token": given.access_token}
        url = served.url
        async with aiohttp.ClientSession() as session, session.ws_connect(url, params=query) as socket:
            return await act(Raw(socket))

    return asyncio.run(run())


def test_a_dead_or_wrong_token_is_refused_at_the_handshake(served: Served) -> None:
    dead = opening(served)
    alive = opening(served)
    go_wrong(served, Fault(kind=Kind.HANDSHAKE_403, times=1))

    async def nothing(_: Raw) -> None: ...

    for access in (alive, dead, Opening("other", alive.access_token), Opening(alive.api_key, "")):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            talk(served, nothing, access)
        assert caught.value.status == 403
    talk(served, nothing, alive)  # the fault was armed for one handshake


def test_a_connection_ends_with_its_session(served: Served) -> None:
    access = opening(served)

    async def act(raw: Raw) -> tuple[aiohttp.WSMsgType, int]:
        opening_too = asyncio.get_running_loop().run_in_executor(None, opening, served)
        while (message := await raw.socket.receive(10)).type is aiohttp.WSMsgType.BINARY:
            pass
        await opening_too
        return message.type, message.data

    assert talk(served, act, access) == (aiohttp.WSMsgType.CLOSE, ticker.ENDED)


def test_heartbeats_come_while_there_is_nothing_else(served: Served) -> None:
    async def act(raw: Raw) -> bytes:
        return (await raw.socket.receive(10)).data

    assert talk(served, act) == HEARTBEAT


def test_the_last_tick_comes_with_the_subscription_as_a_quote(served: Served) -> None:
    served.advance(3_000)

    async def act(raw: Raw) -> list[int]:
        await raw.send("subscribe", [INFY, NIFTY, 999_999])
        packets = split(await raw.receive())
        return sorted(packets.groups)

    assert talk(served, act) == [28, 44]


def test_three_thousand_instruments_and_no_more(served: Served) -> None:
    tokens = list(range(1, 3_002))

    async def act(raw: Raw) -> Any:
        await raw.send("subscribe", tokens[:2_000])
        await raw.send("subscribe", tokens)
        told = await raw.receive()
        await raw.send("unsubscribe", [1])
        await raw.send("subscribe", [3_001])
        await raw.send("mode", ["full", [3_001]])
        for _ in range(200):
            if modes(served).get(3_001) == "full":
                break
            await asyncio.sleep(0.02)
        return told, dict(modes(served))

    told, found = talk(served, act)
    assert told == {"type": "error", "data": ticker.TOO_MANY_TOKENS}
    assert set(found) == {*tokens} - {1}
    assert found[3_001] == "full"


def test_a_fourth_connection_is_refused(served: Served) -> None:
    access = opening(served)

    async def act(_: Raw) -> int:
        async def more(raw: Raw) -> None: ...

        def open_more(left: int) -> None:
            async def inner(_: Raw) -> None:
                await asyncio.to_thread(open_more, left - 1)

            talk(served, inner if left else more, access)

        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await asyncio.to_thread(open_more, 2)
        return caught.value.status

    assert talk(served, act, access) == 429


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("garbage", ticker.BAD_MESSAGE),
        ("[1]", ticker.BAD_MESSAGE),
        ('{"a": "buy", "v": [1]}', ticker.BAD_MESSAGE),
        ('{"a": "subscribe", "v": ["1"]}', ticker.BAD_TOKENS),
        ('{"a": "subscribe", "v": 1}', ticker.BAD_TOKENS),
        ('{"a": "unsubscribe", "v": [true]}', ticker.BAD_TOKENS),
        ('{"a": "mode", "v": ["most", [1]]}', ticker.BAD_MODE),
        ('{"a": "mode", "v": [["full"], [1]]}', ticker.BAD_MODE),
        ('{"a": "mode", "v": ["full"]}', ticker.BAD_MODE),
    ],
)
def test_what_makes_no_sense_is_answered_and_the_socket_stays(served: Served, text: str, words: str) -> None:
    async def act(raw: Raw) -> Any:
        await raw.socket.send_str(text)
        told = await raw.receive()
        await raw.send("subscribe", [INFY])
        served.advance(1_000)
        return told, split(await raw.receive()).count

    assert talk(served, act) == ({"type": "error", "data": words}, 1)


def test_a_mute_connection_says_nothing_until_it_speaks_again(served: Served) -> None:
    go_wrong(served, Fault(kind=Kind.MUTE, ms=(2_000, 2_000)))

    async def act(raw: Raw) -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await raw.send("subscribe", [INFY])
        await asyncio.sleep(0.5)
        await asyncio.to_thread(served.advance, 1_000)
        await raw.socket.receive(10)
        return loop.time() - began

    assert talk(served, act) > 1.8


def test_messages_for_people_are_text_frames_of_their_own_type(served: Served) -> None:
    async def act(raw: Raw) -> Any:
        await raw.send("subscribe", [INFY])
        await asyncio.to_thread(served.call, do, served.simulator, Step(message="The market closes early."))
        while not isinstance(told := await raw.receive(), dict):
            pass
        return told

    assert talk(served, act) == {"type": "message", "data": "The market closes early."}
