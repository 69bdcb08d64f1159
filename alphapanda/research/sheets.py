"""The page of a stored run, whatever its kind."""

from __future__ import annotations

from alphapanda.research import selectors
from alphapanda.research.tear_sheet import tear_sheet
from alphapanda.research.tuning_sheet import tuning_sheet
from strategies.models import BacktestRun


def sheet_of(run: BacktestRun) -> str:
    """One HTML file that needs nothing else. Raises NoResult."""
    made = tuning_sheet if run.kind == BacktestRun.Kind.SEARCH else tear_sheet
    return made(selectors.result_of(run), name=run.name)
