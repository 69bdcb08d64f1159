"""The chart of a stored backtest: the bars that it was played on, or words on why they are others."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from alphapanda.core.clock import to_ms
from alphapanda.research import played, selectors
from alphapanda.tasks import backtests
from marketdata.models import Instrument
from marketdata.reference import YESBANK_FILES
from strategies.models import Deployment
from tests.cockpit import world
from tests.cockpit.test_pages import browser
from tests.research.test_stored import asked, there
from tests.rows import an_instrument

pytestmark = pytest.mark.django_db
NAME = "NSE:YESBANK"
MINUTE_MS = 60_000
original = played._are_the_same


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A recorded file of its own, and a finished run on it."""
    an_instrument(tradingsymbol="YESBANK", instrument_token=3050241, exchange_token=11915)
    place = tmp_path / YESBANK_FILES[0].name
    shutil.copy(YESBANK_FILES[0], place)
    asked(files=(str(place),))
    backtests()
    return place


def told(viewer: Client, **more: Any) -> dict[str, Any]:
    answer = viewer.get(f"/chart/{NAME}/bars", {"backtest": str(there().pk), **more})
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_a_later_reading_brings_no_bars_that_the_first_left_out(copied: Path) -> None:
    viewer = browser("viewer")
    first = told(viewer)
    last_fill = datetime.fromisoformat(selectors.result_of(there())["fills"][-1]["time"])
    assert first["bars"][-1][0] * 1000 < to_ms(last_fill) + 200 * MINUTE_MS

    last = first["bars"][-1]
    later = told(viewer, since_ms=last[0] * 1000)
    assert (later["bars"], later["markers"], later["doubt"]) == ([last], [], "")


def test_files_that_are_gone_are_looked_for_once_and_found_when_they_are_back(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, made = there(), []
    monkeypatch.setattr(played, "_are_the_same", lambda *asked: made.append(asked) or original(*asked))
    kept = copied.rename(copied.with_suffix(".away"))
    assert [played.bars_played(run, NAME, 1) for _ in range(3)] == [[], [], []]
    assert len(made) == 1
    kept.rename(copied)
    assert played.bars_played(run, NAME, 1)
    assert len(made) == 2


def test_at_a_moment_before_it_was_done_there_is_no_such_backtest(copied: Path) -> None:
    viewer, run = browser("viewer"), there()
    assert run.finished_at is not None
    asked_at = {"backtest": str(run.pk), "at": (run.finished_at - timedelta(seconds=1)).isoformat()}
    for page in (f"/chart/{NAME}/bars", f"/chart/{NAME}/"):
        assert viewer.get(page, asked_at).status_code == 400
    assert "There is no such backtest" in viewer.get(f"/chart/{NAME}/", asked_at).content.decode()


def test_the_only_deployment_of_the_instrument_is_not_followed_over_a_backtest(copied: Path) -> None:
    own = world.desk(count=1).deployments[0]
    Deployment.objects.get(pk=own.pk).instruments.set([Instrument.objects.get(tradingsymbol="YESBANK")])
    viewer = browser("viewer")
    followed = f'data-deployment="{own.pk}"'
    assert followed in viewer.get(f"/chart/{NAME}/").content.decode()
    assert followed not in viewer.get(f"/chart/{NAME}/", {"backtest": str(there().pk)}).content.decode()
