"""The proofs in short: real processes, private servers, each run by its command as a user would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from marketdata.reference import YESBANK_FILES
from tests.shared_data import needs_shared_data

ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = [pytest.mark.timeout(480), pytest.mark.xdist_group("real processes")]


def proved(*words: str) -> dict[str, Any]:
    """What a proof's command says, having ended well."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ALPHAPANDA_")}
    done = subprocess.run(
        [sys.executable, "manage.py", *words, "--json"],
        cwd=ROOT,
        env={**kept, "ALPHAPANDA_DATA": os.environ["ALPHAPANDA_DATA"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-6000:] + done.stdout[-4000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_pipeline_gives_the_rows_of_the_backtest() -> None:
    (run,) = proved("parity", "--data", str(YESBANK_FILES[0]), "--shards", "2", "--batch", "37")["runs"]

    assert run["differences"] == 0
    assert run["rows"]["fills"] > 200


def test_twenty_kills_and_every_failpoint_change_no_row() -> None:
    found = proved("chaos", "--short")

    assert found["kills"] >= 20
    assert (found["short"], found["killed"]["differences"], found["killed"]["books"]) == ([], 0, 0)


def test_what_is_interrupted_goes_on_where_it_was() -> None:
    found = proved("restarts")

    assert (found["differences"], found["books"]) == (0, 0)
    assert found["restarts"]["kafka"] >= 1  # counted since the last start of all


@needs_shared_data
def test_poison_costs_itself_only_and_comes_back() -> None:
    found = proved("poison", "--malformed", "100", "--good", "5000")

    assert found["dead_letters"] == 100
    assert (found["differing_before"], found["lag"], found["differing_after"]) == (0, 0, 0)
    assert found["spoiled_fills"] > 0
