"""Stored backtests: asked for, carried out, cancelled, taken over, run again, compared; by command, API and admin."""

from __future__ import annotations

import io
import json
import zlib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry
from alphapanda.core.refusals import Conflict
from alphapanda.engine.costs import CostModel, Costs
from alphapanda.research import places, selectors, stored
from alphapanda.research.folding import Cancelled
from alphapanda.research.plan import BadPlan, Plan, opened
from alphapanda.research.running import carried_out, encoded, sha256
from alphapanda.tasks import backtests
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


def test_a_run_that_was_asked_for_is_carried_out_and_kept() -> None:
    asked()
    assert (there().state, there().asked_by) == (State.QUEUED, "alice")
    backtests()
    run, result = there(), selectors.result_of(there())

    assert (run.state, run.error, run.done) == (State.DONE, "", run.total)
    assert run.summary == result["statistics"]
    assert run.findings == sorted({one["code"] for one in result["findings"]}) != []
    assert run.code["strategies"]["ema_cross"]["source_sha256"] == result["deployments"][0]["source_sha256"]
    assert run.code["engine_sha256"] == result["meta"]["engine_sha256"]
    assert run.data[0]["sha256"] == sha256(YESBANK_FILES[0].read_bytes())
    assert stored.plan_of(run) == a_plan()
    assert run.started_at is not None
    assert run.finished_at is not None


def test_equal_input_is_kept_as_equal_bytes() -> None:
    asked("one")
    asked("two")
    asked("other", cash=Decimal(500_000))
    backtests()
    one, two, other = map(there, ("one", "two", "other"))

    assert bytes(one.result) == bytes(two.result)
    assert one.result_sha256 == two.result_sha256 != other.result_sha256
    assert one.data_sha256 == two.data_sha256 == other.data_sha256
    raw = encoded(carried_out(opened(a_plan())).result)
    assert zlib.decompress(bytes(one.result)) == raw
    assert sha256(raw) == one.result_sha256


def test_asking_is_audited_and_names_are_taken_once() -> None:
    run = asked()
    entry = AuditEntry.objects.get(action="backtest.create")
    assert (entry.actor, entry.target, entry.reason) == ("alice", "backtest:first", "to see")
    with pytest.raises(stored.BacktestExists):
        asked()
    again = stored.backtest_again(run_id=run.pk, **BY)
    third = stored.backtest_again(run_id=again.pk, **BY)
    assert (again.name, third.name) == ("first #2", "first #3")
    assert again.plan == third.plan == run.plan


@pytest.mark.parametrize("name", ["", " ", "x" * 121, "a\nb"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(BadPlan, match="1 to 120 printable"):
        asked(name)


def test_a_plan_that_makes_no_sense_is_refused_before_it_waits() -> None:
    with pytest.raises(BadPlan, match="no file holds NSE:INFY; the files hold NSE:YESBANK"):
        asked(definitions=(a_definition(instruments=("NSE:INFY",)),))
    assert not BacktestRun.objects.exists()


def test_what_fails_later_is_kept_with_its_reason_and_the_next_goes_on(tmp_path: Path) -> None:
    gone = tmp_path / f"gone_{KEY.partition(':')[2]}.csv"
    asked("bad", files=(str(gone),))
    asked("good")
    backtests()

    assert there("bad").state == State.FAILED
    assert "No such file" in there("bad").error
    assert there("good").state == State.DONE
    with pytest.raises(stored.NoResult, match="bad is FAILED and has no result: cannot read"):
        selectors.result_of(there("bad"))


# ---- cancelling, and workers that die -----------------------------------------------------------------------


def test_a_run_that_waits_is_cancelled_and_never_taken() -> None:
    run = asked()
    for _ in range(2):  # asked twice it is done once
        assert stored.backtest_cancel(run_id=run.pk, **BY).state == State.CANCELLED
    backtests()

    assert there().state == State.CANCELLED
    assert AuditEntry.objects.filter(action="backtest.cancel").count() == 1


def test_a_run_at_work_stops_when_it_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    run = asked()
    monkeypatch.setattr(stored, "WRITE_EVERY_S", 0.0)
    told: list[int] = []
    write = stored.Writer.__call__

    def cancelled_after_the_first(self: stored.Writer, done: int, total: int) -> None:
        write(self, done, total)
        told.append(done)
        if len(told) == 1:
            stored.backtest_cancel(run_id=run.pk, **BY)

    monkeypatch.setattr(stored.Writer, "__call__", cancelled_after_the_first)
    backtests()

    assert there().state == State.CANCELLED
    assert there().result == b""
    assert len(told) == 1


def test_what_is_over_cannot_be_cancelled() -> None:
    run = asked()
    backtests()
    with pytest.raises(stored.BacktestOver):
        stored.backtest_cancel(run_id=run.pk, **BY)
    with pytest.raises(stored.NoSuchBacktest):
        stored.backtest_cancel(run_id=BacktestRun(name="x").pk, **BY)


def test_a_silent_worker_loses_its_run_and_cannot_write_over_the_next() -> None:
    asked()
    lost = stored._claimed(NOW)
    assert lost is not None
    assert stored.requeue_silent(NOW + timedelta(minutes=1)) == 0
    assert stored.requeue_silent(NOW + stored.SILENT_AFTER + timedelta(seconds=1)) == 1
    assert there().state == State.QUEUED
    taken = stored._claimed(NOW)
    assert taken is not None
    with pytest.raises(Cancelled):
        stored.Writer(lost)(1, 2)
    stored._end(lost, State.FAILED, error="from the grave")
    stored.Writer(taken)(1, 2)

    assert (there().state, there().error, there().done, there().attempt) == (State.RUNNING, "", 1, 2)


def test_a_run_that_kills_its_worker_is_given_up() -> None:
    asked()
    late = NOW + stored.SILENT_AFTER + timedelta(seconds=1)
    for _ in range(stored.ATTEMPTS_MAX):
        assert stored._claimed(NOW) is not None
        stored.requeue_silent(late)

    assert there().state == State.FAILED
    assert "gone silent" in there().error


def test_time_left_follows_from_the_pace() -> None:
    run = BacktestRun(state=State.RUNNING, done=250, total=1_000, started_at=NOW)
    now = NOW + timedelta(seconds=10)

    assert selectors.seconds_left(run, now) == 30
    assert selectors.progress_of(run, now) == "25 %, 30 s left"
    assert selectors.seconds_left(BacktestRun(state=State.DONE, done=1, total=1), now) is None


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


def body(**facts: Any) -> dict[str, Any]:
    deployment = {"name": "wave", "strategy": "ema_cross", "instruments": [KEY], "params": {"fast": 5}}
    return {"name": "over http", "files": [FILE], "deployments": [deployment]} | facts


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
    ],
)
def test_the_api_refuses_in_words(facts: dict[str, Any], text: str) -> None:
    answer = client_of("alice").post("/api/v1/backtests/", body(**facts))

    assert answer.status_code == 400
    assert text in answer.json()["error"]["message"]


def test_files_that_can_be_named_are_listed() -> None:
    found = client_of("bob").get("/api/v1/backtests/files/").json()

    assert FILE in found["recorded"]
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


def test_a_conflict_ends_the_command_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def cancelled(*_given: Any) -> None:
        raise Cancelled

    monkeypatch.setattr(stored, "carried_out", cancelled)
    with pytest.raises(Conflict, match="one was cancelled"):
        stored.run_here(a_plan(), name="one", tell=lambda _done, _total: None)
