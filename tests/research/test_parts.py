"""Parts of a search: each begins with all that lies before it, and the hold-out is looked at once."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from alphapanda.research import optimising
from alphapanda.research.folding import folded
from alphapanda.research.optimising import optimised, parts_of
from alphapanda.research.plan import BadPlan, Opened
from alphapanda.research.search import Search
from alphapanda.research.space import Knob
from alphapanda.research.tuning import specs_with
from tests.research.waves import KEY, a_definition, read, sessions, waves

NOBODY = UUID(int=0)
SEARCH = Search(
    knobs=(Knob("fast", 3, 4),), objective="net_pnl", trials=2, walk_forward=1, hold_out=0.25, shuffles=2
)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    return read(waves(tmp_path_factory.mktemp("waves") / "bars.csv", days=4))


def test_each_part_begins_warm_with_all_that_lies_before_it_and_nothing_else(tmp_path: Path) -> None:
    """As if the days before had been given as a file for the warm-up."""
    slow = a_definition(params={"quantity": 200, "short": False, "fast": 20, "slow": 400})
    header, *lines = (
        Path(waves(tmp_path / "whole.csv", days=4).partition("=")[0]).read_text().splitlines(True)
    )
    before, after = (
        _file(tmp_path / name, header, part)
        for name, part in (("before", lines[:1125]), ("after", lines[1125:]))
    )
    search = Search(
        knobs=(Knob("fast", 20, 20),), objective="net_pnl", trials=1, walk_forward=1, hold_out=0.25
    )
    result = optimised(read(f"{tmp_path / 'whole.csv'}={KEY}", slow), search)
    [warm] = folded(read(after, slow, warm_up=(before,)))

    held = result["hold_out"]["statistics"]
    assert held["trades"] > 0  # 375 bars: none where the hold-out begins cold
    assert (held["trades"], Decimal(held["net_pnl"])) == (
        warm.performance().statistics.trades,
        warm.performance().statistics.net_pnl,
    )
    assert result["walk_forward"][0]["test"]["statistics"]["trades"] > 0


def test_the_first_day_to_play_begins_warm_with_what_the_files_hold_before_it(tmp_path: Path) -> None:
    """As if the days before had been given as a file for the warm-up, and not as if they were not there."""
    slow = a_definition(params={"quantity": 200, "short": False, "fast": 20, "slow": 400})
    file = waves(tmp_path / "whole.csv", days=4)
    header, *lines = Path(file.partition("=")[0]).read_text().splitlines(True)
    before, after = (
        _file(tmp_path / "before", header, lines[:1125]),
        _file(tmp_path / "after", header, lines[1125:]),
    )
    day = sessions(4)[-1]

    [from_day], [warm], [cold] = (
        folded(read(one, slow, **facts))
        for one, facts in ((file, {"first_day": day}), (after, {"warm_up": (before,)}), (after, {}))
    )

    signals = [
        [
            msgspec.structs.replace(signal, step=0, id=NOBODY, correlation_id=NOBODY)
            for signal in run.account.journal.signals
        ]
        for run in (from_day, warm)
    ]
    assert signals[0] == signals[1] != []
    assert cold.account.journal.signals == []


def _file(path: Path, header: str, lines: list[str]) -> str:
    path.write_text("".join([header, *lines]))
    return f"{path}={KEY}"


def test_bars_of_the_length_that_is_tried_come_before_it(found: Opened) -> None:
    excerpt = found.excerpt.of_days(found.excerpt.days()[1], None)
    [spec] = specs_with(found, excerpt, {"bar_minutes": 15})
    first_ms = next(excerpt.items()).at_ms

    assert {bar.minutes for bar in spec.history} == {15}
    assert (len(spec.history), spec.history[-1].ends_ms <= first_ms) == (25, True)


def test_the_hold_out_is_folded_once_and_once_for_each_shuffle(
    found: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Any] = []
    judge, shuffle = optimising.judged, optimising.folded_items
    monkeypatch.setattr(
        optimising,
        "judged",
        lambda opened, excerpt, *given: looks.append(excerpt) or judge(opened, excerpt, *given),
    )
    monkeypatch.setattr(
        optimising,
        "folded_items",
        lambda opened, items, excerpt, **given: (
            looks.append(excerpt) or shuffle(opened, items, excerpt, **given)
        ),
    )
    optimised(found, SEARCH)

    assert looks.count(parts_of(found.excerpt, SEARCH).held_out) == 1 + SEARCH.shuffles


def test_a_warm_up_that_reaches_into_what_is_played_is_refused(tmp_path: Path) -> None:
    file = waves(tmp_path / "bars.csv", days=2)
    (same := tmp_path / "same.csv").write_text(Path(file.partition("=")[0]).read_text())

    with pytest.raises(
        BadPlan, match=r"wave: the warm-up reaches to 2025-07-02T15:30.*begins before, at 2025-07-01"
    ):
        read(file, warm_up=(f"{same}={KEY}",))
