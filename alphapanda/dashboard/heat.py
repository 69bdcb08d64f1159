"""The result of a search for parameters on its page: out of sample first, then the heat map as a table."""

from __future__ import annotations

from typing import Any

from alphapanda.dashboard.run_figures import words_of
from alphapanda.research.heat_cells import binned
from alphapanda.research.tuning import value_text
from alphapanda.research.tuning_sheet import told

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
    shown = binned(heat_map)
    values = {(one["x"], one["y"]): one["value"] for one in shown["cells"]}
    ends = min(values.values(), default=0.0), max(values.values(), default=0.0)
    rows = [
        {"name": name, "cells": [_cell(values.get((column, name)), *ends) for column in shown["columns"]]}
        for name in shown["rows"]
    ]
    return {"x": shown["x"], "y": shown["y"], "columns": shown["columns"], "rows": rows}


def _cell(value: float | None, low: float, high: float) -> Object:
    if value is None:
        return {"text": value_text(None), "shade": 0, "is_best": False}
    share = (value - low) / (high - low) if high > low else 0.5
    return {"text": value_text(value), "shade": 1 + round(share * (SHADES - 1)), "is_best": value == high}
