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
from tests.engine.result_shape import SHAPE

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
    "execution": {"latency_ms": 3_600_000, "square_off": False},
    "limits": {"orders_per_minute": 1, "daily_loss": "90000000"},
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


UNDEFINED_AT_TIMES = ("cost_share_percent", "share_of_profit_percent", "until")


def settled(value: Any) -> Any:
    """What is null in one run and a number in another, as null."""
    if isinstance(value, list):
        return [settled(part) for part in value]
    if isinstance(value, dict):
        return {name: None if name in UNDEFINED_AT_TIMES else settled(part) for name, part in value.items()}
    return value


def test_the_shape_is_the_documented_one(crossing: dict[str, Any]) -> None:
    plain = [one | {"numbers": "", "deployment": None} for one in crossing["findings"]]
    found = shape(settled(crossing | {"findings": plain}))
    found["findings"][0]["numbers"] = "numbers of the code"
    assert found == SHAPE


PARTS = [name for name, part in SHAPE.items() if isinstance(part, dict | list)]


@pytest.mark.parametrize("part", ["", *PARTS])
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

    assert again | {"timing": 0} == crossing | {"timing": 0}


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
        (["ema_cross", "--data", YESBANK, "--execution", '{"luck": 1}'], "execution knows latency_ms"),
        (["ema_cross", "--data", YESBANK, "--limits", '{"luck": 1}'], "limits order_quantity"),
        (["ema_cross", "--data", YESBANK, "--cash", "none"], "--cash wants rupees"),
        (["ema_cross", "--data", YESBANK, "--instruments", "gone.csv"], "cannot read"),
        (
            ["ema_cross", "--data", YESBANK, YESBANK],
            "lean_1min_2019-07_YESBANK.csv.gz of NSE:YESBANK is named twice",
        ),
        (["ema_cross", "--data", YESBANK, "--costs", "free"], "costs are zerodha, none, order:RUPEES or bps"),
        (["ema_cross", "--data", YESBANK, "--costs", "bps:-1"], "from 0 to 10000"),
        (["ema_cross", "--data", YESBANK, "--costs", "order:1e99"], "from 0 to 10000"),
        (
            ["ema_cross", "--data", YESBANK, "--costs", "order:"],
            "order:RUPEES or bps:BASIS_POINTS, not 'order:'",
        ),
        (
            ["ema_cross", "--data", YESBANK, "--costs", "bps:x"],
            "order:RUPEES or bps:BASIS_POINTS, not 'bps:x'",
        ),
        (
            ["ema_cross", "--data", YESBANK, "--cash", "1e400"],
            "--cash wants rupees from 1 to 10+, not '1e400'",
        ),
        (
            ["ema_cross", "--data", YESBANK, "--product", "NRML"],
            "NRML is no product of EQUITY; accepted are CNC",
        ),
        (
            ["ema_cross", "--data", YESBANK, "--limits", '{"daily_orders": -1}'],
            "`daily_orders` is a whole number from 0",
        ),
        (
            ["ema_cross", "--data", YESBANK, "--limits", '{"daily_loss": "1e99"}'],
            "`daily_loss` is a number from 0",
        ),
        (
            ["ema_cross", "--data", YESBANK, "--limits", '{"daily_loss": "0.001"}'],
            "18 digits and 2 places, not 0.001",
        ),
        (["ema_cross", "--data", YESBANK, "--limits", '{"allowed": []}'], "`allowed` is a list of names"),
        (
            ["ema_cross", "--data", YESBANK, "--limits", '{"products": ["XX"]}'],
            "'XX' is none of CNC, MIS, NRML",
        ),
        (
            ["ema_cross", "--data", YESBANK, "--execution", '{"latency_ms": 1e30}'],
            "Expected `int`, got `float`",
        ),
        (
            ["ema_cross", "--data", YESBANK, "--execution", '{"latency_ms": 9999999}'],
            "`latency_ms` is from 0 to 3600000",
        ),
        (
            ["ema_cross", "--data", YESBANK, "--execution", '{"circuit_percent": "NaN"}'],
            "must be a finite number, not NaN",
        ),
        (
            ["ema_cross", "--data", YESBANK, "--execution", '{"liquidity": "X"}'],
            "accepted is OFFERED or UNLIMITED",
        ),
        *(
            (
                ["ema_cross", "--data", YESBANK, option, '{"fast": 5, "fast": 6}'],
                "field 'fast' is named twice",
            )
            for option in ("--params", "--limits", "--execution")
        ),
        (["ema_cross", "--data", YESBANK, "--fills", "lucky"], "there are: paper, next_open, pessimistic"),
        (["ema_cross", "--data", YESBANK, "--from", "July"], "--from wants a day such as"),
        (["ema_cross", "--data", YESBANK, "--from", "2020-01-01"], "but 2019-07-09 to 2019-07-11"),
        (["ema_cross", "--data", YESBANK, "--from", "2019-07-11", "--to", "2019-07-10"], "is after the last"),
        (["--data", YESBANK], "give the name of a strategy, or --deployments FILE"),
        (["ema_cross", "--deployments", "gone.json", "--data", YESBANK], "and not both"),
        (["--deployments", "gone.json", "--data", YESBANK], "gone.json: .*No such file"),
        *(
            (
                ["--deployments", "gone.json", "--data", YESBANK, *words],
                f"{words[0]} goes with the name of a str",
            )
            for words in (
                ["--limits", "{}"],
                ["--params", "{}"],
                ["--execution", '{"latency_ms": 9}'],
                ["--fills", "paper"],
                ["--product", "MIS"],
                ["--each"],
            )
        ),
    ],
)
def test_bad_input_says_what_to_do(words: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said.replace("(", r"\(")):
        call_command("backtest", *words)


def test_days_are_played_from_and_to(crossing: dict[str, Any]) -> None:
    words = ["--from", "2019-07-10", "--to", "2019-07-10"]
    found = json.loads(printed("ema_cross", *words, "--json"))
    days = {fill["time"][:10] for fill in found["fills"]}

    assert days == {"2019-07-10"}
    assert (found["meta"]["starts"][:10], found["meta"]["ends"][:10]) == ("2019-07-10", "2019-07-10")
    assert found["meta"]["items"] < crossing["meta"]["items"]


BASKET = [
    {"name": "slow", "strategy": "ema_cross", "instruments": ["NSE:YESBANK"], "params": {"quantity": 50}},
    {
        "name": "quick",
        "strategy": "ema_cross",
        "instruments": ["NSE:YESBANK"],
        "params": {"fast": 3, "slow": 8, "quantity": 20},
    },
]


def basket(folder: Path, names: set[str]) -> dict[str, Any]:
    path = folder / "basket.json"
    path.write_text(json.dumps([one for one in BASKET if one["name"] in names]))
    out = io.StringIO()
    call_command("backtest", "--deployments", str(path), "--data", YESBANK, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_deployments_are_one_portfolio(tmp_path: Path) -> None:
    both, slow, quick = (basket(tmp_path, names) for names in ({"slow", "quick"}, {"slow"}, {"quick"}))

    assert [one["name"] for one in both["deployments"]] == ["slow", "quick"]
    assert [one["statistics"] for one in both["deployments"]] == [slow["statistics"], quick["statistics"]]
    for figure in ("net_pnl", "charges", "total_profit"):
        alone = [Decimal(one["statistics"][figure]) for one in (slow, quick)]
        assert Decimal(both["statistics"][figure]) == sum(alone)
    assert len(both["fills"]) == len(slow["fills"]) + len(quick["fills"])
    assert [fill["time"] for fill in both["fills"]] == sorted(fill["time"] for fill in both["fills"])
    of_slow = [fill for fill in both["fills"] if fill["deployment"] == "slow"]
    assert of_slow == slow["fills"]


def test_equity_of_a_portfolio_is_the_sum_at_every_minute(tmp_path: Path) -> None:
    both, slow, quick = (basket(tmp_path, names) for names in ({"slow", "quick"}, {"slow"}, {"quick"}))

    def at(found: dict[str, Any], moment: str) -> Decimal:
        earlier = [Decimal(point["equity"]) for point in found["equity"] if point["time"] <= moment]
        return (earlier or [Decimal(1_000_000)])[-1] - 1_000_000

    for point in both["equity"][:: len(both["equity"]) // 40]:
        moment = point["time"]
        assert at(both, moment) == at(slow, moment) + at(quick, moment)


def test_a_deployment_for_each_instrument() -> None:
    found = json.loads(printed("ema_cross", "--each", "--json"))

    assert [one["name"] for one in found["deployments"]] == ["backtest NSE:YESBANK"]


@pytest.mark.parametrize(("costs", "charge"), [("none", 0), ("order:6", 6), ("bps:3", None)])
def test_other_costs(costs: str, charge: int | None) -> None:
    found = json.loads(printed("ema_cross", "--costs", costs, "--json"))

    for fill in found["fills"]:
        paid = sum(map(Decimal, fill["charges"].values()))
        traded = Decimal(fill["price"]) * fill["quantity"]
        assert paid == (traded * 3 / 10_000 if charge is None else charge)
    assert ("COSTS_FORGOTTEN" in {one["code"] for one in found["findings"]}) is (charge == 0)


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
    assert re.search(r'raises.py@[0-9a-f]{8}", line 10, in on_tick', found["deployments"][0]["error"])
    assert "STRATEGY_RAISED" in {one["code"] for one in found["findings"]}
    assert "too cheap for me" in err.getvalue()
    assert len(found["fills"]) == 1
    last = found["equity"][-1]
    assert Decimal(last["equity"]) == Decimal(1_000_000) + Decimal(found["statistics"]["net_pnl"])
