"""Stored backtests by command, API and admin."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry
from alphapanda.engine.costs import CostModel, Costs
from alphapanda.research import places, selectors, stored
from alphapanda.research.plan import Plan
from alphapanda.tasks import backtests
from marketdata.domain.dated import COLUMNS
from marketdata.reference import YESBANK_FILES
from strategies.models import BacktestRun
from tests.people import client_of
from tests.research.waves import KEY, a_definition

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
BY = {"actor": "alice", "reason": "to see", "now": NOW}
FILE = YESBANK_FILES[0].name
State = BacktestRun.State


def a_plan(**facts: Any) -> Plan:
    values = {"files": (str(YESBANK_FILES[0]),), "definitions": (a_definition(name="wave"),)} | facts
    return Plan(**values)


def asked(name: str = "first", **facts: Any) -> BacktestRun:
    return stored.backtest_create(a_plan(**facts), name=name, **BY)


def there(name: str = "first") -> BacktestRun:
    return BacktestRun.objects.get(name=name)


# ---- commands ----------------------------------------------------------------------------------------------


def said(command: str, *words: str) -> str:
    out = io.StringIO()
    call_command(command, *words, stdout=out)
    return out.getvalue()


def kept(name: str, **params: Any) -> dict[str, Any]:
    words = ["--params", json.dumps(params), "--store", name, "--json"]
    return json.loads(said("backtest", "ema_cross", "--data", str(YESBANK_FILES[0]), *words))


def test_the_command_keeps_what_it_prints(tmp_path: Path) -> None:
    printed = kept("by hand", fast=5)
    printed.pop("timing")

    assert json.loads(said("backtests", "show", "by hand", "--json")) == printed
    assert there("by hand").state == State.DONE
    [row] = json.loads(said("backtests", "list", "--json"))
    assert (row["name"], row["profit"]) == ("by hand", printed["statistics"]["net_pnl"])
    sheet = tmp_path / "sheet.html"
    assert "net_pnl" in said("backtests", "show", "by hand", "--tear-sheet", str(sheet))
    assert "<title>by hand" in sheet.read_text()
    with pytest.raises(CommandError, match="There is a backtest 'by hand' already"):
        kept("by hand")


def test_backtests_are_compared() -> None:
    kept("one", fast=5)
    kept("two", fast=6)
    kept("three", fast=5)
    found = json.loads(said("backtests", "compare", "one", "two", "three", "--json"))

    assert found["same"] == {"data": True, "code": True, "result": False}
    assert found["differences"] == {"deployment.params.fast": [5, 6, 5]}
    net = found["statistics"]["net_pnl"]
    assert net[0] == net[2] != net[1]
    assert list(found["monthly"]) == ["2019-07"]
    assert json.loads(said("backtests", "compare", "one", "three", "--json"))["same"]["result"] is True
    assert "deployment.params.fast" in said("backtests", "compare", "one", "two")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["show", "nobody"], "There is no backtest 'nobody'; `manage.py backtests list`"),
        (["compare", "one"], "2 to 4 backtests are compared, not 1"),
        (["compare", "one", "nobody"], "There is no backtest 'nobody'"),
        (["show"], "show wants one name"),
        (["cancel", "one"], "one is DONE: there is nothing to cancel"),
    ],
)
def test_commands_refuse_in_words(words: list[str], text: str) -> None:
    kept("one")
    with pytest.raises(CommandError, match=text):
        said("backtests", *words)


def test_an_interrupted_command_leaves_a_cancelled_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_given: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stored, "carried_out", interrupted)
    with pytest.raises(KeyboardInterrupt):
        kept("one")
    assert there("one").state == State.CANCELLED


# ---- API ---------------------------------------------------------------------------------------------------


WAVE = {"name": "wave", "strategy": "ema_cross", "instruments": [KEY], "params": {"fast": 5}}


def body(**facts: Any) -> dict[str, Any]:
    return {"name": "over http", "files": [FILE], "deployments": [WAVE]} | facts


def test_a_backtest_over_the_api() -> None:
    client = client_of("alice")
    made = client.post("/api/v1/backtests/", body(costs={"model": "PER_ORDER", "amount": "6"}))
    assert (made.status_code, made.json()["state"]) == (201, "QUEUED")
    address = f"/api/v1/backtests/{made.json()['id']}/"
    assert client.get(address).json()["result"] is None
    backtests()
    found = client.get(address).json()
    again = client.post(f"{address}again/", {"reason": "once more"}).json()
    cancelled = client.post(f"/api/v1/backtests/{again['id']}/cancel/", {"reason": "no"}).json()

    assert found["result"]["statistics"] == found["statistics"]
    assert found["result"]["meta"]["costs"] == {"model": "PER_ORDER", "amount": "6"}
    assert (again["name"], cancelled["state"]) == ("over http #2", "CANCELLED")
    listed = client.get("/api/v1/backtests/", {"state": "DONE"}).json()["results"]
    assert [one["name"] for one in listed] == ["over http"]
    assert "result" not in listed[0]


def test_backtests_are_compared_over_the_api() -> None:
    kept("one", fast=5)
    kept("two", fast=6)
    answer = client_of("bob").get("/api/v1/backtests/compare/", {"name": ["one", "two"]})

    assert answer.json() == selectors.compared([there("one"), there("two")])
    assert client_of("bob").get("/api/v1/backtests/compare/", {"name": ["one"]}).status_code == 400
    assert client_of("bob").get("/api/v1/backtests/compare/", {"name": ["one", "no"]}).status_code == 404


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({"files": ["/etc/passwd=NSE:YESBANK"]}, "there is no file /etc/passwd in the data folders"),
        ({"files": ["../../settings.py=NSE:YESBANK"]}, "in the data folders"),
        ({"instruments": ["../../../pyproject.toml"]}, "in the data folders"),
        ({"deployments": [{"name": "x"}]}, "missing required field"),
        ({"costs": {"model": "FREE"}}, "Invalid enum value 'FREE'"),
        ({"first_day": "2019-07-12", "last_day": "2019-07-01"}, "is after the last"),
        ({"deployments": [WAVE | {"broker": "zerodha"}]}, "wave: broker is paper in a backtest"),
        ({"deployments": [WAVE | {"execution": {"approval_s": 9}}]}, "nobody approves entries in a backtest"),
        ({"deployments": [WAVE | {"name": ""}]}, "name '': 1 to 80 printable characters"),
        ({"deployments": [WAVE | {"name": "x" * 5_000}]}, "1 to 80 printable characters"),
        ({"files": [FILE, FILE]}, f"of {KEY} is named twice"),
        ({"files": [FILE], "warm_up": [f"{FILE}={KEY}"]}, f"of {KEY} is named twice"),
        ({"files": [FILE, f"{FILE}=NSE:NOBODY"]}, "no instrument NSE:NOBODY in the lists given"),
        ({"warm_up": [f"{FILE}=NSE:NOBODY"]}, "no instrument NSE:NOBODY in the lists given"),
        ({"first_day": "2031-01-01"}, "the files hold nothing from 2031-01-01 to their last, but 2019-07-"),
        (
            {"first_day": "2019-07-13", "last_day": "2019-07-14"},
            "nothing from 2019-07-13 to 2019-07-14, but 2019-07-",
        ),
    ],
)
def test_the_api_refuses_in_words(facts: dict[str, Any], text: str) -> None:
    answer = client_of("alice").post("/api/v1/backtests/", body(**facts))

    assert answer.status_code == 400
    assert text in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("role", "text", "words"),
    [
        ("instruments", "a,b\n1,2\n", "bad.csv: line 1: no column instrument_token"),
        ("rules", "a,b\n1,2\n", "bad.csv: line 1: no column instrument"),
        ("rules", f"{','.join(COLUMNS)}\n{KEY},2019-07-33,,,,,\n", "line 2: valid_from '2019-07-33'"),
        ("files", "a,b\n1,2\n", "bad.csv: its first line is none of a recorded file's"),
        ("warm_up", "a,b\n1,2\n", "bad.csv: its first line is none of a recorded file's"),
    ],
)
def test_files_that_are_not_what_they_are_named_as_are_refused_when_asked_for(
    settings: Any, tmp_path: Path, role: str, text: str, words: str
) -> None:
    settings.DATA = tmp_path
    (tmp_path / "bad.csv").write_text(text)
    named = f"bad.csv={KEY}" if role in ("files", "warm_up") else "bad.csv"

    answer = client_of("alice").post("/api/v1/backtests/", body(**{role: [named]}))

    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]
    assert not BacktestRun.objects.exists()


def test_an_instrument_without_a_list_is_refused_when_asked_for() -> None:
    files, there = [f"{FILE}=NSE:NOBODY"], WAVE | {"instruments": ["NSE:NOBODY"]}
    answer = client_of("alice").post("/api/v1/backtests/", body(files=files, deployments=[there]))

    assert answer.status_code == 400
    assert "no instrument NSE:NOBODY in the lists given" in answer.json()["error"]["message"]


def test_files_that_can_be_named_are_listed() -> None:
    found = client_of("bob").get("/api/v1/backtests/files/").json()

    assert FILE in found["recorded"]
    assert f"recorded/{FILE}" not in found["recorded"], "a file is listed once"
    assert all(not Path(name).is_absolute() for name in found["recorded"])
    assert places.placed(a_plan(files=(FILE,))).files == (str(YESBANK_FILES[0].resolve()),)


# ---- admin -------------------------------------------------------------------------------------------------


@pytest.fixture
def desk() -> Client:
    client = Client()
    client_of("alice")
    from accounts.models import User

    client.force_login(
        User.objects.get(username="alice"), backend="django.contrib.auth.backends.ModelBackend"
    )
    return client


FORM = {
    "name": "from the desk",
    "files": [FILE],
    "strategy": "ema_cross",
    "params": '{"fast": 5}',
    "product": "MIS",
    "fills": "paper",
    "execution": "{}",
    "limits": "{}",
    "costs": "bps:3",
    "first_day": "2019-07-10",
    "last_day": "",
    "cash": "1000000",
}
ADD, LIST = "admin:strategies_backtestrun_add", "admin:strategies_backtestrun_changelist"


def test_a_backtest_from_the_admin(desk: Client) -> None:
    assert desk.get(reverse(ADD)).status_code == 200
    answer = desk.post(reverse(ADD), FORM)
    assert answer.status_code == 302, answer.content.decode()[:2000]
    plan = stored.plan_of(there("from the desk"))
    assert (plan.costs, plan.first_day) == (Costs(CostModel.OF_TURNOVER, Decimal(3)), date(2019, 7, 10))
    backtests()
    page = desk.get(reverse("admin:strategies_backtestrun_change", args=[there("from the desk").pk]))
    sheet = desk.get(reverse("admin:backtest_sheet", args=[there("from the desk").pk]))

    assert "net_pnl" in page.content.decode()
    assert "<title>from the desk" in sheet.content.decode()
    assert AuditEntry.objects.filter(action="backtest.create").count() == 1
    assert "open</a>" in desk.get(reverse(LIST)).content.decode()


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("params", '{"pace": 1}', "unknown field `pace`"),
        ("costs", "free", "costs are zerodha, none"),
        ("files", "elsewhere.csv", "is not one of the available choices"),
        ("first_day", "2019-07-12", "is after the last"),
    ],
)
def test_the_admin_refuses_in_words(desk: Client, field: str, value: str, text: str) -> None:
    answer = desk.post(reverse(ADD), FORM | {"last_day": "2019-07-11", field: value})

    assert answer.status_code == 200
    assert text in answer.content.decode()
    assert not BacktestRun.objects.exists()


def test_a_known_strategy_has_an_input_for_each_parameter(desk: Client) -> None:
    page = desk.get(reverse(ADD), {"strategy": "ema_cross"}).content.decode()
    assert 'name="params__fast"' in page
    typed = {name: text for name, text in FORM.items() if name != "params"} | {"params__fast": "7"}

    assert desk.post(reverse(ADD), typed).status_code == 302
    (definition,) = stored.plan_of(there("from the desk")).definitions
    assert definition.params["fast"] == 7
    answer = desk.post(reverse(ADD), typed | {"name": "another", "strategy": "donchian"})
    assert "donchian has no fast: its own inputs are here now." in unescape(answer.content.decode())


def test_the_list_tells_why_a_run_failed(desk: Client) -> None:
    run = asked()
    BacktestRun.objects.filter(pk=run.pk).update(state=State.FAILED, error="Traceback\nBadPlan: too short")

    assert "BadPlan: too short" in desk.get(reverse(LIST)).content.decode()


def test_run_again_with_the_key_of_before_is_the_same_run() -> None:
    client = client_of("alice")
    made = client.post("/api/v1/backtests/", body()).json()

    def again(key: str) -> tuple[int, str]:
        address = f"/api/v1/backtests/{made['id']}/again/"
        answer = client.post(address, {"reason": "more"}, headers={"Idempotency-Key": key})
        return answer.status_code, answer.json().get("name", "")

    assert [again(key) for key in ("k1", "k1", "k2", "k1")] == [
        (200, f"over http #{number}") for number in (2, 2, 3, 2)
    ]
    assert again("k" * 65) == (400, "")
    assert BacktestRun.objects.count() == 3


def test_run_again_and_cancel_are_actions_of_the_list(desk: Client) -> None:
    run = asked()
    for action in ("again", "cancel"):
        desk.post(reverse(LIST), {"action": action, "_selected_action": [str(run.pk)]})

    assert (there().state, there("first #2").state) == (State.CANCELLED, State.QUEUED)


def test_a_viewer_asks_for_nothing_and_a_run_without_a_result_has_no_sheet(desk: Client) -> None:
    run = asked()
    assert desk.get(reverse("admin:backtest_sheet", args=[run.pk])).status_code == 302
    assert client_of("bob").post("/api/v1/backtests/", body()).status_code == 403
    assert client_of("bob").get(reverse(ADD)).status_code in (302, 403)
