"""Stored backtests: asked for, carried out, cancelled, taken over, run again."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from accounts.models import AuditEntry
from alphapanda.core.refusals import Conflict
from alphapanda.research import selectors, stored
from alphapanda.research.folding import Cancelled
from alphapanda.research.plan import BadPlan, Plan, opened
from alphapanda.research.running import carried_out, encoded, sha256
from alphapanda.tasks import backtests
from marketdata.reference import YESBANK_FILES
from strategies.models import BacktestRun
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


def test_a_conflict_ends_the_command_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def cancelled(*_given: Any) -> None:
        raise Cancelled

    monkeypatch.setattr(stored, "carried_out", cancelled)
    with pytest.raises(Conflict, match="one was cancelled"):
        stored.run_here(a_plan(), name="one", tell=lambda _done, _total: None)
