"""A morning that was watched: what the pages showed while it happened is what they show of it afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.test import Client, TransactionTestCase, override_settings
from django.utils import timezone

from alphapanda import past, projections
from alphapanda.core.clock import to_ms
from alphapanda.core.vocabulary import DeploymentStatus, OrderStatus
from alphapanda.dashboard import moment, screen
from alphapanda.push import readmodel, totals
from execution.models import Order, OrderEvent
from marketdata.reference import YESBANK_FILES
from portfolio.audit import books_differences
from portfolio.models import Posting
from risk.services.halts import halt_release, halt_throw
from strategies.models import Deployment
from strategies.services import lifecycle
from strategies.services.quarantine import quarantine
from tests.cockpit.test_pages import ROWS, browser
from tests.pipeline import test_orders_by_hand as by_hand
from tests.pipeline.hand import Hand, packed, recording, seeded

pytestmark = pytest.mark.django_db
ITEMS, BATCH, EVERY = 700, 47, 17
UNKNOWN_LATER = (
    "step",
    "at_ms",
    "waiting",
    "waiting_since_ms",
)  # of a deployment that has written a checkpoint since
ACTOR = {"actor": "bob", "reason": "to see it"}


class Seen(NamedTuple):
    """What was on the screens at a moment."""

    at_ms: int
    overview: dict[str, Any]
    halts: list[dict[str, Any]]


class Watched(Hand):
    """The pipeline by hand, with somebody who looks at the screens after every so many links of a chain, so that most
    looks fall between the links."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.seen: list[Seen] = []
        self.links = 0

    def look(self) -> None:
        time.sleep(0.003)  # nothing is written in the millisecond of the moment, nor in the one after
        at_ms = to_ms(timezone.now())
        projections.rebuild()
        overview = readmodel.overview()
        self.seen.append(Seen(at_ms, overview, overview["session"]["halts"]))
        time.sleep(0.003)

    def run(self) -> None:
        ends = {0: len(self.readers[0].values)}
        while self.shards[0].evaluate(ends) or self.rung:
            while self.rung:
                link, one = self.rung.popleft()
                link(one)
                self.links += 1
                if self.links % EVERY == 0:
                    self.look()


@pytest.fixture(scope="module")
def day(django_db_setup, django_db_blocker) -> Iterator[list[Seen]]:
    """The recorded morning, with acts of people in between; looked at now and then."""
    with (
        django_db_blocker.unblock(),
        pytest.MonkeyPatch.context() as patch,
        override_settings(STRATEGIES=Path(by_hand.__file__).parent / "own", SHARDS=1, FEED="recorded"),
    ):
        yield from _played(patch)


def _played(patch: pytest.MonkeyPatch) -> Iterator[list[Seen]]:
    files, given = [str(YESBANK_FILES[0])], by_hand.definitions("NSE:YESBANK")
    source = recording(files, given).source()
    messages = packed(list(source.iter_from())[:ITEMS], source=source.source, batch=BATCH)
    seeded(given)
    hand = Watched(messages[:1])
    hand.attach(patch)
    hand.look()
    for number, message in enumerate(messages[1:]):
        act = ACTS.get(number)
        if act:
            act()
            hand.look()
        hand.readers[0].values.append(message)
        hand.run()
    hand.look()
    try:
        yield hand.seen
    finally:
        TransactionTestCase._fixture_teardown(None)  # type: ignore[arg-type]


def _named(name: str) -> Deployment:
    return Deployment.objects.get(name=name)


def _pause() -> None:
    lifecycle.deployment_pause(deployment_id=_named("breakout").id, now=timezone.now(), **ACTOR)


def _start() -> None:
    lifecycle.deployment_start(deployment_id=_named("breakout").id, now=timezone.now(), **ACTOR)
    halt_throw(level="BROKER", broker="paper", now=timezone.now(), **ACTOR)


def _go_on() -> None:
    for halt in readmodel.overview()["session"]["halts"]:
        halt_release(halt_id=halt["id"], now=timezone.now(), **ACTOR)
    halt_throw(level="DEPLOYMENT", deployment_id=_named("delivered").id, now=timezone.now(), **ACTOR)


def _fail() -> None:
    assert quarantine(deployment_id=_named("every kind by luck").id, error="Traceback:\nValueError: no luck")


def _mend() -> None:
    found = _named("every kind by luck").id
    lifecycle.deployment_release_quarantine(deployment_id=found, now=timezone.now(), **ACTOR)
    lifecycle.deployment_stop(deployment_id=_named("delivered").id, now=timezone.now(), **ACTOR)


ACTS = {2: _pause, 4: _start, 6: _go_on, 8: _fail, 11: _mend}
KINDS = (
    "deployments",
    "portfolios",
    "positions",
    "signals",
    "decisions",
    "orders",
    "fills",
    "totals",
    "curves",
)


def _comparable(overview: dict[str, Any], kind: str) -> Any:
    """What may be compared: when an order was touched last is on no page."""
    found = overview[kind]
    if kind == "orders":
        return [{name: value for name, value in row.items() if name != "updated_at_ms"} for row in found]
    return found


@cache
def _then(at_ms: int) -> dict[str, Any]:
    """The overview of a moment; nothing is written once the morning is over."""
    return past.overview(at_ms)


def _later(seen: Seen) -> dict[str, Any]:
    """The same moment out of the facts, without prices, as the screens had none."""
    when = past.to_datetime(seen.at_ms)
    tables, lists = past.tables_then(when), past.lists_then(when)
    return totals.derived(tables, lists, {}, last_at_ms=0)


def test_every_moment_is_later_what_it_was_on_the_screens(day: list[Seen]) -> None:
    assert len(day) > 30
    for seen in day:
        later = _later(seen)
        for mine, row in zip(later["deployments"], seen.overview["deployments"], strict=True):
            known = {name for name in UNKNOWN_LATER if mine[name] is not None}
            assert {name: mine[name] for name in known} == {name: row[name] for name in known}
            mine |= {name: row[name] for name in UNKNOWN_LATER}
        for kind in KINDS:
            assert _comparable(later, kind) == _comparable(seen.overview, kind), (seen.at_ms, kind)
        assert later["day"] == seen.overview["day"]


def test_the_morning_had_what_makes_it_hard(day: list[Seen]) -> None:
    """Else the comparison would prove little."""
    assert books_differences().adds_up
    assert Posting.objects.count() > 20
    statuses = {row["status"] for seen in day for row in seen.overview["orders"]}
    assert len(statuses) >= 6
    assert any(row["decision"] is None for seen in day for row in seen.overview["signals"])
    assert Order.objects.exclude(modifications=0).exists()
    assert OrderEvent.objects.filter(status=OrderStatus.CANCELLED).exists()
    states = {row["status"] for seen in day for row in seen.overview["deployments"]}
    assert states == {status.value for status in DeploymentStatus}
    changed = [seen for seen in day if _moved(seen, day[-1])]
    assert len(changed) > len(day) // 3


def _moved(seen: Seen, last: Seen) -> bool:
    now = {row["id"]: row for row in last.overview["orders"]}
    return any(now[row["id"]] != row for row in seen.overview["orders"] if row["id"] in now)


def test_halts_are_those_that_were_in_force(day: list[Seen]) -> None:
    for seen in day:
        assert _then(seen.at_ms)["session"]["halts"] == seen.halts
    assert {halt["level"] for seen in day for halt in seen.halts} == {"BROKER", "DEPLOYMENT"}
    assert day[0].halts == []


def test_now_is_a_moment_like_any_other(day: list[Seen]) -> None:
    """Also how far each deployment has read: nothing has been written since."""
    projections.rebuild()
    now, then = readmodel.overview(), past.overview(to_ms(timezone.now()))
    assert then["deployments"]
    assert totals_alone(then) == totals_alone(now)
    for kind in ("portfolios", "signals", "decisions", "orders", "fills"):
        assert _unpriced(then[kind]) == _unpriced(now[kind])
    assert [row["step"] for row in then["deployments"]] == [row["step"] for row in now["deployments"]]
    assert {row["waiting"] for row in then["deployments"]} == {"NOTHING"}


PRICED = {"equity", "unrealised", "day_pnl", "value", "pnl"}


def _unpriced(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in PRICED} for row in rows]


def totals_alone(overview: dict[str, Any]) -> dict[str, Any]:
    """Sums by broker that no price is in."""
    return {
        broker: {name: value for name, value in row.items() if name not in PRICED | {"unmarked"}}
        for broker, row in overview["totals"].items()
    }


def test_prices_are_never_of_later(day: list[Seen]) -> None:
    """Out of what signals saw: the newest before the moment, and none before the first."""
    assert {row["price_e4"] for row in _then(day[0].at_ms)["marks"]} == {None}
    times = []
    for seen in day[1:]:
        told = _then(seen.at_ms)
        (mark,) = told["marks"]
        newest = max((row["at_ms"] for row in seen.overview["signals"]), default=0)
        assert (mark["at_ms"] or 0) <= told["stream"].get("last_at_ms", 0)
        assert (
            mark["at_ms"] is None
            or mark["at_ms"] <= newest
            or mark["at_ms"] <= max(row["at_ms"] for row in seen.overview["deployments"])
        )
        times.append(mark["at_ms"] or 0)
    assert times == sorted(times)
    assert len(set(times)) > 5


def test_pages_of_then_have_the_rows_of_then(day: list[Seen]) -> None:
    """Row by row as HTML: the overview, the lists, and a list that is narrowed by a state of then."""
    viewer: Client = browser("viewer")
    seen = next(one for one in day[len(day) // 3 :] if _working(one))
    at = moment.written(seen.at_ms)
    live = screen.rendered(screen.of_broker(screen.rows(seen.overview), "paper"))
    page = viewer.get("/", {"at": at}, headers=ROWS).json()["rows"]
    assert page["halts"] == live["halts"]
    for kind in ("signals", "orders", "fills"):
        assert page[kind] == live[kind]
        found = viewer.get(f"/{kind}/", {"at": at}, headers=ROWS).json()["rows"][kind]
        assert live[kind].items() <= found.items()
    working = viewer.get("/orders/", {"at": at, "state": "open"}, headers=ROWS).json()["rows"]["orders"]
    assert working == {row["id"]: live["orders"][row["id"]] for row in _working(seen)}
    traders = viewer.get("/strategies/", {"at": at}, headers=ROWS).json()["rows"]["traders"]
    assert len(traders) == 4
    assert any(row["status"] != _named(row["name"]).status for row in seen.overview["deployments"])


FINAL = ("COMPLETE", "REJECTED", "CANCELLED", "EXPIRED")


def _working(seen: Seen) -> list[dict[str, Any]]:
    return [row for row in seen.overview["orders"] if row["status"] not in FINAL]
