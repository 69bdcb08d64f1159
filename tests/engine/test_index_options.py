"""Contracts held to their expiry with what they are on beside them: settled at its close, by intrinsic value."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.engine import libraries

OPTION = "NFO:NIFTY25AUG25000CE"
LIST = """\
instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,instrument_type,segment,exchange
18425346,71974,NIFTY25AUG25000CE,NIFTY,0.0,2025-08-28,25000.0,0.05,75,CE,NFO-OPT,NFO
18425602,71975,YESBANK25AUGFUT,YESBANK,0.0,2025-08-28,0.0,0.05,100,FUT,NFO-FUT,NFO
"""
BUYS = """
import msgspec
from strategies.domain.base import Strategy


class Buys(Strategy):
    name = "buys_an_option"

    class State(msgspec.Struct):
        bars: int = 0

    def bar_minutes(self):
        return (1,)

    def on_bar(self, state, bar, view):
        state.bars += 1
        if state.bars == 40 and "NFO:NIFTY25AUG25000CE" in view.holdings:
            yield view.buy(75, instrument="NFO:NIFTY25AUG25000CE")
        elif state.bars == 40:
            yield view.buy(100, instrument="NFO:YESBANK25AUGFUT")
            yield view.buy(10, instrument="NSE:YESBANK")
"""


@pytest.fixture(autouse=True)
def strategy() -> Iterator[None]:
    path = libraries.drop("buys_an_option", BUYS)
    yield
    libraries.taken_away(path)


def minutes(path: Path, price: int, key: str) -> str:
    """The day of expiry at one price."""
    times = (f"2025-08-28T{at // 60:02d}:{at % 60:02d}:00+05:30" for at in range(9 * 60 + 15, 15 * 60 + 30))
    lines = "".join(f"{time},{price},{price},{price},{price},4000\n" for time in times)
    path.write_text(f"timestamp,open,high,low,close,volume\n{lines}")
    return f"{path}={key}"


def held_to_the_end(files: list[str], folder: Path) -> dict[str, Any]:
    listed, out = folder / "list.csv", io.StringIO()
    listed.write_text(LIST)
    call_command(
        "backtest", "buys_an_option", "--data", *files, "--instruments", str(listed), "--product", "NRML",
        "--json", stdout=out,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


@pytest.mark.parametrize(("index", "settled"), [(24_900, "0"), (25_100, "100")])
def test_it_is_settled_on_the_index_with_the_product_that_is_held(
    index: int, settled: str, tmp_path: Path
) -> None:
    files = [
        minutes(tmp_path / "i.csv", index, "NSE:NIFTY 50"),
        minutes(tmp_path / "o.csv", 120, OPTION),
    ]
    fills = held_to_the_end(files, tmp_path)["fills"]
    assert [(fill["instrument"], fill["side"], fill["quantity"]) for fill in fills] == [
        (OPTION, "BUY", 75),
        (OPTION, "SELL", 75),
    ]
    assert fills[-1]["price"] == settled


FUTURE = "NFO:YESBANK25AUGFUT"


def test_a_future_is_settled_on_its_share_which_is_watched(tmp_path: Path) -> None:
    files = [
        minutes(tmp_path / "s.csv", 20, "NSE:YESBANK"),
        minutes(tmp_path / "f.csv", 21, FUTURE),
    ]
    found = held_to_the_end(files, tmp_path)

    assert [(fill["instrument"], fill["side"], fill["quantity"]) for fill in found["fills"]] == [
        (FUTURE, "BUY", 100),
        (FUTURE, "SELL", 100),
    ]
    assert found["fills"][-1]["price"] == "20"
    refused = [(row["instrument"], row["reason"]) for row in (*found["denied"], *found["unfilled"])]
    assert refused == [("NSE:YESBANK", "NSE:YESBANK cannot be traded as NRML")]


def test_a_share_without_a_contract_on_it_has_its_own_products(tmp_path: Path) -> None:
    files = [minutes(tmp_path / "s.csv", 20, "NSE:YESBANK"), minutes(tmp_path / "o.csv", 120, OPTION)]
    with pytest.raises(CommandError, match="NSE:YESBANK: NRML is no product of EQUITY"):
        held_to_the_end(files, tmp_path)
