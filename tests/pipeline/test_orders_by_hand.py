"""Every kind of order, act and model: the pipeline turned by hand has the rows of the backtest, history included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from alphapanda.core.vocabulary import Product
from alphapanda.deploying import Definition
from alphapanda.proof import parity
from execution.models import OrderEvent
from marketdata.domain.stretch import stretch_of
from marketdata.domain.ticks import FIRST_SEQ
from marketdata.reference import YESBANK_FILES
from portfolio.audit import books_differences
from strategies.models import Deployment
from tests.pipeline.hand import Hand, packed, recording, seeded
from tests.shared_data import SHARED, needs_shared_data

YESBANK = [str(YESBANK_FILES[0])]
DEPTH = [str(SHARED / "ticks" / "nse_depth5_2025-12-15_NSE_BHARATFORG.csv.gz")]
LUCK = {
    "latency": "spread",
    "latency_ms": 400,
    "latency_spread_ms": 2_000,
    "slippage": "random",
    "slippage_ticks": 3,
    "rejection": "random",
    "rejection_percent": 30,
}
KITE = {"market_protection": -1, "queue": "PRO_RATA", "circuit_percent": 10, "capital": "400000"}
BREAKOUT = {"length": 4, "quantity": 60, "bar_minutes": 1, "legs": 3, "target_bps": 30, "minutes": 2}


def definitions(key: str) -> list[Definition]:
    return [
        Definition(name="every kind", strategy="every_kind", instruments=(key,), execution=KITE),
        Definition(
            name="every kind by luck",
            strategy="every_kind",
            instruments=(key,),
            execution={**KITE, **LUCK, "queue": "CAUTIOUS", "capital": "1500"},
            limits={"position_quantity": 120},
        ),
        Definition(
            name="delivered",
            strategy="every_kind",
            instruments=(key,),
            product=Product.CNC,
            execution={"latency_ms": 0, "may_queue": True},
        ),
        Definition(
            name="breakout",
            strategy="resting_breakout",
            instruments=(key,),
            params=BREAKOUT,
            execution={"market_protection": "-1", "latency_ms": 0},
        ),
    ]


@pytest.fixture(autouse=True)
def _own_strategies(settings) -> None:
    settings.STRATEGIES = Path(__file__).parent / "own"


def played(
    monkeypatch, files: list[str], given: list[Definition], *, items: int, batch: int
) -> dict[str, Any]:
    """The rows of the pipeline after checking that they are those of the backtest."""
    recorded = recording(files, given)
    source = recorded.source()
    stream = list(source.iter_from())[:items]
    runs = recorded.fold([stretch_of(stream, first_seq=FIRST_SEQ)], source=source.source)
    assert [run.error for run in runs] == [""] * len(runs)
    with override_settings(SHARDS=1):
        seeded(given)
    hand = Hand(packed(stream, source=source.source, batch=batch), shards=1)
    hand.attach(monkeypatch)

    hand.run()

    assert [row.error for row in Deployment.objects.exclude(error="")] == []
    found = parity.of_database()
    count, first = parity.compare(parity.of_accounts([run.account for run in runs]), found)
    assert count == 0, repr(first[0])
    assert books_differences().adds_up
    return found


@pytest.mark.django_db(transaction=True)
def test_minute_bars_of_two_sessions(monkeypatch):
    found = played(monkeypatch, YESBANK, definitions("NSE:YESBANK"), items=1_000, batch=53)

    rows = [row for kinds in found.values() for row in kinds["order_events"]]
    statuses = {row["status"] for row in rows}
    assert statuses >= {
        "PUT ORDER REQ RECEIVED", "TRIGGER PENDING", "OPEN", "MODIFY PENDING", "MODIFIED", "CANCEL PENDING",
        "CANCELLED", "COMPLETE", "REJECTED", "EXPIRED",
    }  # fmt: skip
    orders = [row for kinds in found.values() for row in kinds["orders"]]
    assert {row["order_type"] for row in orders} == {"MARKET", "LIMIT", "SL", "SL-M"}
    assert {row["validity"] for row in orders} == {"DAY", "IOC", "TTL"}
    assert max(row["leg"] for row in orders) == 3
    assert max(row["modifications"] for row in orders) > 1
    acts = OrderEvent.objects.exclude(decision=None)
    assert acts.filter(reason__contains="is being processed").exists()
    assert acts.count() == sum(
        row["is_approved"] and row["rule"] == "cancel"
        for kinds in found.values()
        for row in kinds["decisions"]
    ) + sum(
        row["kind"] == "MODIFY" and verdict["is_approved"]
        for kinds in found.values()
        for row, verdict in zip(kinds["signals"], kinds["decisions"], strict=True)
    )


@needs_shared_data
@pytest.mark.django_db(transaction=True)
def test_depth_on_record(monkeypatch):
    found = played(monkeypatch, DEPTH, definitions("NSE:BHARATFORG")[::3], items=2_600, batch=211)

    fills = [row for kinds in found.values() for row in kinds["fills"]]
    assert {row["source"] for row in fills} >= {"DEPTH", "QUEUE"}
