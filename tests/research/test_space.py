"""What a search may be asked for: nothing that cannot be listed, no value that the strategy never takes."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest

from alphapanda.research.plan import BadPlan
from alphapanda.research.search import as_asked, search_of
from alphapanda.research.space import Knob, grid_size, space_of
from strategies.domain.library.ema_cross import EmaCross


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({}, "at least one parameter"),
        ({"pace": [1, 2]}, "has no parameter 'pace'; there are: fast, slow"),
        ({"fast": [5]}, r"fast is \[5\]; accepted is a range"),
        ({"fast": [5, 3]}, "accepted is a range"),
        ({"fast": [1, 5, 0]}, "accepted is a range"),
        ({"fast": ["a", "b"]}, "accepted is a range"),
        ({"short": {"of": []}}, "accepted is a range"),
        ({"fast": [True, 3]}, "accepted is a range"),
        ([1, 2], r"space is an object .* not \[1, 2\]"),
        (
            {"fast": {"of": [5, "nine"]}},
            r"fast is a choice of \[5, 'nine'\]; accepted are values of one kind",
        ),
        ({"fast": {"of": [5, True]}}, "fast is a choice of .*values of one kind"),
        ({"fast": {"of": [5, None]}}, "fast is a choice of .*values of one kind"),
        ({"fast": {"of": [[5], [6]]}}, "fast is a choice of .*values of one kind"),
        ({"fast": {"of": [5, 7, 5]}}, "fast has 5 more than once"),
        ({"fast": {"of": ["five"]}}, "fast cannot be 'five': Expected `int`, got `str`"),
        ({"fast": [0, 5]}, "fast cannot be 0: Expected `int` >= 1"),
        ({"slow": [9_999, 10_001]}, "slow cannot be 10001: Expected `int` <= 10000"),
        ({"fast": [1, 5, 0.5]}, "fast cannot be 1.0: Expected `int`"),
        ({"fast": [1.25, 5.0]}, "fast cannot be 1.25: Expected `int`"),
        ({"short": [0, 1]}, "short cannot be 0: Expected `bool`"),
    ],
)
def test_a_bad_space_is_refused(raw: dict[str, Any], said: str) -> None:
    with pytest.raises(BadPlan, match=said):
        space_of(raw, EmaCross)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([1, 400_000_000], "alone would be 40,00,00,000 combinations; at most 1,00,000 values"),
        ([0, 10**15], "alone would be 1,00,00,00,00,00,00,001 combinations"),
        ([0.0, 1.0, 1e-8], "alone would be 10,00,00,001 combinations"),
        ([0.0, 1.0, 1e-300], "accepted is a range"),
        ([1, 10**400], "accepted is a range"),
        ([0, float("inf")], "accepted is a range"),
        ([float("nan"), 1], "accepted is a range"),
    ],
)
def test_what_cannot_be_listed_is_refused_without_being_listed(given: list[float], said: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(BadPlan, match=f"space: quantity .*{said}"):
            space_of({"quantity": given}, EmaCross)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"trials": 0}, "trials is from 1 to 10,000, not 0"),
        ({"trials": 10_001}, "trials is from 1 to 10,000, not 10001"),
        ({"shuffles": -1}, "shuffles is from 0 to 10,000, not -1"),
        ({"shuffles": 10**9}, "shuffles is from 0 to 10,000, not 1000000000"),
        ({"seed": -1}, "seed is from 0 to 2,14,74,83,647, not -1"),
        ({"seed": 2**32}, "seed is from 0 to"),
        ({"walk_forward": 101}, "walk_forward is from 0 to 100, not 101"),
        ({"hold_out": float("nan")}, "a share from 0 to below 1, not nan"),
        ({"trials": "many"}, "Expected `int`, got `str` - at `\\$.trials`"),
        ({"luck": 1}, "a search has no 'luck'; there are: space, objective, trials"),
        ({"knobs": []}, "a search has no 'knobs'"),
        ({"space": None}, "space is an object that names at least one parameter"),
    ],
)
def test_a_search_out_of_bounds_is_refused_by_name(raw: dict[str, Any], said: str) -> None:
    with pytest.raises(BadPlan, match=said):
        search_of({"space": {"fast": [3, 9]}} | raw, EmaCross)


def test_a_search_is_asked_for_again_with_what_it_says_of_itself() -> None:
    space = {"fast": [3, 9], "slow": [12, 24, 6], "short": {"of": [True, False]}}
    search = search_of({"space": space, "trials": 7, "rolling": True}, EmaCross)

    assert as_asked(search)["space"] == space
    assert search_of(json.loads(json.dumps(as_asked(search))), EmaCross) == search


def test_how_many_combinations_there_are_is_known_without_listing_them() -> None:
    names = ("fast", "slow", "quantity", "bar_minutes")
    assert grid_size([Knob(name, 1, 100_000) for name in names]) == 10**20
    assert grid_size([Knob("at", 0.1, 0.5, 0.1), Knob("short", choices=(True, False))]) == 10
    assert grid_size([Knob("at", 0.5, 2.5), Knob("fast", 1, 9)]) is None
    assert Knob("at", 0.1, 0.3, 0.1).values() == [0.1, 0.2, 0.3]
