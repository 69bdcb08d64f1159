"""The task in our own engine: risk, paper exchange and books at work, an order filled at the next price there is.

FILE KIND FAST SLOW QUANTITY COST CASH, as the peers take them; the instrument list lies beside the file."""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import time
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alphapanda.engine.recorded import Recording
    from execution.domain.charges import Cards

ROOT = Path(__file__).resolve().parents[3]
# Decided on a closed bar or a tick, filled at the first price after it.
NEXT_PRICE = {
    "latency_ms": 0,
    "slippage_ticks": 0,
    "liquidity": "UNLIMITED",
    "may_queue": True,
    "square_off": False,
}


def run(arguments: list[str]) -> dict[str, Any]:
    """The answer, with the memory that the whole process took at most."""
    from alphapanda.engine.backtest import fold
    from marketdata.reference import load_calendars
    from strategies.registry import find

    path, kind, fast, slow, quantity, cost, cash = arguments
    recording = _recording(path, kind, {"fast": int(fast), "slow": int(slow), "quantity": int(quantity)})
    source, specs = recording.source(), recording.specs()
    find("ema_cross")  # reads and checks the strategies' files, once in a process
    parts: list[float] = []
    gc.collect()
    gc.freeze()
    began, began_cpu = time.perf_counter(), time.process_time()

    def passed(items: int) -> None:
        while items * 10 >= (len(parts) + 1) * len(source):
            parts.append(time.process_time() - began_cpu)

    [done] = fold(
        source.stretches(),
        specs,
        source=source.source,
        calendar=load_calendars(),
        cards=_cards(Decimal(cost)),
        starting_cash=Decimal(cash),
        on_progress=passed,
    )
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    if done.error:
        raise RuntimeError(done.error)
    [report] = source.reports
    return {
        "seconds": seconds,
        "cpu_s": cpu_s,
        "orders": len(done.account.journal.orders),
        "equity": float(done.curve[-1].equity),
        "items": report.rows,
        "version": "this tree",
        "parts": parts,
        "memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _recording(path: str, kind: str, params: dict[str, int]) -> Recording:
    from alphapanda.core.vocabulary import Product
    from alphapanda.deploying import Definition
    from alphapanda.engine.recorded import Recording
    from alphapanda.proof.peers.work import KEY

    definition = Definition(
        name="peers",
        strategy="ema_cross",
        instruments=(KEY,),
        params={**params, "short": False, "bar_minutes": 1 if kind == "bars" else 0},
        product=Product.MIS,
        execution=NEXT_PRICE,
    )
    return Recording([f"{path}={KEY}"], [definition], [Path(path).with_name("instruments.csv")])


def _cards(cost: Decimal) -> Cards:
    """One rate for everything: brokerage as a share of the turnover, and nothing else."""
    from execution.domain.cards import ChargeCard, ChargeClass, Fees, Rates
    from execution.domain.charges import Cards

    nought = Decimal(0)
    rates = Rates(
        brokerage=cost,
        brokerage_cap=Decimal(10**9),
        exchange_fee=nought,
        ipft=nought,
        sebi=nought,
        stamp_buy=nought,
    )
    fees = Fees(*[nought] * len(Fees.__struct_fields__))
    by_class = {ChargeClass.EQUITY_INTRADAY: {"NSE": rates}}
    return Cards((ChargeCard(valid_from=date(2000, 1, 1), source="of the task", rates=by_class, fees=fees),))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "alphapanda.settings")
    import django

    django.setup()
    sys.stdout.write(json.dumps(run(sys.argv[1:])) + "\n")
