"""The pipeline's services, turned by hand, give the rows of the backtest whatever the batching and the deaths."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
from django.test import override_settings

from alphapanda.core import ids
from alphapanda.deploying import Definition
from alphapanda.proof import parity
from alphapanda.proof.recorded import deployments_over
from marketdata.reference import YESBANK_FILES
from strategies import loading
from strategies.models import Command, Deployment
from tests.pipeline.hand import Hand, packed, recording, seeded

FILES = [str(YESBANK_FILES[0])]


@pytest.fixture(scope="module")
def expected():
    recorded = recording(FILES, deployments_over(FILES))
    source = recorded.source()
    return source, parity.of_accounts([run.account for run in recorded.backtest(source)])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("shards", "batch"), [(1, 2000), (2, 37)])
def test_rows_equal_the_backtest(monkeypatch, expected, shards, batch):
    source, rows = expected
    with override_settings(SHARDS=shards):
        seeded(deployments_over(FILES))
    hand = Hand(packed(source.iter_from(), source=source.source, batch=batch), shards=shards)
    hand.attach(monkeypatch)

    hand.run()

    count, first = parity.compare(rows, parity.of_database())
    assert (count, first) == (0, [])


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


def command_given() -> None:
    deployment = Deployment.objects.get()
    Command.objects.create(
        id=ids.derived("test", "command"),
        deployment=deployment,
        kind="FLATTEN",
        reason="drill",
        actor="alice",
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("batch", "flattened_at"), [(2000, None), (41, 5), (173, 25)])
def test_guards_and_commands_do_the_same_in_the_pipeline(monkeypatch, settings, batch, flattened_at):
    settings.STRATEGIES = Path(__file__).parent / "own"
    definitions = [Definition(name="guarded", strategy="guarded", instruments=("NSE:YESBANK",))]
    recorded = recording(FILES, definitions)
    source = recorded.source()
    seeded(definitions)
    hand = Hand(packed(source.iter_from(), source=source.source, batch=batch), shards=1)
    hand.attach(monkeypatch)
    if flattened_at:  # an operator's act while the log is being read
        every, hand.readers[0].values = hand.readers[0].values, hand.readers[0].values[:flattened_at]
        hand.run()
        command_given()
        hand.readers[0].values = every

    hand.run()

    commands = defaultdict(dict)
    for row in Command.objects.all():
        commands[row.deployment_id][row.step] = loading.command_row(row)
    runs = recorded.backtest(source, commands=commands)
    assert Command.objects.filter(step=None).count() == 0
    found = parity.of_database()
    origins = {row["origin"] for row in found["guarded"]["signals"]}
    assert origins == {"STRATEGY", "BRACKET", "SQUARE_OFF"} | ({"OPERATOR"} if flattened_at else set())
    assert parity.compare(parity.of_accounts([run.account for run in runs]), found) == (0, [])
