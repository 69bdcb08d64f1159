"""One connection of our client against servers that misbehave in ways the simulator does not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from marketdata.domain.kite_frames import HEARTBEAT, Mode
from marketdata.feeds import kite
from marketdata.feeds.kite import Access, Connection, Timing
from tests.kite.hearing import FAST, Opening

SECRET = "a-token-that-nobody-may-see"
Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Heard:
    """All that a connection tells."""

    def __init__(self) -> None:
        self.opens = 0
        self.tokens: list[Sequence[int]] = []
        self.frames: list[bytes] = []
        self.texts: list[dict[str, Any]] = []
        self.reasons: list[str] = []
        self.dead: list[str] = []

    def opened(self, number: int) -> None:
        self.opens += 1

    def subscribed(self, tokens: Sequence[int]) -> None:
        self.tokens.append(tokens)

    def frame(self, number: int, raw: bytes) -> None:
        self.frames.append(raw)

    def text(self, number: int, message: dict[str, Any]) -> None:
        self.texts.append(message)

    def lost(self, number: int, reason: str) -> None:
        self.reasons.append(reason)

    def refused(self, number: int, access: Access) -> None:
        self.dead.append(access.access_token)


def meet(
    serve: Serve | None,
    is_enough: Callable[[Heard], bool],
    *,
    timing: Timing = FAST,
    tokens: Sequence[int] = (257,),
) -> Heard:
    """What a connection tells of a server until it is enough; None: nothing listens there."""

    async def access() -> Opening:
        return Opening("key", SECRET)

    async def run() -> Heard:
        app, heard = web.Application(), Heard()
        runner = web.AppRunner(app, access_log=None)
        if serve is not None:
            app.router.add_get("/", serve)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        if serve is None:
            await site.stop()
        url = f"ws://127.0.0.1:{port}"
        connection = Connection(0, url=url, mode=Mode.FULL, access=access, hears=heard, timing=timing)
        await connection.want(set(tokens))
        async with aiohttp.ClientSession() as session, asyncio.timeout(15):
            task = asyncio.create_task(connection.run(session))
            while not is_enough(heard) and not task.done():
                await asyncio.sleep(0.005)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await runner.cleanup()
        return heard

    return asyncio.run(run())


def speaking(act: Callable[[web.WebSocketResponse], Awaitable[None]]) -> Serve:
    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await act(socket)
        return socket

    return serve


def test_a_peer_that_only_pings_is_silent() -> None:
    async def ping(socket: web.WebSocketResponse) -> None:
        while not socket.closed:
            await socket.ping()
            await asyncio.sleep(0.05)

    heard = meet(speaking(ping), lambda heard: heard.opens == 2)
    assert heard.reasons == [f"silent for {FAST.silent:g} s"]


def test_a_handshake_that_fails_is_tried_again_and_shows_no_token() -> None:
    async def unavailable(_: web.Request) -> web.Response:
        return web.Response(status=503)

    heard = meet(unavailable, lambda heard: len(heard.reasons) == 2)
    assert heard.reasons == ["the handshake was answered 503"] * 2
    assert (heard.dead, SECRET in str(heard.reasons)) == ([], False)


def test_a_token_is_dead_after_two_refusals_in_a_row_alone() -> None:
    answers = iter([403, 503, 403, 403])

    async def refusing(_: web.Request) -> web.Response:
        return web.Response(status=next(answers))

    heard = meet(refusing, lambda heard: bool(heard.dead))
    assert [reason[-3:] for reason in heard.reasons] == ["403", "503", "403"]
    assert heard.dead == [SECRET]
    assert next(answers, None) is None


def test_a_token_that_is_given_out_all_the_same_is_tried_again_after_a_while() -> None:
    answers = iter([403, 403, 503, 503])

    async def refusing(_: web.Request) -> web.Response:
        return web.Response(status=next(answers))

    heard = meet(refusing, lambda heard: len(heard.reasons) == 2, timing=FAST._replace(dead_again=0.1))
    assert [reason[-3:] for reason in heard.reasons] == ["403", "503"]
    assert heard.dead == [SECRET]


def test_it_waits_longer_each_time_but_never_long(monkeypatch: pytest.MonkeyPatch) -> None:
    slept, sleep = list[float](), asyncio.sleep

    async def hurry(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0.005)

    with monkeypatch.context() as patch:
        patch.setattr(kite.asyncio, "sleep", hurry)
        heard = meet(None, lambda heard: len(heard.reasons) > 6, timing=Timing())
    assert [seconds for seconds in slept if seconds != 0.005][:6] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert set(heard.reasons) == {"no connection: ClientConnectorError"}


def test_what_was_heard_resets_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    slept, sleep, turns = list[float](), asyncio.sleep, iter([False, False, True, False])

    async def hurry(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0.005)

    async def one_word(socket: web.WebSocketResponse) -> None:
        if next(turns, False):
            await socket.send_bytes(HEARTBEAT)

    with monkeypatch.context() as patch:
        patch.setattr(kite.asyncio, "sleep", hurry)
        meet(speaking(one_word), lambda heard: len(heard.reasons) > 4, timing=Timing())
    assert [seconds for seconds in slept if seconds != 0.005][:4] == [0.5, 1.0, 0.25, 0.5]


def test_subscriptions_go_out_in_batches_with_their_mode() -> None:
    said: list[Any] = []

    async def listen(socket: web.WebSocketResponse) -> None:
        await socket.send_str("no json")
        await socket.send_str('["no object"]')
        async for message in socket:
            said.append(message.json())

    heard = meet(speaking(listen), lambda _: len(said) == 4, tokens=range(1, 602))
    assert [(one["a"], len(one["v"])) for one in said[::2]] == [("subscribe", 500), ("subscribe", 101)]
    assert [one["v"] for one in said[1::2]] == [["full", one["v"]] for one in said[::2]]
    assert [list(tokens) for tokens in heard.tokens] == [one["v"] for one in said[::2]]
    assert heard.texts == []
