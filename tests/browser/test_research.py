"""Backtests by a person at the keyboard: asked for, watched, cancelled, read and set beside each other."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from alphapanda.proof.browser import Person
from alphapanda.research.selectors import result_of
from alphapanda.tasks import backtests
from alphapanda.web.formats import rupees_signed
from strategies.models import BacktestRun
from tests.research.test_stored import asked

pytestmark = pytest.mark.django_db(transaction=True)
State = BacktestRun.State
NOT_JS = 2_000  # for what stands without a push


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
