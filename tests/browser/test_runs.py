"""A backtest as its form comes, one that fails, and four beside each other."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest

from alphapanda.proof.browser import Person
from alphapanda.research.selectors import result_of
from alphapanda.tasks import backtests
from alphapanda.web.formats import rupees_signed
from marketdata.reference import YESBANK_FILES
from strategies.models import BacktestRun
from tests.browser import axe
from tests.browser.test_each_page import CUT_OFF, WHOLE
from tests.browser.test_research import State, row, there
from tests.research.test_stored import asked

pytestmark = pytest.mark.django_db(transaction=True)


def test_one_is_started_by_keyboard_as_its_form_comes_and_shows_its_result(
    operator: Person, desk: SimpleNamespace
) -> None:
    page = operator.page
    operator.open("/backtests/new/?strategy=ema_cross")
    page.fill("#id_name", "As it comes")
    page.keyboard.press("Enter")
    page.wait_for_url("**/backtests/*-*/")
    assert "As it comes is asked for." in page.locator(".told").first.inner_text()
    assert "queued" in row(operator, "As it comes")
    backtests()

    page.locator("h2", has_text="Reasons to doubt it").wait_for()
    run = there("As it comes")
    assert (run.kind, run.state, run.asked_by) == ("BACKTEST", State.DONE, "the operator")
    shown = row(operator, run.name)
    assert rupees_signed(run.summary["net_pnl"]) in shown
    assert "done" in shown
    assert operator.faults == []


def test_one_that_fails_says_why_and_can_be_asked_for_again(
    operator: Person, desk: SimpleNamespace, tmp_path: Path
) -> None:
    file, page = tmp_path / YESBANK_FILES[0].name, operator.page
    shutil.copy(YESBANK_FILES[0], file)
    run = asked("Gone wrong", files=(str(file),))
    file.unlink()
    operator.open(f"/backtests/{run.pk}/")
    assert "queued" in row(operator, run.name)
    backtests()

    page.locator("h2", has_text="What went wrong").wait_for()
    assert there(run.name).state == State.FAILED
    said = page.locator("section", has_text="What went wrong").locator("pre").inner_text()
    assert said == there(run.name).error.strip()
    assert file.name in said
    assert page.locator("h2", has_text="Figures").count() == 0
    assert axe.findings(page) == []
    operator.open("/backtests/")
    assert "failed" in row(operator, run.name)
    assert file.name in row(operator, run.name)
    page.get_by_role("button", name=f"Run {run.name} again").click()
    assert "with today's code and files" in page.locator("#act-dialog").inner_text()
    assert operator.faults == []


def test_four_are_chosen_by_keyboard_and_stand_beside_each_other(
    operator: Person, desk: SimpleNamespace
) -> None:
    page, names = operator.page, ["Ten lakh", "Five lakh", "Third", "Fourth"]
    for name in names[2:]:
        other = there("Ten lakh")
        other.pk, other.name = uuid4(), name
        other.save(force_insert=True)
    operator.open("/backtests/")
    for name in page.locator("tbody[data-kind=runs] b").all_inner_texts():
        page.keyboard.press("j")
        if name in names:
            page.keyboard.press("Space")
    page.keyboard.press("c")
    page.wait_for_url("**/backtests/compare/**")

    shown = page.locator("thead th").all_inner_texts()[1:]
    assert sorted(shown) == sorted(names)
    profit = page.locator("tr", has=page.get_by_text("profit", exact=True)).locator("td").all_inner_texts()
    assert profit[1:] == [rupees_signed(result_of(there(name))["statistics"]["net_pnl"]) for name in shown]
    assert page.evaluate(CUT_OFF, WHOLE) == []
    assert axe.findings(page) == []
    assert operator.faults == []
    BacktestRun.objects.filter(name__in=names[2:]).delete()
