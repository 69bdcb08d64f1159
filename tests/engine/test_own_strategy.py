"""The strategy of the README, as a user would drop it in: it is found, it trades, and it can be deployed."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command

from alphapanda import deploying
from marketdata.reference import YESBANK_FILES
from tests.engine import libraries

README = Path(__file__).resolve().parents[2] / "README.md"
LINES_MAX = 15


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)
    assert found
    return found[1]


@pytest.fixture
def dropped() -> Iterator[None]:
    path = libraries.drop("breakout", block("python"))
    yield
    libraries.taken_away(path)


def test_it_is_as_short_as_promised() -> None:
    code = [line for line in block("python").splitlines() if line.strip() and '"""' not in line]

    assert len(code) <= LINES_MAX


@pytest.mark.usefixtures("dropped")
def test_it_trades_on_the_data_that_ships() -> None:
    out = io.StringIO()
    call_command("backtest", "breakout", "--data", str(YESBANK_FILES[0]), "--json", stdout=out)
    found = json.loads(out.getvalue())

    assert found["deployments"][0]["error"] is None
    assert found["statistics"]["trades"] > 5
    assert {trade["direction"] for trade in found["trades"]} == {"LONG"}


@pytest.mark.usefixtures("dropped")
def test_its_definition_can_be_deployed(tmp_path: Path) -> None:
    (tmp_path / "deployments.json").write_text(block("json"))

    [definition] = deploying.read(tmp_path / "deployments.json")

    assert definition.strategy == "breakout"
