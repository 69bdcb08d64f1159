"""docs/strategies.md says of every parameter what the code says."""

from __future__ import annotations

from pathlib import Path

from strategies.management.commands.strategies import parameters_in_markdown
from strategies.registry import names

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
