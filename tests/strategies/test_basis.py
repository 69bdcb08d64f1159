"""What signals stand on: the figures that the strategy itself had, where in the log, which code."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from alphapanda.version import build as build_now
from strategies.domain.base import Indicator, Strategy, View, apart, build
from strategies.domain.basis import Basis, Pane, Place, indicators_of, noted
from strategies.domain.library.donchian import Donchian
from strategies.domain.library.ema_cross import EmaCross
from strategies.domain.library.mean_reversion import MeanReversion
from strategies.domain.library.opening_range import OpeningRange
from strategies.domain.library.resting_breakout import RestingBreakout
from strategies.domain.library.rsi_reversion import RsiReversion
from strategies.domain.library.supertrend import SuperTrendFollower
from strategies.domain.library.vwap_reversion import VwapReversion
from strategies.models import Due, Signal
from tests.pipeline.hand import packed
from tests.strategies.bars import NAME, a_bar
from tests.strategies.test_checkpoints import STRATEGIES
from tests.strategies.test_shard import FILES, hand_over, items  # noqa: F401 (a fixture)


def told(strategy: Strategy, bars: list[Any], *, held: int = 0) -> list[tuple[list[str], dict[str, Any]]]:
    """At each bar the reasons of what was asked for, and the values of the indicators after it."""
    state, found = type(strategy).State(), []
    for bar in bars:
        view = View(at_ms=bar.ends_ms, instrument=bar.instrument, holdings={bar.instrument: (held, 0)})
        reasons = [wish.reason for wish in strategy.on_bar(state, bar, view)]
        says = indicators_of(strategy, state, bar.instrument)
        found.append((reasons, {name: one.value for name, one in says.items()}))
    return found


WAVE = [a_bar(100 + (n * 7 % 23) / 2 - n % 5, number=n, high=115, low=95, volume=50 + n) for n in range(60)]


@pytest.mark.parametrize(
    ("strategy", "said", "names"),
    [
        (build(EmaCross, {"fast": 2, "slow": 5}), r"fast ([\d.]+) crossed slow ([\d.]+)", ("EMA 2", "EMA 5")),
        (build(MeanReversion, {"length": 5, "enter_at": 1.0}), r"z-score (-?[\d.]+)", ("z-score",)),
        (build(RsiReversion, {"length": 3, "bar_minutes": 1}), r"RSI ([\d.]+)", ("RSI 3",)),
        (build(VwapReversion, {"enter_at": 0.1, "bar_minutes": 1}), r"VWAP ([\d.]+)", ("VWAP",)),
        (build(SuperTrendFollower, {"length": 2, "multiple": 0.1, "bar_minutes": 1}), r"stop ([\d.]+)", ("stop",)),
    ],
)  # fmt: skip
def test_indicators_are_the_figures_that_the_strategy_itself_names(
    strategy: Strategy, said: str, names: tuple[str, ...]
) -> None:
    bars = [a_bar(bar.close, high=bar.close + 1, low=bar.close - 1, number=n) for n, bar in enumerate(WAVE)]
    seen = 0
    for reasons, values in told(strategy, bars):
        for words in reasons:
            for text, name in zip(re.search(said, words).groups(), names, strict=True):
                places = len(text.partition(".")[2])
                assert text == f"{values[name]:.{places}f}"
                seen += 1
    assert seen > 3


def test_a_channel_is_the_one_that_the_close_was_compared_with() -> None:
    strategy = build(Donchian, {"length": 3, "exit_length": 2, "bar_minutes": 1})
    bars = [a_bar(close, high=close + 1, low=close - 1) for close in (10, 11, 12, 20)]

    *_, (reasons, values) = told(strategy, bars)

    assert reasons == ["above the highest of 3 bars"]
    assert values == {"highest": 13.0, "lowest": 9.0, "exit high": 13.0, "exit low": 10.0}


def test_a_resting_channel_is_the_one_that_its_order_rests_at() -> None:
    strategy = build(RestingBreakout, {"length": 2, "bar_minutes": 1})
    bars = [a_bar(close, high=close + 2, low=close - 2) for close in (10, 11, 11)]

    before, (reasons, values) = told(strategy, bars)[-2:]

    assert before == ([], {})
    assert (reasons, values) == (["above the high of 2 bars"], {"channel high": 13.0, "channel low": 8.0})


def test_an_opening_range_is_told_from_its_first_bar_on() -> None:
    strategy = build(OpeningRange, {"range_minutes": 2, "bar_minutes": 1})
    bars = [a_bar(10, high=12, low=9, clock="09:15", number=n) for n in range(3)]

    assert [values for _, values in told(strategy, bars)] == [{"range high": 12.0, "range low": 9.0}] * 3
    assert indicators_of(strategy, strategy.State(), NAME) == {}


@pytest.mark.parametrize("name", sorted(set(STRATEGIES) - {"every_nth"}))
def test_each_that_ships_tells_of_itself_and_changes_nothing(name: str) -> None:
    strategy = STRATEGIES[name]
    state = type(strategy).State()
    found = 0
    for bar in [a_bar(b.close, clock="13:30", number=n) for n, b in enumerate(WAVE)]:
        for instrument, more in ((NAME, 0), ("NSE:STOCK8", bar.starts_ms // 60_000 % 3 * 10_000)):
            other = msgspec.structs.replace(bar, instrument=instrument, close_e4=bar.close_e4 + more)
            list(strategy.on_bar(state, other, View(bar.ends_ms, instrument, {})))
        before = msgspec.msgpack.encode(state)
        found += any(one.value is not None for one in indicators_of(strategy, state, NAME).values())
        assert msgspec.msgpack.encode(state) == before
    assert found > 20


class Odd(Strategy):
    name = "odd"
    says: Any = {}

    def indicators(self, state: Any, instrument: str) -> Any:
        return self.says() if callable(self.says) else self.says


@pytest.mark.parametrize(
    ("says", "fault"),
    [
        ([1], "ValueError: indicators() returns a dict"),
        ({f"n{n}": 1 for n in range(13)}, "ValueError: indicators() returns a dict of at most 12"),
        ({"": 1.0}, "ValueError: an indicator has a name"),
        ({"x\n": 1.0}, "ValueError: an indicator has a name"),
        ({"x": "high"}, "TypeError: indicator 'x' is a number or None, not str"),
        ({"x": True}, "TypeError: indicator 'x' is a number or None, not bool"),
        (lambda: 1 / 0, "ZeroDivisionError: division by zero"),
    ],
)
def test_what_cannot_be_shown_is_told_and_stops_nobody(says: Any, fault: str) -> None:
    odd = Odd(None)
    odd.says = says
    found, words = noted(odd, None, NAME)
    assert found == {}
    assert words.startswith(fault)


def test_bare_numbers_are_prices_and_what_is_not_finite_is_not_known() -> None:
    odd = Odd(None)
    odd.says = {"a": 3, "b": float("nan"), "c": apart(float("inf")), "d": None}
    assert indicators_of(odd, None, NAME) == {
        "a": Indicator(3.0), "b": Indicator(None), "c": Indicator(None, Pane.OWN), "d": Indicator(None),
    }  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_a_signal_is_stored_with_what_it_stands_on(monkeypatch, items) -> None:  # noqa: F811
    hand = hand_over(monkeypatch, packed(items[:2000], source=8, batch=50))

    hand.run()

    signals = Signal.objects.filter(
        deployment__strategy_version__strategy__name="mean_reversion", origin="STRATEGY"
    )
    assert len(signals) > 3
    for signal in signals.select_related("deployment__strategy_version"):
        basis = msgspec.convert(signal.basis, Basis)
        assert signal.reason == f"z-score {basis.indicators['z-score'].value:.2f}"
        assert basis.indicators["z-score"].pane is Pane.OWN
        assert basis.code == signal.deployment.strategy_version.source_hash
        assert basis.build == build_now()
        place = basis.place
        item = items[place.seq - 1]
        assert (place.source, place.offset, place.index) == (8, (place.seq - 1) // 50, (place.seq - 1) % 50)
        assert item.at_ms == signal.at_ms
    dues = Due.objects.all()
    assert dues
    for due in dues:
        assert items[msgspec.convert(due.place, Place).seq - 1].at_ms == due.item["at_ms"]
