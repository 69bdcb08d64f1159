"""Backtests by a person at the keyboard: asked for, watched, cancelled, read and set beside each other."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import datetime
from types import SimpleNamespace
from uuid import uuid4

import pytest

from alphapanda.core.clock import to_ms
from alphapanda.proof.browser import Person
from alphapanda.research.selectors import result_of
from alphapanda.tasks import backtests
from alphapanda.web.formats import rupees_signed
from marketdata.models import Bar, Instrument
from marketdata.reference import YESBANK_FILES
from strategies.models import BacktestRun
from tests.research.test_stored import asked

pytestmark = pytest.mark.django_db(transaction=True)
State = BacktestRun.State
READ = "address => fetch(address).then(one => one.json())"


@pytest.fixture
def yesbank(desk: SimpleNamespace) -> Iterator[None]:
    """Listed, and never seen by the tick stream."""
    facts = {"instrument_token": 3050241, "exchange_token": 11915, "tick_size": "0.05", "lot_size": 1}
    kind = {"instrument_type": "EQ", "segment": "NSE"}
    listed = Instrument.objects.create(exchange="NSE", tradingsymbol="YESBANK", **facts, **kind)
    yield
    listed.delete()


def there(name: str) -> BacktestRun:
    return BacktestRun.objects.get(name=name)


def row(person: Person, name: str) -> str:
    return str(person.page.locator("tbody[data-kind=runs] tr", has_text=name).inner_text())


def test_runs_that_are_not_done_are_waited_for_and_then_stand_beside_each_other(
    operator: Person, desk: SimpleNamespace
) -> None:
    runs = [asked(f"Waited for {number}") for number in (1, 2)]
    chosen = "&".join(f"run={run.pk}" for run in runs)

    assert operator.open(f"/backtests/compare/?{chosen}") == 200
    assert operator.page.locator("tbody[data-kind=runs] tr").count() == 2
    assert "queued" in row(operator, "Waited for 1")
    backtests()

    operator.page.locator("td", has_text="profit factor").wait_for()
    net = result_of(there("Waited for 2"))["statistics"]["net_pnl"]
    profit = operator.page.locator("tr", has=operator.page.get_by_text("profit", exact=True))
    assert profit.locator("td").all_inner_texts() == ["profit", rupees_signed(net), rupees_signed(net)]
    assert operator.faults == []


def test_too_many_or_too_few_are_refused_with_the_way_back(operator: Person, desk: SimpleNamespace) -> None:
    runs = [asked(f"One of five {number}") for number in range(5)]
    operator.tolerated = {400}

    for chosen in (runs, runs[:1]):
        operator.page.goto("/backtests/compare/?" + "&".join(f"run={run.pk}" for run in chosen))
        assert (
            f"2 to 4 backtests are compared, not {len(chosen)}"
            in operator.page.locator(".told.error").inner_text()
        )
    operator.page.get_by_role("link", name="All backtests").click()
    operator.page.wait_for_url("**/backtests/")
    BacktestRun.objects.filter(pk__in=[run.pk for run in runs]).delete()


def test_the_trades_of_a_backtest_stand_on_the_bars_that_it_was_played_on(
    operator: Person, yesbank: None
) -> None:
    assert not Bar.objects.filter(instrument__tradingsymbol="YESBANK").exists()
    run, page = there("Ten lakh"), operator.page
    operator.open(f"/backtests/{run.pk}/")
    page.get_by_role("link", name="NSE:YESBANK on the chart").click()

    page.wait_for_selector("#chart[data-drawn]")
    assert page.locator("#no-bars").is_hidden()
    told = page.evaluate(
        "address => fetch(address).then(one => one.json())", f"/chart/NSE:YESBANK/bars?backtest={run.pk}"
    )
    fills = [one["time"] for one in result_of(run)["fills"]]
    assert [one["at_ms"] for one in told["markers"] if one["kind"] == "fill"] == [
        to_ms(datetime.fromisoformat(at)) for at in fills
    ]
    with gzip.open(YESBANK_FILES[0], "rt") as lines:
        rows = [line.split(",") for line in list(lines)[1:]]
    recorded = {
        to_ms(datetime.fromisoformat(at)) // 1000: [float(cell) for cell in cells] for at, *cells in rows
    }
    assert [bar[1:] for bar in told["bars"]] == [recorded[bar[0]] for bar in told["bars"]]
    assert len(told["bars"]) > len(fills)
    assert operator.faults == []


def test_where_the_files_of_a_backtest_are_gone_the_chart_says_so(operator: Person, yesbank: None) -> None:
    run = there("Ten lakh")
    BacktestRun.objects.filter(pk=run.pk).update(data=[one | {"sha256": "other"} for one in run.data])
    other = BacktestRun.objects.get(pk=run.pk)
    other.pk, other.name = uuid4(), "Of files that are gone"
    other.save(force_insert=True)
    BacktestRun.objects.filter(pk=run.pk).update(data=run.data)

    operator.open(f"/chart/NSE:YESBANK/?backtest={other.pk}")

    operator.page.locator("#no-bars", has_text="are not there any more").wait_for()
    other.delete()
