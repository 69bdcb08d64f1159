"""A form that begins like a run: `?like=` and its id."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from django import forms

from alphapanda.research.places import recorded_names
from alphapanda.research.selectors import result_of
from strategies.models import BacktestRun


class Like(forms.Form):
    """The backtest whose parameters stand in the form at first, or the search whose best ones do."""

    like = forms.ModelChoiceField(BacktestRun.objects.all(), required=False)

    def run(self) -> BacktestRun | None:
        return self.cleaned_data.get("like") if self.is_valid() else None

    def params(self, strategy: str) -> dict[str, Any]:
        """Those of a run of a strategy; none where it is of another."""
        run = self.run()
        tried = [one for one in run.plan.get("definitions", []) if one["strategy"] == strategy] if run else []
        return tried[0]["params"] | _best(run) if run and tried else {}

    def recorded(self) -> list[str]:
        """Its recorded files, as they are named here; none where one of them is not to be had."""
        run, at_hand = self.run(), {PurePath(name).name: name for name in reversed(recorded_names())}
        wanted = [PurePath(path).name for path in run.plan.get("files", [])] if run else []
        return [at_hand[name] for name in wanted] if set(wanted) <= at_hand.keys() else []


def _best(run: BacktestRun) -> dict[str, Any]:
    is_found = (run.kind, run.state) == (BacktestRun.Kind.SEARCH, BacktestRun.State.DONE)
    return dict(result_of(run)["best"]["params"]) if is_found else {}
