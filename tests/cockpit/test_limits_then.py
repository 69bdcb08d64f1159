"""What an entry that waits would use of limits."""

from __future__ import annotations

from typing import Any

from alphapanda.dashboard.verdicts import limits_then
from tests.builders import a_signal


def then(**sums: dict[str, Any]) -> list[tuple[str, float | None, str]]:
    found = limits_then({"sums": sums}, a_signal())
    return [(one["level"], one["percent"], one["state"]) for one in found]


def test_of_a_limit_of_nothing_all_is_used_by_whatever_is() -> None:
    levels = {
        "wide": {"limits": {"gross_exposure": "1000"}, "gross_exposure": "1500"},
        "none": {"limits": {"gross_exposure": "0"}, "gross_exposure": "10"},
        "flat": {"limits": {"net_exposure": "0.00"}, "net_exposure": "0"},
        "dark": {"limits": {"margin": "0"}},
    }
    assert then(**levels) == [
        ("none", 100.0, "fail"),
        ("wide", 150.0, "fail"),
        ("flat", 0.0, "ok"),
        ("dark", None, "ok"),
    ]
