"""The pipeline's services, turned by hand, give the rows of the backtest whatever the batching and the deaths."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from uuid import UUID

import pytest
from django.test import override_settings
from django.utils import timezone

from alphapanda.core import ids
from alphapanda.deploying import Definition
from alphapanda.proof import parity
from alphapanda.proof.recorded import deployments_over
from execution.models import Order
from execution.services.cancelling import OrderEnded, order_cancel
from marketdata.domain.stretch import stretch_of
from marketdata.domain.ticks import FIRST_SEQ, Item, Tick
from marketdata.reference import YESBANK_FILES
from strategies import loading
from strategies.domain.signals import CommandRow
from strategies.models import Command, Deployment
from strategies.services import held
from strategies.services.lifecycle import deployment_exit
from tests.pipeline.hand import Hand, first_days, packed, recording, seeded

FILES = [str(YESBANK_FILES[0])]


def played_by_backtest(days: int):
    """The first days of the recording, with their rows."""
    recorded = recording(FILES, deployments_over(FILES))
    source = recorded.source()
    items = first_days(source.iter_from(), days)
    runs = recorded.fold([stretch_of(items, first_seq=FIRST_SEQ)], source=source.source)
    return source.source, items, parity.of_accounts([run.account for run in runs])


@pytest.fixture(scope="module")
def a_day():
    return played_by_backtest(1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("shards", "batch", "days"), [(1, 2000, 2), (2, 37, 1)])
def test_rows_equal_the_backtest(monkeypatch, shards, batch, days):
    """The whole recording is what real processes play, cut the second way: tests/proofs."""
    source, items, rows = played_by_backtest(days)
    with override_settings(SHARDS=shards):
        seeded(deployments_over(FILES))
    hand = Hand(packed(items, source=source, batch=batch), shards=shards)
    hand.attach(monkeypatch)

    hand.run()

    count, first = parity.compare(rows, parity.of_database())
    assert (count, first) == (0, [])


@pytest.mark.django_db(transaction=True)
def test_rows_are_the_same_where_little_of_the_log_fits_in_memory(monkeypatch, a_day):
    monkeypatch.setattr(held, "HELD_BYTES_MAX", 20_000)
    source, items, rows = a_day
    with override_settings(SHARDS=1):
        seeded(deployments_over(FILES))
    hand = Hand(packed(items, source=source, batch=37))
    hand.attach(monkeypatch)
    assigned = []
    assign = hand.readers[0].assign
    monkeypatch.setattr(hand.readers[0], "assign", lambda *given: assigned.append(given) or assign(*given))

    hand.run()

    count, first = parity.compare(rows, parity.of_database())
    assert (count, first) == (0, [])
    assert len(assigned) > 1  # some of it was read again


@pytest.mark.django_db(transaction=True)
def test_one_who_lags_has_nothing_read_again(monkeypatch, a_day):
    source, items, _ = a_day
    with override_settings(SHARDS=1):
        seeded(deployments_over(FILES))
    hand = Hand(packed(items[:600], source=source, batch=3))
    hand.attach(monkeypatch)
    assigned = []
    assign = hand.readers[0].assign
    monkeypatch.setattr(hand.readers[0], "assign", lambda *given: assigned.append(given) or assign(*given))

    hand.run()

    assert len(assigned) == 1


LIBRARY = [
    Definition(name=name, strategy=name, instruments=("NSE:YESBANK",), params={"quantity": 100} | params)
    for name, params in {
        "donchian": {"bar_minutes": 5, "length": 8, "exit_length": 4},
        "opening_range": {"entries_daily": 3},
        "rsi_reversion": {"bar_minutes": 3, "length": 6},
        "supertrend": {"bar_minutes": 3, "multiple": 1.5},
        "vwap_reversion": {"enter_at": 1.5},
    }.items()
]


@pytest.mark.django_db(transaction=True)
def test_the_library_does_the_same_in_the_pipeline(monkeypatch):
    """Those of one instrument that `deployments_over` has not."""
    recorded = recording(FILES, LIBRARY)
    source = recorded.source()
    with override_settings(SHARDS=1):
        seeded(LIBRARY)
    hand = Hand(packed(source.iter_from(), source=source.source, batch=211))
    hand.attach(monkeypatch)

    hand.run()

    found = parity.of_database()
    expected = parity.of_accounts([run.account for run in recorded.backtest(source)])
    assert parity.compare(expected, found) == (0, [])
    assert min(len(found[one.name]["fills"]) for one in LIBRARY) >= 2


LEGS = ("NSE:SBIN", "NSE:YESBANK")
BASKET = [
    Definition(
        name="pairs",
        strategy="pairs",
        instruments=LEGS,
        params={
            "first": LEGS[0], "second": LEGS[1], "length": 5, "enter_at": 0.8, "leave_at": 0.2, "bar_minutes": 1,
        },
    ),
    Definition(
        name="momentum",
        strategy="momentum",
        instruments=LEGS,
        params={
            "length": 5, "hold": 1, "capital": 20_000, "bar_minutes": 1, "short": True,
            "rebalance_at": ["09:40", "10:00", "10:20", "10:40", "11:00", "11:20"],
        },
    ),
]  # fmt: skip


def of_two(items: list[Item], token: int) -> list[Item]:
    """A stream with the same prices of another stock beside it, some seconds behind."""
    ticks = [item for item in items if isinstance(item, Tick)]
    behind = [
        tick._replace(token=token, at_ms=tick.at_ms + 7_000, price_e4=tick.price_e4 + 10_000, volume=-1)
        for tick in ticks
    ]
    return sorted([*items, *behind], key=lambda item: item.at_ms)


@pytest.mark.django_db(transaction=True)
def test_strategies_of_several_instruments_do_the_same_in_the_pipeline(monkeypatch):
    recorded = recording(FILES, BASKET)
    source = recorded.source()
    items = of_two(list(source.iter_from())[:800], recorded.known[LEGS[0]].token)
    with override_settings(SHARDS=1):
        seeded(BASKET)
    hand = Hand(packed(items, source=source.source, batch=97))
    hand.attach(monkeypatch)

    hand.run()

    found = parity.of_database()
    runs = recorded.fold([stretch_of(items, first_seq=FIRST_SEQ)], source=source.source)
    assert parity.compare(parity.of_accounts([run.account for run in runs]), found) == (0, [])
    for name in ("pairs", "momentum"):
        assert len({row["instrument"] for row in found[name]["fills"]}) == 2


def command_given() -> None:
    deployment = Deployment.objects.get()
    Command.objects.create(
        id=ids.derived("test", "command"),
        deployment=deployment,
        kind="FLATTEN",
        reason="drill",
        actor="alice",
    )


def commands_taken() -> dict[UUID, dict[int, CommandRow]]:
    """By deployment and step."""
    commands: dict[UUID, dict[int, CommandRow]] = defaultdict(dict)
    for row in Command.objects.all():
        commands[row.deployment_id][row.step] = loading.command_row(row)
    return commands


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("batch", [97, 11])
def test_the_exit_of_one_instrument_is_replayed_row_by_row(monkeypatch, batch):
    recorded = recording(FILES, BASKET[:1])
    source = recorded.source()
    items = of_two(list(source.iter_from())[:400], recorded.known[LEGS[0]].token)
    with override_settings(SHARDS=1):
        seeded(BASKET[:1])
    hand = Hand(packed(items, source=source.source, batch=batch))
    hand.attach(monkeypatch)
    every = hand.readers[0].values
    for count in range(1, len(every)):  # until both legs are held
        hand.readers[0].values = every[:count]
        hand.run()
        if len(loading.consequences_of(deployment := Deployment.objects.get()).positions) == 2:
            break
    facts = {"actor": "alice", "reason": "drill", "now": timezone.now()}
    deployment_exit(deployment_id=deployment.pk, instrument=LEGS[0], **facts)
    hand.readers[0].values = every

    hand.run()

    found = parity.of_database()
    stream = [stretch_of(items, first_seq=FIRST_SEQ)]
    runs = recorded.fold(stream, source=source.source, commands=commands_taken())
    assert parity.compare(parity.of_accounts([run.account for run in runs]), found) == (0, [])
    signals = found["pairs"]["signals"]
    by_operator = [row for row in signals if row["origin"] == "OPERATOR"]
    assert {row["instrument"] for row in by_operator} == {LEGS[0]}
    assert {row["origin"] for row in signals[signals.index(by_operator[-1]) + 1 :]} == {"STRATEGY"}
    assert Deployment.objects.get().status == "RUNNING"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("batch", [97, 11])
def test_the_cancellation_of_one_order_is_replayed_row_by_row(monkeypatch, settings, batch):
    settings.STRATEGIES, settings.SHARDS = Path(__file__).parent / "own", 1
    definitions = [Definition(name="wall", strategy="wall", instruments=("NSE:YESBANK",))]
    recorded = recording(FILES, definitions)
    source = recorded.source()
    items = list(source.iter_from())[:800]
    seeded(definitions)
    hand = Hand(packed(items, source=source.source, batch=batch))
    hand.attach(monkeypatch)
    every = hand.readers[0].values
    for count in range(1, len(every)):  # until the limit far below rests
        hand.readers[0].values = every[:count]
        hand.run()
        if (resting := Order.objects.filter(order_type="LIMIT", status="OPEN")).exists():
            break
    facts = {"actor": "alice", "reason": "drill", "now": timezone.now()}
    cancelled = order_cancel(order_id=resting.get().pk, **facts)
    hand.readers[0].values = every

    hand.run()

    found = parity.of_database()
    stream = [stretch_of(items, first_seq=FIRST_SEQ)]
    runs = recorded.fold(stream, source=source.source, commands=commands_taken())
    assert parity.compare(parity.of_accounts([run.account for run in runs]), found) == (0, [])
    cancelled.refresh_from_db()
    assert cancelled.status == "CANCELLED"
    assert [row["target"] for row in found["wall"]["signals"] if row["origin"] == "OPERATOR"] == [
        str(cancelled.pk)
    ]
    assert resting.exists(), "its strategy goes on, and rests another"
    with pytest.raises(OrderEnded, match="is CANCELLED"):
        order_cancel(order_id=cancelled.pk, **facts)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("batch", "flattened_at", "days"), [(2000, None, 2), (41, 5, 1), (173, 15, 2)])
def test_guards_and_commands_do_the_same_in_the_pipeline(monkeypatch, settings, batch, flattened_at, days):
    settings.STRATEGIES = Path(__file__).parent / "own"
    definitions = [Definition(name="guarded", strategy="guarded", instruments=("NSE:YESBANK",))]
    recorded = recording(FILES, definitions)
    source = recorded.source()
    items = first_days(source.iter_from(), days)
    seeded(definitions)
    hand = Hand(packed(items, source=source.source, batch=batch), shards=1)
    hand.attach(monkeypatch)
    if flattened_at:  # an operator's act while the log is being read
        every, hand.readers[0].values = hand.readers[0].values, hand.readers[0].values[:flattened_at]
        hand.run()
        command_given()
        hand.readers[0].values = every

    hand.run()

    stream = [stretch_of(items, first_seq=FIRST_SEQ)]
    runs = recorded.fold(stream, source=source.source, commands=commands_taken())
    assert Command.objects.filter(step=None).count() == 0
    found = parity.of_database()
    origins = {row["origin"] for row in found["guarded"]["signals"]}
    assert origins == {"STRATEGY", "BRACKET", "SQUARE_OFF"} | ({"OPERATOR"} if flattened_at else set())
    assert parity.compare(parity.of_accounts([run.account for run in runs]), found) == (0, [])
