"""The overview's socket: who may watch, what they see, what they miss."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from importlib import import_module
from typing import Any

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import Group
from django.db import connections

from accounts.models import User
from alphapanda import projections
from alphapanda.dashboard import audience, consumers, origins, screen
from alphapanda.push import readmodel
from alphapanda.push.connection import client
from alphapanda.push.pusher import GROUP, Pusher
from alphapanda.routing import websocket_application
from tests.cockpit import world

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.asyncio]

OWN = b"http://localhost"
BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest_asyncio.fixture(autouse=True)
async def _connections_of_the_thread() -> AsyncIterator[None]:
    """The thread of this test's loop must not keep the test database open."""
    yield
    await sync_to_async(connections.close_all)()


@sync_to_async
def session_of(name: str, role: str = "", *, is_active: bool = True) -> str:
    user = User.objects.create_user(name, password="x", is_active=is_active)
    if role:
        user.groups.add(Group.objects.get_or_create(name=role)[0])
    store = import_module(settings.SESSION_ENGINE).SessionStore()
    store[SESSION_KEY], store[BACKEND_SESSION_KEY] = str(user.pk), BACKEND
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store.create()
    return str(store.session_key)


def dial(
    session: str = "", origin: bytes | None = OWN, path: str = "/ws/live/?kinds=deployments+fills"
) -> WebsocketCommunicator:
    headers = [(b"host", b"localhost"), (b"cookie", f"sessionid={session}".encode())]
    if origin is not None:
        headers.append((b"origin", origin))
    return WebsocketCommunicator(websocket_application, path, headers=headers)


async def closed_with(communicator: WebsocketCommunicator) -> int:
    """The close code, whatever was sent before it."""
    while True:
        event = await communicator.receive_output(timeout=3)
        if event["type"] == "websocket.close":
            return int(event["code"])


async def answer(communicator: WebsocketCommunicator) -> dict[str, Any]:
    message = await communicator.receive_json_from(timeout=3)
    await communicator.send_json_to({"type": "ping", "flush": message["flush"]})
    return message


@pytest.mark.parametrize(
    "origin",
    [
        None, b"null", b"http://evil.example", b"https://localhost", b"http://localhost:81",
        b"http://www.localhost", b"http://localhost.", b"http://localhost.evil.example",
    ],
)  # fmt: skip
async def test_another_origin_is_refused_before_anything(origin: bytes | None) -> None:
    connected, _ = await dial(await session_of("a", "operator"), origin).connect()
    assert not connected


@pytest.mark.parametrize(
    ("trusted", "told", "origin", "is_allowed"),
    [
        (True, b"https", b"https://localhost", True),
        (True, b"https, http", b"https://localhost", True),
        (True, b"http", b"https://localhost", False),
        (True, b"https", b"http://localhost", False),
        (True, None, b"http://localhost", True),
        (False, b"https", b"https://localhost", False),
        (True, b"https", b"https://evil.example", False),
    ],
)
async def test_behind_a_proxy_that_is_trusted_the_origin_is_the_pages(
    trusted: bool, told: bytes | None, origin: bytes, is_allowed: bool, settings: Any
) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if trusted else None
    headers = [(b"host", b"localhost"), (b"origin", origin)]
    headers += [(b"x-forwarded-proto", told)] if told else []

    assert origins.is_allowed({"scheme": "ws", "headers": headers}) is is_allowed


async def test_anonymous_no_role_and_disabled_are_told_why() -> None:
    for session, code in (
        ("", 4401),
        (await session_of("nobody"), 4403),
        (await session_of("gone", "operator", is_active=False), 4401),
    ):
        communicator = dial(session)
        assert (await communicator.connect())[0]
        assert await closed_with(communicator) == code


@pytest.mark.parametrize("role", ["viewer", "operator"])
async def test_a_role_gets_a_snapshot_then_what_changed(role: str) -> None:
    own = await sync_to_async(world.desk)(count=2)
    await sync_to_async(projections.rebuild)()
    pusher = Pusher(screen.rows)
    readmodel.watch()
    await pusher.push()
    communicator = dial(await session_of("a", role))
    await communicator.connect()
    first = await answer(communicator)
    assert first["type"] == "snapshot"
    assert len(first["rows"]["deployments"]) == 2
    events = await sync_to_async(world.trade)(own.deployments[0], 10, world.Side.BUY, 100, 15_000_000)
    await sync_to_async(projections.project)(events)
    assert await pusher.push()
    then = await answer(communicator)
    assert (then["type"], then["previous"]) == ("delta", first["sequence"])
    (html,) = then["rows"]["fills"].values()
    assert html.startswith('<tr id="fills-')
    assert "1,500.00" in html
    assert list(then["rows"]["deployments"]) == [str(own.deployments[0].id)]
    await communicator.disconnect()


async def test_a_gap_shows_in_the_numbers_and_changes_are_conflated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audience, "PERIOD_S", 1.5)  # both that come second are there before it is over
    await sync_to_async(projections.rebuild)()
    communicator = dial(await session_of("a", "viewer"))
    await communicator.connect()
    first = (await answer(communicator))["sequence"]
    for number, reason in ((first + 1, "at once"), (first + 3, "older"), (first + 4, "newer")):
        halt = {"id": "1", "broker": "paper", "scope": "BROKER", "reason": reason, "thrown_at": ""}
        row = {"broker": "paper", "active": [halt]}
        message = {"type": "live.delta", "sequence": number, "rows": {"halts": {"paper": row}}}
        await get_channel_layer().group_send(GROUP, message)
        if number == first + 1:
            then = await answer(communicator)
            assert (then["previous"], then["sequence"]) == (first, first + 1)
    then = await answer(communicator)
    assert (then["previous"], then["sequence"]) == (first + 2, first + 4)
    assert "newer" in then["rows"]["halts"]["paper"]
    assert "older" not in then["rows"]["halts"]["paper"]
    await communicator.disconnect()


async def test_a_flushed_redis_is_joined_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audience, "JOIN_S", 0.05)
    await sync_to_async(projections.rebuild)()
    communicator = dial(await session_of("a", "viewer"))
    await communicator.connect()
    first = (await answer(communicator))["sequence"]
    await sync_to_async(client().flushdb)()
    await asyncio.sleep(0.3)
    rows = {"halts": {"paper": {"broker": "paper", "active": []}}}
    message = {"type": "live.delta", "sequence": first + 1, "rows": rows}
    await get_channel_layer().group_send(GROUP, message)
    assert (await answer(communicator))["type"] == "delta"
    await communicator.disconnect()


async def test_rows_of_the_other_namespace_are_not_sent() -> None:
    await sync_to_async(world.desk)("zerodha", count=1)
    await sync_to_async(world.desk)("paper", count=1)
    await sync_to_async(projections.rebuild)()
    communicator = dial(await session_of("a", "viewer"))
    await communicator.connect()
    (html,) = (await answer(communicator))["rows"]["deployments"].values()
    assert "zerodha" not in html
    await communicator.disconnect()


async def test_a_disabled_user_is_put_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "RECHECK_S", 0.1)
    communicator = dial(await session_of("a", "operator"))
    await communicator.connect()
    await sync_to_async(User.objects.update)(is_active=False)
    assert await closed_with(communicator) == 4401


async def test_a_client_that_does_not_answer_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audience, "PERIOD_S", 0.01)
    monkeypatch.setattr(audience, "BEAT_S", 0.01)
    await sync_to_async(projections.rebuild)()
    communicator = dial(await session_of("a", "viewer"))
    await communicator.connect()
    assert await closed_with(communicator) == 4408


async def test_what_comes_in_is_ignored_and_too_much_closes() -> None:
    await sync_to_async(projections.rebuild)()
    communicator = dial(await session_of("a", "operator"))
    await communicator.connect()
    await answer(communicator)
    for text in ("{", "[]", '{"type": "halt"}', '{"type": "ping", "flush": 99}'):
        await communicator.send_to(text_data=text)
    assert (await answer(communicator))["type"] == "beat"
    await communicator.send_to(text_data="x" * 300)
    assert await closed_with(communicator) == 1009


async def test_an_address_that_is_none_is_refused_not_an_error() -> None:
    socket = dial(await session_of("vera", "viewer"), path="/ws/nosuch/")

    assert (await socket.connect())[0] is False


async def heard_for(communicator: WebsocketCommunicator, seconds: float) -> list[dict[str, Any]]:
    """All that comes in that time, acknowledged as it comes."""
    heard: list[dict[str, Any]] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                event = await communicator.output_queue.get()
                heard.append(json.loads(event["text"]))
                await communicator.send_json_to({"type": "ping", "flush": heard[-1]["flush"]})
    return heard


async def test_a_charts_last_bar_is_told_ten_times_a_second_and_nothing_else_is() -> None:
    """A price that changes fifty times a second, for a second, with the pusher at its own pace."""
    await sync_to_async(world.desk)(count=1)
    await sync_to_async(projections.rebuild)()
    token, session, stop = world.NAMES["INFY"][0], await session_of("a", "viewer"), threading.Event()
    chart = dial(session, path=f"/ws/live/?kinds=&mark={token}&minutes=1")
    overview = dial(session, path="/ws/live/?kinds=marks")
    for one in (chart, overview):
        await one.connect()
        await answer(one)
    pushing = Pusher(screen.rows).start(stop)

    async def move() -> None:
        for step in range(50):
            await asyncio.to_thread(readmodel.marks_write, {token: (15_000_000 + step, world.START + step)})
            await asyncio.sleep(0.02)

    moving = asyncio.create_task(move())
    seen = await asyncio.gather(heard_for(chart, 1.0), heard_for(overview, 1.0))
    await moving
    last = [one for one in await heard_for(chart, 0.3) if one["type"] == "mark"][-1]
    stop.set()
    await asyncio.to_thread(pushing.join)

    told, pushed = [[one["type"] for one in heard] for heard in seen]
    assert 8 <= told.count("mark") <= 12
    assert 1 <= pushed.count("delta") <= 5
    assert "mark" not in pushed
    assert (last["price_e4"], last["at_ms"]) == (15_000_049, world.START + 49)
    for one in (chart, overview):
        await one.disconnect()


@pytest.mark.parametrize("asked", ["mark=" + "9" * 5_000 + "&minutes=1", "mark=1&minutes=" + "9" * 5_000])
async def test_a_number_without_end_in_an_address_is_nothing_to_look_at(asked: str) -> None:
    await sync_to_async(projections.rebuild)()
    chart = dial(await session_of("a", "viewer"), path=f"/ws/live/?{asked}")
    await chart.connect()
    assert json.loads(await chart.receive_from(timeout=3))["type"] == "snapshot"
    await chart.disconnect()


async def test_a_chart_that_does_not_read_is_told_no_more_prices_and_cut_off_as_others_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(audience, "SIGHT_S", 0.005)
    await sync_to_async(projections.rebuild)()
    token = world.NAMES["INFY"][0]
    chart = dial(await session_of("a", "viewer"), path=f"/ws/live/?mark={token}&minutes=1")
    await chart.connect()
    async with asyncio.timeout(3):
        for step in range(100):
            await asyncio.to_thread(readmodel.marks_write, {token: (15_000_000 + step, world.START + step)})
    assert chart.output_queue.qsize() <= consumers.MARKS_BEHIND_MAX
    monkeypatch.setattr(audience, "PERIOD_S", 0.01)
    monkeypatch.setattr(audience, "BEAT_S", 0.01)
    assert await closed_with(chart) == 4408
