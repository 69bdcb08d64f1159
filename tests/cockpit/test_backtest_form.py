"""A backtest is started in the cockpit: strategy, parameters, recorded session, and the page of the run."""

from __future__ import annotations

import re

import pytest

from accounts.models import AuditEntry
from alphapanda.research.selectors import result_of
from alphapanda.tasks import backtests
from strategies.models import BacktestRun
from tests.cockpit.test_pages import browser

pytestmark = pytest.mark.django_db
NEW = "/backtests/new/"


def filled(page: str, **changed: str) -> dict[str, str | list[str]]:
    """What the form sends as it comes, but for what is changed."""
    fields = {
        name: value
        for name, value in re.findall(r'<input[^>]* name="([^"]+)"[^>]*? value="([^"]*)"', page)
        if name != "csrfmiddlewaretoken"
    }
    for name, inner in re.findall(r'<select name="([^"]+)".*?>(.*?)</select>', page, re.DOTALL):
        chosen = re.findall(r'<option value="([^"]*)"\s+selected', inner)
        fields[name] = chosen or re.findall(r'<option value="([^"]*)"', inner)[:1]
        if name in ("warm_up", "instruments", "rules"):
            fields[name] = chosen
    return fields | changed


def test_it_starts_as_it_comes_and_is_one_run_however_often_it_is_sent() -> None:
    operator = browser("operator")
    assert f'href="{NEW}"' in operator.get("/backtests/").content.decode()
    choosing = operator.get(NEW).content.decode()
    assert f'href="{NEW}?strategy=ema_cross"' in choosing
    form = filled(operator.get(f"{NEW}?strategy=ema_cross").content.decode(), params__fast="4")

    first, second = operator.post(NEW, form), operator.post(NEW, form)

    run = BacktestRun.objects.get()
    assert first.headers["Location"] == second.headers["Location"] == f"/backtests/{run.pk}/"
    assert run.plan["definitions"][0]["params"]["fast"] == 4
    assert AuditEntry.objects.filter(action="backtest.create").count() == 1
    page = operator.get(f"/backtests/{run.pk}/").content.decode()
    assert "is asked for" in page
    assert "Cancel" in page
    backtests()
    run.refresh_from_db()
    assert (run.state, bool(result_of(run)["trades"])) == ("DONE", True)


def test_a_search_is_asked_for_in_one_way_only() -> None:
    operator = browser("operator")
    form = filled(operator.get(f"{NEW}?strategy=ema_cross").content.decode(), try__fast="3, 5")
    answer = operator.post(NEW, form | {"search": '{"space": {"slow": {"of": [12, 20]}}}'})

    assert answer.status_code == 400
    assert "Values to try stand above as well" in answer.content.decode()
    assert not BacktestRun.objects.exists()
    assert operator.post(NEW, form).status_code == 302
    assert BacktestRun.objects.get().search["space"] == {"fast": {"of": [3, 5]}}


def test_the_same_name_for_something_else_is_refused() -> None:
    operator = browser("operator")
    form = filled(operator.get(f"{NEW}?strategy=ema_cross").content.decode())
    operator.post(NEW, form)
    answer = operator.post(NEW, form | {"params__fast": "5"})
    assert answer.status_code == 400
    assert "already; choose another name" in answer.content.decode()
    assert BacktestRun.objects.count() == 1


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"params__fast": "0"}, "fast"),
        ({"costs": "cheap"}, "bps:BASIS_POINTS"),
        ({"files": "nowhere.csv"}, "nowhere.csv"),
        ({"first_day": "yesterday"}, "valid date"),
        ({"search": "{"}, "valid JSON"),
    ],
)
def test_what_cannot_be_run_is_told_beside_its_field(changed: dict[str, str], told: str) -> None:
    operator = browser("operator")
    form = filled(operator.get(f"{NEW}?strategy=ema_cross").content.decode(), **changed)
    answer = operator.post(NEW, form)
    assert answer.status_code == 400
    assert told in answer.content.decode()
    assert not BacktestRun.objects.exists()


def test_a_strategy_that_is_not_there_is_told() -> None:
    answer = browser("operator").get(f"{NEW}?strategy=nothing")
    assert answer.status_code == 400
    assert "There is no strategy" in answer.content.decode()


def test_a_viewer_starts_none() -> None:
    viewer = browser("viewer")
    assert NEW not in viewer.get("/backtests/").content.decode()
    assert viewer.get(NEW).status_code == 403
    assert viewer.post(NEW, {"strategy": "ema_cross"}).status_code == 403
