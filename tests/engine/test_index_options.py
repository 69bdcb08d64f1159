"""An option of an index, held to its expiry with the index beside it: settled at its intrinsic value."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command

from tests.engine import libraries

OPTION = "NFO:NIFTY25AUG25000CE"
LIST = """\
instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,instrument_type,segment,exchange
18425346,71974,NIFTY25AUG25000CE,NIFTY,0.0,2025-08-28,25000.0,0.05,75,CE,NFO-OPT,NFO
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
        if state.bars == 40:
            yield view.buy(75, instrument="NFO:NIFTY25AUG25000CE")
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


@pytest.mark.parametrize(("index", "settled"), [(24_900, "0"), (25_100, "100")])
def test_it_is_settled_on_the_index_with_the_product_that_is_held(
    index: int, settled: str, tmp_path: Path
) -> None:
    files = [
        minutes(tmp_path / "i.csv", index, "NSE:NIFTY 50"),
        minutes(tmp_path / "o.csv", 120, OPTION),
    ]
    listed, out = tmp_path / "list.csv", io.StringIO()
    listed.write_text(LIST)

    call_command(
        "backtest", "buys_an_option", "--data", *files, "--instruments", str(listed), "--product", "NRML",
        "--json", stdout=out,
    )  # fmt: skip

    fills = json.loads(out.getvalue())["fills"]
    assert [(fill["instrument"], fill["side"], fill["quantity"]) for fill in fills] == [
        (OPTION, "BUY", 75),
        (OPTION, "SELL", 75),
    ]
    assert fills[-1]["price"] == settled
