"""Backtests in the cockpit: progress, findings first, and runs beside each other."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from accounts.models import User
from alphapanda.research.selectors import result_of
from alphapanda.tasks import backtests
from alphapanda.web.formats import rupees, rupees_signed
from strategies.models import BacktestRun
from tests.cockpit.test_pages import ROWS, browser
from tests.research.test_stored import asked, there

pytestmark = pytest.mark.django_db


def test_runs_their_findings_and_the_comparison() -> None:
    viewer = browser("viewer")
    page = viewer.get("/backtests/").content.decode()
    assert "No backtest has run yet" in page
    assert 'href="/admin/' not in page  # a viewer would end at a login
    User.objects.update(is_staff=True)
    assert 'href="/admin/strategies/' not in viewer.get("/backtests/").content.decode()
    asked("one")
    asked("other", cash=Decimal(500_000))
    queued = list(viewer.get("/backtests/", headers=ROWS).json()["rows"]["runs"].values())
    assert all("queued" in html and "/cancel/" in html for html in queued)
    backtests()
    one, other = there("one"), there("other")

    page = viewer.get(f"/backtests/{one.pk}/").content.decode()
    assert page.index("Reasons to doubt it") < page.index("Figures")
    assert all(code in page for code in one.findings)
    net = result_of(one)["statistics"]["net_pnl"]
    assert f'<td>profit</td><td class="n">{rupees_signed(net)}</td>' in page
    assert "annual_volatility" not in page
    assert f'<td>turnover</td><td class="n">{rupees(result_of(one)["costs"]["turnover"])}</td>' in page
    last = result_of(one)["trades"][-1]
    assert f"<b>{rupees_signed(last['net'])}</b>" in page
    assert last["entered_at"] not in page
    assert all(str(Path(file).parent) not in page for file in one.plan["files"])
    together = viewer.get(f"/backtests/compare/?run={one.pk}&run={other.pk}").content.decode()
    assert "meta.starting_cash" in together
    assert "[&#x27;" not in together
    assert f'<td>profit</td><td class="n">{rupees_signed(net)}</td>' in together
    assert "The same data." in together
    alone = viewer.get(f"/backtests/compare/?run={one.pk}")
    assert alone.status_code == 400
    assert "2 to 4 backtests" in alone.content.decode()


def test_one_under_way_tells_how_far_it_is() -> None:
    asked("one")
    BacktestRun.objects.update(state="RUNNING", done=30, total=120)
    (html,) = browser("viewer").get("/backtests/", headers=ROWS).json()["rows"]["runs"].values()
    assert 'value="25"' in html


def test_its_page_says_when_its_result_is_to_be_read_and_that_a_cancelled_one_has_none() -> None:
    operator = browser("operator")
    asked("one")
    address = f"/backtests/{there('one').pk}/"
    assert "data-under-way" in operator.get(address).content.decode()
    assert operator.get(address, headers=ROWS).json()["is_over"] is False

    operator.post(f"/api/v1{address}cancel/", {"reason": "enough"}, content_type="application/json")

    assert operator.get(address, headers=ROWS).json()["is_over"] is True
    page = operator.get(address).content.decode()
    assert "It was cancelled, so it has no result." in page
    assert "data-under-way" not in page
