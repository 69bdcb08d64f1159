"""Each reason to doubt a result: a planted fault is found, and a clean run has none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alphapanda.core.clock import DAY_MS
from alphapanda.core.vocabulary import FillSource, Product
from alphapanda.engine.backtest import Run
from alphapanda.engine.combined import combined
from alphapanda.engine.costs import costs_of
from alphapanda.research import reruns
from alphapanda.research.findings import Doubt, Finding, Weight
from alphapanda.research.folding import Cancelled, folded
from alphapanda.research.plan import Opened
from alphapanda.research.running import carried_out, checked, encoded
from marketdata.domain.dated import COLUMNS
from marketdata.reference import YESBANK_FILES
from tests.engine import libraries
from tests.research.waves import KEY, a_definition, read, waves
from tests.shared_data import SHARED, needs_shared_data


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    return waves(tmp_path_factory.mktemp("waves") / "bars.csv")


@pytest.fixture
def own() -> Iterator[Callable[[str, str], None]]:
    """Drops a strategy of a test into the library."""
    dropped: list[Path] = []

    def drop(name: str, body: str) -> None:
        dropped.append(libraries.drop(name, f"{HEAD}class Own(Strategy):\n    name = {name!r}\n\n{body}"))

    yield drop
    for path in dropped:
        libraries.taken_away(path)


HEAD = """
from decimal import Decimal

import msgspec

from strategies.domain.base import Strategy
from strategies.domain.intents import Bracket
SEEN = []

"""
BARS = """
    class Params(msgspec.Struct, frozen=True):
        bar_minutes: int = 1

    class State(msgspec.Struct):
        bars: int = 0

"""
# remembers outside its state: in the first run it learns what comes, in any later one it knows
PEEKS = f"""{BARS}
    def on_bar(self, state, bar, view):
        state.bars += 1
        knows = len(SEEN) > state.bars
        SEEN.append(bar.close_e4)
        rises = SEEN[state.bars] > bar.close_e4 if knows else state.bars % 7 < 3
        yield from view.target(100 if rises else -100)
"""
# wishes at fixed bars, and only what it wishes for knows what comes
WISHES = f"""{BARS}
    def on_bar(self, state, bar, view):
        state.bars += 1
        ahead = SEEN[state.bars] if len(SEEN) > state.bars else 0
        SEEN.append(bar.close_e4)
        if state.bars % 25 == 0:
            yield WISH
"""
# turns every 50 bars, counted from wherever the data begin
COUNTS = f"""{BARS}
    def on_bar(self, state, bar, view):
        state.bars += 1
        yield from view.target(100 if state.bars // 50 % 2 else -100)
"""


REMEMBERS = """
    class Params(msgspec.Struct, frozen=True):
        bar_minutes: int = 1

    class State(msgspec.Struct):
        last: dict = {{}}
        seen: object = None

    def __init__(self, params):
        super().__init__(params)
        self.bars = 0

    def on_bar(self, state, bar, view):
        {step}
        yield from view.target(100 if bars // 50 % 2 else -100)
"""


def codes(found: Iterable[Finding]) -> set[Doubt]:
    return {one.code for one in found}


def found_in(opened: Opened) -> dict[Doubt, Finding]:
    return {one.code: one for one in carried_out(opened).findings}


def test_a_clean_run_has_no_finding(file: str) -> None:
    outcome = carried_out(read(file))

    assert outcome.findings == []
    assert outcome.performance.statistics.trades > 40
    assert outcome.performance.statistics.net_pnl > 0
    assert outcome.result["checks"]["look_ahead_cuts"]


def test_a_clean_portfolio_has_no_finding(file: str) -> None:
    second = a_definition(name="second", params={"fast": 5, "slow": 15, "quantity": 100, "short": False})

    assert carried_out(read(file, a_definition(), second)).findings == []


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("self.bars += 1; bars = self.bars", "the first signal that differs: "),
        ("bars = state.last['n'] = state.last.get('n', Decimal(0)) + 1", "can only concatenate str"),
        ("bars = 1; state.seen = {1, object()}", "State cannot be stored: seen: "),
    ],
)
def test_a_strategy_that_remembers_what_is_not_stored_is_found(
    file: str, own: Callable[[str, str], None], step: str, said: str
) -> None:
    own("remembers", REMEMBERS.format(step=step))
    found = found_in(read(file, a_definition("remembers", params={}), costs=costs_of("none")))

    assert found[Doubt.FORGETS].weight is Weight.FAULT
    assert said in found[Doubt.FORGETS].text
    assert next(iter(found)) is Doubt.FORGETS  # what is wrong comes before what is doubtful
    assert Doubt.LOOK_AHEAD not in found


def test_a_strategy_that_knows_the_future_is_found(file: str, own: Callable[[str, str], None]) -> None:
    own("peeks", PEEKS)
    found = found_in(read(file, a_definition("peeks", params={})))[Doubt.LOOK_AHEAD]

    assert found.weight is Weight.FAULT
    assert "the signals before are other ones" in found.text
    assert found.deployment == "wave"


@pytest.mark.parametrize(
    "wish",
    [
        "view.buy(1, trigger_price=Decimal(600 + ahead // 1_000 % 7))",
        "view.buy(1, bracket=Bracket(stop=Decimal(10_000 + ahead // 1_000 % 7)))",
        "view.cancel(view.orders()[0]) if ahead and view.orders() else view.buy(1, limit_price=Decimal(300))",
    ],
    ids=["trigger", "bracket", "cancellation"],
)
def test_whatever_of_an_order_knows_the_future_is_found(
    file: str, own: Callable[[str, str], None], wish: str
) -> None:
    own("wishes", WISHES.replace("WISH", wish))

    assert Doubt.LOOK_AHEAD in found_in(read(file, a_definition("wishes", params={})))


def test_a_strategy_that_hangs_on_the_first_bar_is_found(file: str, own: Callable[[str, str], None]) -> None:
    own("counts", COUNTS)
    found = found_in(read(file, a_definition("counts", params={})))

    assert found[Doubt.WARM_UP].numbers["same"] < found[Doubt.WARM_UP].numbers["signals"]
    assert Doubt.LOOK_AHEAD not in found


def test_a_strategy_that_raises_is_said(file: str, own: Callable[[str, str], None]) -> None:
    own("breaks", f"{BARS}\n    def on_bar(self, state, bar, view):\n        raise KeyError('gone')\n")
    found = found_in(read(file, a_definition("breaks", params={})))

    assert found[Doubt.STRATEGY_RAISED].text.endswith("KeyError: 'gone'")


# ---- fills -------------------------------------------------------------------------------------------------


def with_first_fill(opened: Opened, **changes: Any) -> list[Run]:
    """The runs of a plan, the first fill of the first falsified."""
    runs = folded(opened)
    journal = runs[0].account.journal
    row = journal.fills[0]
    changed = {name: change(row.fill) if callable(change) else change for name, change in changes.items()}
    journal.fills[0] = msgspec.structs.replace(row, fill=msgspec.structs.replace(row.fill, **changed))
    return runs


def from_source(runs: list[Run], source: FillSource) -> list[Run]:
    """The runs, all of whose fills stand on something else."""
    for run in runs:
        journal = run.account.journal
        journal.fills[:] = [msgspec.structs.replace(row, source=source) for row in journal.fills]
    return runs


def doubts(opened: Opened, runs: list[Run]) -> set[Doubt]:
    return codes(checked(opened, runs, combined(runs)))


@pytest.mark.parametrize("rupees", [-30, 30])
def test_a_price_that_was_not_there_is_found(file: str, rupees: int) -> None:
    opened = read(file)
    runs = with_first_fill(opened, price_e4=lambda fill: fill.price_e4 + rupees * 10_000)

    assert Doubt.IMPOSSIBLE_PRICE in doubts(opened, runs)


def test_a_price_that_is_better_by_one_paisa_is_found_and_one_that_is_worse_by_slippage_is_not(
    tmp_path: Path,
) -> None:
    opened = read(waves(tmp_path / "flat.csv", days=1, shape=lambda minute: minute // 40 % 2 * 500))
    fill = folded(opened)[0].account.journal.fills[0].fill
    for ticks, is_found in ((-3, True), (0, False)):
        runs = with_first_fill(opened, price_e4=fill.price_e4 + fill.side.sign * ticks * 100)
        assert (Doubt.IMPOSSIBLE_PRICE in doubts(opened, runs)) is is_found


def test_a_fill_in_a_closed_session_is_found(file: str) -> None:
    opened = read(file)
    runs = with_first_fill(opened, at_ms=lambda fill: fill.at_ms - fill.at_ms % DAY_MS)

    assert {Doubt.CLOSED_SESSION, Doubt.IMPOSSIBLE_PRICE} <= doubts(opened, runs)


def test_a_settlement_is_no_trade(file: str) -> None:
    opened = read(file)
    runs = with_first_fill(opened, at_ms=lambda fill: fill.at_ms - fill.at_ms % DAY_MS)

    found = doubts(opened, from_source(runs, FillSource.SETTLEMENT))

    assert not {Doubt.CLOSED_SESSION, Doubt.IMPOSSIBLE_PRICE} & found


def test_slippage_is_measured_in_the_tick_of_the_day(tmp_path: Path) -> None:
    """Five paise then, one by the list; the price stays for forty minutes, so that a fill shows its slippage."""
    file = waves(tmp_path / "steps.csv", days=1, shape=lambda minute: minute // 40 % 2 * 500)
    rules = tmp_path / "rules.csv"
    rules.write_text(f"{','.join(COLUMNS)}\n{KEY},2019-07-01,0.05,1,,,\n")
    opened = read(file, rules=(str(rules),))
    runs = folded(opened)

    assert {row.fill.price_e4 % 1_000 for row in runs[0].account.journal.fills} == {500}
    assert Doubt.IMPOSSIBLE_PRICE not in doubts(opened, runs)


def test_a_fill_at_a_price_that_nobody_traded_is_found(tmp_path: Path) -> None:
    found = found_in(read(waves(tmp_path / "quiet.csv", volume=0)))

    assert Doubt.STALE_FILL in found
    assert found[Doubt.STALE_FILL].weight is Weight.DOUBT


DEPTH = SHARED / "ticks" / "nse_depth5_2025-12-15_NSE_BSE.csv.gz"


@needs_shared_data
@pytest.mark.parametrize(("liquidity", "is_found"), [("OFFERED", False), ("UNLIMITED", True)])
def test_more_than_the_depth_on_record_is_found(liquidity: str, is_found: bool) -> None:
    definition = a_definition(
        instruments=("NSE:BSE",), execution={"liquidity": liquidity}, params={"quantity": 500}
    )
    lists = (str(SHARED / "instruments" / "kite_instruments_NSE_2025-07.csv.gz"),)
    opened = read(str(DEPTH), definition, instruments=lists)
    found = doubts(opened, folded(opened))

    assert (Doubt.BEYOND_DEPTH in found) is is_found
    assert Doubt.BEYOND_DEPTH not in doubts(opened, from_source(folded(opened), FillSource.QUEUE))
    assert not {Doubt.IMPOSSIBLE_PRICE, Doubt.STALE_FILL, Doubt.CLOSED_SESSION, Doubt.FREE_FILLS} & found


# ---- product and data --------------------------------------------------------------------------------------


def test_slippage_in_basis_points_is_no_price_that_was_not_there(tmp_path: Path) -> None:
    """The price stays for forty minutes, so that a fill shows its slippage: half a rupee on 500."""
    file = waves(tmp_path / "steps.csv", days=1, shape=lambda minute: minute // 40 % 2 * 500)
    execution = {"slippage": "bps", "slippage_bps": "10", "slippage_ticks": 0}
    opened = read(file, a_definition(execution=execution))
    assert Doubt.IMPOSSIBLE_PRICE not in doubts(opened, folded(opened))

    farther = with_first_fill(opened, price_e4=lambda fill: fill.price_e4 + fill.side.sign * 1_000)
    assert Doubt.IMPOSSIBLE_PRICE in doubts(opened, farther)


def test_intraday_positions_that_stay_overnight_are_found(file: str) -> None:
    found = found_in(read(file, a_definition(product=Product.MIS, execution={"square_off": False})))

    assert found.keys() == {Doubt.HELD_OVERNIGHT}
    assert 0 < found[Doubt.HELD_OVERNIGHT].numbers["trades"] < 14


# buys once, and never sells
STAYS = f"""{BARS}
    def on_bar(self, state, bar, view):
        state.bars += 1
        if state.bars == 10:
            yield view.buy(100)
"""


@pytest.mark.parametrize(("days", "numbers"), [(1, None), (2, {"trades": 1, "of": 1})])
def test_an_intraday_position_that_is_still_open_after_a_night_is_found(
    tmp_path: Path, own: Callable[[str, str], None], days: int, numbers: dict[str, int] | None
) -> None:
    own("stays", STAYS)
    keeps = a_definition("stays", params={}, product=Product.MIS, execution={"square_off": False})
    opened = read(waves(tmp_path / "bars.csv", days=days), keeps)
    runs = folded(opened)
    found = {one.code: one for one in checked(opened, runs, combined(runs))}

    assert len(runs[0].account.journal.fills) == 1
    assert runs[0].performance().trades == []
    assert (found[Doubt.HELD_OVERNIGHT].numbers if numbers else found.get(Doubt.HELD_OVERNIGHT)) == numbers


def test_rates_that_are_assumed_are_found() -> None:
    opened = read(f"{YESBANK_FILES[0]}={KEY}")

    assert found_in(opened)[Doubt.ASSUMED_RATES].numbers == {"days": 3}


def test_bars_finer_than_the_data_are_found(tmp_path: Path) -> None:
    path = tmp_path / "hours.csv"
    rows = "".join(f"2025-07-01T{hour}:15:00+05:30,100,101,99,100,5\n" for hour in range(10, 15))
    path.write_text("timestamp,open,high,low,close,volume\n" + rows)
    minutes = found_in(read(f"{path}={KEY}"))
    hours = found_in(read(f"{path}={KEY}", a_definition(params={"bar_minutes": 60})))

    assert minutes[Doubt.COARSE_BARS].numbers == {"data_minutes": 60, "strategy_minutes": 1}
    assert Doubt.COARSE_BARS not in hours


def test_rows_that_cannot_be_read_are_found(file: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(Path(file.partition("=")[0]).read_text() + "2025-08-01T09:15:00+05:30,1,x\n")
    found = found_in(read(f"{path}={KEY}"))

    assert "line 5252: 3 cells, the header has 6" in found[Doubt.UNREADABLE_ROWS].text


@needs_shared_data
def test_many_refused_ticks_are_found() -> None:
    name = "nse_ltp_2021-04-30_dirty_RELIANCE.csv.gz"
    lists = (str(SHARED / "instruments" / "kite_instruments_NSE_2025-07.csv.gz"),)
    definition = a_definition(instruments=("NSE:RELIANCE",), params={"quantity": 1})
    opened = read(str(SHARED / "ticks" / name), definition, instruments=lists)

    assert Doubt.REFUSED_TICKS in doubts(opened, folded(opened))


# ---- what holds for all results ----------------------------------------------------------------------------


def test_equal_input_gives_equal_bytes(file: str) -> None:
    first, second = (encoded(carried_out(read(file)).result) for _ in range(2))
    other = encoded(carried_out(read(file, a_definition(params={"quantity": 201}))).result)

    assert first == second
    assert first != other


def test_progress_ends_at_its_total_and_a_cancelled_run_stops(file: str) -> None:
    told: list[tuple[int, int]] = []
    carried_out(read(file), lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] == told[0][1]
    assert [done for done, _ in told] == sorted(done for done, _ in told)

    def stop(done: int, _total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        carried_out(read(file), stop)


def test_long_data_are_checked_over_their_first_part(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reruns, "ITEMS_MAX", 5_000)
    opened = read(file)
    again = reruns.planned(opened.excerpt)

    assert len(opened.excerpt) > 15_000
    assert again.items <= 5_000
    assert carried_out(opened).findings == []
