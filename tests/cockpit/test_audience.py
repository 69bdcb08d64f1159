"""One place in the group for all sockets of a process: what they share, and what costs one of them only."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import redis
from asgiref.sync import sync_to_async
from autobahn.exception import Disconnected
from channels.layers import get_channel_layer
from django.db import connections

from alphapanda import projections
from alphapanda.dashboard import audience
from alphapanda.dashboard.audience import Audience, Push, Sight, View
from alphapanda.push import readmodel
from alphapanda.push.connection import client
from alphapanda.push.pusher import GROUP

HALTS = View("paper", (), frozenset())


class Seat:
    """A socket that keeps what it is told."""

    def __init__(self, fails: Exception | None = None, sight: Sight | None = None) -> None:
        self.fails, self.sight = fails, sight
        self.marks: list[str] = []
        self.told: list[Push] = []
        self.is_away = False
        self.heard = asyncio.Event()

    async def tell(self, push: Push | None) -> None:
        if self.fails:
            raise self.fails
        if push:
            self.told.append(push)
            push.shown(HALTS)
            self.heard.set()

    async def tell_mark(self, told: str) -> None:
        self.marks.append(told)
        self.heard.set()

    async def send_away(self) -> None:
        self.is_away = True
        self.heard.set()


def pushed(sequence: int, reason: str = "") -> dict[str, Any]:
    halt = {"id": "1", "broker": "paper", "scope": "BROKER", "reason": reason, "thrown_at": ""}
    row = {"broker": "paper", "active": [halt]}
    return {"type": "live.delta", "sequence": sequence, "rows": {"halts": {"paper": row}}}


async def hears(seat: Seat) -> None:
    async with asyncio.timeout(3):
        await seat.heard.wait()
    seat.heard.clear()


def test_pushes_that_follow_each_other_are_one_with_the_last_value_of_each_row() -> None:
    first, second = pushed(5, "older"), pushed(6, "newer")
    first["rows"]["fills"] = {"1": {"broker": "paper"}}

    push = Push.of([first, second], 4)

    assert (push.previous, push.sequence) == (4, 6)
    assert push.rows == second["rows"] | {"fills": {"1": {"broker": "paper"}}}


@pytest.mark.parametrize(
    ("numbers", "last", "previous"),
    [((5,), 4, 4), ((6,), 4, 5), ((5, 7), 4, 6), ((6, 7), 4, 5), ((5, 7, 8), 4, 6), ((9,), -1, 8)],
)
def test_a_missing_number_shows(numbers: tuple[int, ...], last: int, previous: int) -> None:
    push = Push.of([pushed(number) for number in numbers], last)

    assert (push.previous, push.sequence) == (previous, numbers[-1])


@pytest.mark.asyncio
@pytest.mark.parametrize(("error", "errors"), [(ValueError("a bug"), 1), (Disconnected("gone"), 0)])
async def test_what_all_see_is_worked_out_once_and_who_fails_is_let_go(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception, errors: int
) -> None:
    asked, own = [], View.of
    monkeypatch.setattr(View, "of", lambda view, rows: asked.append(rows) or own(view, rows))
    monkeypatch.setattr(audience, "PERIOD_S", 0.01)
    room, seats, broken = Audience(), [Seat(), Seat(), Seat()], Seat(error)
    for seat in (*seats[:1], broken, *seats[1:]):
        assert await room.join(seat)

    for number in (1, 2):
        await get_channel_layer().group_send(GROUP, pushed(number, "fire drill"))
        for seat in seats:
            await hears(seat)

    assert len(asked) == 2
    assert [[push.sequence for push in seat.told] for seat in seats] == [[1, 2]] * 3
    assert "fire drill" in seats[0].told[0].shown(HALTS)
    assert broken not in room._sockets
    assert sum(record.levelname == "ERROR" for record in caplog.records) == errors
    for seat in seats:
        room.leave(seat)


@pytest.mark.asyncio
async def test_the_last_who_leaves_ends_the_work_and_the_next_begins_it_again() -> None:
    room, seat = Audience(), Seat()
    assert await room.join(seat)
    group = f"asgi:group:{GROUP}"
    assert client().zcard(group) == 1
    work = room._work
    assert work is not None

    room.leave(seat)
    await asyncio.gather(work, return_exceptions=True)
    assert client().zcard(group) == 0

    assert await room.join(seat)
    await get_channel_layer().group_send(GROUP, pushed(1))
    await hears(seat)
    room.leave(seat)


@pytest.mark.asyncio
async def test_where_redis_is_away_all_are_sent_away_and_may_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layer = get_channel_layer()

    async def lost(*_: Any) -> dict[str, Any]:
        raise redis.ConnectionError("away")

    room, seats = Audience(), [Seat(), Seat()]
    with monkeypatch.context() as patched:
        patched.setattr(layer, "receive", lost)
        for seat in seats:
            await room.join(seat)
            await hears(seat)
    assert all(seat.is_away for seat in seats)

    with monkeypatch.context() as patched:
        patched.setattr(layer, "group_add", lost)
        assert not await room.join(Seat())

    assert await room.join(seats[0])
    room.leave(seats[0])


@pytest.mark.django_db(transaction=True)
@pytest.mark.asyncio
async def test_who_come_together_share_a_snapshot_until_a_push_has_left_that_it_does_not_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[int] = []

    def overview() -> dict[str, Any]:
        read.append(1)
        return empty | {"sequence": len(read)}

    await sync_to_async(projections.rebuild)()
    empty = await sync_to_async(readmodel.overview)()
    monkeypatch.setattr(audience.readmodel, "overview", overview)
    monkeypatch.setattr(audience, "PERIOD_S", 60)
    room = Audience()
    first, second = await asyncio.gather(room.snapshot(), room.snapshot())
    assert (first is second, len(read)) == (True, 1)
    assert first.shown(HALTS) is second.shown(HALTS)

    room._sequence = 2
    assert (await room.snapshot()).sequence == 2
    monkeypatch.setattr(audience, "PERIOD_S", 0)
    assert (await room.snapshot()).sequence == 3
    await sync_to_async(
        connections.close_all
    )()  # the thread of this loop must not keep the test database open


@pytest.mark.asyncio
async def test_charts_of_the_same_bar_cost_one_look_and_others_none(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[list[int]] = []

    def look(tokens: list[int]) -> dict[int, readmodel.Making]:
        looks.append(tokens)
        return {7: (1_500, 60_000, [[1, 0, 1, 2, 3, 4, 50], [5, 0, 9, 9, 9, 9, 90]])}

    monkeypatch.setattr(audience.readmodel, "chart_look", look)
    room = Audience()
    charts = [Seat(sight=Sight(7, 1)), Seat(sight=Sight(7, 1)), Seat(sight=Sight(7, 60))]
    unknown = Seat(sight=Sight(8, 1))

    await room._tell_charts([*charts, unknown])

    assert [set(asked) for asked in looks] == [{7, 8}]
    bars = [json.loads(one.marks[0])["bar"] for one in charts]
    assert bars == [[0, 1, 2, 3, 4, 50]] * 2 + [None]
    assert unknown.marks == []
    await room._tell_charts([])
    assert len(looks) == 1
