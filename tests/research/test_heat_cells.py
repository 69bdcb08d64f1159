"""The heat map of a search on a page: of few values each, of many neighbours together."""

from __future__ import annotations

from typing import Any

from alphapanda.dashboard.heat import _table
from alphapanda.research.heat_cells import MOST, binned
from alphapanda.research.tuning_sheet import _heat


def of_trials(trials: list[tuple[Any, Any, float]]) -> dict[str, Any]:
    cells = [{"x": x, "y": y, "value": value, "trials": 1} for x, y, value in trials]
    axes = {"columns": sorted({x for x, _, _ in trials}), "rows": sorted({y for _, y, _ in trials})}
    return {"x": "fast", "y": "stop", "cells": cells} | axes


def test_few_values_stand_as_they_are() -> None:
    found = binned(of_trials([(3, 0.1 + 0.2, 1.5), (5, 0.5, -2.0)]))
    assert (found["columns"], found["rows"]) == (["3", "5"], ["0.3", "0.5"])
    assert [(one["x"], one["y"], one["value"]) for one in found["cells"]] == [
        ("3", "0.3", 1.5),
        ("5", "0.5", -2.0),
    ]


def test_neighbours_of_many_are_together_with_the_mean_of_their_trials() -> None:
    found = binned(of_trials([(x, 1, float(x)) for x in range(6)]), most=3)
    assert found["columns"] == ["0 to 1", "2 to 3", "4 to 5"]
    assert [one["value"] for one in found["cells"]] == [0.5, 2.5, 4.5]
    assert [one["trials"] for one in found["cells"]] == [2, 2, 2]


def test_a_search_of_ten_thousand_trials_in_ranges_without_steps_has_a_page() -> None:
    heat_map = of_trials(
        [(number / 7, (number * 7919 % 10_000) / 3, number / 100) for number in range(10_000)]
    )
    table = _table(heat_map)
    assert table is not None
    assert len(table["rows"]) <= MOST >= len(table["columns"])
    cells = [cell for row in table["rows"] for cell in row["cells"]]
    assert sum(cell["is_best"] for cell in cells) == 1
    assert {cell["shade"] for cell in cells} - {0} == set(range(1, 9))
    assert len(_heat(heat_map)) < 1_000_000
