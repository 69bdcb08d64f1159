"""The result of a search for parameters on its page: out of sample first, then the heat map as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alphapanda.dashboard.run_figures import words_of
from alphapanda.research.tuning import value_text
from alphapanda.research.tuning_sheet import text_of, told

SHADES = 8  # classes of the style sheet: a strict policy allows no style of a cell
Object = dict[str, Any]


def search(result: Object) -> Object:
    """What the page of a finished search shows of its documented object."""
    page, name = told(result), result["meta"]["objective"]
    tiles = [one | {"label": one["label"].replace(name, words_of(name))} for one in page["tiles"]]
    named = {"objective": words_of(name), "best": result["best"]["params"], "tiles": tiles}
    return page | named | {"heat": _table(result["heat_map"])}


def _table(heat_map: Object | None) -> Object | None:
    """A row for each value of the second parameter; a cell has its text, its shade, and whether none is better."""
    if heat_map is None:
        return None
    values = {(text_of(one["x"]), text_of(one["y"])): one["value"] for one in heat_map["cells"]}
    columns = list(map(text_of, heat_map["columns"]))
    rows = [
        {"name": name, "cells": [_cell(values, (column, name)) for column in columns]}
        for name in map(text_of, heat_map["rows"])
    ]
    return {"x": heat_map["x"], "y": heat_map["y"], "columns": columns, "rows": rows}


def _cell(values: Mapping[tuple[str, str], float | None], place: tuple[str, str]) -> Object:
    known = [value for value in values.values() if value is not None]
    value = values.get(place)
    if value is None:
        return {"text": value_text(None), "shade": 0, "is_best": False}
    low, high = min(known), max(known)
    share = (value - low) / (high - low) if high > low else 0.5
    return {"text": value_text(value), "shade": 1 + round(share * (SHADES - 1)), "is_best": value == high}
