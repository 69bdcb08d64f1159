"""The read model is the same however it came to be."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest
from django.utils import timezone

from alphapanda import projections
from alphapanda.core.clock import ist_date
from alphapanda.core.envelope import decode
from alphapanda.core.vocabulary import Side
from alphapanda.eventlog.models import OutboxEvent
from alphapanda.push import readmodel
from alphapanda.push.connection import client
from alphapanda.push.pusher import Pusher, changes
from alphapanda.push.totals import curve
from marketdata.domain.instruments import COLUMNS
from marketdata.services.instruments import load
from tests.cockpit import world

pytestmark = pytest.mark.django_db
DAY_MS = 1_562_643_900_000  # 2019-07-09 09:15 IST


def seen() -> dict[str, object]:
    """The overview without its counters."""
    return {k: v for k, v in readmodel.overview().items() if k not in ("sequence", "revision")}


def test_events_one_by_one_give_what_a_rebuild_gives() -> None:
    own = world.desk(count=3)
    projections.rebuild()
    for number in range(6):
        for deployment in own.deployments:
            side = Side.BUY if number % 2 == 0 else Side.SELL
            for event in world.trade(deployment, 10 + number, side, 100, 15_000_000 + number * 1000):
                projections.project([event])
    projections.refresh()
    projected = seen()
    projections.rebuild()
    assert seen() == projected
    assert len(projected["fills"]) == 18


def test_an_event_twice_changes_nothing() -> None:
    own = world.desk(count=1)
    projections.rebuild()
    events = world.trade(own.deployments[0], 10, Side.BUY, 100, 15_000_000)
    projections.project(events)
    once = seen()
    projections.project(events)
    projections.project(events[:2])
    assert seen() == once


def test_flush_then_rebuild_gives_the_same_overview() -> None:
    own = world.desk(count=4)
    world.morning(own, rounds=3)
    projections.rebuild()
    before = seen()
    client().flushdb()
    assert not readmodel.is_built()
    with pytest.raises(readmodel.ReadModelUnavailable):
        readmodel.overview()
    assert projections.ensure_built()
    assert seen() == before
    assert not projections.ensure_built()


def test_no_price_of_the_old_owner_of_a_token_is_shown_for_the_new_one_nor_the_other_way_round(
    django_capture_on_commit_callbacks,
) -> None:
    own = world.desk(count=1)
    projections.project(world.trade(own.deployments[0], 10, Side.BUY, 100, 15_000_000))
    projections.rebuild()
    infy, (token, _) = own.deployments[0].instruments.get(), world.NAMES["INFY"]
    readmodel.marks_write({token: (15_310_000, DAY_MS), 1: (10_000, DAY_MS)})
    assert readmodel.positions()[0]["mark_e4"] == 15_310_000
    header = ",".join(COLUMNS)
    line = "{},1,{},{},0,,0,0.05,1,EQ,NSE,NSE"
    lines = [header, line.format(token, "NEWCOMER", "NEW"), line.format(token + 1, "INFY", "INFOSYS")]

    with django_capture_on_commit_callbacks(execute=True):
        report = load(io.StringIO("\n".join(lines)), now=timezone.now())

    assert readmodel.marks() == {1: (10_000, DAY_MS)}, "the last price was that of INFY"
    readmodel.marks_write({token: (20_000, DAY_MS + 1)})  # of the newcomer
    told = OutboxEvent.objects.get(type="instruments.changed")
    projections.project([decode(bytes(told.body))])
    (position,) = readmodel.positions()
    assert (position["instrument"], position["mark_e4"]) == (str(infy), None)
    readmodel.marks_write({token + 1: (15_320_000, DAY_MS + 2)})
    assert readmodel.positions()[0]["mark_e4"] == 15_320_000
    assert report.touched


def test_positions_are_marked_in_decimal() -> None:
    own = world.desk(count=1)
    world.trade(own.deployments[0], 10, Side.BUY, 100, 15_000_500)
    projections.rebuild()
    assert readmodel.positions()[0]["unrealised"] is None
    readmodel.marks_write({world.NAMES["INFY"][0]: (15_010_000, world.START)})
    (position,) = readmodel.positions()
    assert Decimal(position["unrealised"]) == Decimal("95.00")
    (portfolio,) = readmodel.portfolios()
    assert Decimal(portfolio["equity"]) == 1_000_000 + Decimal("95.00") - Decimal(portfolio["charges"])


def test_day_pnl_leaves_earlier_days_out() -> None:
    own = world.desk(count=1)
    deployment = own.deployments[0]
    world.trade(deployment, 10, Side.BUY, 100, 15_000_000)
    world.trade(deployment, 20, Side.SELL, 100, 15_100_000)
    world.trade(deployment, 86_400 + 10, Side.BUY, 100, 15_000_000)
    projections.rebuild()
    readmodel.marks_write({world.NAMES["INFY"][0]: (15_020_000, world.START + 86_500_000)})
    (portfolio,) = readmodel.portfolios()
    charged_today = Decimal("20.00") + Decimal("37.50") + Decimal("3.71")
    assert Decimal(portfolio["day_pnl"]) == Decimal("200.00") - charged_today


def test_the_curve_goes_forward_in_event_time() -> None:
    """A book that arrives later may tell of an earlier hour."""
    snapshots = [
        {"order": 1, "at_ms": DAY_MS + 2_000, "book_id": "a", "net": "5"},
        {"order": 2, "at_ms": DAY_MS + 1_000, "book_id": "b", "net": "-2"},
    ]
    assert curve(snapshots, [], ist_date(DAY_MS)) == [(DAY_MS + 1_000, "-2"), (DAY_MS + 2_000, "3")]


def test_recent_lists_are_capped_and_newest_first() -> None:
    rows = [{"id": str(n), "order": n} for n in range(250)]
    readmodel.replace({"signals": rows})
    readmodel.upsert({"signals": [{"id": "250", "order": 250}]})
    kept = readmodel.recent("signals")
    assert [row["id"] for row in kept] == [str(n) for n in range(250, 50, -1)]
    assert client().hlen("readmodel:signals") == 200


def test_namespaces_are_never_added_up() -> None:
    for broker in ("paper", "zerodha"):
        own = world.desk(broker, count=1)
        world.trade(own.deployments[0], 10, Side.BUY, 100, 15_000_000)
    projections.rebuild()
    totals = readmodel.overview()["totals"]
    assert {broker: found["open_positions"] for broker, found in totals.items()} == {"paper": 1, "zerodha": 1}


def test_redis_away_is_made_good_by_a_rebuild(settings: pytest.FixtureRequest) -> None:
    own = world.desk(count=1)
    projections.rebuild()
    events = world.trade(own.deployments[0], 10, Side.BUY, 100, 15_000_000)
    here = settings.REDIS_URL
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    projections.project(events)
    settings.REDIS_URL = here
    projections.project([])
    assert len(readmodel.recent("fills")) == 1


def test_the_pusher_sends_only_what_changed_and_one_pusher_at_a_time() -> None:
    own = world.desk(count=2)
    projections.rebuild()
    readmodel.watch()
    first, second = Pusher(_rows), Pusher(_rows)
    assert first.due() is not None
    assert first.due() is None
    projections.project(world.trade(own.deployments[0], 10, Side.BUY, 100, 15_000_000))
    assert second.due() is None
    message = first.due()
    assert message is not None
    assert len(message["rows"]["fills"]) == 1
    assert list(message["rows"]["deployments"]) == [str(own.deployments[0].id)]
    client().delete("push:lease")
    after = second.due()
    assert after is not None
    assert after["sequence"] == message["sequence"] + 1


def test_nothing_is_pushed_where_nobody_watches() -> None:
    world.desk(count=1)
    projections.rebuild()
    pusher = Pusher(_rows)

    assert pusher.due() is None
    readmodel.watch()
    message = pusher.due()

    assert message is not None
    assert len(message["rows"]["deployments"]) == 1
    assert client().ttl("readmodel:watched") <= readmodel.WATCHED_S


def _rows(overview: dict[str, object]) -> dict[str, dict[str, object]]:
    return {kind: {row["id"]: row for row in overview[kind]} for kind in ("deployments", "fills")}


def test_changes_name_what_is_gone() -> None:
    assert changes({"a": {"1": {"x": 1}, "2": {"x": 2}}}, {"a": {"2": {"x": 2}, "3": {"x": 3}}}) == {
        "a": {"3": {"x": 3}, "1": None}
    }
