"""Deployments that share limits: the pipeline gives the rows of the fold, item by item, whatever the batching, the
number of shards asked for and the deaths in between."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest
from django.test import override_settings

from alphapanda.core.vocabulary import DeploymentStatus, Waiting
from alphapanda.deploying import Definition
from alphapanda.proof import parity
from marketdata.domain.stretch import stretch_of
from marketdata.domain.ticks import FIRST_SEQ, Item, Tick
from marketdata.models import Instrument
from marketdata.reference import YESBANK_FILES
from risk import loading
from risk.models import LimitSet
from strategies.models import Deployment
from strategies.services.shard import Shard
from tests.pipeline.hand import Hand, packed, recording, seeded

pytestmark = pytest.mark.django_db(transaction=True)
FILES = [str(YESBANK_FILES[0])]
OTHER = "NSE:SBIN"
DEFINITIONS = [
    Definition("alpha", "ema_cross", ("NSE:YESBANK",), {"fast": 2, "slow": 4, "quantity": 100}),
    Definition("beta", "mean_reversion", ("NSE:YESBANK",), {"length": 5, "enter_at": 0.8, "quantity": 90}),
    Definition("gamma", "ema_cross", (OTHER,), {"fast": 2, "slow": 5, "quantity": 60}),
    Definition(
        "delta",
        "ema_cross",
        ("NSE:YESBANK", OTHER),
        {"fast": 3, "slow": 6, "quantity": 40},
        limits={"margin": "1000"},
    ),
]
LIMITS: list[dict[str, Any]] = [
    {"level": "GLOBAL", "daily_loss": Decimal(900), "orders_per_minute": 3, "self_trade": True},
    {"level": "BROKER", "broker": "paper", "gross_exposure": Decimal(26_000), "drawdown": Decimal(1_500)},
    {"level": "INSTRUMENT", "instrument": OTHER, "net_exposure": Decimal(8_000)},
]


@pytest.fixture(scope="module")
def stream() -> tuple[int, list[Item]]:
    """The recording's first hours, with the same prices of another stock a few seconds behind."""
    source = recording(FILES, []).source()
    items = list(source.iter_from())[:800]
    token = next(spec.token for key, spec in recording(FILES, []).known.items() if key == OTHER)
    behind = [
        item._replace(token=token, at_ms=item.at_ms + 7_000, price_e4=item.price_e4 + 10_000, volume=-1)
        for item in items
        if isinstance(item, Tick)
    ]
    return source.source, sorted([*items, *behind], key=lambda item: item.at_ms)


def beginning(stream: tuple[int, list[Item]], items: int) -> tuple[int, list[Item]]:
    """So much of it as a test needs: an item costs one in the pipeline milliseconds."""
    return stream[0], stream[1][:items]


def limited() -> None:
    for values in LIMITS:
        named = {}
        if key := values.get("instrument"):
            exchange, _, symbol = key.partition(":")
            named["instrument"] = Instrument.objects.get(exchange=exchange, tradingsymbol=symbol)
        LimitSet.objects.create(**(values | named))


class Dying(Hand):
    """Now and then the worker dies, and doorbells are lost; the sweeper rings again."""

    def __init__(self, *given: Any, seed: int, **more: Any) -> None:
        super().__init__(*given, **more)
        self.random = random.Random(seed)
        self.deaths = 0

    def run(self) -> None:
        ends = {0: len(self.readers[0].values)}
        while True:
            for number in range(len(self.shards)):
                for _ in range(self.random.randrange(1, 4)):
                    self.shards[number].evaluate(ends)
                if self.random.random() < 0.3:
                    self.shards[number] = self.shard(number)
                    self.deaths += 1
            links = [self.rung.popleft() for _ in range(self.random.randrange(len(self.rung) + 1))]
            for link, one in links:
                link(one)
            if self.random.random() < 0.3:
                self.rung.clear()
            if not self.rung:
                self.sweep()
            if not self.rung and self.is_through():
                return

    def sweep(self) -> None:
        for row in Deployment.objects.exclude(waiting=Waiting.NOTHING):
            ring = self.ring_signals if row.waiting == Waiting.SIGNALS else self.ring_due
            ring([str(row.id)])

    def is_through(self) -> bool:
        return all(row.offset == len(self.readers[0].values) for row in Deployment.objects.all())


def handed_over(
    monkeypatch, stream, *, shards: int, batch: int, hand_class: type[Hand] = Hand, **more
) -> Hand:
    source, items = stream
    with override_settings(SHARDS=shards):
        seeded(DEFINITIONS)
        limited()
    hand = hand_class(packed(items, source=source, batch=batch), shards=shards, **more)
    hand.attach(monkeypatch)
    return hand


def compared(stream, definitions=DEFINITIONS):
    source, items = stream
    recorded = recording(FILES, definitions)
    runs = recorded.fold([stretch_of(items, first_seq=FIRST_SEQ)], source=source, levels=loading.levels())
    rows = parity.of_accounts([run.account for run in runs])
    return parity.compare(rows, parity.of_database()), rows


def rules(rows) -> set[str]:
    return {row["rule"] for kinds in rows.values() for row in kinds["decisions"]}


@pytest.mark.parametrize(("shards", "batch"), [(1, 2000), (2, 53)])
def test_rows_of_a_group_equal_those_of_the_fold(monkeypatch, stream, shards, batch):
    handed_over(monkeypatch, stream, shards=shards, batch=batch).run()

    difference, rows = compared(stream)

    assert difference == (0, [])
    shared = {"gross_exposure", "net_exposure", "order_rate", "self_trade", "daily_loss", "margin"}
    assert rules(rows) >= shared | {"within_limits", "exit"}


@pytest.mark.parametrize("seed", [1, 2])
def test_rows_of_a_group_equal_those_of_the_fold_however_often_workers_die(monkeypatch, stream, seed):
    hours = beginning(stream, 800)
    hand = handed_over(monkeypatch, hours, shards=2, batch=200, hand_class=Dying, seed=seed)

    hand.run()

    assert hand.deaths > 10
    assert compared(hours)[0] == (0, [])


def test_letting_stops_go_early_is_found(monkeypatch, stream):
    """The proof can fail: without the order of the log, decisions look at what comes later."""
    monkeypatch.setattr(Shard, "_may_stop", lambda _shard, _runner: True)
    hours = beginning(stream, 500)
    handed_over(monkeypatch, hours, shards=1, batch=2000).run()

    assert compared(hours)[0][0] > 0


@pytest.mark.parametrize(
    "status", [DeploymentStatus.STOPPED, DeploymentStatus.QUARANTINED, DeploymentStatus.PAUSED]
)
def test_who_does_not_run_holds_up_nobody(monkeypatch, stream, status):
    hand = handed_over(monkeypatch, beginning(stream, 500), shards=1, batch=100)
    Deployment.objects.filter(name="beta").update(status=status)

    hand.run()

    reached = {row.name: row.offset for row in Deployment.objects.all()}
    end = len(hand.readers[0].values)
    expected = end if status is DeploymentStatus.PAUSED else 0
    assert reached == {"alpha": end, "gamma": end, "delta": end, "beta": expected}
    assert not Deployment.objects.exclude(waiting=Waiting.NOTHING).exists()
