"""docs/strategies.md says of every parameter what the code says."""

from __future__ import annotations

import io
import json
import re
import shlex
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.management import call_command

from strategies.management.commands.strategies import parameters_in_markdown
from strategies.registry import names
from tests.shared_data import SHARED, needs_shared_data

PAGE = Path(__file__).resolve().parents[2] / "docs" / "strategies.md"


def test_the_parameters_are_those_of_the_code() -> None:
    shown = (
        PAGE.read_text().partition("<!-- parameters:begin -->\n")[2].partition("<!-- parameters:end -->")[0]
    )

    assert shown.strip() == parameters_in_markdown().strip()


def test_every_strategy_has_a_measured_backtest() -> None:
    text = PAGE.read_text()

    assert len(names()) >= 9
    for name in names():
        assert f"| `{name} " in text


def _measured() -> list[tuple[str, str]]:
    """The commands of the table, and what it says of each."""
    lines = PAGE.read_text().partition("| Command: ")[2].partition("\n\n")[0].splitlines()[2:]
    return [(line.split("`")[1], line.rpartition("`")[2].strip(" |")) for line in lines]


def _arguments(command: str) -> list[str]:
    named = PAGE.read_text()
    for name in ("ICICI", "NSE"):
        command = command.replace(f"${name}", re.search(rf"`\${name}`\s+is\s+`([^`]+)`", named)[1])
    words = shlex.split(command.replace("$DATA", str(SHARED)))
    return [word for written in words for word in _expanded(written)]


def _expanded(word: str) -> list[str]:
    """As a shell expands braces of a path."""
    start, brace, rest = word.partition("{")
    if not brace or ":" in word:
        return [word]
    inside, _, end = rest.partition("}")
    return [start + one + end for one in inside.split(",")]


@needs_shared_data
@pytest.mark.parametrize(("command", "said"), _measured(), ids=lambda text: text.split()[0])
def test_the_measured_backtests_are_what_their_commands_give(command: str, said: str) -> None:
    printed = io.StringIO()

    call_command("backtest", *_arguments(command), "--json", stdout=printed)

    (found,) = json.loads(printed.getvalue())["deployments"]
    of = found["statistics"]
    money = [f"{Decimal(of[name]):.2f}" for name in ("gross_pnl", "charges", "net_pnl")]
    assert [cell.strip().replace(",", "") for cell in said.split("|")] == [
        str(of["trades"]),
        str(of["winners"]),
        *money,
    ]
