"""Backtests by a person at the keyboard: asked for, watched, cancelled, read and set beside each other."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from accounts.models import AuditEntry
from alphapanda.core.clock import to_ms
from alphapanda.deploying import Definition
from alphapanda.proof.browser import THEMES, Person
from alphapanda.research import played
from alphapanda.research.played import bars_played
from alphapanda.research.selectors import result_of
from alphapanda.tasks import backtests
from alphapanda.web.formats import rupees_signed
from alphapanda.web.roles import Role
from marketdata.models import Bar, Instrument
from marketdata.reference import YESBANK_FILES
from strategies.models import BacktestRun, Deployment
from tests.browser import axe
from tests.pipeline.hand import seeded
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


def test_a_result_that_comes_closes_no_dialog_in_which_somebody_writes(
    operator: Person, desk: SimpleNamespace
) -> None:
    run, page = asked("Done meanwhile"), operator.page
    operator.open(f"/backtests/{run.pk}/")
    page.keyboard.press("Shift+H")
    page.keyboard.type("odd prices")
    with page.expect_response(_is_over, timeout=15_000):
        backtests()
    page.wait_for_timeout(1_500)

    assert page.locator("#halt-reason").input_value() == "odd prices"
    page.keyboard.press("Escape")
    page.get_by_role("heading", name="Reasons to doubt it").wait_for()
    BacktestRun.objects.filter(pk=run.pk).delete()


def _is_over(answer: Any) -> bool:
    is_json = "json" in answer.headers.get("content-type", "")
    return is_json and "/backtests/" in answer.url and answer.json().get("is_over") is True


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


def test_long_files_are_not_folded_where_others_wait(yesbank: None, monkeypatch: pytest.MonkeyPatch) -> None:
    run = there("Ten lakh")
    items = result_of(run)["meta"]["items"]
    for most, is_drawn in ((items - 1, False), (items, True)):
        monkeypatch.setattr(played, "ITEMS_MAX", most)
        monkeypatch.setattr(played, "_kept", {})
        assert bool(bars_played(run, "NSE:YESBANK", 1)) == is_drawn


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


def test_a_search_is_started_by_keyboard_and_its_heat_map_is_that_of_the_database(
    operator: Person, desk: SimpleNamespace
) -> None:
    page = operator.page
    operator.open("/backtests/")
    page.keyboard.press("n")
    page.wait_for_url("**/backtests/new/")
    page.locator("main a[href$='strategy=ema_cross']").press("Enter")
    page.wait_for_url("**/backtests/new/?strategy=ema_cross")
    page.locator("summary", has_text="Search for better parameters").press("Enter")
    given = {
        "try__fast": "3..7/2",
        "try__slow": "12, 20",
        "trials": "6",
        "walk_forward": "1",
        "hold_out": "0.34",
    }
    for name, value in given.items():
        page.fill(f"#id_{name}", value)
    page.select_option("#id_objective", label="profit")
    page.fill("#id_name", "Searched")
    page.keyboard.press("Enter")
    page.wait_for_url("**/backtests/*-*/")
    assert "queued" in row(operator, "Searched")
    backtests()

    page.locator("h2", has_text="Out of sample").wait_for()
    result = result_of(there("Searched"))
    assert result["meta"]["space"] == {"fast": [3, 7, 2], "slow": {"of": [12, 20]}}
    assert axe.findings(page) == []
    assert not operator.is_wider_than_the_window()
    heat = page.locator(".heat tbody tr")
    shown = {
        (fast, line[0]): cell.removeprefix("★ ")
        for line in [one.locator("th, td").all_inner_texts() for one in heat.all()]
        for fast, cell in zip(page.locator(".heat thead th").all_inner_texts()[1:], line[1:], strict=True)
    }
    assert shown == {
        (str(one["x"]), str(one["y"])): f"{one['value']:.2f}" for one in result["heat_map"]["cells"]
    }
    (best,) = [one for one in page.locator(".heat td").all_inner_texts() if one.startswith("★")]
    assert best == f"★ {max(one['value'] for one in result['heat_map']['cells']):.2f}"
    windows = page.locator("table", has_text="Tested on").locator("tbody tr")
    assert windows.locator("td").all_inner_texts()[4] == f"{result['walk_forward'][0]['test']['value']:.2f}"
    assert windows.count() == len(result["walk_forward"]) + 1
    page.get_by_role("link", name="Backtest these parameters").press("Enter")
    page.wait_for_url("**/backtests/new/**")
    best = result["best"]["params"]
    assert [page.locator(f"#id_params__{name}").input_value() for name in best] == list(
        map(str, best.values())
    )
    assert page.locator("#id_files option:checked").all_inner_texts() == [YESBANK_FILES[0].name]
    assert operator.faults == []


def test_what_cannot_be_run_is_in_sight_and_leads_to_its_input(
    operator: Person, desk: SimpleNamespace
) -> None:
    page = operator.page
    operator.open("/backtests/new/?strategy=ema_cross")
    operator.tolerated = {400}
    page.fill("#id_costs", "cheap")
    page.evaluate("document.querySelector('#id_try__fast').value = 'some'")
    page.locator("#id_costs").press("Enter")

    told = page.locator(".deploy > [role=alert]")
    assert "Costs: costs are zerodha, none" in told.inner_text()
    assert "fast: 'some' is not a whole number" in told.inner_text()
    told.get_by_role("link", name="Costs").click()
    assert page.url.endswith("#id_costs")
    box = page.locator(".field.is-wrong", has=page.locator("#id_costs")).locator(".wrong").bounding_box()
    assert box["y"] + box["height"] < page.locator(".send").bounding_box()["y"]
    assert page.locator("#id_costs").input_value() == "cheap"
    assert not BacktestRun.objects.filter(name=page.locator("#id_name").input_value()).exists()


def test_one_under_way_is_watched_and_cancelled_by_keyboard(operator: Person, desk: SimpleNamespace) -> None:
    run, page = asked("Under way"), operator.page
    BacktestRun.objects.filter(pk=run.pk).update(state=State.RUNNING, done=30, total=120)
    operator.open("/backtests/")
    page.keyboard.press("j")
    assert "25 %" in row(operator, run.name)
    BacktestRun.objects.filter(pk=run.pk).update(done=60)
    page.locator("progress[value='50']").wait_for(timeout=2_500)

    page.keyboard.press("x")
    dialog = page.locator("#act-dialog")
    assert "it stops, and has no result" in dialog.inner_text()
    assert sorted(dialog.locator("button").all_inner_texts()) == ["Back", "Cancel the backtest"]
    page.keyboard.type("wrong files")
    page.keyboard.press("Enter")

    page.locator("tr", has_text=run.name).get_by_text("cancelled").wait_for()
    assert page.locator("#toast a").get_attribute("href") == f"/backtests/{run.pk}/"
    assert there(run.name).state == State.CANCELLED
    assert AuditEntry.objects.get(action="backtest.cancel").reason == "wrong files"
    assert operator.faults == []


def test_the_result_has_reasons_to_doubt_it_before_any_figure_and_every_net_in_sight(
    operator: Person, desk: SimpleNamespace
) -> None:
    run, page = there("Ten lakh"), operator.page
    operator.open(f"/backtests/{run.pk}/")
    result = result_of(run)

    titles = page.locator("main h2").all_inner_texts()
    assert titles[0] == "Reasons to doubt it"
    codes = page.locator("section", has_text="Reasons to doubt it").locator("code").all_inner_texts()
    assert codes == [one["code"] for one in result["findings"]]
    figures = page.locator("section", has=page.get_by_role("heading", name="Figures")).locator("tr")
    assert figures.first.locator("td").all_inner_texts() == [
        "profit",
        rupees_signed(result["statistics"]["net_pnl"]),
    ]
    trades = page.get_by_role("group", name="Trades")
    nets = trades.locator("tbody tr td:last-child").all_inner_texts()
    assert nets == [rupees_signed(one["net"]) for one in reversed(result["trades"])]
    assert trades.evaluate("box => box.scrollWidth <= box.clientWidth")
    assert page.locator("input[name=run]:visible").count() == 0
    assert operator.faults == []


def test_parameters_are_tried_and_taken_at_a_place_of_the_log(operator: Person, yesbank: None) -> None:
    """A bad value is told, the difference shown, both are tried beside each other, then the new ones are taken."""
    facts = {"strategy": "ema_cross", "instruments": ("NSE:YESBANK",), "params": {"fast": 5, "slow": 13}}
    seeded([Definition(name="Slow wave", **facts)])
    wave, page = Deployment.objects.get(name="Slow wave"), operator.page
    operator.tolerated = {400}
    operator.open(f"/strategies/{wave.pk}/")
    page.keyboard.press("e")
    page.wait_for_url("**/parameters/")
    page.fill("#id_params__fast", "20")
    page.fill("#id_reason", "quicker")
    page.keyboard.press("Enter")
    page.locator("main [role=alert]", has_text="`fast` must be below `slow`").wait_for()
    page.evaluate("document.querySelector('#id_params__fast').removeAttribute('max')")
    page.fill("#id_params__fast", "20000")
    page.keyboard.press("Enter")
    page.locator("main [role=alert]", has_text="fast: 20000 is not from 1 to 10000").wait_for()

    page.fill("#id_params__fast", "8")
    page.locator("#id_reason").press("Enter")
    assert page.locator(".difference tbody tr").all_inner_texts() == ["fast\t5\t8"]
    page.get_by_role("button", name="Try both on recorded sessions first").press("Enter")
    page.wait_for_url("**/compare/**")
    assert "Nothing is changed at Slow wave meanwhile." in page.locator("main").inner_text()
    backtests()
    page.locator("tr", has_text="params.fast").wait_for()
    assert Deployment.objects.get(pk=wave.pk).params == wave.params

    page.get_by_role("link", name="Change Slow wave to these parameters").press("Enter")
    page.wait_for_url("**/parameters/**")
    assert page.locator("#id_params__fast").input_value() == "8"
    page.fill("#id_reason", "it earns more")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Change parameters").press("Enter")
    page.wait_for_url(f"**/strategies/{wave.pk}/")
    taken = Deployment.objects.get(pk=wave.pk)
    assert (taken.params["fast"], taken.revision) == (8, wave.revision + 1)
    assert f"goes on with the new parameters after step {taken.step}" in page.locator("main").inner_text()
    assert AuditEntry.objects.get(action="deployment.upgrade").details["step"] == taken.step
    assert operator.faults == []
    taken.delete()


@pytest.mark.parametrize("theme", THEMES)
def test_who_only_looks_reads_the_tear_sheet(
    theme: str, people: Callable[..., Person], desk: SimpleNamespace
) -> None:
    person, run = people(Role.VIEWER, color_scheme=theme), there("Ten lakh")
    person.open(f"/backtests/{run.pk}/")
    person.page.get_by_role("link", name="Tear sheet").click()

    assert person.page.locator("h1").inner_text() == run.name
    titles = person.page.locator("h2").all_inner_texts()
    assert titles[0] == "Reasons to doubt this result"
    net = rupees_signed(result_of(run)["statistics"]["net_pnl"])
    assert net in person.page.locator(".tiles").inner_text()
    assert axe.findings(person.page) == []
    assert not person.is_wider_than_the_window()
    assert person.faults == []
