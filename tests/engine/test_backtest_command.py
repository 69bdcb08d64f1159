"""`manage.py backtest`: what it prints for people and for programs, and what it refuses."""

from __future__ import annotations

import io
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from marketdata.reference import YESBANK_FILES
from tests.engine import libraries

DOCS = Path(__file__).resolve().parents[2] / "docs" / "backtest.md"
YESBANK = str(YESBANK_FILES[0])
RAISES = """
from strategies.domain.base import Strategy


class Raises(Strategy):
    name = "raises"

    def on_tick(self, state, tick, view):
        if tick.price < 94:
            raise RuntimeError("too cheap for me")
        yield from view.target(5)
"""
# Orders that are an hour late expire unfilled at the end of a day, and the second of a flip's two is denied.
LATE = {
    "execution": {"latency_ms": 3_600_000},
    "limits": {"orders_per_minute": 1, "daily_loss": "90000000"},
}
# The shape of the object: names and types, lists by their items. It may grow; what is here may not change
# without a new `format`.
TRADE = {
    "instrument": "str",
    "direction": "str",
    "quantity": "int",
    "entered_at": "str",
    "entry_price": "str",
    "exited_at": "str",
    "exit_price": "str",
    "gross": "str",
    "charges": "str",
    "net": "str",
}
SHAPE = {
    "format": "int",
    "meta": {
        "strategy": "str",
        "version": "str",
        "source_sha256": "str",
        "params": {"fast": "int", "slow": "int", "quantity": "int", "bar_minutes": "int", "short": "bool"},
        "product": "str",
        "execution": {
            "latency_ms": "int",
            "slippage_ticks": "int",
            "liquidity": "str",
            "may_queue": "bool",
            "square_off": "bool",
        },
        "limits": {
            "order_quantity": "NoneType",
            "order_value": "NoneType",
            "position_quantity": "NoneType",
            "daily_orders": "NoneType",
            "daily_loss": "str",
            "orders_per_minute": "int",
            "price_age_ms": "NoneType",
        },
        "starting_cash": "str",
        "instruments": ["str"],
        "files": [
            {"path": "str", "instrument": "str", "sha256": "str", "rows": "int", "unreadable_rows": "int"}
        ],
        "starts": "str",
        "ends": "str",
        "items": "int",
        "seconds": "float",
        "items_per_s": "int",
    },
    "statistics": {
        "trades": "int",
        "winners": "int",
        "losers": "int",
        "gross_pnl": "str",
        "charges": "str",
        "net_pnl": "str",
        "profit_factor": "float",
        "best": "str",
        "worst": "str",
        "win_rate_percent": "float",
        "max_drawdown": "str",
        "max_drawdown_percent": "float",
        "sharpe": "float",
        "sortino": "float",
        "exposure_percent": "float",
    },
    "trades": [TRADE],
    "fills": [
        {
            "time": "str",
            "instrument": "str",
            "side": "str",
            "quantity": "int",
            "price": "str",
            "charges": {
                "brokerage": "str",
                "exchange": "str",
                "gst": "str",
                "sebi": "str",
                "stamp": "str",
                "stt": "str",
            },
        }
    ],
    "denied": [
        {
            "time": "str",
            "instrument": "str",
            "side": "str",
            "quantity": "int",
            "rule": "str",
            "reason": "str",
        }
    ],
    "unfilled": [
        {
            "time": "str",
            "instrument": "str",
            "side": "str",
            "quantity": "int",
            "filled": "int",
            "status": "str",
            "reason": "str",
        }
    ],
    "equity": [{"time": "str", "equity": "str", "exposure": "str"}],
    "tick_faults": {"OUT_OF_SESSION": "int"},
    "error": "NoneType",
}


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: shape(part) for name, part in value.items()}
    if isinstance(value, list):
        shapes = [shape(part) for part in value]
        assert all(one == shapes[0] for one in shapes)
        return shapes[:1]
    return type(value).__name__


def printed(strategy: str, *options: str, data: str = YESBANK) -> str:
    out = io.StringIO()
    call_command("backtest", strategy, "--data", data, *options, stdout=out)
    return out.getvalue()


def as_object(strategy: str, **options: Any) -> dict[str, Any]:
    words = [word for name, value in options.items() for word in (f"--{name}", json.dumps(value))]
    return json.loads(printed(strategy, *words, "--json"))


@pytest.fixture(scope="module")
def crossing() -> dict[str, Any]:
    return as_object("ema_cross", **LATE)


def test_the_shape_is_the_documented_one(crossing: dict[str, Any]) -> None:
    assert shape(crossing) == SHAPE


@pytest.mark.parametrize(
    "part", ["", "meta", "statistics", "trades", "fills", "denied", "unfilled", "equity"]
)
def test_every_name_is_documented(crossing: dict[str, Any], part: str) -> None:
    value = crossing[part] if part else crossing
    names = value[0] if isinstance(value, list) else value

    assert [name for name in names if f"`{name}`" not in DOCS.read_text()] == []


def test_the_figures_add_up(crossing: dict[str, Any]) -> None:
    figures = crossing["statistics"]
    charges = sum(Decimal(line) for fill in crossing["fills"] for line in fill["charges"].values())
    profit = Decimal(figures["net_pnl"])

    assert Decimal(figures["charges"]) == charges
    assert Decimal(figures["gross_pnl"]) - charges == profit
    assert Decimal(crossing["equity"][-1]["equity"]) == Decimal(crossing["meta"]["starting_cash"]) + profit
    assert figures["trades"] == len(crossing["trades"])
    assert {row["rule"] for row in crossing["denied"]} == {"order_rate"}


def test_twice_the_same_but_for_the_time_it_took(crossing: dict[str, Any]) -> None:
    again = as_object("ema_cross", **LATE)
    for one in (again, crossing):
        for name in ("seconds", "items_per_s"):
            one["meta"].pop(name, None)

    assert again == crossing


def test_a_run_without_trades_has_undefined_figures_not_noughts() -> None:
    found = as_object("ema_cross", params={"fast": 5_000, "slow": 6_000})

    assert (found["fills"], found["statistics"]["trades"]) == ([], 0)
    assert found["statistics"]["profit_factor"] is found["statistics"]["best"] is None
    assert len(found["equity"]) == 2


def test_people_read_rupees_as_in_india() -> None:
    text = printed("ema_cross", "--params", '{"quantity": 200}')

    assert "₹10,00,000.00" in text
    assert "ema_cross, version 1" in text
    assert "more" in text
    assert "▁" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nobody", "--data", YESBANK], "no strategy is called 'nobody'; there are: donchian"),
        (["ema_cross", "--data", "gone_YESBANK.csv"], "No such file"),
        (["ema_cross", "--data", "nameless.csv"], "write PATH=EXCHANGE:SYMBOL"),
        (["ema_cross", "--data", f"{YESBANK}=NSE:NOBODY"], "add its list with --instruments"),
        (["ema_cross", "--data", f"{__file__}=NSE:YESBANK"], "none of the recorded formats"),
        (["ema_cross", "--data", YESBANK, "--params", "fast"], "--params wants a JSON object"),
        (["ema_cross", "--data", YESBANK, "--params", '{"pace": 1}'], "there are: fast, slow"),
        (["ema_cross", "--data", YESBANK, "--execution", '{"luck": 1}'], "--execution knows latency_ms"),
        (["ema_cross", "--data", YESBANK, "--limits", '{"luck": 1}'], "--limits order_quantity"),
        (["ema_cross", "--data", YESBANK, "--cash", "none"], "--cash wants rupees"),
        (["ema_cross", "--data", YESBANK, "--instruments", "gone.csv"], "cannot read"),
    ],
)
def test_bad_input_says_what_to_do(words: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said.replace("(", r"\(")):
        call_command("backtest", *words)


@pytest.fixture
def raising() -> Any:
    path = libraries.drop("raises", RAISES)
    yield
    libraries.taken_away(path)


@pytest.mark.usefixtures("raising")
def test_a_strategy_that_raises_ends_with_its_traceback() -> None:
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises(SystemExit) as end:
        call_command("backtest", "raises", "--data", YESBANK, "--json", stdout=out, stderr=err)
    found = json.loads(out.getvalue())

    assert end.value.code == 1
    assert re.search(r'raises.py@[0-9a-f]{8}", line 10, in on_tick', found["error"])
    assert "too cheap for me" in err.getvalue()
    assert len(found["fills"]) == 1
    last = found["equity"][-1]
    assert Decimal(last["equity"]) == Decimal(1_000_000) + Decimal(found["statistics"]["net_pnl"])
