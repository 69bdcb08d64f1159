"""The tear sheet: one file that needs nothing else, rupees and IST as in India, and no text of a user as markup."""

from __future__ import annotations

import re
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alphapanda.research import charts
from alphapanda.research.running import carried_out
from alphapanda.research.tear_sheet import (
    RUPEES,
    Axis,
    count_of,
    histogram,
    percent,
    short_rupees,
    tear_sheet,
    years,
)
from marketdata.reference import YESBANK_FILES
from tests.research.waves import a_definition, read

EVIL = "<script>alert(1)</script>"
VOID = {"meta", "link", "rect", "line", "polygon", "polyline", "br"}


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    slow = a_definition(name="slow", params={"quantity": 2000})
    quick = a_definition(name=EVIL, params={"fast": 3, "slow": 8})
    return carried_out(read(str(YESBANK_FILES[0]), slow, quick)).result


@pytest.fixture(scope="module")
def page(result: dict[str, Any]) -> str:
    return tear_sheet(result, name="of tests")


class Balance(HTMLParser):
    """Every element that is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else(page: str) -> None:
    parser = Balance()
    parser.feed(page)

    assert parser.open == []
    assert parser.addresses == ["data:,"]
    assert not re.search(r"https?:|//[a-z]|url\(|@import|<script|<iframe", page)
    assert "prefers-color-scheme: dark" in page


def test_amounts_and_times_are_written_as_in_india(page: str, result: dict[str, Any]) -> None:
    assert "₹10,00,000.00" in page
    assert f"{result['meta']['starts'][:10]} 09:16" in page
    assert "IST" in page


def test_what_a_user_wrote_is_no_markup(page: str) -> None:
    assert EVIL not in page
    assert "&lt;script&gt;" in page


def test_every_finding_is_on_the_page(page: str, result: dict[str, Any]) -> None:
    codes = {one["code"] for one in result["findings"]}

    assert codes
    assert [code for code in codes if f">{code}</td>" not in page] == []


def test_all_that_the_issue_asks_for_is_there(page: str, result: dict[str, Any]) -> None:
    for heading in ("Equity", "Drawdown", "Exposure", "Months", "Charges", "Trades", "What was run"):
        assert f"<h2>{heading}" in page or f"<summary>{heading}" in page
    assert page.count("<svg") == 4
    assert result["meta"]["files"][0]["sha256"][:16] in page
    assert result["deployments"][0]["source_sha256"][:16] in page


def test_a_run_without_a_trade_has_a_page() -> None:
    never = a_definition(params={"fast": 5_000, "slow": 6_000})
    found = tear_sheet(carried_out(read(str(YESBANK_FILES[0]), never)).result)

    assert "No charges." in found
    assert "Equity never fell." in found


def test_months_of_years() -> None:
    [row] = years(
        [
            {"month": "2023-02", "net_pnl": "1200.5", "return_percent": 1.5},
            {"month": "2023-03", "net_pnl": "-200.5", "return_percent": -0.75},
            {"month": "2023-04", "net_pnl": "0", "return_percent": 0.0},
        ]
    )
    assert (row["year"], row["sum"], row["cells"][0]) == ("2023", "+₹1,000.00", None)
    assert [cell["text"] for cell in row["cells"][1:4]] == ["+1.50", "-0.75", "0.00"]
    assert [cell["tone"] for cell in row["cells"][1:4]] == ["up", "down", ""]


@pytest.mark.parametrize(
    ("value", "text"),
    [(9_500, "₹9,500"), (-20_000, "-₹20,000"), (995_000, "₹9.95 L"), (-12_000_000, "-₹1.2 Cr"), (0, "₹0")],
)
def test_amounts_on_an_axis(value: float, text: str) -> None:
    assert short_rupees(value) == text


def test_nights_take_no_room() -> None:
    day = 86_400_000
    opens = 1_562_643_900_000  # 2019-07-09 09:15 IST
    axis = Axis([opens, opens + day])

    assert (axis.place(opens), axis.place(opens + day)) == (0.0, 0.5)
    assert axis.place(opens + day // 2) == 0.5
    assert [text for _, text in axis.labels()] == ["9 Jul 2019", "10 Jul 2019"]


@given(st.lists(st.integers(-100_000, 100_000).map(Decimal), min_size=1, max_size=80))
def test_every_trade_is_in_the_histogram(nets: list[Decimal]) -> None:
    assert sum(abs(count) for _, count in histogram(nets)) == len(nets)


VALUES = st.floats(-1e7, 1e7, allow_nan=False)


@given(st.lists(VALUES, min_size=1, max_size=3_000))
def test_thinning_keeps_ends_and_extremes(values: list[float]) -> None:
    points = [(place / len(values), value) for place, value in enumerate(values)]
    kept = charts.thinned(points, most=100)

    assert len(kept) <= 105
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert {min(values), max(values)} <= {value for _, value in kept}
    assert kept == sorted(kept, key=lambda point: point[0])


@given(VALUES, VALUES)
@example(0.0, 5e-324)
def test_ticks_cover_the_range(one: float, other: float) -> None:
    low, high = sorted((one, other))
    ticks = charts.ticks_of(low, high)

    assert 2 <= len(ticks) <= 8
    span = (high - low) or abs(high) or 1.0
    unseen = 1e-6 * span + charts.SPAN_LEAST
    assert ticks[0] <= low + unseen
    assert ticks[-1] >= high - unseen


# ---- figures near each other, and few of them --------------------------------------------------------------


def labels_of(svg: str) -> list[str]:
    return re.findall(r'text-anchor="end">([^<]*)</text>', svg)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([1_000_000.0, 999_999.5], ["₹9,99,999.40", "₹9,99,999.60", "₹9,99,999.80", "₹10,00,000.00"]),
        ([1_000_000.0, 999_950.0], ["₹9,99,940", "₹9,99,960", "₹9,99,980", "₹10,00,000"]),
        ([1_000_000.0, 900_000.0], ["₹9 L", "₹9.25 L", "₹9.5 L", "₹9.75 L", "₹10 L"]),
        ([0.0, 0.0], ["₹0"]),
    ],
)
def test_ticks_are_told_apart(values: list[float], told: list[str]) -> None:
    drawn = charts.line(list(enumerate(values)), [], RUPEES, kind="equity")

    assert labels_of(drawn)[-len(told) :] == labels_of(drawn) == told


def test_a_value_holds_until_the_next_one() -> None:
    assert charts.stepped([(0.0, 1.0), (0.5, 3.0), (1.0, 2.0)]) == [
        (0.0, 1.0),
        (0.5, 1.0),
        (0.5, 3.0),
        (1.0, 3.0),
        (1.0, 2.0),
    ]


@pytest.mark.parametrize(("value", "text"), [(-0.001, "0.00 %"), (0.001, "0.00 %"), (-0.006, "-0.01 %")])
def test_nought_has_no_sign(value: float, text: str) -> None:
    assert (percent(value), percent(value, signed=True)) == (text, text)


def test_a_single_trade_is_one_column_among_others() -> None:
    found = histogram([Decimal("-0.52")])

    assert [count for _, count in found if count] == [-1.0]
    assert len({label for label, _ in found}) == len(found) >= 9
    assert [count_of(count) for count in (-1.0, 0.5, 0.0, 2.0)] == ["1", "", "0", "2"]


@given(st.lists(st.integers(-10_000, 10_000).map(Decimal), min_size=1, max_size=80))
@example([Decimal(-10_000), Decimal(0)])
def test_a_bucket_holds_winners_or_losers(nets: list[Decimal]) -> None:
    found = histogram(nets)

    assert sum(count for _, count in found if count > 0) == sum(net >= 0 for net in nets)


def test_texts_in_charts_are_escaped() -> None:
    drawn = charts.heat_map([EVIL], ["1"], {(EVIL, "1"): 2.0}, str, names=("<x>", "y"))

    assert "<script" not in drawn
    assert "<x>" not in drawn
