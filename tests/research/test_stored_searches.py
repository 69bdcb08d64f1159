"""Stored searches: asked for by API, admin and command, carried out and cancelled as backtests are."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, User
from alphapanda.research import selectors, stored
from alphapanda.research.optimising import optimised
from alphapanda.research.plan import BadPlan, Plan, opened
from alphapanda.research.running import encoded, sha256
from alphapanda.research.search import asked_of, search_of
from alphapanda.tasks import backtests
from marketdata.reference import YESBANK_FILES
from strategies.domain.library.ema_cross import EmaCross
from strategies.models import BacktestRun
from tests.people import client_of
from tests.research.waves import KEY, MINUTES, a_definition, waves

pytestmark = pytest.mark.django_db
BY = {"actor": "alice", "reason": "to see", "now": datetime(2026, 11, 20, 4, 0, tzinfo=UTC)}
FILE = YESBANK_FILES[0].name
State, Kind = BacktestRun.State, BacktestRun.Kind
SPACE = {"fast": [5, 6], "short": {"of": [True, False]}}
SEARCH = {
    "space": SPACE,
    "objective": "net_pnl",
    "trials": 4,
    "walk_forward": 1,
    "hold_out": 0.34,
    "shuffles": 2,
}
QUICK = {"walk_forward": 0, "shuffles": 0, "hold_out": 0}


def a_plan(**facts: Any) -> Plan:
    values = {"files": (str(YESBANK_FILES[0]),), "definitions": (a_definition(name="wave"),)} | facts
    return Plan(**values)


def asked(name: str = "first", **facts: Any) -> BacktestRun:
    return stored.backtest_create(a_plan(), search=search_of(SEARCH | facts, EmaCross), name=name, **BY)


def there(name: str = "first") -> BacktestRun:
    return BacktestRun.objects.get(name=name)


# ---- carrying out ------------------------------------------------------------------------------------------


def test_a_search_is_carried_out_and_kept_beside_the_backtests() -> None:
    asked()
    stored.backtest_create(a_plan(), name="plain", **BY)
    backtests()
    run, plain, result = there(), there("plain"), selectors.result_of(there())

    assert (run.kind, run.state, run.error, run.done) == (Kind.SEARCH, State.DONE, "", run.total)
    expected = optimised(opened(a_plan()), search_of(SEARCH, EmaCross))
    assert run.result_sha256 == sha256(encoded(expected))
    assert run.summary == result["hold_out"]["statistics"]
    assert run.findings == sorted({one["code"] for one in result["findings"]})
    assert (plain.kind, plain.search) == (Kind.BACKTEST, {})
    assert (run.data, run.data_sha256, run.code) == (plain.data, plain.data_sha256, plain.code)
    assert AuditEntry.objects.get(target="backtest:first").details["search"]["space"] == SPACE
    with pytest.raises(selectors.CannotCompare, match="first is a search"):
        selectors.compared([plain, run])


def test_equal_searches_are_kept_as_equal_bytes() -> None:
    stored.backtest_again(run_id=asked("one", **QUICK).pk, **BY)
    asked("other", seed=2, **QUICK)
    backtests()
    one, again, other = map(there, ("one", "one #2", "other"))

    assert one.result_sha256 == again.result_sha256 != other.result_sha256
    assert one.summary == selectors.result_of(one)["best"]["statistics"]  # nothing was held out


def test_a_search_that_cannot_be_cut_fails_with_its_reason() -> None:
    asked(walk_forward=40)
    backtests()

    assert there().state == State.FAILED
    assert "40 windows need more than 40 days" in there().error


def test_a_search_at_work_stops_when_it_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    run = asked()
    monkeypatch.setattr(stored, "WRITE_EVERY_S", 0.0)
    told: list[int] = []
    write = stored.Writer.__call__

    def cancelled_at_the_fourth(self: stored.Writer, done: int, total: int) -> None:
        write(self, done, total)
        told.append(done)
        if len(told) == 4:
            stored.backtest_cancel(run_id=run.pk, **BY)

    monkeypatch.setattr(stored.Writer, "__call__", cancelled_at_the_fourth)
    backtests()

    assert (there().state, bytes(there().result), len(told)) == (State.CANCELLED, b"", 4)
    assert 0 < there().done < there().total


def test_deployments_of_two_strategies_are_not_tuned() -> None:
    two = (a_definition(name="one"), a_definition("breakout", name="two", params={}))
    with pytest.raises(
        BadPlan, match="a search tunes one strategy; the deployments have breakout, ema_cross"
    ):
        asked_of(SEARCH, a_plan(definitions=two))


# ---- API ---------------------------------------------------------------------------------------------------


def body(**facts: Any) -> dict[str, Any]:
    deployment = {"name": "wave", "strategy": "ema_cross", "instruments": [KEY], "params": {"quantity": 5}}
    return {"name": "over http", "files": [FILE], "deployments": [deployment], "search": SEARCH} | facts


def test_a_search_over_the_api() -> None:
    client = client_of("alice")
    made = client.post("/api/v1/backtests/", body())
    assert (made.status_code, made.json()["kind"], made.json()["sheet"]) == (201, "SEARCH", None)
    address = f"/api/v1/backtests/{made.json()['id']}/"
    backtests()
    found = client.get(address).json()
    again = client.post(f"{address}again/", {"reason": "once more"}).json()
    cancelled = client.post(f"/api/v1/backtests/{again['id']}/cancel/", {"reason": "no"}).json()

    assert found["state"] == "DONE"
    assert found["result"]["meta"]["space"] == SPACE
    assert found["result"]["hold_out"]["statistics"] == found["statistics"]
    assert found["sheet"] == reverse("backtest-sheet", args=[found["id"]])  # nobody needs the admin for it
    assert (again["search"], again["kind"]) == (found["search"], "SEARCH")
    assert cancelled["state"] == "CANCELLED"
    for kind, count in (("BACKTEST", 0), ("SEARCH", 2)):
        assert len(client.get("/api/v1/backtests/", {"kind": kind}).json()["results"]) == count
    assert client_of("bob").post("/api/v1/backtests/", body(name="no")).status_code == 403
    assert client_of("bob").get(address).json()["result"] == found["result"]


BAD = [
    ({"seed": -1}, "seed is from 0 to 2,14,74,83,647, not -1"),
    ({"trials": 10**9}, "trials is from 1 to 10,000"),
    ({"shuffles": 10_001}, "shuffles is from 0 to 10,000"),
    ({"space": {"quantity": [1, 400_000_000]}}, "quantity alone would be 40,00,00,000 combinations"),
    ({"space": {"fast": {"of": [5, "nine"]}}}, "fast is a choice of [5, 'nine']; accepted are values of one"),
    ({"space": {"fast": {"of": []}}}, "fast is {'of': []}; accepted is a range"),
    ({"space": {"pace": [1, 2]}}, "ema_cross has no parameter 'pace'; there are: fast, slow"),
    ({"luck": 1}, "a search has no 'luck'"),
]


@pytest.mark.parametrize(("facts", "text"), BAD)
def test_the_api_refuses_in_words(facts: dict[str, Any], text: str) -> None:
    answer = client_of("alice").post("/api/v1/backtests/", body(search=SEARCH | facts))

    assert answer.status_code == 400
    assert text in answer.json()["error"]["message"]
    assert not BacktestRun.objects.exists()


@pytest.mark.parametrize("search", [[], {}, "fast", 5])
def test_what_is_no_search_is_refused(search: Any) -> None:
    answer = client_of("alice").post("/api/v1/backtests/", body(search=search))

    assert answer.status_code == 400
    assert "space" in answer.json()["error"]["message"]


# ---- admin -------------------------------------------------------------------------------------------------

FORM = {
    "name": "from the desk",
    "files": [FILE],
    "strategy": "ema_cross",
    "params": "{}",
    "product": "MIS",
    "fills": "paper",
    "costs": "bps:3",
    "cash": "1000000",
}
ADD = "admin:strategies_backtestrun_add"


@pytest.fixture
def desk() -> Client:
    client = Client()
    client_of("alice")
    alice = User.objects.get(username="alice")
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_a_search_from_the_admin(desk: Client) -> None:
    answer = desk.post(reverse(ADD), FORM | {"search": json.dumps(SEARCH)})
    assert answer.status_code == 302, answer.content.decode()[:2000]
    backtests()
    run = there("from the desk")
    page = desk.get(reverse("admin:strategies_backtestrun_change", args=[run.pk])).content.decode()
    sheet = desk.get(reverse("admin:backtest_sheet", args=[run.pk])).content.decode()
    listed = desk.get(reverse("admin:strategies_backtestrun_changelist"), {"kind": "SEARCH"}).content.decode()

    assert (run.kind, run.state) == (Kind.SEARCH, State.DONE)
    assert "net_pnl" in page
    assert "<title>from the desk · optimisation" in sheet
    assert "from the desk" in listed


@pytest.mark.parametrize(("facts", "text"), BAD)
def test_the_admin_refuses_in_words(desk: Client, facts: dict[str, Any], text: str) -> None:
    answer = desk.post(reverse(ADD), FORM | {"search": json.dumps(SEARCH | facts)})

    assert answer.status_code == 200
    assert text in answer.content.decode().replace("&#x27;", "'")
    assert not BacktestRun.objects.exists()


# ---- warm-up, of both kinds ---------------------------------------------------------------------------------


@pytest.fixture
def halves(tmp_path: Path, settings: Any) -> tuple[str, str]:
    """Two files in the data folder: the days before, and those to play."""
    settings.DATA = tmp_path
    waves(tmp_path / "whole.csv", days=4)
    header, *lines = (tmp_path / "whole.csv").read_text().splitlines(keepends=True)
    for name, part in (
        ("before_YESBANK.csv", lines[: 2 * MINUTES]),
        ("after_YESBANK.csv", lines[2 * MINUTES :]),
    ):
        (tmp_path / name).write_text("".join([header, *part]))
    return "before_YESBANK.csv", "after_YESBANK.csv"


@pytest.mark.parametrize("search", [None, SEARCH | {"hold_out": 0.5, "walk_forward": 0}])
def test_api_and_admin_take_files_for_the_warm_up(
    desk: Client, halves: tuple[str, str], search: dict[str, Any] | None
) -> None:
    before, after = halves
    client = client_of("alice")
    slow = body()["deployments"][0] | {"params": {"fast": 60, "slow": 200}}
    for name, files in (("cold", []), ("warm", [before])):
        facts = {"name": name, "files": [after], "warm_up": files, "search": search, "deployments": [slow]}
        made = client.post("/api/v1/backtests/", body(**facts))
        assert made.status_code == 201, made.json()
    form = FORM | {"files": [after], "warm_up": [before], "search": json.dumps(search) if search else ""}
    assert desk.post(reverse(ADD), form).status_code == 302
    backtests()

    assert there("warm").plan["warm_up"] == there("from the desk").plan["warm_up"]
    assert [Path(path).name for path in there("warm").plan["warm_up"]] == [before]
    cold, warm = there("cold"), there("warm")
    assert [Path(file["path"]).name for file in cold.data] == [after]
    assert [Path(file["path"]).name for file in warm.data] == [after, before]
    assert cold.data_sha256 != warm.data_sha256
    assert selectors.result_of(warm)["meta"]["warm_up"][0]["sha256"] == warm.data[1]["sha256"]
    assert {run.state for run in BacktestRun.objects.all()} == {State.DONE}
    if search is None:
        assert cold.summary != warm.summary
    else:  # the days that were held out begin warm in both
        tuned = [selectors.result_of(run)["best"]["statistics"] for run in (cold, warm)]
        assert tuned[0] != tuned[1]


def test_a_file_for_the_warm_up_is_looked_for_like_any_other(desk: Client) -> None:
    answer = client_of("alice").post("/api/v1/backtests/", body(warm_up=["/etc/passwd=NSE:YESBANK"]))
    assert (answer.status_code, BacktestRun.objects.count()) == (400, 0)
    assert "there is no file /etc/passwd in the data folders" in answer.json()["error"]["message"]
    page = desk.post(reverse(ADD), FORM | {"warm_up": ["elsewhere.csv"]}).content.decode()
    assert "elsewhere.csv is not one of the available choices" in page


# ---- lists and rules ----------------------------------------------------------------------------------------

RULES = "instrument,valid_from,tick_size,lot_size,freeze_quantity,lower_circuit,upper_circuit\n"


@pytest.fixture
def rules(halves: tuple[str, str], settings: Any) -> tuple[str, str]:
    """Two files of rules in the data folder: of the tick size that the list has, and of another."""
    for name, tick in (("same_rules.csv", "0.01"), ("other_rules.csv", "0.50")):
        (settings.DATA / name).write_text(f"{RULES}NSE:YESBANK,2025-01-01,{tick},1,,,\n")
    return "same_rules.csv", "other_rules.csv"


def test_admin_and_api_take_rules_and_the_hash_of_the_data_covers_them(
    desk: Client, halves: tuple[str, str], rules: tuple[str, str]
) -> None:
    _, file = halves
    for name in rules:
        form = FORM | {"name": name, "files": [file], "rules": [name], "search": ""}
        assert desk.post(reverse(ADD), form).status_code == 302
    answer = client_of("alice").post("/api/v1/backtests/", body(files=[file], rules=[rules[1]], search=None))
    assert answer.status_code == 201, answer.json()
    backtests()
    same, other = map(there, rules)
    assert (same.error, other.error) == ("", "")

    assert [Path(path).name for path in other.plan["rules"]] == [rules[1]]
    assert other.plan["rules"] == BacktestRun.objects.get(pk=answer.json()["id"]).plan["rules"]
    assert [Path(one["path"]).name for one in other.data] == [file, rules[1]]
    assert same.data_sha256 != other.data_sha256
    assert [one["sha256"] for one in selectors.result_of(same)["meta"]["rules"]] == [same.data[1]["sha256"]]


def test_only_files_of_a_kind_are_offered_as_that_kind(
    desk: Client, halves: tuple[str, str], rules: tuple[str, str]
) -> None:
    found = client_of("alice").get("/api/v1/backtests/files/").json()
    page = desk.get(reverse(ADD)).content.decode()

    assert found["rules"] == sorted(rules)
    assert set(halves) <= set(found["recorded"])
    assert {"nse_holidays.csv", "market_cutoffs.csv", *rules}.isdisjoint(found["recorded"])
    assert "nse_holidays.csv" not in page
    assert '<option value="MIS" selected>' in page


@pytest.mark.parametrize("name", ["execution", "params", "limits"])
def test_settings_that_are_no_object_are_refused_in_the_form(desk: Client, name: str) -> None:
    answer = desk.post(reverse(ADD), FORM | {name: "[1, 2]", "search": ""})

    assert answer.status_code == 200
    assert "object" in answer.content.decode()
    assert not BacktestRun.objects.exists()


# ---- the command -------------------------------------------------------------------------------------------


def said(command: str, *words: str) -> str:
    out = io.StringIO()
    call_command(command, *words, stdout=out)
    return out.getvalue()


WORDS = ["ema_cross", "--data", str(YESBANK_FILES[0]), "--space", json.dumps(SPACE), "--trials", "4"]
WORDS += [
    "--walk-forward",
    "1",
    "--hold-out",
    "0.34",
    "--shuffles",
    "0",
    "--objective",
    "net_pnl",
    "--store",
    "by hand",
    "--json",
]


def test_the_command_keeps_what_it_prints(tmp_path: Path) -> None:
    printed = json.loads(said("optimise", *WORDS))
    sheet, run = tmp_path / "sheet.html", there("by hand")

    assert json.loads(said("backtests", "show", "by hand", "--json")) == printed
    assert (run.kind, run.state, run.asked_by) == (Kind.SEARCH, State.DONE, "shell")
    assert "net_pnl" in said("backtests", "show", "by hand", "--tear-sheet", str(sheet))
    assert "<title>by hand · optimisation" in sheet.read_text()
    [row] = json.loads(said("backtests", "list", "--json"))
    assert (row["kind"], row["profit"]) == ("SEARCH", printed["hold_out"]["statistics"]["net_pnl"])
    with pytest.raises(CommandError, match="There is a backtest 'by hand' already"):
        said("optimise", *WORDS)


def test_a_command_that_is_interrupted_leaves_a_cancelled_search(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_given: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stored, "optimised", interrupted)
    with pytest.raises(KeyboardInterrupt):
        said("optimise", *WORDS)
    assert there("by hand").state == State.CANCELLED
