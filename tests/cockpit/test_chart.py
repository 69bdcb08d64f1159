"""The chart: bars as they are stored, and what deployments did on them."""

from __future__ import annotations

import json
import zlib
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from django.test import Client
from django.utils import timezone

from alphapanda import projections
from alphapanda.core.clock import ist_text, to_ms
from alphapanda.core.vocabulary import Side
from alphapanda.dashboard import chart, moment
from execution.models import Fill, Order, OrderEvent
from marketdata.models import Bar, Instrument
from portfolio.models import Book, Portfolio
from strategies.domain.basis import Basis, Indicator
from strategies.domain.codes import hashed
from strategies.domain.guards import Guards
from strategies.domain.memory import State
from strategies.domain.protection import Protection
from strategies.models import BacktestRun, Deployment, Strategy, StrategyVersion
from strategies.services.catalogue import version_installed
from tests.cockpit import world
from tests.cockpit.test_pages import ROWS, browser

pytestmark = pytest.mark.django_db
NAME = "NSE:INFY"


@pytest.fixture
def viewer() -> Client:
    own = world.desk(count=1)
    world.trade(own.deployments[0], 60, Side.BUY, 100, 15_000_000)
    world.trade(own.deployments[0], 90, Side.BUY, 400, 15_000_000, denied="position_limit")
    for minute in range(3):
        price_e4 = 15_000_000 + 500 * minute
        Bar.objects.create(
            instrument=own.instruments[0], minutes=1, starts_ms=world.START + 60_000 * minute,
            open_e4=price_e4, high_e4=price_e4 + 1000, low_e4=price_e4 - 500, close_e4=price_e4 + 500,
            volume=10 + minute, ticks=5,
        )  # fmt: skip
    projections.rebuild()
    return browser("viewer")


def test_bars_and_what_was_done_on_them(viewer: Client) -> None:
    told = viewer.get(f"/chart/{NAME}/bars?minutes=1").json()
    start_s = world.START // 1000
    assert told["bars"][0] == [start_s, 1500.0, 1500.1, 1499.95, 1500.05, 10]
    assert [bar[0] for bar in told["bars"]] == [start_s, start_s + 60, start_s + 120]
    kinds = [(one["kind"], one["side"]) for one in told["markers"]]
    assert kinds == [("signal", "BUY"), ("fill", "BUY"), ("denied", "BUY")]
    signal, fill, denied = told["markers"]
    assert fill["address"] == f"/fills/{Fill.objects.get().id}/"
    assert signal["words"].startswith("wants BUY 100: fast crossed slow, ema_cross")
    assert "denied by position limit" in denied["words"]
    assert told["places"] == 2
    later = viewer.get(f"/chart/{NAME}/bars?minutes=1&since_ms={world.START + 60_000}").json()
    assert [bar[5] for bar in later["bars"]] == [11, 12]
    older = viewer.get(f"/chart/{NAME}/bars?until_ms={world.START + 120_000}&count=1").json()
    assert [bar[5] for bar in older["bars"]] == [11]
    assert older["markers"] == [one for one in told["markers"] if one["at_ms"] >= world.START + 60_000]


def test_a_rejected_order_is_no_mere_signal(viewer: Client) -> None:
    Order.objects.update(status="REJECTED", reason="the exchange refuses it")
    kinds = {one["kind"]: one for one in viewer.get(f"/chart/{NAME}/bars?minutes=1").json()["markers"]}
    assert kinds["rejected"]["words"].startswith(
        "wants BUY 100: rejected: the exchange refuses it, ema_cross"
    )
    assert "signal" not in kinds
    assert "rejected, marked" in viewer.get(f"/chart/{NAME}/").content.decode()


def test_no_more_than_a_chart_can_hold_and_the_newest_of_them(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chart, "BARS", 2)
    told = viewer.get(f"/chart/{NAME}/bars").json()
    assert [bar[5] for bar in told["bars"]] == [11, 12]


def test_what_makes_no_sense_is_refused(viewer: Client) -> None:
    assert viewer.get(f"/chart/{NAME}/bars?minutes=7").status_code == 400
    for minutes in ("7", "5minute", "-1"):
        odd = viewer.get(f"/chart/{NAME}/?minutes={minutes}")
        assert odd.status_code == 400
        kept = "1, 3, 5, 15, 30, 60 minutes, or 1440 for the day"
        assert f"{minutes} is no length of bars that is kept: {kept}." in odd.content.decode()
    unknown = viewer.get("/chart/NSE:NOBODY/")
    assert unknown.status_code == 404
    for query in (
        "deployment=nobody",
        f"deployment={uuid4()}",
        "against=" + str(Deployment.objects.get().pk),
    ):
        page = viewer.get(f"/chart/{NAME}/?{query}")
        assert page.status_code == 400
        assert 'role="alert"' in page.content.decode()
    assert viewer.get(f"/chart/{NAME}/indicators?deployment=nobody").status_code == 400
    one = Deployment.objects.get().pk
    twice = viewer.get(f"/chart/{NAME}/?deployment={one}&against={one}")
    assert "this is the same one twice" in twice.content.decode()


@pytest.mark.usefixtures("live_enabled")
def test_what_is_on_paper_is_not_on_the_live_chart(viewer: Client) -> None:
    live = viewer.get(f"/chart/{NAME}/bars?broker=zerodha").json()
    assert (live["markers"], len(live["bars"])) == ([], 3)
    one = Deployment.objects.get().pk
    assert viewer.get(f"/chart/{NAME}/bars?broker=zerodha&deployment={one}").status_code == 400


def test_two_deployments_can_be_told_apart(viewer: Client) -> None:
    first = Deployment.objects.get()
    second = Deployment.objects.create(
        id=uuid4(), name="other", strategy_version=first.strategy_version, broker="paper"
    )
    second.instruments.set(first.instruments.all())
    Book.objects.create(
        deployment_id=second.id, portfolio=Portfolio.objects.get(), broker="paper", name="other"
    )
    world.trade(second, 95, Side.SELL, 100, 15_000_000)
    told = viewer.get(f"/chart/{NAME}/bars?deployment={second.pk}").json()["markers"]
    assert {one["deployment"] for one in told} == {str(second.pk)}
    both = viewer.get(f"/chart/{NAME}/bars?deployment={second.pk}&against={first.pk}").json()["markers"]
    assert {one["deployment"] for one in both} == {str(first.pk), str(second.pk)}
    page = viewer.get(f"/chart/{NAME}/?deployment={second.pk}&against={first.pk}").content.decode()
    assert f'data-deployment="{second.pk}" data-against="{first.pk}"' in page
    assert f"<b>B</b> {first.name}, dashed lines" in page


def test_orders_and_brackets_wait_at_their_prices(viewer: Client) -> None:
    order = Order.objects.get()
    Order.objects.filter(pk=order.pk).update(
        status="TRIGGER PENDING", filled_quantity=40, trigger_price_e4=14_905_000, limit_price_e4=14_900_000
    )
    token = order.instrument.instrument_token
    guards = Guards(
        protections={token: [Protection(token, Side.BUY, 60, stop_e4=14_800_000, target_e4=15_500_000)]}
    )
    state = State(guards=guards, names={token: NAME})
    Deployment.objects.update(checkpoint=msgspec.msgpack.encode(state))
    lines = viewer.get(f"/chart/{NAME}/bars").json()["lines"]
    assert [(one["kind"], one["price"], one["words"]) for one in lines] == [
        ("stop", 1490.5, "BUY 60 stop"),
        ("limit", 1490.0, "BUY 60 limit"),
        ("stop", 1480.0, "stop of 60"),
        ("target", 1550.0, "target of 60"),
    ]
    Order.objects.filter(pk=order.pk).update(status="CANCELLED")
    Deployment.objects.update(checkpoint=b"")
    assert viewer.get(f"/chart/{NAME}/bars").json()["lines"] == []


def followed(viewer: Client, deployment: Deployment, more: str = "") -> dict[str, Any]:
    answer = viewer.get(f"/chart/{NAME}/indicators?deployment={deployment.pk}{more}")
    (found,) = answer.json()["deployments"]
    return found


def of_code(deployment: Deployment, name: str, params: dict[str, Any]) -> Deployment:
    """The deployment with a strategy that ships."""
    deployment.strategy_version, deployment.params = version_installed(name), params
    deployment.save()
    return deployment


def test_indicators_are_told_again_over_the_stored_bars(viewer: Client) -> None:
    deployment = of_code(Deployment.objects.get(), "ema_cross", {"fast": 1, "slow": 2, "bar_minutes": 1})
    found = followed(viewer, deployment)
    closes = [1500.05, 1500.1, 1500.15]
    lines = {line["name"]: line for line in found["lines"]}
    ends = [world.START + 60_000 * n - 1 for n in (1, 2, 3)]
    assert lines["EMA 1"]["points"] == [[at, close] for at, close in zip(ends, closes, strict=True)]
    assert lines["EMA 2"]["pane"] == "price"
    assert [value for _, value in lines["EMA 2"]["points"]] == pytest.approx(
        [None, 1500.075, 1500.125], nan_ok=True
    )
    assert found["words"] == "over the stored bars of 1 min"
    later = followed(viewer, deployment, f"&since_ms={ends[2]}")
    assert {len(line["points"]) for line in later["lines"]} == {1}
    assert viewer.get(f"/chart/{NAME}/indicators").json() == {"deployments": []}


def test_a_chart_of_then_has_no_line_and_no_price_of_later(viewer: Client) -> None:
    deployment = of_code(Deployment.objects.get(), "ema_cross", {"fast": 1, "slow": 2, "bar_minutes": 1})
    order = Order.objects.get()
    Order.objects.filter(pk=order.pk).update(status="OPEN", filled_quantity=0, limit_price_e4=14_900_000)
    OrderEvent.objects.create(
        id=uuid4(), order=order, number=1, status="OPEN", at_ms=world.START, quantity=100, filled_quantity=0,
        limit_price_e4=14_900_000,
    )  # fmt: skip
    at_ms = (
        to_ms(timezone.now()) + 1
    )  # a moment has whole milliseconds: what is before it, and what after, is sure
    while to_ms(timezone.now()) <= at_ms:
        continue
    at = {"at": moment.written(at_ms), "deployment": str(deployment.pk)}
    Bar.objects.create(
        instrument=order.instrument, minutes=1, starts_ms=world.START + 180_000, open_e4=1, high_e4=1, low_e4=1,
        close_e4=1, volume=1, ticks=1,
    )  # fmt: skip
    OrderEvent.objects.create(
        id=uuid4(),
        order=order,
        number=2,
        status="CANCELLED",
        at_ms=world.START,
        quantity=100,
        filled_quantity=0,
    )
    Order.objects.filter(pk=order.pk).update(status="CANCELLED")
    (found,) = viewer.get(f"/chart/{NAME}/indicators", at).json()["deployments"]
    assert [len(line["points"]) for line in found["lines"]] == [3, 3]
    assert [len(line["points"]) for line in followed(viewer, deployment)["lines"]] == [4, 4]
    assert [(one["kind"], one["price"]) for one in viewer.get(f"/chart/{NAME}/bars", at).json()["lines"]] == [
        ("limit", 1490.0)
    ]
    assert viewer.get(f"/chart/{NAME}/bars").json()["lines"] == []


def test_lines_that_differ_from_what_a_strategy_saw_say_so(viewer: Client) -> None:
    deployment = of_code(Deployment.objects.get(), "ema_cross", {"fast": 1, "slow": 2, "bar_minutes": 1})
    for step, fast in ((180, 1500.15), (181, 1499.0)):
        basis = Basis(code="x", indicators={"EMA 1": Indicator(fast)})
        world.trade(deployment, step, Side.SELL, 100, 15_000_000, basis=msgspec.to_builtins(basis))
    found = followed(viewer, deployment)
    assert (found["checked"], found["differ"]) == (2, 1)


def test_of_one_that_acts_on_ticks_only_what_was_stored_is_drawn(viewer: Client) -> None:
    deployment = of_code(Deployment.objects.get(), "ema_cross", {"fast": 1, "slow": 2, "bar_minutes": 0})
    found = followed(viewer, deployment)
    assert (found["lines"], found["is_stepped"]) == ([], True)
    assert "acts on ticks" in found["words"]


def test_a_strategy_that_raises_or_hangs_there_costs_its_lines_only(viewer: Client, settings: Any) -> None:
    settings.STRATEGY_SECONDS = 1
    deployment = Deployment.objects.get()
    source = (
        "import msgspec\nfrom strategies.domain.base import Strategy\n\n\nclass Odd(Strategy):\n    name = 'odd'\n\n"
        "    class Params(msgspec.Struct, frozen=True):\n        bar_minutes: int = 1\n        hangs: bool = False\n\n"
        "    def on_bar(self, state, bar, view):\n        return ()\n\n"
        "    def indicators(self, state, instrument):\n        while self.params.hangs:\n            pass\n"
        "        return 1 / 0\n"
    )
    strategy = Strategy.objects.create(name="odd", title="odd")
    deployment.strategy_version = StrategyVersion.objects.create(
        strategy=strategy,
        version="1",
        source=source,
        source_hash=hashed(source),
        file="odd.py",
        origin="mine",
        schema={},
    )
    deployment.params = {}
    deployment.save()
    assert "cannot be told: ZeroDivisionError" in followed(viewer, deployment)["words"]
    deployment.params = {"hangs": True}
    deployment.save()
    assert "did not come back within 1 s" in followed(viewer, deployment)["words"]


@pytest.mark.usefixtures("live_enabled")
def test_the_page_has_the_last_price_and_the_way_there(viewer: Client) -> None:
    page = viewer.get(f"/chart/{NAME}/")
    (mark,) = viewer.get(f"/chart/{NAME}/", headers=ROWS).json()["rows"]["marks"].values()
    assert mark in page.content.decode()
    Deployment.objects.get().instruments.add(Instrument.objects.get(tradingsymbol="HDFCBANK"))
    assert viewer.get("/chart/").url == f"/chart/{NAME}/"  # HDFCBANK has no bars
    text = page.content.decode()
    assert "https://www.tradingview.com/" in text
    one = Deployment.objects.get().pk
    assert f'data-deployment="{one}"' in text  # the only one is followed
    assert 'data-deployment=""' in viewer.get(f"/chart/{NAME}/?deployment=").content.decode()
    assert '<div class="no-bars" id="no-bars" hidden>' in text
    empty = viewer.get(f"/chart/{NAME}/?minutes=60").content.decode()
    assert '<div class="no-bars" id="no-bars">' in empty
    assert f"manage.py kite_candles {NAME}" in empty
    assert "No instrument is in use" in viewer.get("/chart/?broker=zerodha").content.decode()


def test_what_a_stored_backtest_did_stands_on_the_bars(viewer: Client) -> None:
    at = ist_text(world.START + 61_000)
    fill = {
        "deployment": "Trend",
        "time": at,
        "instrument": NAME,
        "side": "SELL",
        "quantity": 5,
        "price": "9.5",
    }
    denied = {**fill, "time": ist_text(world.START + 119_000), "rule": "daily_loss", "reason": "lost"}
    trade = {
        "deployment": "Trend",
        "instrument": NAME,
        "direction": "LONG",
        "quantity": 5,
        "entered_at": at,
        "entry_price": "9.5",
        "exited_at": denied["time"],
        "exit_price": "9.6",
        "gross": "0.5",
        "charges": "0.1",
        "net": "0.4",
    }
    rows = {"fills": [fill, {**fill, "instrument": "NSE:TCS"}], "denied": [denied], "trades": [trade]}
    result = rows | {"meta": {"items": 120}}
    run = BacktestRun.objects.create(
        id=uuid4(), name="july", state="DONE", plan={}, asked_by="alice",
        result=zlib.compress(json.dumps(result).encode()),
    )  # fmt: skip
    told = viewer.get(f"/chart/{NAME}/bars?backtest={run.pk}").json()
    assert [(one["kind"], one["at_ms"] - world.START) for one in told["markers"]] == [
        ("fill", 61_000),
        ("denied", 119_000),
    ]
    assert [one["words"] for one in told["markers"]] == [
        "SELL 5 at 9.5, Trend (backtest)",
        "SELL 5 denied by loss of the day, Trend (backtest)",
    ]
    assert (told["lines"], len(told["bars"])) == ([], 3)
    assert "not at hand as they were" in told["doubt"]
    again = viewer.get(f"/chart/{NAME}/bars?backtest={run.pk}&since_ms={world.START}").json()
    assert again["markers"] == []
    assert viewer.get(f"/chart/{NAME}/bars").json()["doubt"] == ""
    assert "backtest <a" in viewer.get(f"/chart/{NAME}/?backtest={run.pk}").content.decode()
    page = viewer.get(f"/backtests/{run.pk}/").content.decode()
    assert f'href="/chart/{NAME}/?backtest={run.pk}"' in page
    BacktestRun.objects.filter(pk=run.pk).update(state="QUEUED")
    assert viewer.get(f"/chart/{NAME}/?backtest={run.pk}").status_code == 400
