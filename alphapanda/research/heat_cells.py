"""The heat map of a search in as many columns and rows as a page can show: a range without a step has a value of its
own for each trial, and a search has 10,000 of them."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

MOST = 40  # columns, and rows
Object = dict[str, Any]


def text_of(value: Any) -> str:
    """A value of a parameter: a float without its noise."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def binned(heat_map: Object, most: int = MOST) -> Object:
    """The heat map of a documented object with texts in the place of values, and where there are more than `most` of
    them, neighbours together: each cell has the mean of its trials."""
    columns, rows = (_groups(heat_map[axis], most) for axis in ("columns", "rows"))
    found: dict[tuple[str, str], list[tuple[float, int]]] = {}
    for one in heat_map["cells"]:
        found.setdefault((columns[one["x"]], rows[one["y"]]), []).append((one["value"], one["trials"]))
    cells = [_cell(place, told) for place, told in found.items()]
    axes = {"columns": list(dict.fromkeys(columns.values())), "rows": list(dict.fromkeys(rows.values()))}
    return {"x": heat_map["x"], "y": heat_map["y"], "cells": cells} | axes


def _groups(values: Sequence[Any], most: int) -> dict[Any, str]:
    """Of each value, in order, what it is shown with."""
    size = max(1, ceil(len(values) / most))
    groups = [values[first : first + size] for first in range(0, len(values), size)]
    return {value: _name(group) for group in groups for value in group}


def _name(group: Sequence[Any]) -> str:
    first, last = text_of(group[0]), text_of(group[-1])
    return first if first == last else f"{first} to {last}"


def _cell(place: tuple[str, str], told: list[tuple[float, int]]) -> Object:
    trials = sum(count for _, count in told)
    mean = told[0][0] if len(told) == 1 else sum(value * count for value, count in told) / trials
    return {"x": place[0], "y": place[1], "value": mean, "trials": trials}
